"""One client in or out, many seeds: what difference it makes, and who sees it.

Runs with the client and runs without it, over many seeds, give the gap beside
the spread that other seeds alone make: the "notorious sweater wearer", whose
one unusual word a model learns or does not. Under (epsilon, delta) differential
privacy no reading of a run tells the two apart more often than
`error_rates.accuracy_limit`.

Sources: Student 1908 and Welch 1947 for the intervals; Cohen 1988, "Statistical
Power Analysis", section 2.2, for the effect size; Kairouz, Oh, Viswanath 2015,
arXiv 1311.0776, theorem 2.1, for the limit.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from scipy import special

from tff_pipelines.privacy import error_rates


@dataclasses.dataclass(frozen=True)
class Gap:
  """The difference that one client makes.

  Attributes:
    mean: Mean of the run with the client less the run without it, signed.
    interval: Student's (paired) or Welch's interval of it, for metrics that are
      about normal over seeds.
    per_seed: With less without; seeds are shared if `paired`.
    spread: Stddev over seeds of the runs without the client.
    effect_size: mean over the pooled stddev of the two kinds of runs (Cohen's
      d): how far apart two runs with unknown seeds are. Infinite if nothing but
      the client makes a difference, 0 if not even it does.
    accuracy: How often a threshold, set on other seeds, tells a run with the
      client from one without; 0.5 is guessing.
    accuracy_interval: Clopper and Pearson's, counting seeds rather than runs as
      trials. Approximate: the thresholds of different folds share seeds.
    paired: Whether both kinds of runs share seeds.
    confidence: Of each interval, singly.
  """

  mean: float
  interval: tuple[float, float]
  per_seed: tuple[float, ...]
  spread: float
  effect_size: float
  accuracy: float
  accuracy_interval: tuple[float, float]
  paired: bool
  confidence: float

  def to_json(self) -> dict[str, Any]:
    """Returns plain values; an infinite effect size as None."""
    effect_size = self.effect_size if math.isfinite(self.effect_size) else None
    return dataclasses.asdict(self) | {
      'interval': list(self.interval),
      'per_seed': list(self.per_seed),
      'effect_size': effect_size,
      'accuracy_interval': list(self.accuracy_interval),
    }


def of_metric(
  with_client: np.ndarray,
  without: np.ndarray,
  *,
  paired: bool,
  confidence: float = 0.95,
  num_folds: int = 10,
) -> Gap:
  """Returns the gap of a number of each run.

  Args:
    with_client: float[num_seeds], num_seeds at least 4.
    without: float[num_seeds], in the same order of seeds.
    paired: Whether run i of both had the same seed: the same initial model,
      cohorts and batches. Noise of a guarantee is never shared.
    confidence: Of each interval.
    num_folds: Of the cross-validation, at least 2; at most num_seeds are used.
  """
  error_rates.check_confidence(confidence)
  with_client = error_rates.finite_vector(
    'runs with the client', with_client, 4
  )
  without = error_rates.finite_vector('runs without the client', without, 4)
  if len(with_client) != len(without):
    raise error_rates.AuditError(
      'Expected as many runs with the client as without, found '
      f'{len(with_client)} and {len(without)}; run both for every seed.'
    )
  if num_folds < 2:
    raise error_rates.AuditError(
      f'Expected at least 2 folds, found {num_folds}; a threshold has to be '
      'tried on seeds that it was not set on.'
    )
  n = len(without)
  gaps = with_client - without
  mean = float(np.mean(gaps))
  variances = np.var(with_client, ddof=1), np.var(without, ddof=1)
  accuracy = _accuracy(with_client, without, min(num_folds, n))
  return Gap(
    mean=mean,
    interval=_interval(mean, gaps, variances, paired, confidence),
    per_seed=tuple(gaps.tolist()),
    spread=float(np.sqrt(variances[1])),
    effect_size=_ratio(mean, math.sqrt((variances[0] + variances[1]) / 2)),
    accuracy=accuracy,
    accuracy_interval=_accuracy_interval(accuracy, n, confidence),
    paired=paired,
    confidence=confidence,
  )


def of_model(
  with_client: np.ndarray,
  without: np.ndarray,
  *,
  paired: bool,
  direction: np.ndarray | None = None,
  confidence: float = 0.95,
  num_folds: int = 10,
) -> Gap:
  """Returns the gap of the models, along one direction.

  Args:
    with_client: float[num_seeds, d], the models as vectors.
    without: float[num_seeds, d].
    paired: As for `of_metric`.
    direction: float[d], chosen without a look at these runs: the client's own
      update, say. None: the mean gap of the first half of the seeds, and the
      second half is measured, so that chance cannot pass for a gap.
    confidence: Of each interval.
    num_folds: Of the cross-validation.
  """
  with_client, without = np.asarray(with_client), np.asarray(without)
  if with_client.ndim != 2 or with_client.shape != without.shape:
    raise error_rates.AuditError(
      'Expected models of one shape [num_seeds, d], found '
      f'{with_client.shape} and {without.shape}; concatenate the parts of the '
      'model and run both for every seed.'
    )
  if direction is None:
    half = len(without) // 2
    direction = np.mean(
      np.subtract(with_client[:half], without[:half], dtype=np.float64), axis=0
    )
    with_client, without = with_client[half:], without[half:]
  direction = np.asarray(direction, dtype=np.float64)
  length = float(np.linalg.norm(direction))
  if direction.shape != with_client.shape[1:] or not 0.0 < length < math.inf:
    raise error_rates.AuditError(
      f'Expected a finite direction of shape {with_client.shape[1:]} that is '
      f'not zero, found shape {direction.shape} of length {length}; give the '
      "client's update."
    )
  return of_metric(
    with_client @ (direction / length),
    without @ (direction / length),
    paired=paired,
    confidence=confidence,
    num_folds=num_folds,
  )


def _interval(
  mean: float,
  gaps: np.ndarray,
  variances: tuple[float, float],
  paired: bool,
  confidence: float,
) -> tuple[float, float]:
  n = len(gaps)
  if paired:
    error, freedom = np.std(gaps, ddof=1) / math.sqrt(n), n - 1.0
  else:
    error = math.sqrt(sum(variances) / n)
    squares = sum(variance**2 for variance in variances)
    freedom = (n - 1) * _ratio(sum(variances) ** 2, squares)
  if error == 0.0:
    return mean, mean
  reach = float(error * special.stdtrit(freedom, (1.0 + confidence) / 2))
  return mean - reach, mean + reach


def _ratio(numerator: float, denominator: float) -> float:
  if denominator == 0.0:
    return math.copysign(math.inf, numerator) if numerator else 0.0
  return float(numerator / denominator)


def _accuracy(
  with_client: np.ndarray, without: np.ndarray, num_folds: int
) -> float:
  """Cross-validated; a fold holds the same seeds of both, so it is balanced."""
  seeds = np.arange(len(without))
  right = 0
  for fold in range(num_folds):
    held = seeds % num_folds == fold
    sign, threshold = _best_threshold(with_client[~held], without[~held])
    right += int(np.sum(sign * (with_client[held] - threshold) > 0.0))
    right += int(np.sum(sign * (without[held] - threshold) <= 0.0))
  return right / (2 * len(without))


def _best_threshold(
  with_client: np.ndarray, without: np.ndarray
) -> tuple[float, float]:
  """The side and the threshold with the most right on these runs.

  Of equally good ones, the middle one; if "above means with" and "below means
  with" are equally good, the side of the difference of medians.
  """
  values = np.unique(np.concatenate([with_client, without]))
  cuts = np.concatenate(
    [[-math.inf], (values[1:] + values[:-1]) / 2, [math.inf]]
  )
  below = np.searchsorted(np.sort(without), cuts) / len(without)
  missed = np.searchsorted(np.sort(with_client), cuts) / len(with_client)
  gain = below - missed  # Accuracy of "above means with" is (1 + gain) / 2.
  up, down = np.max(gain), -np.min(gain)
  rising = np.median(with_client) >= np.median(without)
  sign = 1.0 if up > down or (up == down and rising) else -1.0
  best = np.flatnonzero(sign * gain >= max(up, down) - 1e-12)
  return sign, float(cuts[best[len(best) // 2]])


def _accuracy_interval(
  accuracy: float, num_seeds: int, confidence: float
) -> tuple[float, float]:
  """Whole numbers of seeds, rounded outwards."""
  right = accuracy * num_seeds
  low = error_rates.interval(math.floor(right + 1e-9), num_seeds, confidence)
  high = error_rates.interval(math.ceil(right - 1e-9), num_seeds, confidence)
  return low[0], high[1]
