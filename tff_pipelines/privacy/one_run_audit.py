"""A lower bound on epsilon from one run that asks nothing of the canaries.

Each canary takes part or not by the toss of a coin; who sees the release
guesses some of the coins. Under (epsilon, delta) differential privacy guesses
are right about as often as under randomized response, however the canaries
resemble each other or share the noise. So this bound needs neither independent
cosines nor a Gaussian mechanism, and pays for that: it sees an epsilon e only
with several times exp(e) guesses that are as good.

Source: Steinke, Nasr, Jagielski 2023, "Privacy Auditing with One (1) Training
Run", arXiv 2305.08846, theorem 5.2 and appendix D. Deviation: several numbers
of guesses, with Bonferroni, in place of one.
"""

from collections.abc import Sequence

import numpy as np
from scipy import special

from tff_pipelines.privacy import error_rates


def guesses_bound(
  statistics: np.ndarray,
  included: np.ndarray,
  delta: float,
  confidence: float = 0.95,
  num_guesses: Sequence[int] | None = None,
) -> error_rates.LowerBound:
  """Returns a lower bound on epsilon from guesses of the coins.

  The r/2 largest statistics are guessed to have taken part, the r/2 smallest
  not; on the others nothing is said.

  Args:
    statistics: float[m], one for each canary, included or not, larger for those
      that took part; m at least 16.
    included: bool[m], the coins (`canaries.Canaries.coins`).
    delta: At least 0, below 1.
    confidence: Probability with which the bound holds.
    num_guesses: Even numbers r to try, fixed in advance; each costs an equal
      part of the error probability. None: m/2, m/8, m/32, ... from 8 on; never
      m, as coins do not come out even.
  """
  error_rates.check_confidence(confidence)
  error_rates.epsilon_lower(0.0, 0.0, delta)  # Checks delta.
  statistics = error_rates.finite_vector('statistics', statistics, 16)
  included = np.asarray(included, dtype=bool)
  if included.shape != statistics.shape:
    raise error_rates.AuditError(
      f'Expected {len(statistics)} coins, found shape {included.shape}; give '
      'one for each canary, taken part or not.'
    )
  m = len(statistics)
  if num_guesses is None:
    steps = range(1, m.bit_length(), 2)
    num_guesses = [(m >> s) & ~1 for s in steps if m >> s >= 8]
  if not num_guesses or any(r < 2 or r > m or r % 2 for r in num_guesses):
    raise error_rates.AuditError(
      f'Expected even numbers of guesses from 2 to {m}, found '
      f'{list(num_guesses)}; guess as many to have taken part as not.'
    )
  order = np.argsort(statistics, kind='stable')
  error = (1.0 - confidence) / len(num_guesses)
  epsilon = 0.0
  for r in num_guesses:
    right = int(np.sum(included[order[-r // 2 :]]))
    right += int(np.sum(~included[order[: r // 2]]))
    epsilon = max(epsilon, _epsilon_above(m, r, right, delta, error))
  return error_rates.LowerBound(
    epsilon,
    delta,
    confidence,
    'guesses',
    ('Each canary was included by a fair coin of its own.',),
  )


def chance_of_guesses(
  num_canaries: int, num_guesses: int, right: int, epsilon: float, delta: float
) -> float:
  """Bounds the chance of so many right guesses under (epsilon, delta)-DP.

  P[B >= v] + 2 m delta max_i P[v - i <= B < v] / i, B binomial with r trials of
  chance e^epsilon / (1 + e^epsilon) (theorem 5.2, as computed in appendix D).

  Args:
    num_canaries: m, included by fair coins.
    num_guesses: r, at most m.
    right: v, from 0 to r.
    epsilon: At least 0.
    delta: At least 0, below 1.
  """
  chance = float(special.expit(epsilon))
  # P[B >= v - i] for i = 0 to v.
  wanted = np.arange(right, -1, -1, dtype=np.float64)
  at_least = np.where(
    wanted > 0,
    special.betainc(
      np.maximum(wanted, 1.0), num_guesses - wanted + 1.0, chance
    ),
    1.0,
  )
  steps = np.arange(1, right + 1)
  most = np.max((at_least[1:] - at_least[0]) / steps) if right else 0.0
  return float(min(1.0, at_least[0] + 2.0 * num_canaries * delta * most))


def _epsilon_above(
  num_canaries: int, num_guesses: int, right: int, delta: float, error: float
) -> float:
  """The largest epsilon whose chance of the guesses is at most the error."""

  def refuted(epsilon: float) -> bool:
    return (
      chance_of_guesses(num_canaries, num_guesses, right, epsilon, delta)
      <= error
    )

  if not refuted(0.0):
    return 0.0
  low, high = 0.0, 1.0
  while refuted(high):
    low, high = high, 2 * high
  while high - low > 1e-9 * max(1.0, high):
    middle = (low + high) / 2
    if refuted(middle):
      low = middle
    else:
      high = middle
  return low
