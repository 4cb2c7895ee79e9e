"""Empirical privacy of one run, read off the cosines of canary clients.

Canaries with random directions take part in training; the cosine of each with
what was released is compared with that of a canary that took no part, whose
distribution is known exactly whatever the mechanism. An estimate says what the
cosines look like; only a lower bound can contradict an accountant.

In and out are "with the canary" and "without it" (or with a client of update
zero): a pair of neighbours under each relation of `guarantee.Relation`, so a
bound contradicts a guarantee under any of them.

Source: Andrew, Kairouz, Oh, Oprea, McMahan, Suriyakumar 2023, "One-shot
Empirical Privacy Estimation for Federated Learning", arXiv 2302.03098, sections
3 (Gaussian mechanism, final model) and 4 (federated runs, several
participations, all iterates). Deviations are told where they are.
"""

import dataclasses
import math
from typing import Protocol

import numpy as np
from scipy import special

from tff_pipelines.privacy import (
  error_rates,
  gaussian_conversion,
  two_normals,
)

_INDEPENDENT = (
  'The cosines of different canaries are as good as independent (canaries far '
  'fewer than dimensions).'
)
_DIRECTIONS = (
  'The directions of the canaries are independent of data, noise and the rest '
  'of the computation.'
)
_GAUSSIAN = (
  'What was released is Gaussian as a whole: adaptively composed Gaussians, a '
  'tree or a matrix mechanism, no secret sampling.'
)


@dataclasses.dataclass(frozen=True)
class Estimate:
  """What epsilon the cosines look like; no bound on either side.

  Attributes:
    epsilon: Of a shift by the observed mean at the unobserved stddev: in the
      limit of many dimensions a canary moves the mean and leaves the stddev
      (theorem of section 3).
    epsilon_fitted: With the observed stddev too, as the paper's algorithm 1.
      Its extremes are far out at a small delta: at 1,000 canaries and delta
      1e-6 an error of the stddev by its own standard error (2 %) makes epsilon
      1 to 1.4, and as the worse order of the two counts, errors do not cancel.
    delta: The delta it is for.
    observed: Fit of the statistics of the canaries that took part.
    unobserved: Their distribution had they taken no part.
    num_canaries: That took part.
  """

  epsilon: float
  epsilon_fitted: float
  delta: float
  observed: two_normals.Normal
  unobserved: two_normals.Normal
  num_canaries: int

  @property
  def standard_error(self) -> float:
    """Of `epsilon`, from the error of the observed mean, to first order.

    Also from the error of the unobserved mean and stddev where these were
    sampled: not included, keep them more numerous than the observed.
    """
    error = 1.0 / math.sqrt(self.num_canaries)
    mu = abs(self.observed.mean - self.unobserved.mean) / self.unobserved.stddev
    high = gaussian_conversion.epsilon_of(mu + error, self.delta)
    low = gaussian_conversion.epsilon_of(max(mu - error, 0.0), self.delta)
    return (high - low) / 2


class Null(Protocol):
  """The distribution of a canary's statistic had it taken no part.

  Attributes:
    is_sampled: Whether `tail` needs a part of the error probability.
  """

  @property
  def is_sampled(self) -> bool:
    """See above."""

  def fitted(self) -> two_normals.Normal:
    """Returns its normal approximation."""

  def tail(self, threshold: float, error: float) -> float:
    """Bounds the probability of at least the threshold from above.

    Args:
      threshold: Chosen without a look at what the bound rests on.
      error: Probability with which the bound may be wrong.
    """


@dataclasses.dataclass(frozen=True)
class CosineNull:
  """The cosine of a random direction with anything independent of it.

  Exact: (1 + cosine) / 2 is Beta((d - 1) / 2, (d - 1) / 2) distributed.

  Attributes:
    num_dimensions: d, at least 2.
    num_looks: The statistic is the largest of so many cosines (the rounds of a
      run); Boole's inequality then bounds the tail.
  """

  num_dimensions: int
  num_looks: int = 1

  def __post_init__(self) -> None:
    if self.num_dimensions < 2 or self.num_looks < 1:
      raise error_rates.AuditError(
        'Expected at least 2 dimensions and 1 look, found '
        f'{self.num_dimensions} and {self.num_looks}; count the parameters.'
      )

  @property
  def is_sampled(self) -> bool:
    """Its tail is exact."""
    return False

  def fitted(self) -> two_normals.Normal:
    """Returns N(0, 1/d), section 3.

    Raises:
      AuditError: If there are several looks: their largest is not normal with
        parameters known in advance.
    """
    if self.num_looks > 1:
      raise error_rates.AuditError(
        f'Expected one look, found {self.num_looks}; estimate from unobserved '
        'canaries with SampledNull instead.'
      )
    return two_normals.Normal(0.0, self.num_dimensions**-0.5)

  def tail(self, threshold: float, error: float) -> float:
    """Exact for one look, whatever the error allowed."""
    del error  # Unused.
    if threshold <= 0.0:
      return 1.0 if self.num_looks > 1 else 1.0 - self._upper(-threshold)
    return min(1.0, self.num_looks * self._upper(threshold))

  def _upper(self, cosine: float) -> float:
    """P[cosine of a random direction >= cosine >= 0]."""
    half = (self.num_dimensions - 1) / 2
    rest = max((1.0 - cosine) * (1.0 + cosine), 0.0)
    # From above, so that nothing is claimed where it underflows.
    return max(float(special.betainc(half, 0.5, rest)) / 2, 1e-300)


@dataclasses.dataclass(frozen=True)
class SampledNull:
  """The statistics of canaries that took no part, section 4.

  Attributes:
    samples: float64[n], n at least 2, independent of the observed ones.
  """

  samples: np.ndarray

  def __post_init__(self) -> None:
    error_rates.finite_vector('unobserved statistics', self.samples, 2)

  @property
  def is_sampled(self) -> bool:
    """Its tail is an estimate."""
    return True

  def fitted(self) -> two_normals.Normal:
    """Returns their mean and stddev."""
    return two_normals.fit(self.samples)

  def tail(self, threshold: float, error: float) -> float:
    """Clopper and Pearson's upper bound."""
    count = int(np.sum(np.asarray(self.samples) >= threshold))
    return error_rates.upper_rate(count, len(self.samples), 1.0 - error)


def largest(round_cosines: np.ndarray) -> np.ndarray:
  """Returns the statistic for all iterates: each canary's largest cosine.

  Section 4, "all model iterates": the adversary sees the update of every round
  and need not know in which ones the canary took part. Go on with `SampledNull`
  of unobserved canaries' largest, or `CosineNull(d, num_looks=rounds)`.

  Args:
    round_cosines: float[rounds, k].
  """
  return np.max(_rounds(round_cosines), axis=0)


def sum_of_participations(
  round_cosines: np.ndarray, participated: np.ndarray
) -> np.ndarray:
  """Returns the sum of each canary's cosines over the rounds it took part in.

  For an adversary who sees all iterates and knows the schedule; under
  independent Gaussian noise the best statistic there is. Not of the paper. For
  the null give unobserved canaries the same rows of `participated`; rounds
  whose updates resemble each other are then accounted for.

  Args:
    round_cosines: float[rounds, k].
    participated: bool[rounds, k], each canary at least once.
  """
  round_cosines = _rounds(round_cosines)
  participated = np.asarray(participated, dtype=bool)
  if participated.shape != round_cosines.shape or not np.all(
    np.any(participated, axis=0)
  ):
    raise error_rates.AuditError(
      f'Expected participations of shape {round_cosines.shape}, each canary in '
      f'at least one round, found shape {participated.shape}; leave out '
      'canaries that were never selected.'
    )
  return np.sum(round_cosines * participated, axis=0)


def estimate(observed: np.ndarray, null: Null, delta: float) -> Estimate:
  """Returns the epsilon that the statistics look like, section 3.

  Args:
    observed: float[k], of canaries that took part, k at least 2.
    null: Their distribution had they not.
    delta: Between 0 and 1.

  Assumes both to be normal. For cosines with a final sum that holds in the
  limit of many dimensions; the largest of several is not normal, so its
  estimate is a convention of the paper.
  """
  observed = error_rates.finite_vector('observed statistics', observed, 2)
  with_canary, without = two_normals.fit(observed), null.fitted()
  shifted = two_normals.Normal(with_canary.mean, without.stddev)
  return Estimate(
    epsilon=two_normals.epsilon_of(without, shifted, delta),
    epsilon_fitted=two_normals.epsilon_of(without, with_canary, delta),
    delta=delta,
    observed=with_canary,
    unobserved=without,
    num_canaries=len(observed),
  )


def threshold_bound(
  observed: np.ndarray, null: Null, delta: float, confidence: float = 0.95
) -> error_rates.LowerBound:
  """Returns a lower bound on epsilon, for any mechanism.

  Thresholds are the observed statistics of rank k/2, k/4, k/8, ... from the
  top: the rank is fixed in advance, so the true-positive rate of "at least the
  threshold" is Beta distributed and Clopper and Pearson's bound holds without a
  second half of the canaries to choose the threshold with. Bonferroni over the
  ranks. Jagielski et al. 2020, arXiv 2006.07709, section 3, but for the exact
  null distribution and the fixed ranks.

  The last threshold still has 4 canaries above it, so a large epsilon, which
  shows in the far tail only, needs very many canaries or `gaussian_bound`.

  Args:
    observed: float[k], of canaries that took part, k at least 8.
    null: Their distribution had they not; independent of the observed.
    delta: At least 0, below 1.
    confidence: Probability with which the bound holds.
  """
  error_rates.check_confidence(confidence)
  observed = error_rates.finite_vector('observed statistics', observed, 8)
  k = len(observed)
  ranks = [k >> shift for shift in range(1, k.bit_length()) if k >> shift >= 4]
  error = (1.0 - confidence) / len(ranks)
  epsilon = 0.0
  for rank in ranks:
    tpr, fpr = _rates(observed, rank, null, error)
    epsilon = max(epsilon, error_rates.epsilon_lower(tpr, fpr, delta))
  return error_rates.LowerBound(
    epsilon, delta, confidence, 'threshold', (_DIRECTIONS, _INDEPENDENT)
  )


def gaussian_bound(
  observed: np.ndarray, null: Null, delta: float, confidence: float = 0.95
) -> error_rates.LowerBound:
  """Returns a lower bound on epsilon, for mechanisms that are Gaussian.

  The median of the observed statistics is the threshold; the bounds of the two
  rates there give mu, and mu the epsilon at delta: Nasr et al. 2023, arXiv
  2302.07956, section 4, but for the exact null distribution. Far tighter
  than `threshold_bound`, as rates at the middle say what the tails must be; but
  no bound where the mechanism is not Gaussian: Laplace noise, randomized
  response, secret sampling.

  Args:
    observed: float[k], of canaries that took part, k at least 8.
    null: Their distribution had they not; independent of the observed.
    delta: Between 0 and 1.
    confidence: Probability with which the bound holds.
  """
  error_rates.check_confidence(confidence)
  observed = error_rates.finite_vector('observed statistics', observed, 8)
  tpr, fpr = _rates(observed, len(observed) // 2, null, 1.0 - confidence)
  mu = error_rates.mu_lower(tpr, fpr)
  return error_rates.LowerBound(
    gaussian_conversion.epsilon_of(mu, delta),
    delta,
    confidence,
    'gaussian',
    (_DIRECTIONS, _INDEPENDENT, _GAUSSIAN),
  )


def _rates(
  observed: np.ndarray, rank: int, null: Null, error: float
) -> tuple[float, float]:
  """Bounds of (TPR, FPR) at the rank-th largest, wrong at most at `error`."""
  threshold = float(np.sort(observed)[-rank])
  share = error / 2 if null.is_sampled else error
  tpr = error_rates.lower_rate(rank, len(observed), 1.0 - share)
  return tpr, null.tail(threshold, share)


def _rounds(round_cosines: np.ndarray) -> np.ndarray:
  round_cosines = np.asarray(round_cosines, dtype=np.float64)
  if round_cosines.ndim != 2 or 0 in round_cosines.shape:
    raise error_rates.AuditError(
      'Expected cosines of shape [rounds, canaries], found '
      f'{round_cosines.shape}; give one row for each release.'
    )
  return round_cosines
