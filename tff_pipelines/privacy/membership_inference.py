"""Membership inference on clients: who took part, from scores.

A score is large for clients that an attack believes to have taken part
(`membership_scores`). Scores of members and of non-members give the attack's
error rates. Clients are drawn, not worst cases: the epsilon found this way is
that of the attack on such clients.

Sources: Yeom et al. 2018, arXiv 1709.01604, definition 4 (advantage); Carlini
et al. 2022, "Membership Inference Attacks From First Principles", arXiv
2112.03570, section III (true-positive rates at low false-positive rates).
"""

import dataclasses
import math
from typing import Any

import numpy as np
from scipy import stats

from tff_pipelines.privacy import error_rates

LOW_FALSE_POSITIVE_RATES = (0.001, 0.01)


@dataclasses.dataclass(frozen=True)
class Roc:
  """An attack's rates at every threshold, from "no one" to "everyone".

  Attributes:
    thresholds: float64[n], falling, the first infinite; "member" is a score of
      at least the threshold.
    false_positive_rates: float64[n], rising from 0 to 1.
    true_positive_rates: float64[n], rising from 0 to 1.
  """

  thresholds: np.ndarray
  false_positive_rates: np.ndarray
  true_positive_rates: np.ndarray


@dataclasses.dataclass(frozen=True)
class RateAt:
  """The true-positive rate at a low false-positive rate.

  Attributes:
    target: The false-positive rate asked for.
    true_positive_rate: At the lowest threshold whose rate among the non-members
      is at most the target.
    interval: Clopper and Pearson's for it; holds whatever the non-members, as
      the threshold does not look at members.
    false_positive_limit: Upper bound of the threshold's true false-positive
      rate, same confidence, one-sided. Above the target where non-members are
      too few to see it.
  """

  target: float
  true_positive_rate: float
  interval: tuple[float, float]
  false_positive_limit: float


@dataclasses.dataclass(frozen=True)
class Attack:
  """How well an attack tells members from non-members.

  Attributes:
    auc: Area under the curve: the chance that a member scores above a
      non-member, ties for a half; 0.5 is guessing.
    advantage: Largest true less false positive rate, at the best threshold in
      hindsight, so biased upwards.
    rates: At LOW_FALSE_POSITIVE_RATES.
    bound: Lower bound on the epsilon of the mechanism; see `epsilon_bound`.
    num_members: Scores of members.
    num_non_members: Scores of non-members.
    confidence: Of every interval, singly.
  """

  auc: float
  advantage: float
  rates: tuple[RateAt, ...]
  bound: error_rates.LowerBound
  num_members: int
  num_non_members: int
  confidence: float

  def to_json(self) -> dict[str, Any]:
    """Returns plain values."""
    return dataclasses.asdict(self) | {
      'rates': [
        dataclasses.asdict(rate) | {'interval': list(rate.interval)}
        for rate in self.rates
      ],
      'bound': self.bound.to_json(),
    }


def evaluate(
  members: np.ndarray,
  non_members: np.ndarray,
  delta: float,
  *,
  confidence: float = 0.95,
  seed: int,
) -> Attack:
  """Returns the error rates of an attack.

  Args:
    members: float[m], scores of clients that took part, m at least 4.
    non_members: float[n], of clients that did not, n at least 4, drawn from the
      same population.
    delta: Of the epsilon bound.
    confidence: Of each interval and of the bound.
    seed: Of the split that the bound needs.
  """
  members, non_members = _scores(members, non_members)
  curve = roc(members, non_members)
  gaps = curve.true_positive_rates - curve.false_positive_rates
  return Attack(
    auc=auc(members, non_members),
    advantage=float(np.max(gaps)),
    rates=tuple(
      rate_at(members, non_members, target, confidence)
      for target in LOW_FALSE_POSITIVE_RATES
    ),
    bound=epsilon_bound(
      members, non_members, delta, confidence=confidence, seed=seed
    ),
    num_members=len(members),
    num_non_members=len(non_members),
    confidence=confidence,
  )


def roc(members: np.ndarray, non_members: np.ndarray) -> Roc:
  """Returns the rates at every score that occurs."""
  members, non_members = _scores(members, non_members)
  values = np.unique(np.concatenate([members, non_members]))[::-1]
  return Roc(
    np.concatenate([[math.inf], values]),
    np.concatenate([[0.0], _share_at_least(non_members, values)]),
    np.concatenate([[0.0], _share_at_least(members, values)]),
  )


def auc(members: np.ndarray, non_members: np.ndarray) -> float:
  """Returns P[member > non-member] + P[equal] / 2 (Mann, Whitney)."""
  members, non_members = _scores(members, non_members)
  ranks = stats.rankdata(np.concatenate([members, non_members]))
  m, n = len(members), len(non_members)
  return float((np.sum(ranks[:m]) - m * (m + 1) / 2) / (m * n))


def rate_at(
  members: np.ndarray,
  non_members: np.ndarray,
  target: float,
  confidence: float = 0.95,
) -> RateAt:
  """Returns the true-positive rate at a false-positive rate of at most target.

  The limit of the false-positive rate holds although the threshold comes from
  the same non-members: "above the j-th largest" with j fixed is Beta(j,
  n - j + 1) distributed, which is Clopper and Pearson's bound for j - 1 of n.

  Args:
    members: float[m].
    non_members: float[n].
    target: Between 0 and 1.
    confidence: Of the interval and the limit.
  """
  members, non_members = _scores(members, non_members)
  if not 0.0 < target < 1.0:
    raise error_rates.AuditError(
      f'Expected a false-positive rate between 0 and 1, found {target}; choose '
      'one such as 0.01.'
    )
  n = len(non_members)
  allowed = math.floor(target * n + 1e-9)
  threshold = np.sort(non_members)[n - 1 - allowed]
  hits = int(np.sum(members > threshold))
  return RateAt(
    target,
    hits / len(members),
    error_rates.interval(hits, len(members), confidence),
    error_rates.upper_rate(allowed, n, confidence),
  )


def epsilon_bound(
  members: np.ndarray,
  non_members: np.ndarray,
  delta: float,
  *,
  confidence: float = 0.95,
  seed: int,
) -> error_rates.LowerBound:
  """Returns a lower bound on epsilon from one threshold and two rates.

  Half of the scores, drawn at random, choose the threshold and the side, the
  other half give Clopper and Pearson bounds of its rates, each at half of the
  error probability (Jagielski et al. 2020, arXiv 2006.07709, section 3).

  Args:
    members: float[m], m at least 4.
    non_members: float[n], n at least 4.
    delta: At least 0, below 1.
    confidence: Probability with which the bound holds.
    seed: Of the split; fixed before the scores are seen.
  """
  members, non_members = _scores(members, non_members)
  error_rates.check_confidence(confidence)
  rng = np.random.default_rng(seed)
  inside, outside = _halves(rng, members), _halves(rng, non_members)
  side = (1.0 + confidence) / 2
  candidates = np.unique(np.concatenate([inside[0], outside[0]]))
  if len(candidates) > 256:
    candidates = candidates[
      np.unique(np.linspace(0, len(candidates) - 1, 256).astype(int))
    ]
  chosen = max(
    candidates,
    key=lambda at: _bound_at(inside[0], outside[0], at, side, delta),
  )
  epsilon = _bound_at(inside[1], outside[1], chosen, side, delta)
  return error_rates.LowerBound(
    epsilon,
    delta,
    confidence,
    'threshold',
    (
      'Scores are independent of each other: clients of one run share its '
      'noise, so strictly each score needs a run of its own.',
      'Members and non-members are drawn alike from one population.',
    ),
  )


def _scores(
  members: np.ndarray, non_members: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  return (
    error_rates.finite_vector('scores of members', members, 4),
    error_rates.finite_vector('scores of non-members', non_members, 4),
  )


def _share_at_least(scores: np.ndarray, values: np.ndarray) -> np.ndarray:
  return 1.0 - np.searchsorted(np.sort(scores), values, 'left') / len(scores)


def _halves(
  rng: np.random.Generator, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  shuffled = rng.permutation(scores)
  return shuffled[: len(scores) // 2], shuffled[len(scores) // 2 :]


def _bound_at(
  members: np.ndarray,
  non_members: np.ndarray,
  threshold: float,
  side: float,
  delta: float,
) -> float:
  hits = int(np.sum(members >= threshold))
  alarms = int(np.sum(non_members >= threshold))
  return error_rates.epsilon_lower(
    error_rates.lower_rate(hits, len(members), side),
    error_rates.upper_rate(alarms, len(non_members), side),
    delta,
  )
