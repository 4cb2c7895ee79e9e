"""Masks: uniform vectors in Z_m from a 256-bit seed.

AES-256 in counter mode (NIST SP 800-38A; 256-bit seed used whole, each seed for
one mask, so counters may start at zero). Group g of a session reads the stream
whose initial counter block is g in 8 bytes, big-endian, and 8 zero bytes: no
two streams meet before 2^64 blocks.

An entry is a little-endian word of the stream: 4 bytes where m is a power of
two up to 2^32, else 8. Powers of two divide the number of words, so any word is
uniform modulo m. For the other moduli a word of at least m floor(2^64 / m) is
thrown away and the next one taken (rejection), which makes the rest uniform.

Source: Bonawitz et al. 2017, section 3.4 (PRG, there AES-CTR too).
"""

from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers import algorithms, modes
import numpy as np

from tff_pipelines.secagg import layout as layouts
from tff_pipelines.secagg import modular_sum

SEED_BYTES = 32


class _KeyStream:
  """The key stream of one seed and group."""

  def __init__(self, seed: bytes, group_index: int) -> None:
    if len(seed) != SEED_BYTES:
      raise ValueError(f'Expected a seed of 32 bytes, found {len(seed)}.')
    counter = group_index.to_bytes(8, 'big') + bytes(8)
    self._encryptor = ciphers.Cipher(
      algorithms.AES(seed), modes.CTR(counter)
    ).encryptor()

  def fill(self, words: np.ndarray, zeros: np.ndarray) -> None:
    """Overwrites words with the next ones of the stream.

    Args:
      words: uint32 or uint64, contiguous.
      zeros: uint8, at least as many bytes; what is encrypted.
    """
    self._encryptor.update_into(
      zeros[: words.nbytes].data, words.view(np.uint8).data
    )


class MaskGenerator:
  """Expands seeds into masks for all the groups of a session.

  The buffers are used again for each seed: the masks of a thousand pairs pass
  through one.
  Source: Bonawitz et al. 2017, section 3.4.
  """

  def __init__(self, layout: layouts.Layout) -> None:
    self._groups = layout.groups
    self._buffers = [np.empty(g.length, g.dtype) for g in self._groups]
    self._zeros = np.zeros(max(b.nbytes for b in self._buffers), np.uint8)

  def expand(self, seed: bytes) -> list[np.ndarray]:
    """Returns the mask of a seed, one array a group.

    The arrays are valid until the next call. For powers of two the entries are
    whole words, which `ModularSum` reduces at its end.
    Source: Bonawitz et al. 2017, section 3.4.
    """
    for index, (group, words) in enumerate(
      zip(self._groups, self._buffers, strict=True)
    ):
      stream = _KeyStream(seed, index)
      if group.length:
        stream.fill(words, self._zeros)
      if not group.is_power_of_two:
        self._make_uniform(words, group.modulus, stream)
    return self._buffers

  def _make_uniform(
    self, words: np.ndarray, modulus: int, stream: _KeyStream
  ) -> None:
    """Replaces words by uniform entries in [0, m), in place."""
    end = np.uint64(2**64 // modulus * modulus)
    kept = words[words < end]
    missing = words.size - kept.size
    while missing:
      more = np.empty(missing, np.uint64)
      stream.fill(more, self._zeros)
      kept = np.concatenate([kept, more[more < end]])
      missing = words.size - kept.size
    np.remainder(kept, np.uint64(modulus), out=words)


class MaskedSum:
  """Sums of all the groups of a session, to which masks are added.

  Source: Bonawitz et al. 2017, section 4, the vector y_u and its sum.
  """

  def __init__(self, layout: layouts.Layout) -> None:
    self._sums = [modular_sum.ModularSum(g) for g in layout.groups]
    self._generator = MaskGenerator(layout)

  def add(self, arrays: list[np.ndarray]) -> None:
    """Adds one array a group (Bonawitz et al. 2017, section 4)."""
    for total, array in zip(self._sums, arrays, strict=True):
      total.add(array)

  def add_mask(self, seed: bytes) -> None:
    """Adds the mask of a seed (Bonawitz et al. 2017, section 4)."""
    for total, mask in zip(
      self._sums, self._generator.expand(seed), strict=True
    ):
      total.add(mask)

  def subtract_mask(self, seed: bytes) -> None:
    """Subtracts the mask of a seed (Bonawitz et al. 2017, section 4)."""
    for total, mask in zip(
      self._sums, self._generator.expand(seed), strict=True
    ):
      total.subtract(mask)

  def result(self) -> list[np.ndarray]:
    """Returns the sums in [0, m), one array a group."""
    return [total.result() for total in self._sums]
