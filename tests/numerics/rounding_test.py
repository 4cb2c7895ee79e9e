"""Rounded vectors are neighbours, unbiased, and never above their bound."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.numerics import rounding

BETA = math.exp(-0.5)


def seed(number: int) -> tf.Tensor:
  return tf.constant([number, 7], tf.int64)


def vector_of_norm(norm: float, size: int, number: int = 0) -> np.ndarray:
  drawn = np.random.default_rng(number).normal(size=size)
  return (norm * drawn / np.linalg.norm(drawn)).astype(np.float32)


def rounded(vector, beta=BETA, number=0, bound=None, jit_compile=False):
  if bound is None:
    bound = rounding.max_norm(np.linalg.norm(vector), len(vector), beta)
  compiled = tf.function(
    lambda v, s: rounding.round_within(v, bound, beta, s),
    jit_compile=jit_compile,
  )
  found = compiled(tf.constant(vector, tf.float32), seed(number))
  assert found.dtype == tf.int64
  return found.numpy()


def squared_norm(integers: np.ndarray) -> int:
  return sum(int(i) ** 2 for i in integers)


def test_the_bound_by_hand():
  # r = 3, d = 16: 3 + 4 = 7; 9 + 4 + sqrt(2 * 1/2) (3 + 2) = 18.
  assert rounding.max_norm(3.0, 16, BETA) == pytest.approx(math.sqrt(18))
  # As beta goes to 0, the first counts.
  assert rounding.max_norm(3.0, 16, 1e-300) == pytest.approx(7.0)
  # As it goes to 1, the expected square.
  assert rounding.max_norm(3.0, 16, 1 - 1e-12) == pytest.approx(math.sqrt(13))


def test_the_bound_grows_with_norm_and_size_and_falls_with_beta():
  base = rounding.max_norm(10.0, 64, 0.5)
  assert rounding.max_norm(11.0, 64, 0.5) > base
  assert rounding.max_norm(10.0, 128, 0.5) > base
  assert rounding.max_norm(10.0, 64, 0.4) > base


@pytest.mark.parametrize('beta', [1e-9, 0.1, BETA, 0.99])
def test_as_many_draws_that_none_is_accepted_with_probability_2_to_the_minus_64(
  beta,
):
  draws = rounding.max_draws(beta)
  assert draws * math.log2(beta) <= -64 < (draws - 1) * math.log2(beta)


def test_integers_stay_as_they_are():
  vector = np.array([3.0, -4.0, 0.0, 2**20, -7.0], np.float32)
  assert (rounded(vector) == vector).all()


@pytest.mark.parametrize('size', [1, 16, 1024])
@pytest.mark.parametrize('norm', [0.1, 1.0, 30.0, 1e4])
def test_results_are_neighbours_within_the_bound(size, norm):
  for number in range(3):
    vector = vector_of_norm(norm, size, number)
    found = rounded(vector, number=number)
    assert (np.abs(found - vector.astype(np.float64)) < 1.0).all()
    bound = rounding.max_norm(np.linalg.norm(vector), size, BETA)
    assert squared_norm(found) <= math.floor(bound**2)


def test_means_of_many_roundings_are_the_vector():
  vector = np.array([0.25, -1.75, 3.5, -0.01, 10.9, 0.0], np.float32)
  count = 4000
  # A bound that no draw exceeds: no bias by conditioning.
  bound = float(np.linalg.norm(vector)) + math.sqrt(len(vector))
  many = tf.function(
    lambda v: tf.map_fn(
      lambda n: rounding.round_within(
        v, bound, BETA, tf.stack([n, tf.constant(5, tf.int64)])
      ),
      tf.range(count, dtype=tf.int64),
    )
  )(tf.constant(vector))
  mean = many.numpy().mean(axis=0)
  # Hoeffding over 6 coordinates: 12 exp(-2 n t^2) = 1e-6.
  tolerance = math.sqrt(math.log(12 / 1e-6) / (2 * count))
  np.testing.assert_allclose(mean, vector, atol=tolerance)


def test_a_draw_is_accepted_with_probability_one_minus_beta_at_least():
  # The worst case: all fractions at one half, where the variance is largest.
  size, beta, count = 64, 0.5, 4000
  vector = np.full(size, 0.5)
  bound = rounding.max_norm(np.linalg.norm(vector), size, beta)
  draws = np.random.default_rng(0).random([count, size]) < 0.5
  accepted = (draws.sum(axis=1) <= bound**2).mean()
  # Hoeffding: exp(-2 n t^2) = 1e-6.
  assert accepted >= 1 - beta - math.sqrt(math.log(1e6) / (2 * count))
  # And the bias of what is accepted is within the bound stated.
  kept = draws[draws.sum(axis=1) <= bound**2]
  tolerance = math.sqrt(math.log(2 * size / 1e-6) / (2 * len(kept)))
  assert np.abs(kept.mean(axis=0) - 0.5).max() <= (
    rounding.max_bias(beta) + tolerance
  )


@pytest.mark.slow
def test_too_long_draws_are_drawn_again():
  # Half of the coordinates go up; the bound asks for 4 fewer, which 0.19 of the
  # draws keep: none of 64 with probability 1e-6.
  size = 64
  vector = np.full(size, 0.5, np.float32)
  bound = math.sqrt(size / 2 - 4)
  sums = [rounded(vector, 0.5, n, bound).sum() for n in range(20)]
  assert max(sums) <= bound**2
  # Not the fallback, which is zero; nor always the same.
  assert min(sums) > 0 and len(set(sums)) > 1


def test_without_an_accepted_draw_it_rounds_toward_zero():
  vector = np.array([0.9999, -0.9999, 1.9999, -1.9999] * 8, np.float32)
  # Nothing but the truncation, of squared norm 16, is within the bound.
  found = rounded(vector, 0.5, bound=4.0)
  assert (found == np.trunc(vector)).all()


def test_a_vector_beyond_its_bound_gives_zeros():
  assert (rounded(np.full(4, 10.0), 0.5, bound=19.9) == 0).all()
  assert (rounded(np.full(4, 10.0), 0.5, bound=20.0) == 10).all()
  huge = np.full(4, 2.0**40, np.float32)
  assert (rounded(huge, 0.5, bound=2.0**31) == 0).all()


def test_the_largest_bound_does_not_overflow():
  vector = np.array([2.0**30, 2.0**30, -(2.0**30), 2.0**30], np.float32)
  assert (rounded(vector, 0.5, bound=2.0**31) == vector).all()
  assert (rounded(vector, 0.5, bound=2.0**31 - 1) == 0).all()
  vector = np.full(1024, 2.0**30, np.float32)  # 2^70 in all.
  assert (rounded(vector, 0.5, bound=2.0**31) == 0).all()


def test_the_bias_bound_never_exceeds_one():
  assert rounding.max_bias(0.999) == 1.0
  assert rounding.max_bias(1e-6) == pytest.approx(5e-4, rel=1e-5)


def test_xla_keeps_the_bound_and_falls_back_too():
  vector = np.full(64, 0.5, np.float32)
  assert (
    0 < rounded(vector, 0.5, 0, math.sqrt(28), jit_compile=True).sum() <= 28
  )
  assert (rounded(vector, 0.5, 0, 1.0, jit_compile=True) == 0).all()


def test_seeds_decide():
  vector = vector_of_norm(5.0, 256)
  assert (rounded(vector, number=1) == rounded(vector, number=1)).all()
  assert (rounded(vector, number=1) != rounded(vector, number=2)).any()
