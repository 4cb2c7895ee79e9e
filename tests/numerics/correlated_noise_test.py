import numpy as np

from tff_pipelines.numerics import banded_factorization, correlated_noise


def test_rounds_give_what_the_inverse_matrix_gives():
  n, b = 40, 7
  strategy = banded_factorization.square_root_strategy(n, b)
  fresh = np.random.default_rng(0).normal(size=(n, 3, 2))
  history = np.zeros((b - 1, 3, 2))
  outputs = []
  for index in range(n):
    noise = correlated_noise.correlate(
      fresh[index], history, strategy.row(index)
    )
    history = correlated_noise.remember(noise, history)
    outputs.append(noise)
  expected = np.tensordot(np.linalg.inv(strategy.to_dense()), fresh, axes=1)
  np.testing.assert_allclose(np.array(outputs), expected, atol=1e-12)
  assert history.shape == (b - 1, 3, 2)


def test_one_band_is_independent_noise_without_history():
  strategy = banded_factorization.square_root_strategy(5, 1)
  fresh = np.array([1.0, -2.0])
  history = np.zeros((0, 2))
  noise = correlated_noise.correlate(fresh, history, strategy.row(3))
  np.testing.assert_array_equal(noise, fresh)
  assert correlated_noise.remember(noise, history).shape == (0, 2)


def test_remembering_changes_nothing_in_place():
  history = np.array([[1.0], [2.0]])
  later = correlated_noise.remember(np.array([9.0]), history)
  np.testing.assert_array_equal(history, [[1.0], [2.0]])
  np.testing.assert_array_equal(later, [[9.0], [1.0]])
