"""Byte strings of one size, one for each of several clients."""

from collections.abc import Iterator, Sequence
import dataclasses
import functools

from tff_pipelines.secagg import encoding, errors


@dataclasses.dataclass(frozen=True)
class Records:
  """A mapping from clients to byte strings of one size, kept as one string.

  Attributes:
    owners: Clients in increasing order.
    size: Bytes of each record; 0 if there are none.
    data: The records of all owners, in that order.
  """

  owners: tuple[int, ...] = ()
  size: int = 0
  data: bytes = dataclasses.field(default=b'', repr=False)

  def __len__(self) -> int:
    return len(self.owners)

  def __getitem__(self, owner: int) -> bytes:
    start = self._starts[owner]
    return self.data[start : start + self.size]

  def items(self) -> Iterator[tuple[int, bytes]]:
    """Yields (owner, record) in order."""
    for position, owner in enumerate(self.owners):
      start = position * self.size
      yield owner, self.data[start : start + self.size]

  def select(self, owners: Sequence[int]) -> 'Records':
    """Returns the records of some of the owners, given in order."""
    return build(owners, [self[owner] for owner in owners])

  def without(self, owner: int) -> 'Records':
    """Returns the records of all but one of the owners."""
    start = self._starts[owner]
    position = start // self.size
    return Records(
      self.owners[:position] + self.owners[position + 1 :],
      self.size if len(self) > 1 else 0,
      self.data[:start] + self.data[start + self.size :],
    )

  @functools.cached_property
  def _starts(self) -> dict[int, int]:
    return {
      owner: position * self.size for position, owner in enumerate(self.owners)
    }


def build(owners: Sequence[int], contents: Sequence[bytes]) -> Records:
  """Returns the records of owners in increasing order.

  Raises:
    ValueError: If the records differ in size or number.
  """
  sizes = set(map(len, contents))
  if len(owners) != len(contents) or len(sizes) > 1:
    raise ValueError('Expected one record of one size for each owner.')
  return Records(tuple(owners), sizes.pop() if sizes else 0, b''.join(contents))


def encode(records: Records) -> bytes:
  """Returns owners, the size in 2 bytes, and the records."""
  return (
    encoding.index_set(records.owners)
    + encoding.integer(records.size, 2)
    + records.data
  )


def read(reader: encoding.Reader) -> Records:
  """Reads what `encode` returned.

  Raises:
    MalformedMessageError: If the bytes are no encoding.
  """
  owners = reader.index_set()
  size = reader.integer(2)
  if bool(owners) != bool(size):
    raise errors.MalformedMessageError(
      f'Expected records of some bytes, found {len(owners)} records of {size}.'
    )
  return Records(owners, size, reader.raw(size * len(owners)))
