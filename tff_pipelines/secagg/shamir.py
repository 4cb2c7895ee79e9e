"""Shamir's t-of-n secret sharing, many secrets at a time.

Any t shares give a secret back; t - 1 say nothing about it, whatever the
computing power. What Lagrange's formula needs of the survivors is computed once
and used for all the secrets that the same survivors hold, so that
reconstruction costs t multiplications a secret instead of t^2.

Source: Shamir 1979, "How to share a secret"; Bonawitz et al. 2017, section 3.1
and, on the cost of reconstruction, section 7.3.
"""

from collections.abc import Sequence
import functools
import operator

from tff_pipelines.secagg import field, polynomials


def share(
  secrets: Sequence[int], points: Sequence[int], threshold: int
) -> list[tuple[int, ...]]:
  """Shares secrets among the holders of distinct points.

  Source: Bonawitz et al. 2017, section 3.1, SS.share.

  Args:
    secrets: Elements of the field.
    points: Distinct integers in [1, 2^30), one a holder.
    threshold: t, the number of shares that give the secrets back.

  Returns:
    For each holder the tuple of its shares, one a secret.

  Raises:
    ValueError: If points are repeated or zero, or fewer than the threshold.
  """
  if len(set(points)) != len(points) or min(points) < 1:
    raise ValueError('Expected distinct points above zero, found others.')
  if not 1 <= threshold <= len(points):
    raise ValueError(
      f'Expected a threshold between 1 and {len(points)} points, found '
      f'{threshold}.'
    )
  return polynomials.evaluate(
    [[secret, *field.random_elements(threshold - 1)] for secret in secrets],
    points,
  )


@functools.lru_cache(maxsize=16)
def lagrange_basis(points: tuple[int, ...]) -> tuple[int, ...]:
  """Returns the weights that give f(0) from the values at `points`.

  weight_i = product over j != i of x_j / (x_j - x_i), modulo p. Points are
  public, so keeping them in a cache gives nothing away.
  Source: Bonawitz et al. 2017, section 3.1, SS.recon.
  """
  numerator = 1
  for x in points:
    numerator = numerator * x % field.PRIME
  denominators = []
  for x in points:
    product = x
    for other in points:
      if other != x:
        product = product * (other - x) % field.PRIME
    denominators.append(product)
  return tuple(
    numerator * inverse % field.PRIME
    for inverse in field.invert_all(denominators)
  )


def reconstruct(points: tuple[int, ...], shares: Sequence[int]) -> int:
  """Returns the secret whose shares at `points` are given.

  Source: Bonawitz et al. 2017, section 3.1, SS.recon.

  Args:
    points: The t distinct points of the holders.
    shares: Their shares of one secret, in the same order.
  """
  weights = lagrange_basis(points)
  return sum(map(operator.mul, weights, shares)) % field.PRIME
