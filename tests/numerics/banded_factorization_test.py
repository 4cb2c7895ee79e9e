"""Strategies are checked against dense matrices and finite differences."""

import numpy as np
import pytest
from scipy import optimize

from tff_pipelines.numerics import banded_factorization, prefix_sum_error


def _dense(columns: np.ndarray) -> np.ndarray:
  n, b = columns.shape
  dense = np.zeros((n, n))
  for band in range(b):
    for column in range(n - band):
      dense[column + band, column] = columns[column, band]
  return dense


def _random_columns(n: int, b: int, seed: int = 1) -> np.ndarray:
  rng = np.random.default_rng(seed)
  inside = np.arange(n)[:, np.newaxis] + np.arange(b) < n
  columns = rng.normal(size=(n, b)) * inside * 0.2
  columns[:, 0] = 1 + rng.random(n)
  return columns


@pytest.mark.parametrize('n,b', [(1, 1), (5, 1), (5, 5), (30, 7), (300, 140)])
def test_squared_error_is_that_of_the_dense_matrices(n, b):
  columns = _random_columns(n, b) if b < 20 else None
  if columns is None:
    columns = banded_factorization.square_root_strategy(n, b).columns
  total = np.tril(np.ones((n, n)))
  expected = np.sum((total @ np.linalg.inv(_dense(columns))) ** 2)
  found = banded_factorization.squared_error(columns)
  np.testing.assert_allclose(found, expected, rtol=1e-9)
  np.testing.assert_allclose(
    banded_factorization.squared_error_and_gradient(columns)[0],
    expected,
    rtol=1e-9,
  )


def test_gradient_is_the_derivative():
  columns = _random_columns(20, 6)
  inside = np.arange(20)[:, np.newaxis] + np.arange(6) < 20

  def loss(free):
    full = np.zeros((20, 6))
    full[inside] = free
    return banded_factorization.squared_error(full)

  _, gradient = banded_factorization.squared_error_and_gradient(columns)
  numeric = optimize.approx_fprime(columns[inside], loss, 1e-7)
  scale = np.abs(numeric).max()
  np.testing.assert_allclose(gradient[inside], numeric, atol=1e-4 * scale)
  assert np.all(gradient[~inside] == 0.0)


def test_gradient_in_blocks_is_the_dense_one():
  n, b = 300, 140
  columns = banded_factorization.square_root_strategy(n, b).columns
  c = _dense(columns)
  e = np.tril(np.ones((n, n))) @ np.linalg.inv(c.T @ c)
  expected = -2 * c @ e.T @ e
  _, gradient = banded_factorization.squared_error_and_gradient(columns)
  for column in (0, 100, 200, 299):
    entries = min(b, n - column)
    np.testing.assert_allclose(
      gradient[column, :entries],
      expected[column : column + entries, column],
      rtol=1e-8,
    )


def test_optimum_beats_the_square_root_and_more_bands_are_better():
  errors = []
  for b in (1, 4, 16, 64):
    strategy = banded_factorization.optimal_strategy(64, b, separation=64)
    guess = banded_factorization.square_root_strategy(64, b)
    found = banded_factorization.squared_error(strategy.columns)
    assert found <= banded_factorization.squared_error(guess.columns)
    np.testing.assert_allclose(
      np.linalg.norm(strategy.columns, axis=1), 1.0, rtol=1e-12
    )
    errors.append(found)
  assert errors == sorted(errors, reverse=True)
  # One band is independent noise: 1 + 2 + ... + 64.
  np.testing.assert_allclose(errors[0], 64 * 65 / 2, rtol=1e-12)


def test_two_rounds_by_hand():
  # Columns (cos t, sin t) and (0, 1): error 1/cos^2 + ((1 - tan t)^2 + 1)...
  def error(angle):
    c = np.array([[np.cos(angle), 0.0], [np.sin(angle), 1.0]])
    return np.sum((np.tril(np.ones((2, 2))) @ np.linalg.inv(c)) ** 2)

  best = optimize.minimize_scalar(error, bounds=(0, 1.5), method='bounded')
  strategy = banded_factorization.optimal_strategy(2, 2, separation=2)
  found = banded_factorization.squared_error(strategy.columns)
  np.testing.assert_allclose(found, best.fun, rtol=1e-6)


def test_participations_apart_have_the_stated_sensitivity():
  strategy = banded_factorization.optimal_strategy(60, 10, separation=12)
  c = strategy.to_dense()
  rng = np.random.default_rng(0)
  for _ in range(20):
    rounds = rng.integers(0, 12) + 12 * np.arange(4)
    signs = rng.choice([-1.0, 1.0], size=4)
    moved = c[:, rounds] @ signs
    np.testing.assert_allclose(np.linalg.norm(moved), 2.0, rtol=1e-9)


def test_rows_are_those_of_the_dense_matrix():
  strategy = banded_factorization.square_root_strategy(9, 4)
  dense = strategy.to_dense()
  for index in range(9):
    expected = [dense[index, index - d] if index >= d else 0 for d in range(4)]
    np.testing.assert_array_equal(strategy.row(index), expected)


def test_strictly_below_honaker_with_half_the_sensitivity_of_one_round():
  # One participation: the tree's sensitivity is its height + 1.
  rounds, bands = 256, 64
  strategy = banded_factorization.optimal_strategy(rounds, bands, bands)
  banded = prefix_sum_error.banded(strategy)
  height = rounds.bit_length()
  honaker = height * prefix_sum_error.honaker_tree(rounds)
  assert np.mean(banded) < np.mean(honaker)
  assert np.max(banded) < np.max(honaker)


@pytest.mark.parametrize('bands', [0, 6])
def test_bands_beyond_the_separation_are_refused(bands):
  with pytest.raises(
    banded_factorization.StrategyError, match=f'found {bands}: with more'
  ):
    banded_factorization.optimal_strategy(10, bands, separation=5)


@pytest.mark.parametrize(
  'columns,message',
  [
    ([[2.0], [1.0]], 'columns of norm 1'),
    ([[-1.0], [1.0]], 'positive diagonal'),
    ([[0.6, 0.8], [0.6, 0.8]], 'zeros below the last round'),
  ],
)
def test_matrices_that_are_no_strategy_are_refused(columns, message):
  with pytest.raises(banded_factorization.StrategyError, match=message):
    banded_factorization.BandedStrategy(np.array(columns))
