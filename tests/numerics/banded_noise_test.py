"""Banded noise is the inverse of the strategy matrix, row by row."""

import numpy as np
import pytest
from scipy import stats
import tensorflow as tf

from tff_pipelines.numerics import (
  banded_factorization,
  banded_noise,
  continuous_noise,
  prefix_sum_error,
)


def strategy(num_rounds: int, num_bands: int):
  return banded_factorization.square_root_strategy(num_rounds, num_bands)


def rounds_of(noise, fresh, dtype=tf.float64) -> tuple[np.ndarray, np.ndarray]:
  """The noise of every round, and the stddevs that are told with it."""
  step = tf.function(noise.step)
  state = noise.initial([tf.TensorSpec(fresh.shape[1:], dtype)])
  outputs, stddevs = [], []
  for z in fresh:
    output = step(state, [tf.constant(z)])
    state = output.state
    outputs.append(output.noise[0].numpy())
    stddevs.append(float(output.stddev))
  return np.array(outputs), np.array(stddevs)


@pytest.mark.parametrize('num_bands', [1, 2, 3, 7, 40])
def test_rounds_give_what_the_inverse_matrix_gives(num_bands):
  chosen = strategy(40, num_bands)
  fresh = np.random.default_rng(0).normal(size=(40, 3, 2))
  found, stddevs = rounds_of(banded_noise.Banded(chosen), fresh)
  inverse = np.linalg.inv(chosen.to_dense())
  np.testing.assert_allclose(
    found, np.tensordot(inverse, fresh, axes=1), atol=1e-12
  )
  np.testing.assert_allclose(
    stddevs, np.linalg.norm(inverse, axis=1), rtol=1e-10
  )


def test_float32_rounds_the_fresh_noise_only():
  # What is remembered is what is given: C x is the fresh noise, up to rounding
  # of single rounds, which does not pile up.
  chosen = strategy(300, 50)
  fresh = np.random.default_rng(1).normal(size=(300, 20))
  found, _ = rounds_of(banded_noise.Banded(chosen), fresh, tf.float32)
  np.testing.assert_array_equal(found, np.float32(found))
  # 50 products and sums of numbers below 6, each rounded by 2^-24 of itself.
  np.testing.assert_allclose(
    chosen.to_dense() @ found, fresh, atol=50 * 6 * 2**-24
  )


def test_the_empirical_variance_of_prefix_sums_is_the_exact_one():
  size, chosen = 50_000, strategy(12, 4)
  fresh = np.stack(
    [
      continuous_noise.gaussian(tf.constant([5, t], tf.int64), [size])
      for t in range(12)
    ]
  )
  found, _ = rounds_of(banded_noise.Banded(chosen), fresh, tf.float32)
  squares = np.sum(np.cumsum(found, axis=0) ** 2, axis=1)
  # Fixed seeds, of which 1e-6 would fail in each of the rounds.
  low, high = stats.chi2(size).ppf([5e-7, 1 - 5e-7])
  ratios = squares / prefix_sum_error.banded(chosen)
  assert low < ratios.min() and ratios.max() < high


def test_a_round_writes_one_slot_of_the_ring():
  noise = banded_noise.Banded(strategy(9, 4))
  state = noise.initial([tf.TensorSpec([2])])
  assert state.history[0].shape == [3, 2]
  assert state.history[0].dtype == tf.float32
  for index in range(9):
    fresh = tf.constant([1.0, -index], tf.float64)
    output = noise.step(state, [fresh])
    before, after = state.history[0].numpy(), output.state.history[0].numpy()
    changed = index % 3
    np.testing.assert_array_equal(
      np.delete(after, changed, 0), np.delete(before, changed, 0)
    )
    np.testing.assert_array_equal(after[changed], output.noise[0])
    assert int(output.state.round_num) == index + 1
    state = output.state


def test_one_band_is_independent_noise_without_history():
  noise = banded_noise.Banded(strategy(5, 1))
  state = noise.initial([tf.TensorSpec([2])])
  assert state.history == ()
  fresh = tf.constant([0.1, -2.0], tf.float64)
  output = noise.step(state, [fresh])
  np.testing.assert_array_equal(output.noise[0], fresh)
  assert output.state.history == ()
  assert float(output.stddev) == pytest.approx(1.0)


def test_every_tensor_has_its_own_history():
  noise = banded_noise.Banded(strategy(5, 3))
  state = noise.initial([tf.TensorSpec([]), tf.TensorSpec([2], tf.float64)])
  for _ in range(2):
    output = noise.step(
      state, [tf.constant(1.0, tf.float64), tf.zeros([2], tf.float64)]
    )
    state = output.state
  assert float(output.noise[0]) != 0.0
  np.testing.assert_array_equal(output.noise[1], [0.0, 0.0])
  assert [h.dtype for h in state.history] == [tf.float32, tf.float64]
