"""Noise has its distribution, to the tails, and comes from its seed alone."""

import math
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
import tensorflow as tf

from tff_pipelines.numerics import continuous_noise

SIZE = 1_000_000
SEED = (2**62 + 5, -(2**61) - 9)
DRAW = {
  'gaussian': (continuous_noise.gaussian, stats.norm()),
  'laplace': (continuous_noise.laplace, stats.laplace()),
}
# With fixed seeds tests fail always or never; a seed had a chance of this to
# be one with which a correct test fails.
FALSE_ALARM = 1e-6


def seed(*values: int) -> tf.Tensor:
  return tf.constant(values or SEED, tf.int64)


@pytest.fixture(scope='module', params=DRAW)
def drawn(request):
  draw, distribution = DRAW[request.param]
  return draw(seed(), [SIZE]).numpy(), distribution


def test_cells_of_equal_probability_are_equally_full(drawn):
  values, distribution = drawn
  num_cells = 1000
  edges = distribution.ppf(np.linspace(0, 1, num_cells + 1))
  counts = np.histogram(values, edges)[0]
  statistic = np.sum((counts - SIZE / num_cells) ** 2) / (SIZE / num_cells)
  low, high = stats.chi2(num_cells - 1).ppf([FALSE_ALARM, 1 - FALSE_ALARM])
  assert low < statistic < high


def test_tails_hold_what_they_should(drawn):
  values, distribution = drawn
  for probability in (1e-3, 1e-4, 3e-5):
    for tail in (values, -values):  # Symmetric.
      found = np.sum(tail > distribution.isf(probability))
      low, high = stats.binom(SIZE, probability).ppf(
        [FALSE_ALARM, 1 - FALSE_ALARM]
      )
      assert low <= found <= high


def test_neighbours_are_uncorrelated(drawn):
  values, _ = drawn
  # Pairs share a radius: squares, too.
  for numbers in (values, values**2):
    centred = numbers - numbers.mean()
    for lag in (1, 2, 3):
      correlation = np.mean(centred[:-lag] * centred[lag:]) / np.var(centred)
      # Normal with variance 1 / SIZE for independent numbers.
      assert abs(correlation) * math.sqrt(SIZE) < stats.norm.isf(
        FALSE_ALARM / 2
      )


def test_variance_is_that_of_the_parameter():
  gaussian = continuous_noise.gaussian(seed(), [SIZE], 3.0).numpy()
  low, high = stats.chi2(SIZE).ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2])
  assert low < np.sum(gaussian**2) / 9 < high
  laplace = continuous_noise.laplace(seed(), [SIZE], 3.0).numpy()
  # 2 |x| / scale has the chi-square distribution with 2 degrees of freedom.
  low, high = stats.chi2(2 * SIZE).ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2])
  assert low < 2 * np.sum(np.abs(laplace)) / 3 < high


def test_the_extreme_bits_give_the_tails_that_are_documented():
  extreme = tf.constant([0, -1, 2**63 - 1, -(2**63)], tf.int64)
  magnitude = continuous_noise._magnitude(extreme).numpy()
  np.testing.assert_array_equal(magnitude, [2.0**-64, 2.0**-64, 1.0, 1.0])
  assert math.sqrt(-2 * math.log(2.0**-64)) == pytest.approx(9.42, abs=5e-3)
  assert -math.log(2.0**-64) == pytest.approx(44.4, abs=0.05)


@pytest.mark.parametrize('name', DRAW)
def test_xla_and_the_kernels_give_the_same(name):
  draw, _ = DRAW[name]
  plain = tf.function(lambda key: draw(key, [1001]))
  compiled = tf.function(lambda key: draw(key, [1001]), jit_compile=True)
  np.testing.assert_allclose(
    compiled(seed()), plain(seed()), rtol=1e-12, atol=1e-12
  )


@pytest.mark.parametrize('name', DRAW)
@pytest.mark.parametrize('shape', [[], [1], [3], [2, 5], [0], [4, 0]])
def test_shapes_are_as_asked(name, shape):
  drawn = DRAW[name][0](seed(), shape)
  assert drawn.shape == shape
  assert drawn.dtype == tf.float64


@pytest.mark.parametrize('name', DRAW)
def test_every_bit_of_the_seed_matters(name):
  draw, _ = DRAW[name]
  keys = [SEED]
  for bit in range(64):
    mask = np.array(1, np.uint64) << np.uint64(bit)
    for word in (0, 1):
      changed = np.array(SEED, np.int64).view(np.uint64)
      changed[word] ^= mask
      keys.append(tuple(int(v) for v in changed.view(np.int64)))
  firsts = {float(draw(seed(*key), [1])[0]) for key in keys}
  assert len(firsts) == 129


_PROGRAM = """
import sys
from tff_pipelines.numerics import continuous_noise, noise_seeds
print('ready', flush=True)
sys.stdin.readline()
print(*continuous_noise.gaussian(noise_seeds.draw(), [4]).numpy())
"""


def test_two_programs_started_at_one_instant_draw_different_noise():
  programs = [
    subprocess.Popen(
      [sys.executable, '-W', 'ignore', '-c', _PROGRAM],
      cwd=pathlib.Path(__file__).parents[2],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      text=True,
    )
    for _ in range(2)
  ]
  for program in programs:
    assert program.stdout.readline() == 'ready\n'
  # Both wait at the line before they draw.
  for program in programs:
    program.stdin.write('\n')
    program.stdin.flush()
  one, other = (program.communicate()[0].split() for program in programs)
  assert len(one) == len(other) == 4
  assert not set(one) & set(other)
