"""The server's reconstruction of secrets from shares.

Source: Bonawitz et al. 2017, figure 4, round 4 (server); one basis for all
secrets with the same holders answers the quadratic cost of its section 7.3.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import x25519

from tff_pipelines.secagg import (
  client_secrets,
  errors,
  field,
  keys,
  messages,
  records,
  shamir,
)

Responses: TypeAlias = Mapping[int, messages.UnmaskResponse]
Holders: TypeAlias = Mapping[int, tuple[int, ...]]


def _wrong_share(owner: int) -> errors.WrongShareError:
  return errors.WrongShareError(
    f'Expected shares of the secret of client {owner}, found some that give '
    'another one; a client has sent a wrong share, the session ends.'
  )


def _elements(shares: records.Records, owners: tuple[int, ...]) -> list[int]:
  """Returns one client's shares of the owners' secrets."""
  if shares.owners != owners:
    shares = shares.select(owners)
  size, data = shares.size, shares.data
  return [
    int.from_bytes(data[start : start + size], 'big')
    for start in range(0, len(data), size)
  ]


def _reconstruct_all(
  holders: Holders, shares: Mapping[int, records.Records]
) -> Iterator[tuple[int, bytes]]:
  """Yields each owner's secret, 32 bytes, from the shares of its holders."""
  groups: dict[tuple[int, ...], list[int]] = {}
  for owner, responders in holders.items():
    groups.setdefault(responders, []).append(owner)
  for responders, owners in groups.items():
    points = tuple(map(client_secrets.point, responders))
    held = [_elements(shares[r], tuple(owners)) for r in responders]
    for owner, values in zip(owners, zip(*held, strict=True), strict=True):
      element = shamir.reconstruct(points, values)
      if element >> (8 * keys.KEY_BYTES):
        raise _wrong_share(owner)
      yield owner, element.to_bytes(keys.KEY_BYTES, 'big')


def reconstruct_mask_seeds(
  holders: Holders,
  responses: Responses,
  commitments: Mapping[int, bytes],
  session: bytes,
) -> dict[int, bytes]:
  """Returns b of each survivor (Bonawitz et al. 2017, figure 4, round 4).

  Args:
    holders: By survivor t of the clients that have answered with a share.
    responses: By client.
    commitments: What the survivors committed themselves to.
    session: The digest of the session.

  Raises:
    WrongShareError: If a seed is not the one of its commitment.
  """
  seeds = {}
  shares = {i: response.seed_shares for i, response in responses.items()}
  for owner, seed in _reconstruct_all(holders, shares):
    found = client_secrets.seed_commitment(seed, session, owner)
    if found != commitments[owner]:
      raise _wrong_share(owner)
    seeds[owner] = seed
  return seeds


def reconstruct_mask_keys(
  holders: Holders,
  responses: Responses,
  public_keys: Mapping[int, bytes],
) -> dict[int, x25519.X25519PrivateKey]:
  """Returns s^SK of each dropped client (Bonawitz, figure 4, round 4).

  Args:
    holders: By dropped client t of the clients that have answered.
    responses: By client.
    public_keys: What the dropped clients advertised.

  Raises:
    WrongShareError: If a key is not the one that was advertised.
  """
  private_keys = {}
  shares = {i: response.key_shares for i, response in responses.items()}
  for owner, secret in _reconstruct_all(holders, shares):
    private = x25519.X25519PrivateKey.from_private_bytes(secret)
    if private.public_key().public_bytes_raw() != public_keys[owner]:
      raise _wrong_share(owner)
    private_keys[owner] = private
  return private_keys


def shares_are_elements(response: messages.UnmaskResponse) -> bool:
  """Whether the records have the size of elements (Bonawitz, sec. 3.1)."""
  return all(
    not shares.owners or shares.size == field.ELEMENT_BYTES
    for shares in (response.seed_shares, response.key_shares)
  )
