"""What the error rates of a distinguisher say about epsilon.

A test tells apart a run with a client from one without: its true-positive rate
(TPR) is how often it says "with" rightly, its false-positive rate (FPR) how
often wrongly. (epsilon, delta) differential privacy bounds one by the other, so
an observed pair bounds epsilon from below.

Sources: Kairouz, Oh, Viswanath 2015, "The Composition Theorem for Differential
Privacy", arXiv 1311.0776, theorem 2.1; Jagielski, Ullman, Oprea 2020, "Auditing
Differentially Private Machine Learning", arXiv 2006.07709, section 3; Dong,
Roth, Su 2019, arXiv 1905.02383, definition 2.6, and Nasr et al. 2023, "Tight
Auditing of Differentially Private Machine Learning", arXiv 2302.07956, section
4, for Gaussian trade-offs; Clopper, Pearson 1934.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from scipy import special

from tff_pipelines.core import errors


class AuditError(errors.PipelineError):
  """Numbers that no audit can be made of."""


@dataclasses.dataclass(frozen=True)
class LowerBound:
  """A lower bound on the epsilon of what was audited.

  Attributes:
    epsilon: At least 0; 0 says nothing.
    delta: The delta it is for.
    confidence: Probability that the bound is right, over the run's noise.
    method: `threshold`, `gaussian` or `guesses`: how it was found.
    assumptions: Sentences; where one is false, so may be the bound.
  """

  epsilon: float
  delta: float
  confidence: float
  method: str
  assumptions: tuple[str, ...]

  def __str__(self) -> str:
    return (
      f'epsilon at least {self.epsilon:.4g} at delta {self.delta:.3g} '
      f'({self.confidence:.4g} confidence, {self.method})'
    )

  def contradicts(self, epsilon: float, delta: float) -> bool:
    """Returns whether what was audited cannot be (epsilon, delta)-private.

    A promise at a smaller delta is one at the bound's delta too; of a promise
    at a larger delta the bound says nothing.
    """
    return delta <= self.delta and epsilon < self.epsilon

  def to_json(self) -> dict[str, Any]:
    """Returns plain values."""
    return dataclasses.asdict(self) | {'assumptions': list(self.assumptions)}


def epsilon_lower(tpr: float, fpr: float, delta: float) -> float:
  """Returns the least epsilon that allows these error rates.

  max(log((TPR - delta) / FPR), log((1 - FPR - delta) / (1 - TPR)), 0): a test
  and its negation. Give a lower bound of TPR and an upper bound of FPR and it
  is a lower bound.

  Args:
    tpr: True-positive rate.
    fpr: False-positive rate.
    delta: At least 0 and below 1.
  """
  _check_delta(delta)
  _check_rates(tpr, fpr)
  return max(
    _log_quotient(tpr - delta, fpr),
    _log_quotient(1.0 - fpr - delta, 1.0 - tpr),
    0.0,
  )


def mu_lower(tpr: float, fpr: float) -> float:
  """Returns the least mu of a Gaussian trade-off that allows these rates.

  Phi^-1(TPR) - Phi^-1(FPR), at least 0; `gaussian_conversion.epsilon_of` turns
  mu into epsilon. A bound only for mechanisms that are Gaussian as a whole.
  """
  _check_rates(tpr, fpr)
  if tpr <= fpr:
    return 0.0
  return float(special.ndtri(tpr) - special.ndtri(fpr))


def accuracy_limit(epsilon: float, delta: float) -> float:
  """Returns the best accuracy of telling apart two equally likely runs.

  (e^epsilon + delta) / (1 + e^epsilon), from the same theorem 2.1.
  """
  _check_delta(delta)
  return float(special.expit(epsilon) + delta * special.expit(-epsilon))


def lower_rate(successes: int, trials: int, confidence: float) -> float:
  """Returns Clopper and Pearson's one-sided lower bound of a rate."""
  _check_counts(successes, trials, confidence)
  if successes == 0:
    return 0.0
  return float(
    special.betaincinv(successes, trials - successes + 1, 1.0 - confidence)
  )


def upper_rate(successes: int, trials: int, confidence: float) -> float:
  """Returns Clopper and Pearson's one-sided upper bound of a rate."""
  _check_counts(successes, trials, confidence)
  if successes == trials:
    return 1.0
  return float(
    special.betaincinv(successes + 1, trials - successes, confidence)
  )


def interval(
  successes: int, trials: int, confidence: float
) -> tuple[float, float]:
  """Returns Clopper and Pearson's two-sided interval of a rate.

  Args:
    successes: From 0 to trials.
    trials: Independent trials, at least 1.
    confidence: Between 0 and 1; at least this often the interval holds the
      rate.
  """
  check_confidence(confidence)
  side = (1.0 + confidence) / 2
  return (
    lower_rate(successes, trials, side),
    upper_rate(successes, trials, side),
  )


def check_confidence(confidence: float) -> None:
  """Raises AuditError unless 0 < confidence < 1."""
  if not 0.0 < confidence < 1.0:
    raise AuditError(
      f'Expected a confidence between 0 and 1, found {confidence}; choose one '
      'such as 0.95.'
    )


def finite_vector(name: str, values: np.ndarray, minimum: int) -> np.ndarray:
  """Returns values as float64[n].

  Raises:
    AuditError: Unless they are one-dimensional, finite and at least `minimum`.
  """
  values = np.asarray(values, dtype=np.float64)
  if values.ndim != 1 or len(values) < minimum:
    raise AuditError(
      f'Expected at least {minimum} {name} in one dimension, found shape '
      f'{values.shape}; give one number for each.'
    )
  if not np.all(np.isfinite(values)):
    raise AuditError(
      f'Expected finite {name}, found '
      f'{int(np.sum(~np.isfinite(values)))} that are not; leave out runs that '
      'diverged, or clip the scores.'
    )
  return values


def _log_quotient(numerator: float, denominator: float) -> float:
  if numerator <= 0.0:
    return -math.inf
  if denominator <= 0.0:
    return math.inf
  return math.log(numerator) - math.log(denominator)


def _check_rates(tpr: float, fpr: float) -> None:
  if not (0.0 <= tpr <= 1.0 and 0.0 <= fpr <= 1.0):
    raise AuditError(
      f'Expected rates from 0 to 1, found {tpr} and {fpr}; give fractions.'
    )


def _check_delta(delta: float) -> None:
  if not 0.0 <= delta < 1.0:
    raise AuditError(
      f'Expected a delta from 0 to below 1, found {delta}; choose one below 1 '
      'over the population.'
    )


def _check_counts(successes: int, trials: int, confidence: float) -> None:
  check_confidence(confidence)
  if trials < 1 or not 0 <= successes <= trials:
    raise AuditError(
      'Expected at least 1 trial and successes from 0 to trials, found '
      f'{successes} of {trials}; count both.'
    )
