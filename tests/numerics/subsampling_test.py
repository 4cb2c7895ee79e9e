"""Coordinates and pairs of them are as likely as in a uniform sample."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import code_samples as samples
from tff_pipelines.numerics import codes, subsampling

SIZE, NUM = 11, 5000  # A prime, so that every count is exact.


def chosen(code: codes.Code, size: int = SIZE, num: int = NUM) -> np.ndarray:
  """Which of the coordinates travel, bool[num, size]."""

  @tf.function(jit_compile=True)
  def of_seeds(seeds):
    return tf.map_fn(
      lambda seed: code.decode(
        code.encode(tf.ones([size]), seed, [[size]]), seed, [[size]]
      ),
      seeds,
      fn_output_signature=tf.float32,
    )

  return of_seeds(tf.constant(samples.seeds(num))).numpy() != 0


def assert_share(marks: np.ndarray, probability: float) -> None:
  # 6 standard errors: a false alarm in 10^8 for each.
  spread = np.sqrt(probability * (1 - probability) / len(marks))
  assert abs(marks.mean() - probability) <= 6 * spread


def test_coordinates_and_pairs_are_those_of_a_uniform_sample():
  found = chosen(subsampling.Subsampling(4 / SIZE))
  assert (found.sum(axis=1) == 4).all()
  for one in range(SIZE):
    assert_share(found[:, one], 4 / SIZE)
  for one, other in itertools.combinations(range(SIZE), 2):
    both = found[:, one] & found[:, other]
    assert_share(both, 4 / SIZE * 3 / (SIZE - 1))


def test_coins_are_independent():
  found = chosen(subsampling.CoinSubsampling(0.3))
  assert_share(found, 0.3)
  for one, other in itertools.combinations(range(4), 2):
    assert_share(found[:, one] & found[:, other], 0.09)


@pytest.mark.parametrize(
  'code, theory',
  [
    # 6007 is the least prime from 6000.
    (subsampling.Subsampling(1 / 16), 6007 / 375 - 1),
    (subsampling.CoinSubsampling(1 / 16), 15.0),
    # Of the coordinates left out, 15 of 16.
    (subsampling.Subsampling(1 / 16, is_scaled=False), 1 - 375 / 6007),
  ],
)
def test_the_error_is_that_of_theory(code, theory):
  mean, stderr = samples.errors(code, samples.normals(6000), 200).mean_square()
  assert mean == pytest.approx(theory, abs=6 * stderr)


@pytest.mark.parametrize('size', [2, 3, 4, 10, 1000, 199_210])
def test_what_travels_arrives_where_it_was(size):
  vector = tf.range(1, size + 1, dtype=tf.float32)
  code = subsampling.Subsampling(0.5, is_scaled=False)
  seed = tf.constant([size, 1], tf.int64)
  message = code.encode(vector, seed, [[size]])
  decoded = code.decode(message, seed, [[size]]).numpy()
  there = decoded != 0
  assert (decoded[there] == vector.numpy()[there]).all()
  assert sorted(decoded[there]) == sorted(m for m in message.numpy() if m)
  # Places behind the end are chosen seldom: there are few, up to the prime.
  assert there.sum() >= size // 2 - 20


def test_all_of_them_are_the_vector():
  vector = tf.constant(samples.normals(100))
  for code in (subsampling.Subsampling(1.0), subsampling.CoinSubsampling(1.0)):
    message = code.encode(vector, tf.constant([1, 2], tf.int64), [[100]])
    found = code.decode(message, tf.constant([1, 2], tf.int64), [[100]])
    np.testing.assert_array_equal(found, vector)
    assert code.is_unbiased
