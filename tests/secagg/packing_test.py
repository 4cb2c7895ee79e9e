import numpy as np
import pytest

from tff_pipelines.secagg import errors, layout, packing

MODULI = [2**bits for bits in range(1, 63)] + [3, 5, 200, 1000003, 2**62 - 1]


def values_of(group: layout.Group, seed: int = 0) -> np.ndarray:
  generator = np.random.default_rng(seed)
  values = generator.integers(group.modulus, size=group.length)
  values[:2] = [0, group.modulus - 1][: group.length]
  return values.astype(group.dtype)


@pytest.mark.parametrize('modulus', MODULI)
@pytest.mark.parametrize('length', [2, 8, 13, 64])
def test_unpacking_undoes_packing(modulus, length):
  group = layout.Group(modulus, length)
  values = values_of(group)
  packed = packing.pack(values, group)
  assert len(packed) == packing.packed_bytes(group)
  unpacked = packing.Unpacker(group).unpack(packed)
  assert unpacked.dtype == group.dtype
  np.testing.assert_array_equal(unpacked, values)


@pytest.mark.parametrize('modulus', MODULI)
def test_an_entry_takes_ceil_log2_bits(modulus):
  # Exactly so for lengths that are multiples of 8.
  group = layout.Group(modulus, 800)
  assert packing.packed_bytes(group) == 100 * (modulus - 1).bit_length()


def test_packing_by_hand():
  # 10 bits: a plane of bytes, then bits 8 and 9.
  group = layout.Group(2**10, 2)
  packed = packing.pack(np.array([0x301, 0x1FF], np.uint32), group)
  assert packed == bytes([0x01, 0xFF, 0b11000000, 0b10000000])


def test_planes_are_little_endian():
  group = layout.Group(2**16, 1)
  assert packing.pack(np.array([0x0102], np.uint32), group) == b'\2\1'


@pytest.mark.parametrize('modulus', [2**20, 1000003, 2**34])
@pytest.mark.parametrize('change', [-1, 1])
def test_another_length_is_refused(modulus, change):
  group = layout.Group(modulus, 5)
  packed = packing.pack(values_of(group), group) + b'\0'
  size = packing.packed_bytes(group) + change
  with pytest.raises(errors.MalformedMessageError, match='bytes for 5 entries'):
    packing.Unpacker(group).unpack(packed[:size])


def test_entries_beyond_the_modulus_are_refused():
  group = layout.Group(1000, 2)
  packed = packing.pack(np.array([5, 1000], np.uint64), group)
  with pytest.raises(errors.MalformedMessageError, match='entries below 1000'):
    packing.Unpacker(group).unpack(packed)


def test_padding_that_is_not_zero_is_refused():
  group = layout.Group(2, 3)
  with pytest.raises(errors.MalformedMessageError, match='zeros behind'):
    packing.Unpacker(group).unpack(bytes([0b11110000]))


@pytest.mark.parametrize('modulus', [3, 2**10, 2**20, 2**34])
def test_every_bit_string_has_one_meaning(modulus):
  # Whatever is accepted packs to the same bytes again, and with 8 entries
  # there is no padding, so powers of two accept everything.
  group = layout.Group(modulus, 8)
  generator = np.random.default_rng(0)
  for _ in range(300):
    data = generator.bytes(packing.packed_bytes(group))
    try:
      values = packing.Unpacker(group).unpack(data)
    except errors.MalformedMessageError:
      assert not group.is_power_of_two
      continue
    assert packing.pack(values, group) == data


def test_nothing_packs_to_nothing():
  group = layout.Group(1000, 0)
  assert packing.pack(np.zeros(0, np.uint64), group) == b''
  assert packing.Unpacker(group).unpack(b'').shape == (0,)
