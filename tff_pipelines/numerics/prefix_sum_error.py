"""Squared error of noisy prefix sums, round by round.

Every function gives the variance of the noise in one coordinate of the sum of
rounds 1..t, t = 1..n, for fresh noise of variance 1. Mechanisms are comparable
at equal privacy only: multiply by the squared sensitivity of each (the count of
participations for independent noise and a banded strategy, more for a tree).
"""

from collections.abc import Callable

import numpy as np

from tff_pipelines.numerics import banded_factorization


def independent(num_rounds: int) -> np.ndarray:
  """Independent noise in every round: t, float64[num_rounds]."""
  return np.arange(1.0, num_rounds + 1.0)


def tree(num_rounds: int, restart_rounds: int | None = None) -> np.ndarray:
  """Binary tree, one noisy node for every 1 in binary t.

  Args:
    num_rounds: Rounds, n.
    restart_rounds: Rounds after which a new tree begins; None for never. A
      finished tree keeps the error of its last prefix.

  Returns:
    float64[num_rounds].

  Source: Kairouz et al. 2021, arXiv 2103.00039, section 3 and appendix D.
  """
  return _forest(num_rounds, restart_rounds, lambda height: 1.0)


def honaker_tree(
  num_rounds: int, restart_rounds: int | None = None
) -> np.ndarray:
  """Binary tree whose nodes also use the noise of the nodes below.

  The best unbiased estimate of a node of height h from its subtree has variance
  v_h = 1 / (1 + 1 / (2 v_{h-1})), v_0 = 1, so 1 / (2 - 2^-h).

  Args and result as `tree`.

  Source: Honaker 2015, "Efficient use of differentially private binary trees",
  section 3 (estimation from below, which alone is possible online).
  """
  return _forest(
    num_rounds, restart_rounds, lambda height: 1.0 / (2.0 - 0.5**height)
  )


def banded(strategy: banded_factorization.BandedStrategy) -> np.ndarray:
  """Squared norms of the rows of A C^-1, float64[num_rounds]."""
  return np.sum(banded_factorization.right_factor(strategy) ** 2, axis=1)


def _forest(
  num_rounds: int,
  restart_rounds: int | None,
  node_variance: Callable[[int], float],
) -> np.ndarray:
  period = restart_rounds or num_rounds
  within = np.zeros(period + 1)
  for steps in range(1, period + 1):
    heights = [h for h in range(steps.bit_length()) if steps >> h & 1]
    within[steps] = sum(node_variance(height) for height in heights)
  finished, rest = np.divmod(np.arange(1, num_rounds + 1), period)
  return finished * within[period] + within[rest]
