"""Key agreement and key derivation.

X25519 (RFC 7748; 128-bit security level) and HKDF-SHA256 (RFC 5869). Every
derived key is bound to its purpose, its session and the clients that hold it,
so that no key has two uses.

Source: Bonawitz et al. 2017, section 3.2 (KA.gen, KA.agree).
"""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.kdf import hkdf

from tff_pipelines.secagg import errors

KEY_BYTES = 32
_DOMAIN = b'tff_pipelines/secagg/1/'


def generate() -> x25519.X25519PrivateKey:
  """Draws a private key from the operating system (Bonawitz, KA.gen)."""
  return x25519.X25519PrivateKey.generate()


def derive(
  secret: bytes, purpose: bytes, session: bytes, *clients: int
) -> bytes:
  """Derives a 32-byte key from a secret, for one purpose.

  Source: RFC 5869; Bonawitz et al. 2017, section 3.2, whose hash is this.

  Args:
    secret: At least 256 bits of entropy, or an agreed X25519 secret.
    purpose: What the key is for; no purpose is the beginning of another.
    session: The digest of the session.
    *clients: Those that the key belongs to.
  """
  info = _DOMAIN + purpose + b'/'
  for client in clients:
    info += client.to_bytes(4, 'big')
  return hkdf.HKDF(hashes.SHA256(), KEY_BYTES, session, info).derive(secret)


def agree(
  private: x25519.X25519PrivateKey,
  public: x25519.X25519PublicKey,
  purpose: bytes,
  session: bytes,
  pair: tuple[int, int],
) -> bytes:
  """Returns the 32-byte key of a pair of clients; both get the same.

  Source: Bonawitz et al. 2017, section 3.2, KA.agree.

  Raises:
    InvalidKeyError: If the public key has low order, so that anybody could
      compute the result (RFC 7748, section 6.1).
  """
  try:
    secret = private.exchange(public)
  except ValueError as error:
    raise errors.InvalidKeyError(
      'Expected public keys of full order, found one of low order from client '
      f'{pair[0]} or {pair[1]}; the session cannot go on with it.'
    ) from error
  return derive(secret, purpose, session, min(pair), max(pair))
