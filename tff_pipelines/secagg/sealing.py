"""Encryption of shares from client to client, through the server.

AES-256-GCM (NIST SP 800-38D; 256-bit keys, 128-bit tags). The key of a pair is
fresh in every session and encrypts one message in each direction, so the nonce
is the direction: (sender, receiver).

Source: Bonawitz et al. 2017, section 3.3 and figure 4, round 1. Deviation: who
sends to whom, in which session and round, is associated data, not plaintext; so
are the public mask keys (sender's, receiver's) that the pair goes by, and a
pair that was shown different ones notices before it masks anything.
"""

from cryptography import exceptions
from cryptography.hazmat.primitives.ciphers import aead

from tff_pipelines.secagg import errors

TAG_BYTES = 16
_DOMAIN = b'tff_pipelines/secagg/1/shares/'


def _nonce(sender: int, receiver: int) -> bytes:
  return sender.to_bytes(4, 'big') + receiver.to_bytes(4, 'big') + bytes(4)


def _associated_data(
  session: bytes,
  round_num: int,
  sender: int,
  receiver: int,
  mask_keys: tuple[bytes, bytes],
) -> bytes:
  return (
    _DOMAIN
    + session
    + round_num.to_bytes(8, 'big')
    + sender.to_bytes(4, 'big')
    + receiver.to_bytes(4, 'big')
    + b''.join(mask_keys)
  )


def seal(
  key: bytes,
  plaintext: bytes,
  *,
  session: bytes,
  round_num: int,
  sender: int,
  receiver: int,
  mask_keys: tuple[bytes, bytes],
) -> bytes:
  """Returns ciphertext and tag, 16 bytes longer than the plaintext.

  Source: Bonawitz et al. 2017, figure 4, round 1 (AE.enc).
  """
  return aead.AESGCM(key).encrypt(
    _nonce(sender, receiver),
    plaintext,
    _associated_data(session, round_num, sender, receiver, mask_keys),
  )


def unseal(
  key: bytes,
  ciphertext: bytes,
  *,
  session: bytes,
  round_num: int,
  sender: int,
  receiver: int,
  mask_keys: tuple[bytes, bytes],
) -> bytes:
  """Returns the plaintext (Bonawitz et al. 2017, figure 4, AE.dec).

  Raises:
    TamperedCiphertextError: If anything but what the sender sealed for this
      receiver in this session and round was given.
  """
  try:
    return aead.AESGCM(key).decrypt(
      _nonce(sender, receiver),
      ciphertext,
      _associated_data(session, round_num, sender, receiver, mask_keys),
    )
  except exceptions.InvalidTag as error:
    raise errors.TamperedCiphertextError(
      f'Expected the shares that client {sender} sealed for client {receiver}, '
      'found a ciphertext that fails its authentication; the receiver leaves '
      'the session.'
    ) from error
