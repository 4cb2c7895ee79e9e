"""The pieces of the canonical byte encoding.

Canonical: one value has one encoding, and every sequence of bytes that is not
an encoding is refused. Integers are big-endian.
"""

import functools

import numpy as np

from tff_pipelines.secagg import errors

_MAX_INDEX_SET_BYTES = 2**21  # 2^24 clients.


def integer(value: int, size: int) -> bytes:
  """Returns `size` bytes, big-endian."""
  return value.to_bytes(size, 'big')


def blob(data: bytes | memoryview) -> bytes:
  """Returns the bytes behind their length in 8 bytes."""
  return integer(len(data), 8) + data


@functools.lru_cache(maxsize=16)  # Many messages name the same clients.
def index_set(indices: tuple[int, ...]) -> bytes:
  """Returns a bitmap behind its length in 4 bytes.

  Client i is bit i % 8 of byte i // 8. The last byte is never zero, so that a
  set has one encoding.

  Args:
    indices: In strictly increasing order.
  """
  if not indices:
    return integer(0, 4)
  bits = np.zeros(indices[-1] + 1, np.uint8)
  bits[list(indices)] = 1
  bitmap = np.packbits(bits, bitorder='little').tobytes()
  return integer(len(bitmap), 4) + bitmap


@functools.lru_cache(maxsize=16)
def _indices(bitmap: bytes) -> tuple[int, ...]:
  bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder='little')
  return tuple(np.flatnonzero(bits).tolist())


class Reader:
  """Reads the pieces of an encoding from its beginning.

  Raises:
    MalformedMessageError: From every method, if the bytes are no encoding.
  """

  def __init__(self, data: bytes) -> None:
    self._data = data
    self._position = 0

  def raw(self, size: int) -> bytes:
    """Returns the next bytes."""
    end = self._position + size
    if end > len(self._data):
      raise errors.MalformedMessageError(
        f'Expected {size} more bytes of a message, found '
        f'{len(self._data) - self._position}.'
      )
    piece = self._data[self._position : end]
    self._position = end
    return piece

  def view(self) -> memoryview:
    """Returns the bytes of a `blob` where they are, read-only.

    For masked inputs: fresh memory for a copy of each would cost the server
    more than all it does with them.
    """
    size = self.integer(8)
    if size > len(self._data) - self._position:
      return memoryview(self.raw(size))  # Which refuses.
    start = self._position
    self._position = start + size
    return memoryview(self._data)[start : self._position]

  def integer(self, size: int) -> int:
    """Returns the integer in the next bytes."""
    return int.from_bytes(self.raw(size), 'big')

  def blob(self) -> bytes:
    """Returns the bytes of a `blob`."""
    return self.raw(self.integer(8))

  def index_set(self) -> tuple[int, ...]:
    """Returns the indices of an `index_set`, in increasing order."""
    size = self.integer(4)
    if size > _MAX_INDEX_SET_BYTES:
      raise errors.MalformedMessageError(
        f'Expected a set of at most 2**24 clients, found {8 * size}.'
      )
    bitmap = np.frombuffer(self.raw(size), np.uint8)
    if size and not bitmap[-1]:
      raise errors.MalformedMessageError(
        'Expected a set whose last byte is not zero, found a zero.'
      )
    return _indices(bitmap.tobytes())

  def finish(self) -> None:
    """Refuses bytes behind the end."""
    if self._position != len(self._data):
      raise errors.MalformedMessageError(
        'Expected the end of a message, found '
        f'{len(self._data) - self._position} more bytes.'
      )
