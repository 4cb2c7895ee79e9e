"""Tree noise is linear in what was drawn, so its covariance is read exactly."""

import numpy as np
import pytest
from scipy import stats
import tensorflow as tf

from tff_pipelines.numerics import (
  continuous_noise,
  prefix_sum_error,
  tree_noise,
)

VARIANCE = {
  'standard': prefix_sum_error.tree,
  'honaker': prefix_sum_error.honaker_tree,
}


def increments(tree, num_rounds) -> tuple[np.ndarray, np.ndarray]:
  """x_t = sum_s M[t, s] z_s: returns M, and what `step` says of its rows.

  Coordinate s of the fresh noise is z_s: 1 in round s, 0 otherwise.
  """
  step = tf.function(tree.step)
  state = tree.initial([tf.TensorSpec([num_rounds], tf.float64)])
  rows, stddevs = [], []
  for fresh in np.eye(num_rounds):
    output = step(state, [tf.constant(fresh)])
    state = output.state
    rows.append(output.noise[0].numpy())
    stddevs.append(float(output.stddev))
  return np.array(rows), np.array(stddevs)


def prefixes(tree, num_rounds) -> np.ndarray:
  return np.cumsum(increments(tree, num_rounds)[0], axis=0)


@pytest.mark.parametrize('restart_rounds', [None, 1, 2, 5, 8, 13])
@pytest.mark.parametrize('variance', VARIANCE)
def test_prefix_sums_have_the_exact_variance(variance, restart_rounds):
  tree = tree_noise.Tree(restart_rounds, variance, unrestarted_rounds=37)
  found = np.sum(prefixes(tree, 37) ** 2, axis=1)
  expected = VARIANCE[variance](37, restart_rounds)
  np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize('restart_rounds', [None, 1, 5, 8])
@pytest.mark.parametrize('variance', VARIANCE)
def test_increments_have_the_stddev_that_is_told(variance, restart_rounds):
  tree = tree_noise.Tree(restart_rounds, variance, unrestarted_rounds=21)
  rows, told = increments(tree, 21)
  np.testing.assert_allclose(told, np.linalg.norm(rows, axis=1), rtol=1e-12)


def nodes_of(num_rounds: int, restart_rounds: int) -> dict:
  """Every complete node: (height, its last round) -> number of its noise."""
  nodes = {}
  for last in range(1, num_rounds + 1):
    within = (last - 1) % restart_rounds + 1
    for height in range(within.bit_length()):
      if within % 2**height == 0:
        nodes[height, last] = len(nodes)
  return nodes


def brute_force(num_rounds, restart_rounds, variance) -> np.ndarray:
  """Prefix sums as combinations of one noise for each node of each tree.

  A covering node's estimate is its own noise, or the least-squares estimate of
  its sum from all nodes in its subtree.
  """
  nodes = nodes_of(num_rounds, restart_rounds)
  sums = np.zeros([num_rounds, len(nodes)])
  for t in range(1, num_rounds + 1):
    start = 0
    while start < t:
      tree_start = start - start % restart_rounds
      left = min(t, tree_start + restart_rounds) - start
      height = left.bit_length() - 1
      last = start + 2**height
      if variance == 'standard':
        sums[t - 1, nodes[height, last]] = 1
      else:
        below = [
          (h, end)
          for h, end in nodes
          if start < end - 2**h + 1 and end <= last and h <= height
        ]
        design = np.zeros([len(below), 2**height])
        for row, (h, end) in enumerate(below):
          design[row, end - 2**h - start : end - start] = 1
        estimate = np.ones(2**height) @ np.linalg.pinv(design)
        for node, weight in zip(below, estimate, strict=True):
          sums[t - 1, nodes[node]] = weight
      start = last
  return sums


@pytest.mark.parametrize('restart_rounds', [16, 11, 6])
@pytest.mark.parametrize('variance', VARIANCE)
def test_jointly_distributed_as_one_noise_a_node(variance, restart_rounds):
  # Gaussian, so the covariance of all prefix sums says everything, also that
  # one draw a round does for all nodes that it completes.
  expected = brute_force(16, restart_rounds, variance)
  found = prefixes(tree_noise.Tree(restart_rounds, variance), 16)
  np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-12)


def test_three_rounds_by_hand():
  found, _ = increments(tree_noise.Tree(None, 'standard', 3), 3)
  np.testing.assert_array_equal(found, [[1, 0, 0], [-1, 1, 0], [0, 0, 1]])
  found, _ = increments(tree_noise.Tree(None, 'honaker', 3), 3)
  # The second prefix is 2/3 of the root and 1/3 of both leaves.
  both = np.sqrt(4 / 9 + 1 / 9)
  np.testing.assert_allclose(
    found, [[1, 0, 0], [1 / 3 - 1, both, 0], [0, 0, 1]], atol=1e-15
  )


def test_finished_trees_stay_in_the_prefix_sums():
  found = prefixes(tree_noise.Tree(2, 'standard'), 5)
  np.testing.assert_array_equal(found[2], [0, 1, 1, 0, 0])
  np.testing.assert_array_equal(found[4], [0, 1, 0, 1, 1])


@pytest.mark.parametrize('variance', VARIANCE)
def test_the_empirical_variance_is_the_exact_one(variance):
  size, num_rounds, restart_rounds = 50_000, 12, 5
  tree = tree_noise.Tree(restart_rounds, variance)
  step = tf.function(tree.step)
  state = tree.initial([tf.TensorSpec([size])])
  total, found = np.zeros(size), []
  for t in range(num_rounds):
    fresh = continuous_noise.gaussian(tf.constant([3, t], tf.int64), [size])
    output = step(state, [fresh])
    state = output.state
    total += output.noise[0]
    found.append(np.sum(total**2))
  # Fixed seeds, of which 1e-6 would fail in each of the rounds.
  low, high = stats.chi2(size).ppf([5e-7, 1 - 5e-7])
  ratios = found / VARIANCE[variance](num_rounds, restart_rounds)
  assert low < ratios.min() and ratios.max() < high


def test_every_tensor_has_its_own_noise_in_its_own_shape():
  tree = tree_noise.Tree(4)
  specs = [tf.TensorSpec([2, 3]), tf.TensorSpec([], tf.float64)]
  state = tree.initial(specs)
  assert [e.shape for e in state.estimates] == [[3, 2, 3], [3]]
  assert [e.dtype for e in state.estimates] == [tf.float32, tf.float64]
  fresh = [tf.ones([2, 3], tf.float64), tf.constant(5.0, tf.float64)]
  output = tree.step(state, fresh)
  for noise, z in zip(output.noise, fresh, strict=True):
    np.testing.assert_array_equal(noise, z)
    assert noise.dtype == tf.float64
  assert [e.dtype for e in output.state.estimates] == [tf.float32, tf.float64]


@pytest.mark.parametrize('rounds,heights', [(1, 1), (2, 2), (7, 3), (2000, 11)])
def test_the_state_grows_with_the_logarithm_of_the_rounds(rounds, heights):
  for tree in (
    tree_noise.Tree(rounds),
    tree_noise.Tree(None, 'honaker', rounds),
  ):
    (estimates,) = tree.initial([tf.TensorSpec([5])]).estimates
    assert estimates.shape == [heights, 5]


@pytest.mark.parametrize(
  'fields,message',
  [
    ({'restart_rounds': 0}, 'restart_rounds of at least 1 .* found 0'),
    ({'unrestarted_rounds': 2**30}, 'unrestarted_rounds .* found 1073741824'),
    ({'variance': 'best'}, "out of standard, honaker, found 'best'"),
  ],
)
def test_trees_that_cannot_be_built_are_refused(fields, message):
  with pytest.raises(tree_noise.TreeError, match=message):
    tree_noise.Tree(**fields)
