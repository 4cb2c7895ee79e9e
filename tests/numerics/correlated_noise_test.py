"""What tree and banded noise share."""

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.numerics import (
  banded_factorization,
  banded_noise,
  correlated_noise,
  tree_noise,
)

BANDED = banded_noise.Banded(banded_factorization.square_root_strategy(5, 2))
TREE = tree_noise.Tree(unrestarted_rounds=7)


@pytest.mark.parametrize('noise,rounds', [(BANDED, 5), (TREE, 7)])
def test_rounds_for_which_the_noise_was_made_pass(noise, rounds):
  correlated_noise.check_rounds(noise, rounds)
  with pytest.raises(
    correlated_noise.TooManyRoundsError,
    match=f'Expected at most {rounds} rounds, .* found {rounds + 1}; make',
  ):
    correlated_noise.check_rounds(noise, rounds + 1)


def test_trees_that_restart_serve_any_rounds():
  correlated_noise.check_rounds(tree_noise.Tree(restart_rounds=3), 10**9)


@pytest.mark.parametrize('noise,rounds', [(BANDED, 5), (TREE, 7)])
def test_the_first_round_too_many_fails_when_it_runs(noise, rounds):
  step = tf.function(noise.step)
  state = noise.initial([tf.TensorSpec([2])])
  for _ in range(rounds):
    state = step(state, [tf.ones([2], tf.float64)]).state
  with pytest.raises(
    tf.errors.InvalidArgumentError,
    match=rf'Expected at most {rounds} rounds.*found round\] \[{rounds + 1}\]',
  ):
    step(state, [tf.ones([2], tf.float64)])


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_combined_is_the_weighted_sum(dtype):
  rng = np.random.default_rng(0)
  memory, weights = rng.normal(size=(4, 3, 2)).astype(dtype), rng.normal(size=4)
  found = correlated_noise.combined(tf.constant(weights), tf.constant(memory))
  assert found.dtype == tf.float64
  np.testing.assert_allclose(
    found, np.tensordot(weights, memory, axes=1), rtol=8 * np.finfo(dtype).eps
  )


def test_stored_noise_is_what_is_remembered():
  memory = tf.zeros([3, 2])
  noise = tf.constant([0.1, -0.2], tf.float64)
  later, rounded = correlated_noise.stored(memory, tf.constant(1), noise)
  np.testing.assert_array_equal(memory, np.zeros([3, 2]))
  np.testing.assert_array_equal(later[1], np.float32([0.1, -0.2]))
  np.testing.assert_array_equal(np.delete(later, 1, axis=0), np.zeros([2, 2]))
  np.testing.assert_array_equal(rounded, np.float64(later[1]))
