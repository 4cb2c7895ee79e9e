"""The server's noise: what is refused, and what gives its rounds."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.aggregators import server_noise
from tff_pipelines.numerics import (
  banded_factorization,
  banded_noise,
  tree_noise,
)

STRATEGY = banded_factorization.square_root_strategy(5, 2)
MAKE = {
  'independent': server_noise.IndependentNoise,
  'tree': server_noise.TreeNoise,
  'banded': lambda multiplier: server_noise.BandedNoise(multiplier, STRATEGY),
}


@pytest.mark.parametrize('multiplier', [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize('name', MAKE)
def test_noise_that_hides_nothing_is_refused(name, multiplier):
  with pytest.raises(
    server_noise.ServerNoiseError,
    match=f'noise_multiplier above 0, found {multiplier}; for training',
  ):
    MAKE[name](multiplier)


def test_a_tree_that_cannot_be_built_is_refused_at_once():
  with pytest.raises(tree_noise.TreeError, match='found 0'):
    server_noise.TreeNoise(1.0, restart_rounds=0)


def test_each_has_its_rounds():
  assert server_noise.IndependentNoise(1.0).rounds().max_rounds is None
  tree = server_noise.TreeNoise(1.0, 8, 'standard', 100).rounds()
  assert tree == tree_noise.Tree(8, 'standard', 100)
  banded = server_noise.BandedNoise(1.0, STRATEGY).rounds()
  assert isinstance(banded, banded_noise.Banded)
  assert banded.max_rounds == 5


def test_independent_noise_is_the_fresh_noise():
  noise = server_noise.IndependentNoise(2.0).rounds()
  assert noise.initial([tf.TensorSpec([2])]) == ()
  output = noise.step((), [tf.constant([1.0, 2.0], tf.float64)])
  np.testing.assert_array_equal(output.noise[0], [1.0, 2.0])
  assert float(output.stddev) == 1.0
  assert output.state == ()
