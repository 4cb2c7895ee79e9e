import itertools
import math

import numpy as np
import pytest

from tff_pipelines.secagg import failure_probabilities


def exact_tail(n: int, marked: int, k: int, t: int) -> float:
  """P[at least t of k drawn from n - 1 are marked], in integers."""
  ways = sum(
    math.comb(marked, x) * math.comb(n - 1 - marked, k - x)
    for x in range(t, k + 1)
  )
  return ways / math.comb(n - 1, k)


@pytest.mark.parametrize(('n', 'k', 'c'), [(20, 6, 5), (100, 30, 10)])
def test_corrupted_neighbours_are_hypergeometric(n, k, c):
  bounds = failure_probabilities.too_many_corrupted(n, k, c)
  expected = [min(1.0, n * exact_tail(n, c, k, t)) for t in range(k + 2)]
  np.testing.assert_allclose(bounds, expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize(('n', 'k', 'd'), [(20, 6, 5), (100, 30, 30)])
def test_surviving_neighbours_are_hypergeometric(n, k, d):
  bounds = failure_probabilities.too_few_survivors(n, k, d)
  expected = [
    min(1.0, n * (1 - exact_tail(n, n - 1 - d, k, t))) for t in range(k + 2)
  ]
  np.testing.assert_allclose(bounds, expected, rtol=1e-6, atol=1e-11)


def test_tiny_tails_keep_their_digits():
  bounds = failure_probabilities.too_many_corrupted(1000, 100, 100)
  expected = 1000 * exact_tail(1000, 100, 100, 60)
  assert expected < 1e-35
  assert bounds[60] == pytest.approx(expected, rel=1e-9)


def test_nobody_corrupted_or_gone():
  bounds = failure_probabilities.too_many_corrupted(50, 10, 0)
  assert bounds.tolist() == [1.0] + [0.0] * 11
  bounds = failure_probabilities.too_few_survivors(50, 10, 0)
  np.testing.assert_allclose(bounds, [0.0] * 11 + [1.0], atol=1e-12)


def falls_apart(n: int, k: int, removed: set[int]) -> bool:
  left = [i for i in range(n) if i not in removed]
  seen, stack = {left[0]}, [left[0]]
  while stack:
    at = stack.pop()
    for step in itertools.chain(range(-k // 2, 0), range(1, k // 2 + 1)):
      other = (at + step) % n
      if other not in removed and other not in seen:
        seen.add(other)
        stack.append(other)
  return len(seen) < len(left)


@pytest.mark.parametrize(
  ('n', 'k', 'r'), [(8, 2, 2), (8, 4, 3), (8, 4, 4), (10, 4, 5), (10, 6, 6)]
)
def test_the_bound_on_falling_apart_holds_for_every_removal(n, k, r):
  removals = list(map(set, itertools.combinations(range(n), r)))
  bad = sum(falls_apart(n, k, removed) for removed in removals)
  bound = failure_probabilities.disconnected(n, k, r)
  assert bad / len(removals) <= bound + 1e-12


def test_the_bound_is_below_the_papers_power():
  for n, k, r in [(1000, 100, 400), (500, 40, 100)]:
    bound = failure_probabilities.disconnected(n, k, r)
    assert 0 < bound <= n * (r / n) ** (k / 2)


def test_few_removals_never_disconnect():
  assert failure_probabilities.disconnected(100, 10, 4) == 0.0
