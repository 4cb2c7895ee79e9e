"""How the vectors of a session lie in one another.

Vectors of the same modulus are one long vector, so that a mask is one key
stream and one addition for each modulus and not for each vector.
"""

from collections.abc import Sequence
import dataclasses
import functools

import numpy as np

from tff_pipelines.secagg import errors

MAX_MODULUS = 2**62


@dataclasses.dataclass(frozen=True)
class Group:
  """All the entries of a session with one modulus.

  Bonawitz et al. 2017, section 4: R is the modulus, m the length. Any modulus
  up to 2^62: R need not be a power of two.

  Attributes:
    modulus: m, 2 to 2^62; entries are in [0, m).
    length: The number of entries.
  """

  modulus: int
  length: int

  @property
  def is_power_of_two(self) -> bool:
    """Whether the words of the machine can wrap around by themselves."""
    return self.modulus & (self.modulus - 1) == 0

  @property
  def bits(self) -> int:
    """Bits of an entry, ceil(log2 m) (Bonawitz et al. 2017, table 1)."""
    return (self.modulus - 1).bit_length()

  @property
  def dtype(self) -> np.dtype:
    """The words to add in: uint32 where their wrapping keeps sums right."""
    narrow = self.is_power_of_two and self.bits <= 32
    return np.dtype(np.uint32 if narrow else np.uint64)


@dataclasses.dataclass(frozen=True)
class Layout:
  """Moduli and lengths of a session's vectors, in the caller's order.

  Raises:
    InputError: If a modulus or length is out of range, or none is given.
  """

  moduli: tuple[int, ...]
  lengths: tuple[int, ...]

  def __post_init__(self) -> None:
    if not self.moduli or len(self.moduli) != len(self.lengths):
      raise errors.InputError(
        'Expected one modulus for each vector, found '
        f'{len(self.moduli)} moduli for {len(self.lengths)} vectors.'
      )
    for modulus in self.moduli:
      if not 2 <= modulus <= MAX_MODULUS:
        raise errors.InputError(
          f'Expected moduli between 2 and 2**62, found {modulus}; use fewer '
          'bits an entry.'
        )
    if min(self.lengths) < 0:
      raise errors.InputError('Expected lengths of 0 or more, found fewer.')

  @functools.cached_property
  def groups(self) -> tuple[Group, ...]:
    """One group for each distinct modulus, in order of first appearance."""
    lengths: dict[int, int] = {}
    for modulus, length in zip(self.moduli, self.lengths, strict=True):
      lengths[modulus] = lengths.get(modulus, 0) + length
    return tuple(Group(*item) for item in lengths.items())

  def concatenate(self, vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns one array a group, of the group's dtype.

    Args:
      vectors: Integers in [0, m), one vector for each modulus.

    Raises:
      InputError: If they do not fit the moduli and lengths.
    """
    self._check(vectors)
    return [
      np.concatenate(
        [
          np.asarray(vector).astype(group.dtype)
          for vector, modulus in zip(vectors, self.moduli, strict=True)
          if modulus == group.modulus
        ]
      )
      for group in self.groups
    ]

  def split(self, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Returns the vectors (int64) that `concatenate` put together."""
    offsets = dict.fromkeys(self.moduli, 0)
    by_modulus = {
      group.modulus: array.astype(np.int64)
      for group, array in zip(self.groups, arrays, strict=True)
    }
    vectors = []
    for modulus, length in zip(self.moduli, self.lengths, strict=True):
      start = offsets[modulus]
      vectors.append(by_modulus[modulus][start : start + length])
      offsets[modulus] = start + length
    return tuple(vectors)

  def _check(self, vectors: Sequence[np.ndarray]) -> None:
    if len(vectors) != len(self.moduli):
      raise errors.InputError(
        f'Expected {len(self.moduli)} vectors of each client, found '
        f'{len(vectors)}.'
      )
    for position, vector in enumerate(map(np.asarray, vectors)):
      length, modulus = self.lengths[position], self.moduli[position]
      if vector.shape != (length,) or vector.dtype.kind not in 'iu':
        raise errors.InputError(
          f'Expected vector {position} to be {length} integers, found '
          f'{vector.dtype}{list(vector.shape)}; flatten it.'
        )
      if length and not 0 <= int(vector.min()) <= int(vector.max()) < modulus:
        raise errors.InputError(
          f'Expected the entries of vector {position} in [0, {modulus}), found '
          f'some in [{vector.min()}, {vector.max()}]; reduce them first.'
        )
