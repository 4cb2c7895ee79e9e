"""Signatures of the malicious variant.

Ed25519 (RFC 8032; 128-bit security level). Clients know one another's public
keys beforehand (a public key infrastructure), so the server cannot invent
clients nor show different survivors to different ones.

Source: Bonawitz et al. 2017, section 3.5 and figure 4, the underlined parts.
"""

from collections.abc import Mapping
import dataclasses
from typing import TypeAlias

from cryptography import exceptions
from cryptography.hazmat.primitives.asymmetric import ed25519

SIGNATURE_BYTES = 64
Directory: TypeAlias = Mapping[int, ed25519.Ed25519PublicKey]

_KEYS = b'tff_pipelines/secagg/1/signed keys/'
_SURVIVORS = b'tff_pipelines/secagg/1/signed survivors/'


@dataclasses.dataclass(frozen=True)
class Identity:
  """A client's signing key and everybody's public ones (Bonawitz, fig. 4)."""

  private: ed25519.Ed25519PrivateKey = dataclasses.field(repr=False)
  directory: Directory


def create_identities(num_clients: int) -> list[Identity]:
  """Plays the trusted third party of Bonawitz et al. 2017, figure 4, setup."""
  private = [ed25519.Ed25519PrivateKey.generate() for _ in range(num_clients)]
  directory = {i: key.public_key() for i, key in enumerate(private)}
  return [Identity(key, directory) for key in private]


def _keys_text(
  session: bytes, client: int, cipher_key: bytes, mask_key: bytes
) -> bytes:
  return _KEYS + session + client.to_bytes(4, 'big') + cipher_key + mask_key


def sign_keys(
  identity: Identity,
  session: bytes,
  client: int,
  cipher_key: bytes,
  mask_key: bytes,
) -> bytes:
  """Signs a client's own public keys (Bonawitz, figure 4, round 0)."""
  return identity.private.sign(
    _keys_text(session, client, cipher_key, mask_key)
  )


def keys_are_signed(
  directory: Directory,
  session: bytes,
  client: int,
  cipher_key: bytes,
  mask_key: bytes,
  signature: bytes,
) -> bool:
  """Whether the client signed these keys (Bonawitz, fig. 4, round 1)."""
  text = _keys_text(session, client, cipher_key, mask_key)
  return _verifies(directory, client, signature, text)


def sign_survivors(
  identity: Identity, session: bytes, survivors: tuple[int, ...]
) -> bytes:
  """Signs the set U3 that a client was shown (Bonawitz, fig. 4, round 3)."""
  return identity.private.sign(_survivors_text(session, survivors))


def survivors_are_signed(
  directory: Directory,
  session: bytes,
  client: int,
  survivors: tuple[int, ...],
  signature: bytes,
) -> bool:
  """Whether the client signed this set U3 (Bonawitz, fig. 4, round 4)."""
  text = _survivors_text(session, survivors)
  return _verifies(directory, client, signature, text)


def _survivors_text(session: bytes, survivors: tuple[int, ...]) -> bytes:
  return (
    _SURVIVORS + session + b''.join(i.to_bytes(4, 'big') for i in survivors)
  )


def _verifies(
  directory: Directory, client: int, signature: bytes, text: bytes
) -> bool:
  if client not in directory:
    return False
  try:
    directory[client].verify(signature, text)
  except exceptions.InvalidSignature:
    return False
  return True
