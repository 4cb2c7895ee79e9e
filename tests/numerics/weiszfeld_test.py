"""The geometric median minimizes the sum of distances."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.numerics import weiszfeld

CAPACITY = 9
# A point that is left by smoothing and the last step.
NEAR = 1e-5


# Traced once each.
_FUNCTIONS = {
  options: tf.function(
    functools.partial(weiszfeld.smoothed_weiszfeld, **dict(options)),
    autograph=False,
  )
  for options in (
    (),
    (('max_iterations', 1000),),
    (('smoothing', 1e6),),
  )
}


def median(
  points: np.ndarray, weights: np.ndarray | None = None, **options
) -> weiszfeld.GeometricMedian:
  rows = np.full([CAPACITY, points.shape[1]], np.nan, np.float32)
  rows[: len(points)] = points
  all_weights = np.full([CAPACITY], np.nan, np.float32)
  all_weights[: len(points)] = 1.0 if weights is None else weights
  count = tf.constant(len(points))
  return _FUNCTIONS[tuple(options.items())](rows, all_weights, count)


def value(points: np.ndarray, weights=None, **options) -> np.ndarray:
  return median(points, weights, **options).value.numpy()


def points(count: int, dimension: int = 3) -> np.ndarray:
  rng = np.random.default_rng([7, count])
  return rng.normal(size=[count, dimension]).astype(np.float32)


def objective(at: np.ndarray, points: np.ndarray, weights=None) -> float:
  distances = np.linalg.norm(points.astype(np.float64) - at, axis=1)
  return np.average(distances, weights=weights)


def test_of_an_acute_triangle_it_is_the_point_that_sees_sides_at_120_degrees():
  corners = np.array([[-1, 0], [1, 0], [0, np.sqrt(3)]], np.float32)
  np.testing.assert_allclose(value(corners), [0.0, 1 / np.sqrt(3)], atol=NEAR)


def test_of_an_obtuse_triangle_it_is_the_blunt_corner():
  corners = np.array([[-10, 1], [0, 0], [10, 1]], np.float32)
  np.testing.assert_allclose(value(corners), [0.0, 0.0], atol=NEAR)


def test_of_a_quadrilateral_it_is_where_the_diagonals_cross():
  corners = np.array([[0, 0], [4, 0], [3, 3], [0, 2]], np.float32)
  # y = x and y = 2 - x / 2.
  np.testing.assert_allclose(value(corners), [4 / 3, 4 / 3], atol=NEAR)


def test_it_leaves_a_corner_that_is_none():
  # The median of each coordinate is the last point.
  corners = np.array([[1, -1, 0], [-1, 1, 0], [0, 0, 3], [0, 0, 3], [0, 0, 0]])
  found = value(corners.astype(np.float32), max_iterations=1000)
  step = np.array([0.0, 0.0, 0.1])
  assert objective(found, corners) <= objective(step, corners)
  for axis in np.eye(3):
    for way in (1e-3, -1e-3):
      assert objective(found, corners) <= objective(found + way * axis, corners)


@pytest.mark.parametrize('count', range(3, CAPACITY + 1))
@pytest.mark.parametrize('weighted', [False, True])
def test_no_step_lowers_the_sum_of_distances(count, weighted):
  given = points(count)
  weights = np.arange(1.0, count + 1) if weighted else np.ones(count)
  found = value(given, weights)
  least = objective(found, given, weights)
  rng = np.random.default_rng(1)
  for length in (1e-3, 1e-2, 1.0):
    for step in rng.normal(size=[50, 3]):
      assert least <= objective(found + length * step, given, weights)


def test_weight_of_two_is_a_point_twice():
  given = points(4)
  np.testing.assert_allclose(
    value(given, np.array([1.0, 2.0, 1.0, 1.0])),
    value(given[[0, 1, 1, 2, 3]]),
    atol=NEAR,
  )


def test_only_ratios_of_weights_matter():
  given, weights = points(5), np.arange(1.0, 6.0)
  for scale in (1e-30, 1e30):
    np.testing.assert_allclose(
      value(given, weights * scale), value(given, weights), rtol=1e-6
    )


def test_points_of_no_weight_do_not_matter():
  given = points(5)
  # It is near a corner, where steps are small.
  found = value(given, np.array([0.0, 1.0, 1.0, 1.0, 0.0]), max_iterations=1000)
  np.testing.assert_allclose(
    found, value(given[1:4], max_iterations=1000), atol=NEAR
  )


def test_no_weight_and_nobody_give_zero():
  for found in (median(points(3), np.zeros(3)), median(points(0))):
    np.testing.assert_array_equal(found.value, np.zeros(3))
    np.testing.assert_array_equal(found.shares, np.zeros(CAPACITY))


def test_one_point_and_equal_points_are_their_median():
  (one,) = points(1)
  for count in (1, 2, 5):
    found = median(np.tile(one, [count, 1]))
    np.testing.assert_allclose(found.value, one, rtol=1e-12)
    np.testing.assert_allclose(found.shares.numpy()[:count], 1 / count)
    assert found.iterations.numpy() == 1


def test_large_smoothing_gives_the_mean():
  given = points(5)
  np.testing.assert_allclose(
    value(given, smoothing=1e6), given.astype(np.float64).mean(axis=0)
  )


def test_order_does_not_matter():
  given = points(5)
  for order in itertools.permutations(range(5)):
    np.testing.assert_allclose(
      value(given[list(order)]), value(given), rtol=1e-9, atol=1e-12
    )


def test_moved_points_have_a_moved_median():
  # Sums are exact.
  given = np.round(points(5) * 256) / 256
  shift = np.array([1.5, -2.0, 0.25], np.float32)
  np.testing.assert_allclose(
    value(given + shift), value(given) + shift, atol=NEAR
  )


@pytest.mark.parametrize('far', [1e3, 1e15, 3e38])
@pytest.mark.parametrize('who', [*itertools.combinations(range(5), 2)])
def test_two_of_five_attackers_are_held_within_the_bound(who, far):
  honest = points(3)
  rows = np.empty([5, 3], np.float32)
  rows[[c for c in range(5) if c not in who]] = honest
  rows[list(who)] = far
  found = median(rows)
  # theta = 2/5: 2 (1 - theta) / (1 - 2 theta) = 6.
  radius = np.linalg.norm(honest - honest.mean(axis=0), axis=1).max()
  off = np.linalg.norm(found.value.numpy() - honest.mean(axis=0))
  assert off <= 6 * radius + 1e-6


def test_three_of_five_attackers_take_it_anywhere():
  rows = points(5)
  rows[:3] = 1e30
  np.testing.assert_allclose(value(rows), np.full(3, 1e30), rtol=1e-6)


def test_a_client_with_half_of_the_weight_takes_it_anywhere():
  rows = points(4)
  rows[2] = 1e15
  held = value(rows, np.array([1.0, 1.0, 2.9, 1.0]))
  assert np.linalg.norm(held) < 1e3
  taken = value(rows, np.array([1.0, 1.0, 3.1, 1.0]), max_iterations=1000)
  assert np.linalg.norm(taken) > 1e14
