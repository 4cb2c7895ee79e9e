"""What a client draws and is entrusted with in one session."""

from collections.abc import Mapping, Sequence
import dataclasses
import os

from cryptography.hazmat.primitives.asymmetric import x25519

from tff_pipelines.secagg import field, keys, sealing, shamir

MASK_SEED = b'mask of one client'
PAIR_MASK = b'mask of a pair'
SHARE_KEY = b'shares of a pair'
COMMITMENT = b'commitment to a mask seed'

SHARES_BYTES = 2 * field.ELEMENT_BYTES
CIPHERTEXT_BYTES = SHARES_BYTES + sealing.TAG_BYTES


def point(client: int) -> int:
  """Returns where a client's shares are evaluated (Bonawitz, sec. 3.1)."""
  return client + 1


def secret_element(secret: bytes) -> int:
  """Returns a 256-bit secret as an element of the field (Shamir 1979)."""
  return int.from_bytes(secret, 'big')


@dataclasses.dataclass(frozen=True)
class ClientSecrets:
  """The secrets of one client, fresh from the operating system.

  Source: Bonawitz et al. 2017, figure 4, rounds 0 and 1. There is no way to
  give them a seed.

  Attributes:
    cipher_key: c^SK.
    mask_key: s^SK.
    mask_seed: b, 32 bytes.
  """

  cipher_key: x25519.X25519PrivateKey = dataclasses.field(
    default_factory=keys.generate, repr=False
  )
  mask_key: x25519.X25519PrivateKey = dataclasses.field(
    default_factory=keys.generate, repr=False
  )
  mask_seed: bytes = dataclasses.field(
    default_factory=lambda: os.urandom(keys.KEY_BYTES), repr=False
  )

  def share(
    self, holders: Sequence[int], threshold: int
  ) -> Mapping[int, bytes]:
    """Returns for each holder a share of mask_seed and one of mask_key.

    Source: Bonawitz et al. 2017, figure 4, round 1 (SS.share, twice).
    """
    shares = shamir.share(
      [
        secret_element(self.mask_seed),
        secret_element(self.mask_key.private_bytes_raw()),
      ],
      [point(holder) for holder in holders],
      threshold,
    )
    return {
      holder: b''.join(map(field.encode, both))
      for holder, both in zip(holders, shares, strict=True)
    }


def single_mask_seed(mask_seed: bytes, session: bytes, client: int) -> bytes:
  """Returns the seed of the mask that one client adds alone.

  Source: PRG(b_u) of Bonawitz et al. 2017, section 4.1.
  """
  return keys.derive(mask_seed, MASK_SEED, session, client)


def seed_commitment(mask_seed: bytes, session: bytes, client: int) -> bytes:
  """Returns what shows the server that a reconstructed seed is right.

  A pseudorandom function of the seed with another label than the mask's, so it
  says nothing about the mask. Not in Bonawitz et al. 2017.
  """
  return keys.derive(mask_seed, COMMITMENT, session, client)
