from cryptography.hazmat.primitives.ciphers import aead
import pytest

from tff_pipelines.secagg import errors, sealing

KEY = bytes(range(32))
PLACE = {
  'session': bytes(range(32)),
  'round_num': 3,
  'sender': 1,
  'receiver': 2,
  'mask_keys': (b's' * 32, b'r' * 32),
}


def test_gcm_specification_test_case_16():
  key = bytes.fromhex('feffe9928665731c6d6a8f9467308308' * 2)
  plaintext = bytes.fromhex(
    'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72'
    '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39'
  )
  data = bytes.fromhex('feedfacedeadbeeffeedfacedeadbeefabaddad2')
  nonce = bytes.fromhex('cafebabefacedbaddecaf888')
  assert aead.AESGCM(key).encrypt(nonce, plaintext, data).hex() == (
    '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa'
    '8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662'
    '76fc6ece0f4e1768cddf8853bb2d551b'
  )


def test_sealing_is_gcm_of_the_documented_fields():
  nonce = b'\0\0\0\1\0\0\0\2\0\0\0\0'
  data = (
    b'tff_pipelines/secagg/1/shares/'
    + bytes(range(32))
    + b'\0\0\0\0\0\0\0\3'
    + b'\0\0\0\1\0\0\0\2'
    + b's' * 32
    + b'r' * 32
  )
  expected = aead.AESGCM(KEY).encrypt(nonce, b'shares', data)
  assert sealing.seal(KEY, b'shares', **PLACE) == expected


def test_unsealing_undoes_sealing():
  sealed = sealing.seal(KEY, b'shares', **PLACE)
  assert len(sealed) == 6 + sealing.TAG_BYTES
  assert sealing.unseal(KEY, sealed, **PLACE) == b'shares'


def test_the_two_directions_of_a_pair_have_different_nonces():
  there = sealing.seal(KEY, bytes(66), **PLACE)
  back = sealing.seal(KEY, bytes(66), **PLACE | {'sender': 2, 'receiver': 1})
  assert there[:66] != back[:66]


@pytest.mark.parametrize(
  'elsewhere',
  [
    {'session': bytes(32)},
    {'round_num': 4},
    {'sender': 3},
    {'receiver': 3},
    {'sender': 2, 'receiver': 1},
    {'mask_keys': (b's' * 32, b't' * 32)},
    {'mask_keys': (b'r' * 32, b's' * 32)},
  ],
)
def test_a_ciphertext_of_another_place_is_refused(elsewhere):
  sealed = sealing.seal(KEY, b'shares', **PLACE)
  with pytest.raises(errors.TamperedCiphertextError, match='fails its auth'):
    sealing.unseal(KEY, sealed, **PLACE | elsewhere)


def test_every_flipped_bit_is_noticed():
  sealed = sealing.seal(KEY, b'shares', **PLACE)
  for position in range(8 * len(sealed)):
    tampered = bytearray(sealed)
    tampered[position // 8] ^= 1 << position % 8
    with pytest.raises(errors.TamperedCiphertextError):
      sealing.unseal(KEY, bytes(tampered), **PLACE)


@pytest.mark.parametrize('length', [0, 5, 15])
def test_a_short_ciphertext_is_refused(length):
  with pytest.raises(errors.TamperedCiphertextError):
    sealing.unseal(KEY, bytes(length), **PLACE)


def test_another_key_is_refused():
  sealed = sealing.seal(KEY, b'shares', **PLACE)
  with pytest.raises(errors.TamperedCiphertextError):
    sealing.unseal(bytes(32), sealed, **PLACE)


def test_the_error_shows_nothing_of_the_secret():
  sealed = sealing.seal(KEY, b'shares', **PLACE)
  with pytest.raises(errors.TamperedCiphertextError) as caught:
    sealing.unseal(bytes(32), sealed, **PLACE)
  assert 'shares that client 1 sealed for client 2' in str(caught.value)
  assert sealed.hex() not in str(caught.value)
