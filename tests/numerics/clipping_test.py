"""A clipped norm is within its bound, in exact arithmetic."""

import collections
import fractions
import math

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.numerics import clipping

MARGIN = 2.0**-20

# The same graph on TensorFlow's kernels and on XLA's.
_FUNCTIONS = {
  (norm, compiled): tf.function(function, jit_compile=compiled)
  for norm, function in (('l2', clipping.l2), ('l1', clipping.l1))
  for compiled in (False, True)
}


@pytest.fixture(params=[False, True], ids=['kernels', 'xla'])
def compiled(request) -> bool:
  return request.param


def clip(norm, compiled, value, clip_norm) -> clipping.Clipped:
  return _FUNCTIONS[norm, compiled](value, tf.constant(clip_norm, tf.float64))


def exact_norm_is_within(norm: str, values: np.ndarray, bound: float) -> bool:
  """Whether the norm is at most the bound, without any rounding."""
  exact = [abs(fractions.Fraction(float(v))) for v in values]
  bound = fractions.Fraction(bound)
  if norm == 'l1':
    return sum(exact) <= bound
  return sum(v * v for v in exact) <= bound * bound


def _adversarial() -> dict[str, np.ndarray]:
  rng = np.random.default_rng(0)
  small, large = np.finfo(np.float32), np.finfo(np.float64)
  direction = rng.normal(size=500)
  direction /= np.linalg.norm(direction)
  return {
    'largest float32': np.full(300, small.max, np.float32),
    'least subnormals': np.full(300, small.smallest_subnormal, np.float32),
    'one huge among tiny': np.array([1e30] + [1e-30] * 300, np.float32),
    'alternating signs': np.tile([1.0, -1.0], 150).astype(np.float32),
    'many that round up': np.full(999, np.float32(1 / 3)),
    'at the bound': np.array([1.0], np.float32),
    'an ulp above it': np.nextafter(np.ones(1), 2.0),
    'an ulp below it': np.nextafter(np.ones(1), 0.0),
    'around the bound': direction.astype(np.float32),
    'around it in float64': direction,
    'just below the margin': direction * (1 - MARGIN * (1 - 1e-9)),
    'squares overflow': np.full(300, large.max / 400),
    'norm overflows': np.full(300, large.max),
    'squares vanish': np.full(300, 1e-200),
    'half precision': rng.normal(size=300).astype(np.float16),
  }


ADVERSARIAL = _adversarial()


@pytest.mark.parametrize('clip_norm', [1.0, 0.1, 1e-9, 3e7])
@pytest.mark.parametrize('name', ADVERSARIAL)
@pytest.mark.parametrize('norm', ['l2', 'l1'])
def test_the_clipped_norm_is_within_its_bound(norm, name, clip_norm, compiled):
  # One shape for all, so that XLA compiles few programs.
  padded = np.resize(ADVERSARIAL[name], 1000)
  padded[len(ADVERSARIAL[name]) :] = 0
  value = {'x': padded, 'none': np.zeros([0], np.float32)}
  clipped = clip(norm, compiled, value, clip_norm)
  assert clipped.value['x'].dtype == tf.float64
  assert bool(clipped.is_finite)
  assert exact_norm_is_within(norm, clipped.value['x'].numpy(), clip_norm)


@pytest.mark.parametrize('seed', range(20))
@pytest.mark.parametrize('norm', ['l2', 'l1'])
def test_random_vectors_near_the_bound_are_within_it(norm, seed, compiled):
  rng = np.random.default_rng(seed)
  value = rng.standard_t(df=1.5, size=257)
  length = np.linalg.norm(value, ord=1 if norm == 'l1' else 2)
  value *= rng.uniform(1 - 2 * MARGIN, 1 + 2 * MARGIN) / length
  clipped = clip(norm, compiled, value, 1.0)
  assert exact_norm_is_within(norm, clipped.value.numpy(), 1.0)
  # No more than the margin is lost.
  np.testing.assert_allclose(clipped.value, value, rtol=3.1 * MARGIN)


@pytest.mark.parametrize('clip_norm', [5.001, 100.0, 1e30])
def test_short_vectors_are_left_as_they_are(clip_norm, compiled):
  value = np.array([3.0, -4.0], np.float32)
  clipped = clip('l2', compiled, value, clip_norm)
  np.testing.assert_array_equal(clipped.value, value)
  assert not bool(clipped.was_clipped)
  np.testing.assert_allclose(clipped.norm, 5.0, rtol=1e-15)


def test_long_vectors_keep_their_direction(compiled):
  value = collections.OrderedDict(b=np.float32([3.0]), a=np.float32([[-4.0]]))
  clipped = clip('l2', compiled, value, 1.0)
  assert list(clipped.value) == ['b', 'a']
  np.testing.assert_allclose(clipped.value['b'], [0.6], rtol=1.1 * MARGIN)
  np.testing.assert_allclose(clipped.value['a'], [[-0.8]], rtol=1.1 * MARGIN)
  assert bool(clipped.was_clipped)
  np.testing.assert_allclose(clipped.norm, 5.0, rtol=1e-15)


def test_the_l1_norm_is_the_sum_of_absolute_values(compiled):
  clipped = clip('l1', compiled, np.float32([3.0, -4.0]), 1.0)
  np.testing.assert_allclose(clipped.norm, 7.0, rtol=1e-15)
  np.testing.assert_allclose(clipped.value, [3 / 7, -4 / 7], rtol=1.1 * MARGIN)


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('norm', ['l2', 'l1'])
def test_one_number_that_is_not_finite_zeroes_all(norm, bad, compiled):
  value = (np.ones([3], np.float32), np.array([[1.0, bad]]))
  clipped = clip(norm, compiled, value, 10.0)
  assert not bool(clipped.is_finite)
  assert not bool(clipped.was_clipped)
  assert float(clipped.norm) == 0.0
  for tensor in clipped.value:
    np.testing.assert_array_equal(tensor, np.zeros(tensor.shape))


def test_zero_stays_zero(compiled):
  for norm in ('l2', 'l1'):
    clipped = clip(norm, compiled, np.zeros([4], np.float32), 1.0)
    np.testing.assert_array_equal(clipped.value, np.zeros(4))
    assert bool(clipped.is_finite) and not bool(clipped.was_clipped)


def test_clipping_twice_changes_nothing(compiled):
  value = np.random.default_rng(1).normal(size=100)
  once = clip('l2', compiled, value, 0.3).value
  twice = clip('l2', compiled, once, 0.3).value
  np.testing.assert_allclose(twice, once, rtol=1e-15)
