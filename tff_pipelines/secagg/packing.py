"""Entries of Z_m on the wire, in ceil(log2 m) bits each.

The bits of all entries are cut into planes, lowest first: as many planes of 32,
16 and 8 bits as fit, little-endian, then one plane for each bit that is left
over, eight entries a byte. 34-bit entries are a plane of 32 bits and two of one
bit. Padding at the end of a plane is zero, so the encoding is canonical.

Source: the term m ceil(log2 R) of Bonawitz et al. 2017, table 1.
"""

from collections.abc import Iterator

import numpy as np

from tff_pipelines.secagg import errors, layout


def _planes(bits: int) -> Iterator[tuple[int, int]]:
  """Yields (width, shift) of each plane."""
  shift = 0
  for width in (32, 16, 8, 1):
    while bits - shift >= width:
      yield width, shift
      shift += width


def _plane_bytes(width: int, length: int) -> int:
  return -(-width * length // 8)


def packed_bytes(group: layout.Group) -> int:
  """Returns the bytes of a packed group (Bonawitz et al. 2017, table 1)."""
  return sum(_plane_bytes(w, group.length) for w, _ in _planes(group.bits))


def pack(values: np.ndarray, group: layout.Group) -> bytes:
  """Returns the canonical bytes of entries in [0, m).

  Source: Bonawitz et al. 2017, table 1 (the size, not the format).

  Args:
    values: Entries of the group's dtype and length.
    group: What they are.
  """
  packed = []
  for width, shift in _planes(group.bits):
    plane = values >> values.dtype.type(shift)
    if width == 1:
      one = values.dtype.type(1)
      packed.append(np.packbits((plane & one).astype(np.uint8)).tobytes())
    else:
      packed.append(plane.astype(f'<u{width // 8}').tobytes())
  return b''.join(packed)


class Unpacker:
  """Undoes `pack`, into buffers that are used again.

  A thousand masked inputs pass through one buffer: fresh memory for each would
  cost more than the arithmetic.
  Source: Bonawitz et al. 2017, table 1 (the size, not the format).
  """

  def __init__(self, group: layout.Group) -> None:
    self._group = group
    self._values = np.empty(group.length, group.dtype)
    self._plane = np.empty(group.length, group.dtype)

  def unpack(self, packed: bytes | memoryview) -> np.ndarray:
    """Returns the entries, of the group's dtype, valid until the next call.

    Raises:
      MalformedMessageError: If the bytes are not what `pack` gives.
    """
    group, values = self._group, self._values
    if len(packed) != packed_bytes(group):
      raise errors.MalformedMessageError(
        f'Expected {packed_bytes(group)} bytes for {group.length} entries of '
        f'{group.bits} bits, found {len(packed)}.'
      )
    values[:] = 0
    # Single bits are put together in bytes, which are widened once.
    top, top_shift = np.zeros(group.length, np.uint8), group.bits // 8 * 8
    data, start = np.frombuffer(packed, np.uint8), 0
    for width, shift in _planes(group.bits):
      end = start + _plane_bytes(width, group.length)
      if width == 1:
        bits = np.unpackbits(data[start:end])
        if bits[group.length :].any():
          raise errors.MalformedMessageError(
            'Expected zeros behind the last entry, found others.'
          )
        top |= bits[: group.length] << np.uint8(shift - top_shift)
      else:
        self._insert(data[start:end].view(f'<u{width // 8}'), shift)
      start = end
    if group.bits % 8:
      self._insert(top, top_shift)
    if not group.is_power_of_two and group.length:
      if values.max() >= group.modulus:
        raise errors.MalformedMessageError(
          f'Expected entries below {group.modulus}, found larger ones.'
        )
    return values

  def _insert(self, plane: np.ndarray, shift: int) -> None:
    np.copyto(self._plane, plane)
    self._plane <<= self._group.dtype.type(shift)
    self._values |= self._plane
