from cryptography.hazmat.primitives.asymmetric import ed25519
import pytest

from tff_pipelines.secagg import signing

SESSION = bytes(range(32))
KEYS = (b'c' * 32, b's' * 32)


@pytest.fixture(scope='module')
def identities():
  return signing.create_identities(3)


def test_rfc_8032_section_7_1_test_1():
  key = ed25519.Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex(
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'
    )
  )
  assert key.public_key().public_bytes_raw().hex() == (
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
  )
  assert key.sign(b'').hex() == (
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155'
    '5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b'
  )


def test_signed_keys_verify(identities):
  signature = signing.sign_keys(identities[1], SESSION, 1, *KEYS)
  assert len(signature) == signing.SIGNATURE_BYTES
  directory = identities[0].directory
  assert signing.keys_are_signed(directory, SESSION, 1, *KEYS, signature)


@pytest.mark.parametrize(
  'changed',
  [
    (bytes(32), 1, *KEYS),
    (SESSION, 2, *KEYS),
    (SESSION, 1, KEYS[1], KEYS[0]),
    (SESSION, 1, KEYS[0], b't' * 32),
    (SESSION, 9, *KEYS),  # Not in the directory.
  ],
)
def test_signatures_of_other_keys_do_not_verify(identities, changed):
  signature = signing.sign_keys(identities[1], SESSION, 1, *KEYS)
  directory = identities[0].directory
  assert not signing.keys_are_signed(directory, *changed, signature)


def test_signed_survivors_verify(identities):
  signature = signing.sign_survivors(identities[2], SESSION, (0, 2))
  assert signing.survivors_are_signed(
    identities[0].directory, SESSION, 2, (0, 2), signature
  )


@pytest.mark.parametrize(
  'changed',
  [
    (bytes(32), 2, (0, 2)),
    (SESSION, 1, (0, 2)),
    (SESSION, 2, (0, 1, 2)),
    (SESSION, 2, ()),
  ],
)
def test_signatures_of_other_survivors_do_not_verify(identities, changed):
  signature = signing.sign_survivors(identities[2], SESSION, (0, 2))
  assert not signing.survivors_are_signed(
    identities[0].directory, *changed, signature
  )


def test_a_signature_has_one_purpose(identities):
  # The same bytes, read as keys and as survivors.
  signature = identities[0].private.sign(SESSION + bytes(4))
  directory = identities[0].directory
  assert not signing.survivors_are_signed(
    directory, SESSION, 0, (0,), signature
  )


@pytest.mark.parametrize('signature', [b'', bytes(63), bytes(64), bytes(65)])
def test_bytes_that_are_no_signature_do_not_verify(identities, signature):
  assert not signing.keys_are_signed(
    identities[0].directory, SESSION, 0, *KEYS, signature
  )


def test_an_identity_does_not_print_its_private_key(identities):
  assert 'private' not in repr(identities[0])


def test_identities_share_one_directory(identities):
  for index, identity in enumerate(identities):
    own = identity.private.public_key()
    assert own == identities[0].directory[index]
