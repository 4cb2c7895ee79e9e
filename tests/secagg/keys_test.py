import hashlib
import hmac

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.kdf import hkdf
import pytest

from tff_pipelines.secagg import errors, keys

SESSION = bytes(range(32))


def private(text: str) -> x25519.X25519PrivateKey:
  return x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(text))


def public(text: str) -> x25519.X25519PublicKey:
  return x25519.X25519PublicKey.from_public_bytes(bytes.fromhex(text))


def test_rfc_7748_section_5_2():
  scalar = 'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4'
  u = 'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c'
  assert private(scalar).exchange(public(u)).hex() == (
    'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552'
  )


def test_rfc_7748_section_6_1():
  alice = private(
    '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'
  )
  bob = private(
    '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'
  )
  assert alice.public_key().public_bytes_raw().hex() == (
    '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'
  )
  assert bob.public_key().public_bytes_raw().hex() == (
    'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'
  )
  shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'
  assert alice.exchange(bob.public_key()).hex() == shared
  assert bob.exchange(alice.public_key()).hex() == shared


def test_rfc_5869_appendix_a_1():
  derived = hkdf.HKDF(
    hashes.SHA256(), 42, bytes(range(13)), bytes(range(0xF0, 0xFA))
  ).derive(b'\x0b' * 22)
  assert derived.hex() == (
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf'
    '34007208d5b887185865'
  )


def test_derivation_is_hkdf_of_the_documented_fields():
  extracted = hmac.digest(SESSION, b'secret', hashlib.sha256)
  info = b'tff_pipelines/secagg/1/purpose/\0\0\0\1\0\0\1\0'
  expected = hmac.digest(extracted, info + b'\1', hashlib.sha256)
  assert keys.derive(b'secret', b'purpose', SESSION, 1, 256) == expected


def test_everything_separates_domains():
  derived = [
    keys.derive(b'secret', b'a', SESSION, 1),
    keys.derive(b'Secret', b'a', SESSION, 1),
    keys.derive(b'secret', b'b', SESSION, 1),
    keys.derive(b'secret', b'a', bytes(32), 1),
    keys.derive(b'secret', b'a', SESSION, 2),
    keys.derive(b'secret', b'a', SESSION, 1, 1),
    keys.derive(b'secret', b'a', SESSION),
  ]
  assert len(set(derived)) == len(derived)
  assert {len(key) for key in derived} == {keys.KEY_BYTES}


def test_a_pair_agrees_whoever_computes():
  one, two = keys.generate(), keys.generate()
  assert keys.agree(one, two.public_key(), b'x', SESSION, (4, 9)) == keys.agree(
    two, one.public_key(), b'x', SESSION, (9, 4)
  )


def test_agreement_depends_on_purpose_session_and_pair():
  one, two = keys.generate(), keys.generate().public_key()
  agreed = {
    keys.agree(one, two, b'x', SESSION, (4, 9)),
    keys.agree(one, two, b'y', SESSION, (4, 9)),
    keys.agree(one, two, b'x', bytes(32), (4, 9)),
    keys.agree(one, two, b'x', SESSION, (4, 8)),
  }
  assert len(agreed) == 4


def test_agreement_is_the_derivation_of_the_exchange():
  one, two = keys.generate(), keys.generate().public_key()
  assert keys.agree(one, two, b'x', SESSION, (9, 4)) == keys.derive(
    one.exchange(two), b'x', SESSION, 4, 9
  )


# 0, 1 and p - 1: points of order 4, 1 and 2 (RFC 7748, section 7).
@pytest.mark.parametrize('u', [0, 1, 2**255 - 20])
def test_keys_of_low_order_are_refused(u):
  low = x25519.X25519PublicKey.from_public_bytes(u.to_bytes(32, 'little'))
  with pytest.raises(errors.InvalidKeyError, match='of low order from client'):
    keys.agree(keys.generate(), low, b'x', SESSION, (0, 1))


def test_keys_are_fresh():
  drawn = {keys.generate().private_bytes_raw() for _ in range(50)}
  assert len(drawn) == 50
