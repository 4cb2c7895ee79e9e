"""Matrices of low rank: unbiased, with the error that the rank tells."""

import numpy as np
import pytest
import tensorflow as tf

from tests import slow_cases
from tests.numerics import code_samples as samples
from tff_pipelines.numerics import codes, low_rank

SEED = tf.constant([3, 141], tf.int64)


@pytest.mark.parametrize(
  'shape', slow_cases.all_but([[6, 40]], [[40, 6], [6, 40], [5, 8, 6]])
)
def test_the_error_is_that_of_the_rank(shape):
  vector = samples.normals(240)
  code = low_rank.LowRank(3)
  mean, stderr = samples.errors(code, vector, 2000, [shape]).mean_square()
  assert mean == pytest.approx(39 / 3, abs=6 * stderr)


def test_the_rank_is_at_most_that():
  code, vector = low_rank.LowRank(3), tf.constant(samples.normals(240))
  message = code.encode(vector, SEED, [[40, 6]])
  matrix = tf.reshape(code.decode(message, SEED, [[40, 6]]), [40, 6])
  assert np.linalg.matrix_rank(matrix.numpy()) == 3


@pytest.mark.parametrize(
  'shapes, size',
  [
    # The short side times the rank, and vectors whole.
    ([[784, 200], [200], [200, 10]], 4 * 200 + 200 + 4 * 10),
    ([[10, 200]], 4 * 10),
    # Not smaller otherwise: whole.
    ([[4, 3], [], [7], [1, 50]], 12 + 1 + 7 + 50),
  ],
)
def test_the_numbers_that_travel(shapes, size):
  assert low_rank.LowRank(4).encoded_size(shapes) == size


def test_vectors_travel_whole():
  code, vector = low_rank.LowRank(2), samples.normals(30 + 5)
  shapes = [[6, 5], [5]]
  message = code.encode(tf.constant(vector), SEED, shapes)
  decoded = code.decode(message, SEED, shapes).numpy()
  np.testing.assert_array_equal(decoded[30:], vector[30:])
  assert not np.allclose(decoded[:30], vector[:30])


def test_no_rank_is_refused():
  with pytest.raises(codes.CodeError) as raised:
    low_rank.LowRank(0)
  assert str(raised.value) == (
    'Expected a rank of at least 1, found 0; matrices of rank 0 are zero.'
  )
