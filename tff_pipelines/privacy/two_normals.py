"""Exact (epsilon, delta) between two normal distributions on the line.

The trade-off that a Gaussian fit of test statistics implies; with equal
variances it is that of `gaussian_conversion`.

Source: Andrew et al. 2023, "One-shot Empirical Privacy Estimation for Federated
Learning", arXiv 2302.03098, section 3; the formula for delta is Balle, Wang
2018, arXiv 1805.06530, theorem 5, with the set of large losses in closed form:
the logarithm of the quotient of two normal densities is quadratic.
"""

import dataclasses
import math

import numpy as np
from scipy import special

from tff_pipelines.privacy import error_rates


@dataclasses.dataclass(frozen=True)
class Normal:
  """A normal distribution.

  Attributes:
    mean: Its mean, finite.
    stddev: Its standard deviation, positive and finite.
  """

  mean: float
  stddev: float

  def __post_init__(self) -> None:
    if not (math.isfinite(self.mean) and 0.0 < self.stddev < math.inf):
      raise error_rates.AuditError(
        'Expected a normal distribution of finite mean and positive, finite '
        f'stddev, found {self.mean} and {self.stddev}; give at least two '
        'different finite statistics.'
      )


def fit(samples: np.ndarray) -> Normal:
  """Returns the mean and the stddev (n - 1 in the denominator) of float[n]."""
  samples = np.asarray(samples, dtype=np.float64)
  if samples.ndim != 1 or len(samples) < 2:
    raise error_rates.AuditError(
      'Expected at least 2 statistics in one dimension to fit a normal '
      f'distribution, found shape {samples.shape}; use more canaries.'
    )
  return Normal(float(np.mean(samples)), float(np.std(samples, ddof=1)))


def delta_of(first: Normal, second: Normal, epsilon: float) -> float:
  """Returns the smallest delta at which neither gives the other away.

  The larger of the two hockey-stick divergences
  sup_S P(S) - e^epsilon Q(S), one for each order of the two.

  Args:
    first: One distribution.
    second: The other; the order is without effect.
    epsilon: At least 0.
  """
  if epsilon < 0.0:
    raise error_rates.AuditError(
      f'Expected an epsilon of at least 0, found {epsilon}; give one.'
    )
  return max(
    _divergence(first, second, epsilon), _divergence(second, first, epsilon)
  )


def epsilon_of(first: Normal, second: Normal, delta: float) -> float:
  """Returns the smallest epsilon >= 0 at delta, rounded up by at most 1e-12.

  Args:
    first: One distribution.
    second: The other; the order is without effect.
    delta: Between 0 and 1, both excluded.
  """
  if not 0.0 < delta < 1.0:
    raise error_rates.AuditError(
      f'Expected a delta between 0 and 1, found {delta}; at delta 0 two normal '
      'distributions of different variance have no epsilon.'
    )
  if delta_of(first, second, 0.0) <= delta:
    return 0.0
  low, high = 0.0, 1.0
  while delta_of(first, second, high) > delta:
    low, high = high, 2 * high
  while high - low > 1e-12 * max(1.0, high):
    middle = (low + high) / 2
    if not low < middle < high:
      break
    if delta_of(first, second, middle) > delta:
      low = middle
    else:
      high = middle
  return high


def _divergence(p: Normal, q: Normal, epsilon: float) -> float:
  """sup_S P(S) - e^epsilon Q(S), the set in closed form."""
  # In units of q, mirrored so that p lies to the right: q = N(0, 1),
  # p = N(m, s^2). Then 2 (log p/q - epsilon) = a y^2 + 2 b y + c.
  m = abs(p.mean - q.mean) / q.stddev
  s = p.stddev / q.stddev
  a = (1.0 - 1.0 / s) * (1.0 + 1.0 / s)
  b = m / s**2
  c = -((m / s) ** 2) - 2.0 * math.log(s) - 2.0 * epsilon
  root = b * b - a * c
  if root <= 0.0 or (a == 0.0 and b == 0.0):
    return 0.0  # Never above epsilon: always would be P > Q everywhere.
  root = math.sqrt(root)
  near = -c / (b + root)
  far = -(b + root) / a if a != 0.0 else math.inf
  if a > 0.0:  # Above near and below far.
    log_p = np.logaddexp(
      special.log_ndtr((m - near) / s), special.log_ndtr((far - m) / s)
    )
    log_q = np.logaddexp(special.log_ndtr(-near), special.log_ndtr(far))
  else:  # Between near and far.
    log_p = _log_between((near - m) / s, (far - m) / s)
    log_q = _log_between(near, far)
  lower = epsilon + log_q
  if lower >= log_p:
    return 0.0
  # In the log domain, so that small deltas keep their digits.
  return float(math.exp(log_p) * -math.expm1(lower - log_p))


def _log_between(low: float, high: float) -> float:
  """log(Phi(high) - Phi(low)), digits kept in either tail."""
  if low >= high:
    return -math.inf
  if low + high > 0.0:
    low, high = -high, -low
  upper = special.log_ndtr(high)
  below = special.log_ndtr(low)
  if upper == -math.inf:
    return -math.inf
  return float(upper + math.log(-math.expm1(below - upper)))
