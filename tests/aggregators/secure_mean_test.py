"""The secure mean is the mean, within its rounding.

On TFF's test context, which sums in the clear, and on XLA's with masked and
with insecure sums.
"""

import collections
import functools
import itertools
import math

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.aggregators import (
  composition,
  secure_mean,
  secure_mean_config,
  value_types,
)
from tff_pipelines.execution.xla import context as xla_context

FLOAT = tff.TensorType(np.float32)
VECTOR = tff.TensorType(np.float32, [4])
NESTED = tff.types.to_type(
  collections.OrderedDict(
    # Not in alphabetical order.
    matrix=tff.TensorType(np.float32, [3, 2]),
    inner=(FLOAT, VECTOR),
  )
)
# A result is rounded to float32 once: relative 2^-24.
FLOAT32 = 2**-23


def config(**options) -> secure_mean_config.SecureMeanConfig:
  chosen = {'bits': 8, 'adaptive': False, 'max_clients': 100, 'max_weight': 50}
  return secure_mean_config.SecureMeanConfig(**(chosen | options))


@functools.cache  # A context compiles a computation once.
def uniform(value_type=VECTOR, **options):
  return secure_mean.SecureUniformMeanFactory(config(**options)).create(
    value_type
  )


@functools.cache
def weighted(value_type=VECTOR, weight_type=FLOAT, **options):
  return secure_mean.SecureMeanFactory(config(**options)).create(
    value_type, weight_type
  )


CONTEXTS = {
  'test': samples.Reference,
  'masked': lambda: xla_context.XlaContext(threads=1),
  'insecure': lambda: xla_context.XlaContext(threads=1, secure_sums='insecure'),
}


@pytest.fixture(scope='module')
def every_context():
  """Shared by all tests: a context compiles a computation once."""
  made = {name: make() for name, make in CONTEXTS.items()}
  yield made
  for context in made.values():
    context.close()


@pytest.fixture(params=slow_cases.all_but(['test', 'masked'], CONTEXTS))
def context(request, every_context):
  return every_context[request.param]


@pytest.fixture
def xla(every_context):
  return every_context['insecure']


def first_round(context, process, *arguments):
  state = samples.run(context, process.initialize)
  return samples.run(context, process.next, state, *arguments)


def vectors(num_clients, seed=0, scale=0.9) -> list[np.ndarray]:
  rng = np.random.default_rng(seed)
  return list(rng.uniform(-scale, scale, [num_clients, 4]).astype(np.float32))


def nested(seed) -> collections.OrderedDict:
  rng = np.random.default_rng(seed)

  def draw(*shape):
    return rng.uniform(-0.9, 0.9, shape).astype(np.float32)

  return collections.OrderedDict(matrix=draw(3, 2), inner=(draw(), draw(4)))


def flat(value) -> np.ndarray:
  return np.concatenate(
    [
      np.ravel(value['matrix']),
      np.ravel(value['inner'][0]),
      value['inner'][1],
    ]
  )


@pytest.mark.parametrize(
  'bits, rounding',
  slow_cases.all_but(
    [(2, 'nearest'), (16, 'stochastic')],
    itertools.product([2, 8, 16], ['nearest', 'stochastic']),
  ),
)
def test_it_is_the_mean_within_its_rounding(context, rounding, bits):
  values = vectors(5)
  output = first_round(context, uniform(bits=bits, rounding=rounding), values)
  step = 1 / (2 ** (bits - 1) - 1)
  bound = step / 2 if rounding == 'nearest' else step
  expected = np.mean(values, axis=0, dtype=np.float64)
  assert np.abs(output.result - expected).max() <= bound + FLOAT32
  assert output.result.dtype == np.float32


@pytest.mark.parametrize('rounding', [slow_cases.slow('nearest'), 'stochastic'])
def test_the_weighted_error_is_smaller_by_the_mean_weight(context, rounding):
  values, weights = vectors(4), [1.0, 50.0, 0.0, 7.0]
  output = first_round(context, weighted(rounding=rounding), values, weights)
  step = 1 / 127
  bound = (step / 2 if rounding == 'nearest' else step) * 3 / sum(weights)
  expected = np.average(np.float64(values), axis=0, weights=weights)
  assert np.abs(output.result - expected).max() <= bound + FLOAT32
  assert output.measurements['clipped_weights'] == 0


def test_structures_keep_their_form_and_have_a_range_a_tensor(context):
  values, weights = [nested(seed) for seed in range(3)], [1.0, 2.0, 3.0]
  output = first_round(context, weighted(NESTED), values, weights)
  assert list(output.result) == ['matrix', 'inner']
  expected = np.average([flat(v) for v in values], axis=0, weights=weights)
  bound = 1 / 127 / 2 * 3 / 6
  assert np.abs(flat(output.result) - expected).max() <= bound + FLOAT32
  assert list(output.measurements['range']) == ['inner/0', 'inner/1', 'matrix']
  assert type(output.state) is secure_mean.SecureMeanState


def test_a_mapping_out_of_order_keeps_types_and_ranges_apart(xla):
  value_type = tff.types.to_type(
    collections.OrderedDict(
      b=tff.TensorType(np.float32, [3]), a=tff.TensorType(np.float64)
    )
  )
  process = weighted(value_type, adaptive=True)
  value = collections.OrderedDict(
    b=np.full(3, 100.0, np.float32), a=np.float64(0.001)
  )
  state = samples.run(xla, process.initialize)
  for _ in range(2):
    output = samples.run(xla, process.next, state, [value] * 2, [1.0, 1.0])
    state = output.state
  assert output.result['b'].dtype == np.float32
  assert output.result['a'].dtype == np.float64
  assert output.measurements['range']['b'] > 100
  assert output.measurements['range']['a'] < 1


def test_two_clients_by_hand(context):
  # Steps of 1/127, w x / s = 127 and -254 * 0.25 = -63.5, to even: -64.
  output = first_round(context, weighted(FLOAT), [1.0, -0.25], [1.0, 2.0])
  assert output.result == pytest.approx((127 - 64) / 127 / 3, rel=1e-6)


@pytest.mark.parametrize(
  'weight_type', [slow_cases.slow(np.int32), np.int64, np.float32]
)
def test_weights_can_be_of_any_type(xla, weight_type):
  process = weighted(FLOAT, tff.TensorType(weight_type))
  output = first_round(
    xla, process, [1.0, 0.0], [weight_type(1), weight_type(3)]
  )
  assert output.result == pytest.approx(0.25, rel=1e-6)


def test_no_weight_at_all_gives_zero(context):
  output = first_round(context, weighted(), vectors(3), [0.0] * 3)
  np.testing.assert_array_equal(output.result, np.zeros(4))
  assert all(
    np.isfinite(v) for k, v in output.measurements.items() if k != 'range'
  )


def test_weights_out_of_range_are_clipped_and_counted(context):
  output = first_round(
    context, weighted(FLOAT), [1.0, 0.0, 1.0, 1.0], [50.0, 80.0, -3.0, 0.4]
  )
  # Used as 50, 50, 0, 0.
  assert output.result == pytest.approx(0.5, rel=1e-6)
  assert output.measurements['clipped_weights'] == 3


def test_a_client_outside_of_the_range_is_clipped_and_counted(context):
  values = [np.float32([3.0, -5.0, 0.5, 1.0]), np.zeros(4, np.float32)]
  output = first_round(context, uniform(), values)
  expected = np.array([1.0, -1.0, 0.5, 1.0]) / 2
  assert np.abs(output.result - expected).max() <= 1 / 127 / 2
  assert output.measurements['clipped_coordinates'] == 2 / 8


@pytest.mark.parametrize(
  'bad', [np.nan, slow_cases.slow(np.inf), slow_cases.slow(-np.inf)]
)
def test_a_client_with_a_number_not_finite_is_left_out(context, bad):
  values = [np.float32([0.5, bad, 0, 0]), np.float32([0.25, 0.5, 0, 1])]
  output = first_round(context, uniform(), values)
  assert np.abs(output.result - values[1]).max() <= 1 / 127 / 2
  assert output.measurements['non_finite_clients'] == 1
  assert output.measurements['clipped_coordinates'] == 0


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_a_weight_not_finite_leaves_its_client_out(xla, bad):
  output = first_round(xla, weighted(FLOAT), [1.0, 0.5], [bad, 4.0])
  assert output.result == pytest.approx(0.5, abs=1 / 127)
  assert output.measurements['non_finite_clients'] == 1


def test_stochastic_rounding_is_unbiased(xla):
  # A fraction of a quarter of a step in 40,000 coordinates: the mean of the
  # roundings is within 6 standard errors, sqrt(f (1 - f) / 40000) of a step
  # each, except with probability 2e-9. Nearest gives 0.
  size, step, fraction = 40_000, 1 / 127, 0.25
  value = np.full([size], fraction * step, np.float32)
  vector = tff.TensorType(np.float32, [size])
  output = first_round(xla, uniform(vector, rounding='stochastic'), [value])
  drawn = np.float64(output.result) / step
  assert set(np.round(drawn, 5)) == {0.0, 1.0}
  error = 6 * math.sqrt(fraction * (1 - fraction) / size)
  assert abs(drawn.mean() - fraction) < error
  assert not np.any(first_round(xla, uniform(vector), [value]).result)


def test_stochastic_rounding_is_fresh_for_each_client_and_round(xla):
  size = 1000
  vector = tff.TensorType(np.float32, [size])
  value = np.full([size], 0.5 / 127, np.float32)
  process = uniform(vector, rounding='stochastic')
  one, other = (first_round(xla, process, [value] * 2).result for _ in '12')
  # The same draws for both clients would give 0 and 1 step, never a half.
  halves = np.isclose(one * 127, 0.5)
  # 500 expected, standard deviation sqrt(250) = 16.
  assert abs(halves.sum() - 500) < 6 * 16
  assert np.any(one != other)


@pytest.mark.parametrize('rounding', [slow_cases.slow('nearest'), 'stochastic'])
def test_the_quantization_error_is_what_is_measured(xla, rounding):
  # Uniform fractions; the relative error of a mean square over 20,000
  # coordinates has a standard deviation below 2 / sqrt(20000) = 1.5%.
  size, weights = 20_000, [1.0, 2.0, 4.0]
  rng = np.random.default_rng(1)
  values = list(rng.uniform(-1, 1, [3, size]).astype(np.float32))
  process = weighted(tff.TensorType(np.float32, [size]), rounding=rounding)
  output = first_round(xla, process, values, weights)
  found = np.sqrt(
    np.mean((output.result - np.average(values, axis=0, weights=weights)) ** 2)
  )
  stated = output.measurements['quantization_error']
  assert (found / stated) ** 2 == pytest.approx(1, abs=6 * 0.015)


def test_the_sums_are_secure_and_one():
  for process in (weighted(NESTED), uniform(NESTED, adaptive=True)):
    tff.test.assert_not_contains_unsecure_aggregation(process.next)

  # A MapReduceForm has two results.
  @tff.federated_computation(*process.next.type_signature.parameter)
  def two_results(state, value):
    output = process.next(state, value)
    return output.state, tff.federated_zip((output.result, output.measurements))

  form = tff.backends.mapreduce.get_map_reduce_form_for_computation(two_results)
  plain, bitwidth, max_input, modular = form.work.type_signature.result
  for other in (plain, bitwidth, max_input):
    assert not tff.structure.flatten(other)
  assert len(tff.structure.flatten(modular)) == 3 + 6


@pytest.mark.slow
@pytest.mark.parametrize(
  'context', slow_cases.all_but(['masked'], CONTEXTS), indirect=True
)
def test_a_round_of_fed_avg_is_that_of_the_plain_mean(context):
  def built(aggregator):
    return tff.learning.algorithms.build_weighted_fed_avg(
      samples.hand_written_model(),
      tff.learning.optimizers.build_sgdm(0.1),
      tff.learning.optimizers.build_sgdm(1.0),
      model_aggregator=aggregator,
    )

  data = samples.batches([7, 0, 3, 13]).datasets()
  secure = built(secure_mean.SecureMeanFactory(config(bits=16)))
  found = first_round(context, secure, data)
  with_plain = built(tff.aggregators.MeanFactory())
  expected = first_round(context, with_plain, data)
  bound = 0.5 / (2**15 - 1) * 3 / 23 + samples.ABSOLUTE
  for one, other in zip(
    found.state.global_model_weights.trainable,
    expected.state.global_model_weights.trainable,
    strict=True,
  ):
    assert np.abs(one - other).max() <= bound
  measured = found.metrics['aggregator']
  assert measured['clipped_coordinates'] == 0
  assert measured['clipped_weights'] == 0


def test_all_clients_at_the_edges_of_the_range_do_not_wrap(context):
  process = uniform(FLOAT, max_clients=4)
  for value in (1.0, -1.0):
    output = first_round(context, process, [value] * 4)
    assert output.result == pytest.approx(value, rel=1e-6)
    assert 0 < output.measurements['modulus_used'] <= 1
    assert output.measurements['wrap_around_risk'] == 0


def test_a_cohort_too_large_is_refused_before_training():
  factory = secure_mean.SecureMeanFactory(config(max_clients=100))
  composition.check(factory.stack, num_clients=100)
  # The modulus is a power of 2, so there can be room for more, not for twice.
  with pytest.raises(composition.CompositionError, match='found 200: larger'):
    composition.check(factory.stack, num_clients=200)


def test_what_the_check_accepts_does_not_wrap_and_the_next_can(xla):
  factory = secure_mean.SecureUniformMeanFactory(config(max_clients=4))
  most = factory.stack[-1].max_clients
  process = factory.create(FLOAT)
  fits = first_round(xla, process, [-1.0] * most)
  assert fits.result == pytest.approx(-1.0, rel=1e-6)
  assert fits.measurements['wrap_around_risk'] == 0
  over = first_round(xla, process, [-1.0] * (most + 1))
  assert over.result > 0
  assert over.measurements['wrap_around_risk'] == 1
  assert over.measurements['modulus_used'] > 1


def test_bits_per_coordinate_by_hand(xla):
  size = 1000
  process = uniform(tff.TensorType(np.float32, [size]))
  value = np.zeros([size], np.float32)
  found = first_round(xla, process, [value] * 2).measurements
  # 100 * 254 < 2^15; a weight of 32 bits, 3 counts and 13 votes of 31 bits,
  # and clipped coordinates of 10 + 31 bits.
  expected = 15 + (32 + 16 * 31 + 41) / size
  assert found['bits_per_coordinate'] == pytest.approx(expected)


@pytest.mark.parametrize('scale', [slow_cases.slow(1e-4), 30.0])
def test_an_adaptive_range_converges_and_so_does_the_error(context, scale):
  process = uniform(adaptive=True)
  state = samples.run(context, process.initialize)
  for round_num in range(4):
    values = vectors(6, seed=round_num, scale=scale)
    output = samples.run(context, process.next, state, values)
    state = output.state
  used = output.measurements['range']['value']
  assert scale / 2 <= used <= 4 * scale
  assert output.measurements['clipped_coordinates'] == 0
  error = np.abs(output.result - np.mean(values, axis=0)).max()
  assert error <= (0.5 / 127 + FLOAT32) * used


def test_a_fixed_range_stays(xla):
  output = first_round(xla, uniform(clip_range=0.5), vectors(3, scale=9.0))
  np.testing.assert_array_equal(output.state.ranges, [0.5])


def test_clients_without_weight_do_not_move_the_range(xla):
  process = weighted(FLOAT, adaptive=True)
  output = first_round(xla, process, [30.0, 0.4], [0.0, 1.0])
  np.testing.assert_array_equal(output.state.ranges, [1.0])
  assert output.measurements['clipped_coordinates'] == 0


@pytest.mark.parametrize(
  'value_type',
  [
    tff.TensorType(np.int32),
    tff.TensorType(np.float32, [None]),
    tff.TensorType(np.float32, [0]),
    tff.StructType([]),
    tff.StructType([('a', FLOAT), ('b', tff.TensorType(np.int32))]),
  ],
)
def test_values_other_than_floats_are_refused(value_type):
  with pytest.raises(
    value_types.ValueTypeError, match='Expected updates of float'
  ):
    uniform(value_type)


def test_the_uniform_mean_needs_no_bits_for_weights():
  factory = secure_mean.SecureUniformMeanFactory(config(max_weight=2**20))
  assert factory.config.modulus_bits == 15  # 100 * 254 < 2^15.
  assert composition.WEIGHT not in factory.stack
