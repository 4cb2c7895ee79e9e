"""Linear codes are summed by whatever sums, and decoded once."""

import collections

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tff_pipelines.aggregators import (
  central_dp,
  clip_norms,
  composition,
  coordinate_median,
  secure_mean,
  server_noise,
  sketched_mean,
)
from tff_pipelines.execution import contexts
from tff_pipelines.numerics import count_sketch, drive, low_rank, subsampling

WEIGHT = tff.TensorType(np.float32)
VALUE = tff.types.to_type(
  collections.OrderedDict(
    matrix=tff.TensorType(np.float32, [20, 10]),
    bias=tff.TensorType(np.float32, [56]),
  )
)
PLAIN = (composition.WEIGHT, composition.PLAIN_SUM)


@pytest.fixture(scope='module', autouse=True)
def runtime():
  with contexts.using('xla', secure_sums='insecure') as context:
    yield context


def update(seed: int) -> collections.OrderedDict:
  vector = 0.1 * np.random.default_rng(seed).normal(size=256)
  return collections.OrderedDict(
    matrix=vector[:200].reshape(20, 10).astype(np.float32),
    bias=vector[200:].astype(np.float32),
  )


def flat(value) -> np.ndarray:
  return np.concatenate([np.ravel(value['matrix']), value['bias']])


def plain(code) -> sketched_mean.SketchedMeanFactory:
  return sketched_mean.SketchedMeanFactory(
    code, tff.aggregators.MeanFactory(), PLAIN, seed=3
  )


@pytest.fixture(scope='module')
def sketch():
  return plain(count_sketch.CountSketch(0.25)).create(VALUE, WEIGHT)


def test_it_is_the_code_of_the_mean(sketch):
  # So a cohort gives what one client of its mean would.
  values = [update(0), update(1)]
  mean = collections.OrderedDict(
    (name, (values[0][name] + 3 * values[1][name]) / 4) for name in values[0]
  )
  many = sketch.next(sketch.initialize(), values, [1.0, 3.0])
  one = sketch.next(sketch.initialize(), [mean], [1.0])
  np.testing.assert_allclose(flat(many.result), flat(one.result), atol=1e-6)
  assert many.state.round_num == 1


def test_errors_of_rounds_average_out(sketch):
  state, results = sketch.initialize(), []
  for _ in range(32):
    output = sketch.next(state, [update(0)], [1.0])
    state = output.state
    results.append(flat(output.result))
  single = np.mean([np.sum((r - flat(update(0))) ** 2) for r in results])
  of_mean = np.sum((np.mean(results, axis=0) - flat(update(0))) ** 2)
  # Of 256 coordinates, squares are within 6 * 9 % of their mean.
  assert of_mean / single == pytest.approx(1 / 32, rel=0.6)


def test_bytes_in_the_clear_are_numbers_and_a_weight(sketch):
  found = sketch.next(sketch.initialize(), [update(0)] * 2, [1.0] * 2)
  measured = found.measurements
  assert measured['uplink_bytes_per_client'] == 64 * 4 + 4
  assert measured['uplink_compression'] == pytest.approx(1028 / 260)
  assert list(measured) == [
    'uplink_bytes_per_client',
    'uplink_compression',
    'codes',
  ]


def test_it_is_compiled(runtime, sketch):
  assert runtime.explain(sketch.next).way == 'xla'


@pytest.mark.parametrize(
  'code', [slow_cases.slow(subsampling.Subsampling(0.25)), low_rank.LowRank(2)]
)
def test_through_a_secure_sum_it_is_the_same(code):
  factory = secure_mean.SecureMeanFactory()
  secure = sketched_mean.SketchedMeanFactory(
    code, factory, factory.stack, seed=3
  ).create(VALUE, WEIGHT)
  tff.test.assert_not_contains_unsecure_aggregation(secure.next)
  clear = plain(code).create(VALUE, WEIGHT)
  values, weights = [update(0), update(1)], [1.0, 2.0]
  found = secure.next(secure.initialize(), values, weights)
  expected = clear.next(clear.initialize(), values, weights)
  # Half a step of the first range, 1, of which decoding makes at most 20 times
  # as much: a factor of 4, or a sum of two.
  np.testing.assert_allclose(
    flat(found.result), flat(expected.result), atol=20 * 0.5 / (2**15 - 1)
  )
  size = code.encoded_size([[20, 10], [56]][::-1])
  bits = found.measurements['codes']['bits_per_coordinate']
  assert found.measurements['uplink_bytes_per_client'] == pytest.approx(
    bits * size / 8
  )


def test_noise_hides_codes_that_are_clipped_inside():
  inner = central_dp.CentralDpFactory(
    clip_norms.FixedClip(0.5),
    server_noise.IndependentNoise(0.01),
    denominator=2.0,
    test_seed=7,
  )
  process = sketched_mean.SketchedUniformMeanFactory(
    subsampling.Subsampling(1.0), inner, inner.stack
  ).create(VALUE)
  output = process.next(process.initialize(), [update(0)] * 2)
  norm = np.linalg.norm(flat(output.result))
  # 0.5 and 256 numbers of noise of stddev 0.01 * 0.5 / 2 each.
  assert norm == pytest.approx(0.5, abs=0.0025 * 16 * 1.3)
  assert output.measurements['uplink_bytes_per_client'] == 1024


def test_a_code_that_is_not_linear_is_refused_with_the_reason():
  with pytest.raises(sketched_mean.NonlinearCodeError) as raised:
    plain(drive.Drive())
  assert str(raised.value) == (
    "Expected a linear code under a sum of codes, found Drive(scale='unbiased')"
    ': the sum of its messages is not the message of the sum, so each has to '
    'be decoded by itself, which a secure sum prevents; take an '
    'EncodedMeanFactory, or subsampling, a random mask, a matrix of low rank '
    'or a count sketch.'
  )


def test_a_statistic_of_codes_is_refused():
  median = coordinate_median.CoordinateMedianFactory(4)
  with pytest.raises(
    composition.CompositionError, match='only sums pass through a sketch'
  ):
    sketched_mean.SketchedUniformMeanFactory(
      count_sketch.CountSketch(0.5), median, median.stack
    )
