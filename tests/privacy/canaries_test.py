import math
import os
import tracemalloc

import numpy as np
import pytest
from scipy import special

from tff_pipelines.privacy import canaries, error_rates

_CANARIES = canaries.Canaries(seed=3, num_canaries=5, num_dimensions=400)


def _all(them, count=None):
  count = them.num_canaries if count is None else count
  return np.stack([them.direction(index) for index in range(count)])


def test_directions_are_unit_vectors():
  directions = _all(_CANARIES)
  assert directions.dtype == np.float32
  norms = np.linalg.norm(directions.astype(np.float64), axis=1)
  np.testing.assert_allclose(norms, 1.0, rtol=1e-6)


def test_directions_are_a_function_of_seed_index_and_dimensions():
  more = canaries.Canaries(3, 50, 400)
  np.testing.assert_array_equal(_all(_CANARIES), _all(more, 5))
  for other in (
    canaries.Canaries(4, 5, 400),
    canaries.Canaries(3 + 2**127, 5, 400),
    canaries.Canaries(3 + 2**64, 5, 400),
  ):
    cosines = _all(_CANARIES) @ _all(other).T
    # |cosine| > 0.4 is 8 stddevs out: 1e-15 for each of 25 pairs.
    assert np.max(np.abs(cosines)) < 0.4
  pairs = _all(_CANARIES) @ _all(_CANARIES).T - np.eye(5)
  assert np.max(np.abs(pairs)) < 0.4


def test_coins_are_fair_and_a_function_of_the_seed():
  them = canaries.Canaries(3, 10_000, 2)
  coins = them.coins()
  assert coins.dtype == bool and coins.shape == (10_000,)
  # 5 standard errors: 6e-7.
  assert abs(np.mean(coins) - 0.5) < 5 * 0.5 / 100
  np.testing.assert_array_equal(coins, canaries.Canaries(3, 10_000, 9).coins())
  other = canaries.Canaries(4, 10_000, 2).coins()
  assert abs(np.mean(coins == other) - 0.5) < 5 * 0.5 / 100


def test_total_is_the_weighted_sum():
  directions = _all(_CANARIES).astype(np.float64)
  np.testing.assert_allclose(
    _CANARIES.total(), directions.sum(axis=0), atol=1e-6
  )
  weights = np.array([0.0, 1.0, 2.5, 0.0, -1.0])
  np.testing.assert_allclose(
    _CANARIES.total(weights), weights @ directions, atol=1e-6
  )


def test_cosines_are_those_of_the_vectors():
  vectors = np.random.default_rng(0).normal(size=(3, 400)) * 1e-3
  units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
  found = _CANARIES.cosines(vectors)
  assert found.shape == (3, 5) and found.dtype == np.float64
  np.testing.assert_allclose(found, units @ _all(_CANARIES).T, atol=1e-6)


def test_a_direction_has_cosine_one_with_itself():
  found = _CANARIES.cosines(7.0 * _all(_CANARIES))
  np.testing.assert_allclose(np.diag(found), 1.0, rtol=1e-6)


def test_unobserved_canaries_have_the_indices_after():
  vectors = np.random.default_rng(0).normal(size=(1, 400))
  found = _CANARIES.cosines(vectors, first=5, count=7)
  all_of_them = canaries.Canaries(3, 12, 400).cosines(vectors)
  np.testing.assert_array_equal(found, all_of_them[:, 5:])


def test_threads_are_without_effect(monkeypatch):
  vectors = np.random.default_rng(0).normal(size=(2, 400))
  found = []
  for cpus in (1, 3, 64, None):
    monkeypatch.setattr(os, 'cpu_count', lambda cpus=cpus: cpus)
    found.append((_CANARIES.total(), _CANARIES.cosines(vectors)))
  for total, cosines in found[1:]:
    np.testing.assert_allclose(total, found[0][0], atol=1e-12)
    np.testing.assert_array_equal(cosines, found[0][1])


@pytest.mark.parametrize('num_dimensions', [2, 3, 40])
def test_directions_are_uniform_on_the_sphere(num_dimensions):
  them = canaries.Canaries(8, 4000, num_dimensions)
  fixed = np.ones((2, num_dimensions))
  fixed[1, 1:] = 0.0
  half = (num_dimensions - 1) / 2
  for cosines in them.cosines(fixed):
    places = np.clip((1 + cosines) / 2, 0.0, 1.0)
    uniform = np.sort(special.betainc(half, half, places))
    gap = np.max(np.abs(uniform - np.linspace(0.0, 1.0, len(uniform))))
    # Dvoretzky, Kiefer, Wolfowitz, Massart; false alarm 1e-6.
    assert gap < math.sqrt(math.log(2e6) / (2 * len(uniform))) + 1e-3


def test_memory_is_a_few_vectors_not_all(monkeypatch, k=200, d=50_000):
  monkeypatch.setattr(os, 'cpu_count', lambda: 2)
  them = canaries.Canaries(0, k, d)
  tracemalloc.start()
  try:
    them.cosines(them.total()[None])
    _, peak = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  # All directions would be 4 k d bytes.
  assert peak < 4 * k * d / 8


def test_coins_and_weights_insert_who_is_to_take_part():
  them = canaries.Canaries(9, 60, 20_000)
  coins = them.coins()
  cosines = them.cosines(them.total(coins)[None])[0]
  # Without noise: cosine about 1 / sqrt(number) of those that took part, and
  # about d^-1/2 = 0.007 of the others.
  np.testing.assert_array_equal(cosines > 0.06, coins)
  expected = 1 / math.sqrt(np.sum(coins))
  np.testing.assert_allclose(cosines[coins], expected, atol=0.06)


def test_refusals():
  error = error_rates.AuditError
  for seed in (-1, 2**128):
    with pytest.raises(error, match='seed of 0 to 128 bits'):
      canaries.Canaries(seed, 1, 10)
  with pytest.raises(error, match='found 0 in 10'):
    canaries.Canaries(0, 0, 10)
  with pytest.raises(error, match='found 1 in 1'):
    canaries.Canaries(0, 1, 1)
  with pytest.raises(error, match=r'Expected 5 weights, found shape \(4,\)'):
    _CANARIES.total(np.ones(4))
  for shape in ((400,), (2, 399)):
    with pytest.raises(error, match=r'shape \[n, 400\]'):
      _CANARIES.cosines(np.ones(shape))
  for value in (0.0, np.nan, np.inf):
    with pytest.raises(error, match='finite vectors that are not zero'):
      _CANARIES.cosines(np.full((1, 400), value))
