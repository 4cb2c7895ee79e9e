from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers import algorithms, modes
import numpy as np
import pytest

from tff_pipelines.secagg import layout, masks

SEED = bytes(range(32))
MODULI = [2, 3, 2**8, 1000003, 2**32, 2**32 + 15, 2**34, 3 * 2**60, 2**62]


def key_stream(seed: bytes, group_index: int, num_bytes: int) -> bytes:
  """Counter mode from single blocks (NIST SP 800-38A, section 6.5)."""
  block = ciphers.Cipher(algorithms.AES(seed), modes.ECB()).encryptor()
  counters = b''.join(
    group_index.to_bytes(8, 'big') + i.to_bytes(8, 'big')
    for i in range(-(-num_bytes // 16))
  )
  return block.update(counters)[:num_bytes]


def expand(modulus: int, length: int, seed: bytes = SEED) -> np.ndarray:
  described = layout.Layout((modulus,), (length,))
  return masks.MaskGenerator(described).expand(seed)[0].copy()


def test_nist_sp_800_38a_f_5_5():
  key = '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4'
  counter = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'
  cipher = ciphers.Cipher(
    algorithms.AES(bytes.fromhex(key)), modes.CTR(bytes.fromhex(counter))
  )
  plaintext = bytes.fromhex(
    '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51'
  )
  assert cipher.encryptor().update(plaintext).hex() == (
    '601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5'
  )


def test_narrow_masks_are_the_stream_in_words_of_four_bytes():
  expected = np.frombuffer(key_stream(SEED, 0, 4 * 7), '<u4')
  np.testing.assert_array_equal(expand(2**20, 7), expected)


def test_wide_masks_are_the_stream_in_words_of_eight_bytes():
  expected = np.frombuffer(key_stream(SEED, 0, 8 * 7), '<u8')
  np.testing.assert_array_equal(expand(2**34, 7), expected)


def test_each_modulus_has_its_own_stream():
  described = layout.Layout((2**20, 2**34, 2**20), (3, 5, 2))
  first, second = masks.MaskGenerator(described).expand(SEED)
  np.testing.assert_array_equal(
    first, np.frombuffer(key_stream(SEED, 0, 4 * 5), '<u4')
  )
  np.testing.assert_array_equal(
    second, np.frombuffer(key_stream(SEED, 1, 8 * 5), '<u8')
  )


@pytest.mark.parametrize('modulus', [3, 1000003, 2**61 + 1, 3 * 2**60])
def test_other_moduli_reject_and_reduce(modulus):
  # By the definition, word by word.
  words = np.frombuffer(key_stream(SEED, 0, 8 * 2000), '<u8').tolist()
  kept = [w % modulus for w in words if w < 2**64 // modulus * modulus]
  np.testing.assert_array_equal(expand(modulus, 1000), kept[:1000])


def test_rejection_happens_for_moduli_just_above_a_quarter():
  # 3 * (2^62 - 1) words of 2^64 are kept for m = 2^62 - 1: nearly all but a
  # quarter would be for 2^64 / m barely below 5. Here m = 2^64 // 4 - 2^58.
  modulus = 2**62 - 2**58
  words = np.frombuffer(key_stream(SEED, 0, 8 * 1000), '<u8').tolist()
  assert any(w >= 2**64 // modulus * modulus for w in words)
  assert expand(modulus, 1000).max() < modulus


@pytest.mark.parametrize('modulus', MODULI)
def test_masks_are_uniform(modulus):
  # Kolmogorov-Smirnov on entry / m: with n = 20,000 the statistic exceeds
  # sqrt(ln(2 / 1e-9) / (2 n)) with probability below 1e-9 (Massart's bound),
  # plus one atom 1 / m of a discrete distribution. The seed is fixed.
  count = 20_000
  values = np.sort((expand(modulus, count) % modulus).astype(float) / modulus)
  empirical = np.arange(1, count + 1) / count
  bound = np.sqrt(np.log(2e9) / (2 * count)) + 1 / modulus
  # The distribution function just above an entry v is v + 1 / m.
  last = np.append(np.flatnonzero(np.diff(values)), count - 1)
  distance = np.abs(empirical[last] - (values[last] + 1 / modulus))
  assert distance.max() < bound


def test_every_byte_of_the_seed_counts():
  masks_of = {expand(2**34, 4).tobytes()}
  for position in range(32):
    other = bytearray(SEED)
    other[position] ^= 0x80
    masks_of.add(expand(2**34, 4, bytes(other)).tobytes())
  assert len(masks_of) == 33


@pytest.mark.parametrize('size', [0, 4, 16, 31, 33])
def test_a_seed_of_another_size_is_refused(size):
  with pytest.raises(ValueError, match='seed of 32 bytes'):
    expand(2**20, 1, bytes(size))


@pytest.mark.parametrize('modulus', MODULI)
def test_masks_that_are_added_and_subtracted_cancel(modulus):
  described = layout.Layout((modulus,), (50,))
  total = masks.MaskedSum(described)
  values = (np.arange(50) % modulus).astype(described.groups[0].dtype)
  total.add([values])
  other = bytes(32)
  total.add_mask(SEED)
  total.subtract_mask(other)
  assert not np.array_equal(total.result()[0], values)
  total.add_mask(other)
  total.subtract_mask(SEED)
  np.testing.assert_array_equal(total.result()[0], values)


def test_an_empty_vector_has_an_empty_mask():
  assert expand(2**20, 0).shape == (0,)
  assert expand(3, 0).shape == (0,)


def test_buffers_are_used_again_without_a_trace():
  generator = masks.MaskGenerator(layout.Layout((1000003,), (9,)))
  first = generator.expand(SEED)[0].copy()
  generator.expand(bytes(32))
  np.testing.assert_array_equal(generator.expand(SEED)[0], first)
