"""Exact (epsilon, delta) of one Gaussian mechanism.

mu is sensitivity over noise stddev; a mechanism of zCDP rho = mu^2 / 2 that is
Gaussian as a whole (adaptively composed Gaussians, trees, matrix mechanisms)
has exactly this trade-off, which is tighter than any conversion of rho.

Source: Balle, Wang 2018, "Improving the Gaussian Mechanism for Differential
Privacy", arXiv 1805.06530, theorem 8; adaptive composition and matrices: Dong,
Roth, Su 2019, arXiv 1905.02383, corollary 3.3, and Denisov et al. 2022, arXiv
2202.08312, theorem 2.1.
"""

import math

from scipy import special


def delta_of(mu: float, epsilon: float) -> float:
  """Returns the smallest delta at epsilon, exact up to rounding.

  Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu), equation 6.
  """
  if mu == 0.0:
    return 0.0
  upper = special.log_ndtr(mu / 2 - epsilon / mu)
  lower = epsilon + special.log_ndtr(-mu / 2 - epsilon / mu)
  if lower >= upper:
    return 0.0
  # In the log domain, so that deltas below 1e-16 keep their digits.
  return float(math.exp(upper) * -math.expm1(lower - upper))


def epsilon_of(mu: float, delta: float) -> float:
  """Returns the smallest epsilon >= 0 at delta, rounded up by at most 1e-12.

  Args:
    mu: Sensitivity over noise stddev, 0 if nothing was released.
    delta: Between 0 and 1, both excluded.
  """
  if not 0.0 < delta < 1.0:
    raise ValueError(f'Expected a delta between 0 and 1, found {delta}.')
  if math.isinf(mu):
    return math.inf
  if delta_of(mu, 0.0) <= delta:
    return 0.0
  low, high = 0.0, 1.0
  while delta_of(mu, high) > delta:
    low, high = high, 2 * high
  while high - low > 1e-12 * max(1.0, high):
    middle = (low + high) / 2
    if not low < middle < high:
      break
    if delta_of(mu, middle) > delta:
      low = middle
    else:
      high = middle
  return high
