"""What one contribution costs: losses that compose.

A loss is that of one client in one round, under a neighbouring relation that
has already been put into its parameters. Every class gives its Renyi curve;
those that can, a privacy loss distribution; pure ones, an epsilon.
"""

import abc
from collections.abc import Sequence
import dataclasses
import functools
import math
from typing import TypeAlias

import dp_accounting
from dp_accounting import rdp as rdp_lib
from dp_accounting.pld import privacy_loss_distribution as pld_lib
import numpy as np

from tff_pipelines.privacy import _scipy_warnings, amplification

Pld: TypeAlias = pld_lib.PrivacyLossDistribution
Sampling = amplification.Sampling

# The Renyi orders of dp_accounting's accountant.
ORDERS = np.asarray(rdp_lib.RdpAccountant().orders, dtype=np.float64)


class Loss(abc.ABC):
  """The privacy loss of one contribution; immutable and hashable."""

  @abc.abstractmethod
  def renyi(self, order: float) -> float:
    """Bounds the Renyi divergence at an order above 1."""

  def rdp(self, sampling: Sampling | None) -> np.ndarray:
    """Bounds the Renyi divergences at ORDERS, float64[orders].

    Under sampling from the next integer order: divergences grow with it.
    """
    if sampling is None:
      return np.array([self.renyi(order) for order in ORDERS])
    return np.array(_sampled_curve(self, sampling))

  def pld(self, sampling: Sampling | None, interval: float) -> Pld | None:
    """Bounds the privacy loss distribution; None where none is known."""
    del sampling, interval  # Unused.
    return None

  @property
  def pure_epsilon(self) -> float:
    """Epsilon at delta 0, infinite if there is none."""
    return math.inf

  @property
  def span(self) -> float:
    """About the largest loss worth a place on the grid."""
    return self.pure_epsilon


@dataclasses.dataclass(frozen=True)
class Gaussian(Loss):
  """Gaussian mechanism; mu is sensitivity over noise stddev."""

  mu: float

  def renyi(self, order: float) -> float:
    """Mironov 2017, arXiv 1702.07476, corollary 3."""
    return order * self.mu**2 / 2

  def rdp(self, sampling: Sampling | None) -> np.ndarray:
    """Sampled: dp_accounting's bounds, made for the Gaussian."""
    if sampling is None:
      return ORDERS * self.mu**2 / 2
    return np.array(_sampled_gaussian_curve(self.mu, sampling))

  def pld(self, sampling: Sampling | None, interval: float) -> Pld | None:
    """See `amplification.gaussian_pld`."""
    return amplification.gaussian_pld(self.mu, sampling, interval)

  @property
  def span(self) -> float:
    """The loss is normal: mean mu^2 / 2, stddev mu; 12 of them."""
    return self.mu**2 / 2 + 12 * self.mu


@dataclasses.dataclass(frozen=True)
class Pure(Loss):
  """Any epsilon-DP mechanism, by its worst case."""

  epsilon: float

  def renyi(self, order: float) -> float:
    """Exact for binary randomized response, the worst case."""
    log_high = -math.log1p(math.exp(-self.epsilon))
    log_low = log_high - self.epsilon
    return float(
      np.logaddexp(
        order * log_high + (1 - order) * log_low,
        order * log_low + (1 - order) * log_high,
      )
      / (order - 1)
    )

  def pld(self, sampling: Sampling | None, interval: float) -> Pld | None:
    """See `amplification.pure_pld`."""
    return amplification.pure_pld(self.epsilon, sampling, interval)

  @property
  def pure_epsilon(self) -> float:
    """Epsilon itself."""
    return self.epsilon


@dataclasses.dataclass(frozen=True)
class ScalarLaplace(Pure):
  """Laplace noise on one number; epsilon is sensitivity over scale."""

  @_scipy_warnings.silenced()
  def pld(self, sampling: Sampling | None, interval: float) -> Pld | None:
    """dp_accounting's; under a fixed size as any pure mechanism."""
    if sampling is not None and sampling.scheme == 'fixed_size':
      return super().pld(sampling, interval)
    return pld_lib.from_laplace_mechanism(
      1.0 / self.epsilon,
      value_discretization_interval=interval,
      sampling_prob=1.0 if sampling is None else sampling.rate,
    )


@dataclasses.dataclass(frozen=True)
class ScalarGeometric(Pure):
  """Two-sided geometric noise on one integer.

  Attributes:
    sensitivity: By how much a client moves it; epsilon is sensitivity over the
      noise scale.
  """

  sensitivity: int = 1

  @_scipy_warnings.silenced()
  def pld(self, sampling: Sampling | None, interval: float) -> Pld | None:
    """dp_accounting's; under a fixed size as any pure mechanism."""
    if sampling is not None and sampling.scheme == 'fixed_size':
      return super().pld(sampling, interval)
    return pld_lib.from_discrete_laplace_mechanism(
      self.epsilon / self.sensitivity,
      sensitivity=self.sensitivity,
      value_discretization_interval=interval,
      sampling_prob=1.0 if sampling is None else sampling.rate,
    )


@dataclasses.dataclass(frozen=True)
class RandomizedResponse(Pure):
  """k-ary randomized response, epsilon as told by `Pure`."""

  num_values: int = 2

  @_scipy_warnings.silenced()
  def pld(self, sampling: Sampling | None, interval: float) -> Pld | None:
    """dp_accounting's, without sampling."""
    if sampling is not None:
      return super().pld(sampling, interval)
    k = self.num_values
    return pld_lib.from_randomized_response(
      k / (math.exp(self.epsilon) + k - 1),
      k,
      value_discretization_interval=interval,
    )


@dataclasses.dataclass(frozen=True)
class UnaryEncoding(Pure):
  """Two bits, of the category that one has and of one that one has not.

  The loss is epsilon if the first alone is set, -epsilon if the second alone
  is, and 0 if they are equal. All other bits lose nothing.

  Attributes:
    equal_probability: That both bits are the same.
  """

  equal_probability: float = 0.0

  def renyi(self, order: float) -> float:
    """Exact: with the other probability, binary randomized response."""
    exponent = (order - 1) * super().renyi(order)
    if self.equal_probability == 0.0:
      return exponent / (order - 1)
    log_equal = math.log(self.equal_probability)
    log_differ = math.log1p(-self.equal_probability)
    return float(np.logaddexp(log_equal, log_differ + exponent) / (order - 1))

  @_scipy_warnings.silenced()
  def pld(self, sampling: Sampling | None, interval: float) -> Pld | None:
    """Its three losses, rounded upwards; sampled, as any pure mechanism."""
    if sampling is not None:
      return super().pld(sampling, interval)
    log_differ = math.log1p(-self.equal_probability)
    log_high = log_differ - math.log1p(math.exp(-self.epsilon))
    masses = {'own': log_high, 'other': log_high - self.epsilon}
    if self.equal_probability > 0.0:
      masses['equal'] = math.log(self.equal_probability)
    swapped = masses | {'own': masses['other'], 'other': masses['own']}
    return pld_lib.from_two_probability_mass_functions(
      swapped, masses, value_discretization_interval=interval
    )


@dataclasses.dataclass(frozen=True)
class DiscreteGaussian(Loss):
  """Sum of independent discrete Gaussians on integer vectors.

  Attributes:
    l2: L2 sensitivity over the stddev of the summed noise.
    tau: How far the sum of shares is from a discrete Gaussian, per coordinate.
    num_coordinates: Length of the vector.
  """

  l2: float
  tau: float
  num_coordinates: int

  def renyi(self, order: float) -> float:
    """Kairouz, Liu, Steinke 2021, arXiv 2102.06387, proposition 14, eq. 17."""
    d = self.num_coordinates
    return min(
      order * self.l2**2 / 2 + self.tau * d,
      order / 2 * (self.l2 + math.sqrt(d) * self.tau) ** 2,
    )


@dataclasses.dataclass(frozen=True)
class Skellam(Loss):
  """Skellam noise on integer vectors.

  Attributes:
    l1, l2: Sensitivities, integers' units.
    variance: Of the summed noise, one coordinate.
  """

  l1: float
  l2: float
  variance: float

  def renyi(self, order: float) -> float:
    """Agarwal, Kairouz, Liu 2021, arXiv 2110.04995, theorem 3.5.

    The theorem is for integer orders; others take the next one.
    """
    a, v = math.ceil(order), self.variance
    return a * self.l2**2 / (2 * v) + min(
      ((2 * a - 1) * self.l2**2 + 6 * self.l1) / (4 * v**2),
      3 * self.l1 / (2 * v),
    )


@dataclasses.dataclass(frozen=True)
class Joint(Loss):
  """Several releases about the same cohort, each as told by its own loss."""

  parts: tuple[Loss, ...]

  def renyi(self, order: float) -> float:
    """The sum: Mironov 2017, arXiv 1702.07476, proposition 1."""
    return sum(part.renyi(order) for part in self.parts)


def joint(parts: Sequence[Loss]) -> Loss:
  """Returns the loss of releases that share a cohort, before its sampling.

  Sampling once and releasing all is not the composition of releases that were
  sampled one by one, and can cost more.
  """
  if len(parts) == 1:
    return parts[0]
  mus = [part.mu for part in parts if isinstance(part, Gaussian)]
  if len(mus) == len(parts):
    return Gaussian(math.sqrt(sum(mu**2 for mu in mus)))
  if all(math.isfinite(part.pure_epsilon) for part in parts):
    return Pure(sum(part.pure_epsilon for part in parts))
  return Joint(tuple(parts))


@dataclasses.dataclass(frozen=True)
class Curve(Loss):
  """A Renyi curve at ORDERS, of several contributions together."""

  values: tuple[float, ...]

  def renyi(self, order: float) -> float:
    """The value at the next of ORDERS."""
    index = int(np.searchsorted(ORDERS, order))
    return self.values[index] if index < len(self.values) else math.inf


@functools.lru_cache(maxsize=4096)
def _sampled_curve(loss: Loss, sampling: Sampling) -> tuple[float, ...]:
  integers = {max(2, math.ceil(order)) for order in ORDERS}
  curve = {
    order: amplification.sampled_rdp(loss.renyi, sampling, order)
    for order in integers
  }
  return tuple(curve[max(2, math.ceil(order))] for order in ORDERS)


@functools.lru_cache(maxsize=4096)
def _sampled_gaussian_curve(mu: float, sampling: Sampling) -> tuple[float, ...]:
  event = dp_accounting.GaussianDpEvent(1.0 / mu)
  if sampling.scheme == 'poisson':
    accountant = rdp_lib.RdpAccountant()
    accountant.compose(
      dp_accounting.PoissonSampledDpEvent(sampling.rate, event)
    )
  else:
    accountant = rdp_lib.RdpAccountant(
      neighboring_relation=dp_accounting.NeighboringRelation.REPLACE_ONE
    )
    # Only the quotient of the two sizes enters.
    accountant.compose(
      dp_accounting.SampledWithoutReplacementDpEvent(1.0, sampling.rate, event)
    )
  # Never above the mechanism without sampling.
  return tuple(np.minimum(accountant.rdp, ORDERS * mu**2 / 2))
