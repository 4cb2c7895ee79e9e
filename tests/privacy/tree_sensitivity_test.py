import itertools
import time

import pytest

from tff_pipelines.privacy import tree_sensitivity


def _brute_force(rounds, most, separation, restart):
  period = restart or rounds
  nodes = []
  for start in range(0, rounds, period):
    length = min(period, rounds - start)
    size = 1
    while size <= length:
      nodes += [
        range(start + i * size, start + (i + 1) * size)
        for i in range(length // size)
      ]
      size *= 2
  best = 0
  for count in range(1, most + 1):
    for chosen in itertools.combinations(range(rounds), count):
      if all(b - a >= separation for a, b in itertools.pairwise(chosen)):
        total = sum(sum(r in node for r in chosen) ** 2 for node in nodes)
        best = max(best, total)
  return best


_CASES = list(
  itertools.product(
    [1, 2, 3, 7, 8, 11, 13], [1, 2, 4], [1, 2, 3, 5, 9], [None, 3, 4]
  )
)


def test_every_small_tree_is_exact():
  for case in _CASES:
    found = tree_sensitivity.max_squared_sensitivity(*case)
    assert found == _brute_force(*case), case


def test_coarsened_separations_never_come_out_too_small(monkeypatch):
  monkeypatch.setattr(tree_sensitivity, '_MAX_SLACK', 2)
  compute = tree_sensitivity.max_squared_sensitivity.__wrapped__
  for case in _CASES:
    assert compute(*case) >= _brute_force(*case), case


def test_deployed_keyboard():
  # tensorflow_privacy's _max_tree_sensitivity_square_sum(6, 313, 2000) is 79,
  # after five minutes; it counts the rounds in between, one less than here.
  start = time.perf_counter()
  compute = tree_sensitivity.max_squared_sensitivity.__wrapped__
  assert compute(2000, 6, 314) == 79
  assert compute(2000, 6, 313) == 79
  assert time.perf_counter() - start < 10


def test_every_round_by_hand():
  # 8 ones, 4 twos, 2 fours, 1 eight, each squared.
  assert tree_sensitivity.max_squared_sensitivity(8, 8, 1) == 8 + 16 + 32 + 64


def test_one_participation_pays_for_its_path():
  assert tree_sensitivity.max_squared_sensitivity(1024, 1, 1) == 11
  assert tree_sensitivity.max_squared_sensitivity(1023, 1, 1) == 10


def test_nobody_pays_nothing():
  assert tree_sensitivity.max_squared_sensitivity(16, 0, 1) == 0


@pytest.mark.parametrize('separation', [1, 50, 3000])
def test_large_trees_take_seconds(separation):
  start = time.perf_counter()
  compute = tree_sensitivity.max_squared_sensitivity.__wrapped__
  compute(2000, 2000, separation)
  assert time.perf_counter() - start < 10
