"""Errors of a count sketch are those of coordinates that meet."""

import numpy as np
import pytest
import tensorflow as tf

from tests import slow_cases
from tests.numerics import code_samples as samples
from tff_pipelines.numerics import codes, count_sketch

SEED = tf.constant([3, 141], tf.int64)


def row_error(vector: np.ndarray, width: int) -> float:
  """sum_j x_j^2 (n - n_j) / w, over |x|^2."""
  size = len(vector)
  run = np.arange(size) // width
  lengths = np.bincount(run)[run]
  squares = vector.astype(np.float64) ** 2
  return float(np.sum(squares * (size - lengths)) / width / np.sum(squares))


@pytest.mark.parametrize(
  'rows, estimate', [(1, 'median'), slow_cases.slow((2, 'mean'))]
)
def test_the_error_is_that_of_what_meets(rows, estimate):
  vector = samples.normals(1000)
  code = count_sketch.CountSketch(0.1, rows, estimate)
  mean, stderr = samples.errors(code, vector, 1000).mean_square()
  theory = row_error(vector, 100 // rows) / rows
  assert mean == pytest.approx(theory, abs=6 * stderr)


def test_the_median_finds_a_large_coordinate_among_small_ones():
  vector = samples.normals(2000)
  vector[77] = 300.0
  code = count_sketch.CountSketch(0.25, 5)
  message = code.encode(tf.constant(vector), SEED, [[2000]])
  found = code.decode(message, SEED, [[2000]]).numpy()
  # A row of 100 buckets has 20 coordinates of stddev 1 in each: within 6 sigma.
  assert found[77] == pytest.approx(300, abs=6 * np.sqrt(20))
  # Three of five rows would have to put another into its bucket.
  assert np.sum(np.abs(found) > 100) == 1


def test_by_hand():
  # One row of 2 buckets: 1 and 2 do not meet, nor do 3 and 4.
  code = count_sketch.CountSketch(0.5)
  message = code.encode(tf.constant([1.0, 2.0, 3.0, 4.0]), SEED, [[4]])
  one, two = sorted(np.abs(message.numpy()))
  assert {one, two} in ({2, 6}, {4, 2}, {3, 1}, {5, 1}, {5, 3})
  assert code.encoded_size([[4]]) == 2


def test_as_many_buckets_as_coordinates_are_exact():
  vector = samples.normals(50)
  code = count_sketch.CountSketch(1.0)
  message = code.encode(tf.constant(vector), SEED, [[50]])
  np.testing.assert_array_equal(code.decode(message, SEED, [[50]]), vector)


@pytest.mark.parametrize(
  'arguments, told',
  [
    ((0.5, 0), 'Expected at least 1 row of buckets, found 0.'),
    ((0.5, 1, 'mode'), "an estimate out of mean, median, found 'mode'."),
  ],
)
def test_what_cannot_be(arguments, told):
  with pytest.raises(codes.CodeError, match=told):
    count_sketch.CountSketch(*arguments)
