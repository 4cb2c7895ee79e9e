from cryptography.hazmat.primitives.asymmetric import x25519

from tff_pipelines.secagg import client_secrets, field, shamir

SESSION = bytes(range(32))


def test_secrets_come_fresh():
  one, two = client_secrets.ClientSecrets(), client_secrets.ClientSecrets()
  drawn = {
    secret
    for secrets in (one, two)
    for secret in (
      secrets.mask_seed,
      secrets.mask_key.private_bytes_raw(),
      secrets.cipher_key.private_bytes_raw(),
    )
  }
  assert len(drawn) == 6
  assert {len(secret) for secret in drawn} == {32}


def test_secrets_do_not_print():
  assert repr(client_secrets.ClientSecrets()).endswith('ClientSecrets()')


def test_shares_give_both_secrets_back():
  secrets = client_secrets.ClientSecrets()
  shares = secrets.share([0, 2, 5], threshold=2)
  assert {len(s) for s in shares.values()} == {client_secrets.SHARES_BYTES}
  points = tuple(map(client_secrets.point, (0, 5)))
  seed, key = (
    shamir.reconstruct(
      points, [field.decode(shares[i][half : half + 33]) for i in (0, 5)]
    ).to_bytes(32, 'big')
    for half in (0, 33)
  )
  assert seed == secrets.mask_seed
  rebuilt = x25519.X25519PrivateKey.from_private_bytes(key).public_key()
  assert rebuilt == secrets.mask_key.public_key()


def test_the_commitment_is_not_the_mask():
  seed = bytes(32)
  assert client_secrets.seed_commitment(
    seed, SESSION, 1
  ) != client_secrets.single_mask_seed(seed, SESSION, 1)


def test_masks_and_commitments_belong_to_client_and_session():
  for derive in (
    client_secrets.seed_commitment,
    client_secrets.single_mask_seed,
  ):
    derived = {
      derive(bytes(32), SESSION, 1),
      derive(bytes(32), SESSION, 2),
      derive(bytes(32), bytes(32), 1),
      derive(b'\1' * 32, SESSION, 1),
    }
    assert len(derived) == 4


def test_labels_are_distinct():
  labels = [
    client_secrets.MASK_SEED,
    client_secrets.PAIR_MASK,
    client_secrets.SHARE_KEY,
    client_secrets.COMMITMENT,
  ]
  assert len(set(labels)) == 4
  assert not any(
    one != two and one.startswith(two) for one in labels for two in labels
  )
