"""How a random, secret cohort amplifies privacy.

Poisson sampling is accounted for add-or-remove, sampling of a fixed size for
the replacement of a client: these are the relations the theorems hold for.
"""

from collections.abc import Callable
import dataclasses
import math
from typing import Literal

from dp_accounting.pld import pld_pmf, privacy_loss_mechanism
from dp_accounting.pld import privacy_loss_distribution as pld_lib
import numpy as np
from scipy import special

from tff_pipelines.privacy import _scipy_warnings


@dataclasses.dataclass(frozen=True)
class Sampling:
  """A cohort's law.

  Attributes:
    scheme: `poisson` (every client with probability `rate`) or `fixed_size`
      (`rate` times the population, without replacement).
    rate: In (0, 1].
  """

  scheme: Literal['poisson', 'fixed_size']
  rate: float


def sampled_rdp(
  rdp: Callable[[int], float], sampling: Sampling, order: int
) -> float:
  """Bounds the RDP at an integer order of any mechanism run on a cohort.

  Args:
    rdp: The mechanism's own RDP at integer orders of at least 2, under
      add-or-remove for `poisson`, under replacement for `fixed_size`.
    sampling: The cohort's law.
    order: At least 2.

  Source: `poisson`: Zhu, Wang 2019, "Poisson Subsampled Renyi Differential
  Privacy", theorem 5. `fixed_size`: Wang, Balle, Kasiviswanathan 2019, arXiv
  1808.00087, theorem 9 with an infinite epsilon(infinity).
  """
  rate = sampling.rate
  if rate == 1.0:
    return rdp(order)
  orders = np.arange(2, order + 1)
  # log of C(a, l) e^((l - 1) rdp(l)) rate^l, l = 2..a.
  terms = (
    special.gammaln(order + 1)
    - special.gammaln(orders + 1)
    - special.gammaln(order - orders + 1)
    + (orders - 1) * np.array([rdp(int(low)) for low in orders])
    + orders * math.log(rate)
  )
  if sampling.scheme == 'poisson':
    terms += (order - orders) * math.log1p(-rate)
    terms[1:] += math.log(3.0)
    first = (order - 1) * math.log1p(-rate) + math.log1p(rate * (order - 1))
  else:
    at_two = rdp(2)
    pairs = min(math.log(2.0) + at_two, math.log(4.0) + _log_expm1(at_two))
    terms[0] += pairs - at_two
    terms[1:] += math.log(2.0)
    first = 0.0
  amplified = special.logsumexp(np.append(terms, first)) / (order - 1)
  return min(float(amplified), rdp(order))


@_scipy_warnings.silenced()
def gaussian_pld(
  mu: float, sampling: Sampling | None, interval: float
) -> pld_lib.PrivacyLossDistribution:
  """Returns the privacy loss of a Gaussian mechanism, rounded upwards.

  Args:
    mu: Sensitivity over noise stddev, under the sampling's relation.
    sampling: The cohort's law, None for a cohort that anyone may know.
    interval: Grid of the losses.

  Source of `fixed_size`: for a >= 1 the divergence of (1 - q) Q + q P from Q
  bounds that of any two neighbours, for a < 1 that of P from (1 - q) P + q Q:
  Zhu, Dong, Wang 2022, arXiv 2106.08567, theorem 11, from the joint convexity
  of Balle, Barthe, Gaboardi 2018, arXiv 1807.01647, theorem 9. Both pieces
  join to one convex profile, and that is discretized.
  """
  if sampling is None or sampling.scheme == 'poisson':
    return pld_lib.from_gaussian_mechanism(
      1.0 / mu,
      value_discretization_interval=interval,
      sampling_prob=1.0 if sampling is None else sampling.rate,
    )
  kind = privacy_loss_mechanism.AdjacencyType
  add, remove = (
    privacy_loss_mechanism.GaussianPrivacyLoss(
      1.0 / mu, sampling_prob=sampling.rate, adjacency_type=adjacency
    )
    for adjacency in (kind.ADD, kind.REMOVE)
  )
  low = math.floor(add.connect_dots_bounds().epsilon_lower / interval)
  high = math.ceil(remove.connect_dots_bounds().epsilon_upper / interval)
  below = np.asarray(
    add.get_delta_for_epsilon(list(np.arange(low, 0) * interval))
  )
  above = np.asarray(
    remove.get_delta_for_epsilon(list(np.arange(0, high + 1) * interval))
  )
  deltas = np.minimum.accumulate(np.concatenate([below, above]))
  pmf = pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(
    interval, low, high, deltas
  )
  return pld_lib.PrivacyLossDistribution(pmf)


@_scipy_warnings.silenced()
def pure_pld(
  epsilon: float, sampling: Sampling | None, interval: float
) -> pld_lib.PrivacyLossDistribution:
  """Returns the privacy loss that bounds every epsilon-DP mechanism.

  Binary randomized response dominates all of them (Kairouz, Oh, Viswanath 2015,
  arXiv 1311.0776, theorem 3.3), also below a sampling.
  """
  if sampling is not None and sampling.scheme == 'fixed_size':
    # Amplification of pure DP (Balle et al. 2018, theorem 9), then its bound.
    sampled = math.log1p(sampling.rate * math.expm1(epsilon))
    return pure_pld(sampled, None, interval)
  # Log masses of the two outcomes, with and without the client.
  present = np.array([special.log_expit(epsilon), special.log_expit(-epsilon)])
  absent = present[::-1]
  if sampling is None or sampling.rate == 1.0:
    return pld_lib.PrivacyLossDistribution(_pmf(present, absent, interval))
  mixture = np.logaddexp(
    math.log1p(-sampling.rate) + absent, math.log(sampling.rate) + present
  )
  return pld_lib.PrivacyLossDistribution(
    _pmf(mixture, absent, interval), _pmf(absent, mixture, interval)
  )


def _pmf(
  log_upper: np.ndarray, log_lower: np.ndarray, interval: float
) -> pld_pmf.PLDPmf:
  """Returns the losses of finitely many outcomes, rounded upwards."""
  masses: dict[int, float] = {}
  for loss, log_mass in zip(log_upper - log_lower, log_upper, strict=True):
    cell = math.ceil(loss / interval)
    masses[cell] = masses.get(cell, 0.0) + math.exp(log_mass)
  return pld_pmf.create_pmf(masses, interval, 0.0, pessimistic_estimate=True)


def _log_expm1(value: float) -> float:
  return value + math.log(-math.expm1(-value)) if value > 0.0 else -math.inf
