"""Medians and trimmed means are those of NumPy, and hold against attackers."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.numerics import order_statistics

CAPACITY = 9
# Numbers of attackers: finite in float32, and far from everything.
HUGE = np.float32(3e38)


def padded(vectors: np.ndarray) -> np.ndarray:
  """The vectors as the first rows of a matrix that is not a number else."""
  rows = np.full([CAPACITY, vectors.shape[1]], np.nan, np.float32)
  rows[: len(vectors)] = vectors
  return rows


def median(vectors: np.ndarray) -> np.ndarray:
  return order_statistics.median(padded(vectors), len(vectors)).numpy()


def trimmed_mean(vectors: np.ndarray, tolerated: int) -> np.ndarray:
  return order_statistics.trimmed_mean(
    padded(vectors), len(vectors), tolerated
  ).numpy()


def vectors(count: int, seed: int = 0) -> np.ndarray:
  return (np.random.default_rng([seed, count]).normal(size=[count, 4])).astype(
    np.float32
  )


def by_hand(*columns: list[float]) -> np.ndarray:
  return np.array(columns, np.float32).T


def test_three_clients_by_hand():
  rows = by_hand([1.0, 5.0, 2.0], [-1.0, 0.0, -7.0])
  np.testing.assert_array_equal(median(rows), [2.0, -1.0])
  np.testing.assert_array_equal(trimmed_mean(rows, 1), [2.0, -1.0])
  np.testing.assert_allclose(trimmed_mean(rows, 0), [8 / 3, -8 / 3])


def test_four_clients_by_hand():
  rows = by_hand([1.0, 5.0, 2.0, 100.0])
  np.testing.assert_array_equal(median(rows), [3.5])
  np.testing.assert_array_equal(trimmed_mean(rows, 1), [3.5])
  np.testing.assert_array_equal(trimmed_mean(rows, 0), [27.0])


def test_five_clients_by_hand():
  rows = by_hand([3.0, -2.0, 8.0, 4.0, 5.0])
  np.testing.assert_array_equal(median(rows), [4.0])
  np.testing.assert_array_equal(trimmed_mean(rows, 1), [4.0])
  np.testing.assert_allclose(trimmed_mean(rows, 0), [18 / 5])


@pytest.mark.parametrize('count', range(1, CAPACITY + 1))
def test_median_is_that_of_numpy_for_every_count(count):
  rows = vectors(count)
  # Of an even count, two roundings of 2^-24.
  np.testing.assert_allclose(
    median(rows), np.median(rows.astype(np.float64), axis=0), rtol=2**-22
  )


@pytest.mark.parametrize('count', range(1, CAPACITY + 1))
@pytest.mark.parametrize('tolerated', range(6))
def test_trimmed_mean_is_the_mean_of_the_sorted_middle(count, tolerated):
  rows = vectors(count)
  ordered = np.sort(rows.astype(np.float64), axis=0)
  if count > 2 * tolerated:
    expected = ordered[tolerated : count - tolerated].mean(axis=0)
  else:
    expected = np.median(ordered, axis=0)
  np.testing.assert_allclose(
    trimmed_mean(rows, tolerated), expected, rtol=1e-12
  )


@pytest.mark.parametrize('tolerated', range(4))
@pytest.mark.parametrize(
  'count, trimmed', [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (9, 4)]
)
def test_of_few_clients_fewer_are_trimmed(count, trimmed, tolerated):
  found = order_statistics.trimmed_count(tolerated, tf.constant(count))
  assert found.numpy() == min(tolerated, trimmed)


def test_nobody_gives_zeros():
  nobody = np.zeros([0, 4], np.float32)
  np.testing.assert_array_equal(median(nobody), np.zeros(4))
  np.testing.assert_array_equal(trimmed_mean(nobody, 2), np.zeros(4))


@pytest.mark.parametrize('count', [4, 5])
def test_order_does_not_matter_to_the_last_bit(count):
  rows = vectors(count)
  for order in itertools.permutations(range(count)):
    shuffled = rows[list(order)]
    np.testing.assert_array_equal(median(shuffled), median(rows))
    np.testing.assert_array_equal(
      trimmed_mean(shuffled, 1), trimmed_mean(rows, 1)
    )


@pytest.mark.parametrize('count', [4, 5])
def test_moved_vectors_have_a_moved_statistic(count):
  # Multiples of 2^-8 below 2^4: sums are exact.
  rows = np.round(vectors(count) * 256) / 256
  shift = np.array([1.5, -2.0, 0.25, 3.0], np.float32)
  np.testing.assert_array_equal(median(rows + shift), median(rows) + shift)
  np.testing.assert_allclose(
    trimmed_mean(rows + shift, 1), trimmed_mean(rows, 1) + shift, rtol=1e-12
  )


def attacked(honest: np.ndarray, who: tuple[int, ...], values) -> np.ndarray:
  """Honest vectors with attackers at the given positions among them."""
  count = len(honest) + len(who)
  found = np.empty([count, honest.shape[1]], np.float32)
  found[[c for c in range(count) if c not in who]] = honest
  found[list(who)] = np.reshape(values, [-1, 1])
  return found


def assert_in_hull(found: np.ndarray, honest: np.ndarray) -> None:
  assert np.all(found >= honest.min(axis=0))
  assert np.all(found <= honest.max(axis=0))


ATTACKS = [(HUGE, HUGE), (-HUGE, -HUGE), (HUGE, -HUGE), (0.0, HUGE)]


@pytest.mark.parametrize('values', ATTACKS)
@pytest.mark.parametrize('who', [*itertools.combinations(range(5), 2)])
def test_two_attackers_of_five_leave_it_between_the_others(who, values):
  honest = vectors(3)
  rows = attacked(honest, who, values)
  assert_in_hull(median(rows), honest)
  assert_in_hull(trimmed_mean(rows, 2), honest)


@pytest.mark.parametrize('values', ATTACKS)
@pytest.mark.parametrize('who', [*itertools.combinations(range(7), 2)])
def test_two_attackers_of_seven_leave_a_mean_of_three(who, values):
  honest = vectors(5)
  assert_in_hull(trimmed_mean(attacked(honest, who, values), 2), honest)


def test_one_attacker_more_takes_them_anywhere():
  honest = vectors(2)
  rows = attacked(honest, (0, 2, 4), (HUGE, HUGE, HUGE))
  assert np.all(median(rows) == HUGE)
  # Of seven, a trimmed mean of two at either end does not stand three.
  rows = attacked(vectors(4), (1, 3, 5), (HUGE, HUGE, HUGE))
  assert np.all(trimmed_mean(rows, 2) > HUGE / 4)


def test_midpoint_of_huge_numbers_is_finite():
  rows = np.full([2, 4], HUGE)
  np.testing.assert_array_equal(median(rows), np.full(4, HUGE))
  np.testing.assert_allclose(trimmed_mean(rows, 0), np.full(4, HUGE))
