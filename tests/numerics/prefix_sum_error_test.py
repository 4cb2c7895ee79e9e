import numpy as np

from tff_pipelines.numerics import banded_factorization, prefix_sum_error


def test_independent_noise_grows_with_the_rounds():
  np.testing.assert_array_equal(prefix_sum_error.independent(3), [1, 2, 3])


def test_tree_counts_the_ones_in_binary():
  found = prefix_sum_error.tree(8)
  np.testing.assert_array_equal(found, [1, 1, 2, 1, 2, 2, 3, 1])


def test_restarts_keep_the_error_of_finished_trees():
  found = prefix_sum_error.tree(6, restart_rounds=3)
  np.testing.assert_array_equal(found, [1, 1, 2, 3, 3, 4])


def test_honaker_is_the_best_linear_estimate_from_below():
  # Nodes of the complete tree over 4 leaves, as rows of counts.
  nodes = np.vstack([np.eye(4), [1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]])
  covariance = np.linalg.inv(nodes.T @ nodes)
  total = np.ones(4)
  expected = total @ covariance @ total
  np.testing.assert_allclose(prefix_sum_error.honaker_tree(4)[3], expected)
  np.testing.assert_allclose(prefix_sum_error.honaker_tree(2)[1], 2 / 3)


def test_banded_matches_the_empirical_variance():
  strategy = banded_factorization.square_root_strategy(12, 4)
  fresh = np.random.default_rng(0).normal(size=(12, 200_000))
  noise = np.linalg.inv(strategy.to_dense()) @ fresh
  found = np.var(np.cumsum(noise, axis=0), axis=1)
  # Relative stddev of a variance of 2e5 normal samples: sqrt(2 / 2e5) = 0.32 %;
  # 6 of them for 12 values fail by chance once in 4e7.
  np.testing.assert_allclose(
    found, prefix_sum_error.banded(strategy), rtol=0.019
  )


def test_one_band_is_independent_noise():
  strategy = banded_factorization.square_root_strategy(5, 1)
  np.testing.assert_allclose(
    prefix_sum_error.banded(strategy), prefix_sum_error.independent(5)
  )
