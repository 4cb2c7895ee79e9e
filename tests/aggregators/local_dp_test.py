"""Reports that are noisy by themselves: their noise, their sum, their silence.

On TFF's own runtime and on XLA's.
"""

import collections
import functools
import math

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.aggregators import composition, local_dp, value_types
from tff_pipelines.core import errors
from tff_pipelines.execution.xla import context as xla_context

FLOAT = tff.TensorType(np.float32)
VECTOR = tff.TensorType(np.float32, [3])
# Reports are float32, and clipping leaves 2^-20 of its norm.
ROUNDING = 2e-6
# Too small to be seen: what is left is the clip.
SILENT = 1e-9
NOISES = pytest.mark.parametrize('noise', ['gaussian', 'laplace'])

# Of d coordinates with independent noise, the mean square is within 6 standard
# errors, sqrt((kurtosis - 1) / d) each, except with probability 1e-8 or so.
SIZE = 20_000
WIDE = tff.TensorType(np.float32, [SIZE])
ERRORS = {
  'gaussian': 6 * math.sqrt(2 / SIZE),
  'laplace': 6 * math.sqrt(5 / SIZE),
}


def factory(noise='gaussian', **options):
  chosen = {'clip_norm': 1.0, 'noise_multiplier': 2.0, 'denominator': 4.0}
  return local_dp.LocalDpFactory(noise=noise, **(chosen | options))


@functools.cache  # A context compiles a computation once.
def built(value_type, noise='gaussian', **options):
  return factory(noise, **options).create(value_type)


def stddev(noise, multiplier=2.0, clip_norm=1.0) -> float:
  return multiplier * clip_norm * (math.sqrt(2) if noise == 'laplace' else 1)


CONTEXTS = {
  'native': samples.Reference,
  'xla': lambda: xla_context.XlaContext(threads=1),
}


@pytest.fixture(scope='module')
def every_context():
  """Shared by all tests: a context compiles a computation once."""
  made = {name: make() for name, make in CONTEXTS.items()}
  yield made
  for context in made.values():
    context.close()


# That both give the same, contracts/execution_aggregators_test shows.
@pytest.fixture(params=slow_cases.all_but(['xla'], CONTEXTS))
def context(request, every_context):
  return every_context[request.param]


@pytest.fixture
def xla(every_context):
  return every_context['xla']


def first_round(context, process, values):
  state = samples.run(context, process.initialize)
  return samples.run(context, process.next, state, values)


def of_zeros(context, num_clients, noise='gaussian', **options) -> np.ndarray:
  """The result of clients that all hand in zeros."""
  process = built(WIDE, noise, **options)
  zeros = [np.zeros([SIZE], np.float32)] * num_clients
  return np.float64(first_round(context, process, zeros).result)


def assert_variance(found, expected, noise) -> None:
  assert abs(np.mean(found**2) / expected - 1) < ERRORS[noise]


@pytest.mark.parametrize(
  ('noise', 'expected'),
  [
    # (3, 4) has the norms 5 and 7; (0.5, 0.25) is short enough for both.
    ('gaussian', [0.6 + 0.5, 0.8 + 0.25]),
    ('laplace', [3 / 7 + 0.5, 4 / 7 + 0.25]),
  ],
)
def test_two_clients_by_hand(context, noise, expected):
  process = factory(noise, noise_multiplier=SILENT).create(
    tff.TensorType(np.float32, [2])
  )
  values = [np.float32([3, 4]), np.float32([0.5, 0.25])]
  output = first_round(context, process, values)
  np.testing.assert_allclose(output.result, np.array(expected) / 4, ROUNDING)
  assert output.state.round_num == 1


@NOISES
def test_a_report_has_the_noise_that_is_stated(context, noise):
  found = 4 * of_zeros(context, 1, noise)
  scale = stddev(noise)
  assert_variance(found, scale**2, noise)
  # The law, by the share within a standard deviation: 6 errors of a coin.
  share = math.erf(math.sqrt(0.5)) if noise == 'gaussian' else None
  share = share or 1 - math.exp(-math.sqrt(2))
  inside = np.mean(np.abs(found) < scale)
  assert abs(inside - share) < 6 * math.sqrt(share * (1 - share) / SIZE)
  assert abs(found.mean()) < 6 * scale / math.sqrt(SIZE)


@NOISES
def test_clients_with_equal_updates_draw_independent_noise(context, noise):
  # Equal noise would have 5 times the variance of independent noise.
  found = 4 * of_zeros(context, 5, noise)
  assert_variance(found, 5 * stddev(noise) ** 2, noise)


def test_coordinates_and_tensors_have_independent_noise(xla):
  value_type = tff.types.to_type([tff.TensorType(np.float32, [SIZE])] * 2)
  zeros = [[np.zeros([SIZE], np.float32)] * 2]
  one, other = first_round(xla, factory().create(value_type), zeros).result
  one, other = 2 * np.float64(one), 2 * np.float64(other)  # Stddev 1.
  for left, right in ((one, other), (one[1:], one[:-1])):
    assert abs(np.mean(left * right)) < 6 / math.sqrt(SIZE)


def test_rounds_programs_and_contexts_draw_independent_noise(xla):
  process = factory().create(tff.TensorType(np.float32, [SIZE]))
  zeros = [np.zeros([SIZE], np.float32)]
  reference = samples.Reference()
  draws = []
  for where in (xla, reference):
    output = first_round(where, process, zeros)
    again = samples.run(where, process.next, output.state, zeros)
    draws += [output.result, again.result, of_zeros(where, 1)]
  reference.close()
  # 15 products of stddev 1 / sqrt(SIZE), 6 of them: below 3e-8.
  scaled = 2 * np.float64(draws)
  products = scaled @ scaled.T / SIZE
  np.fill_diagonal(products, 0)
  assert np.abs(products).max() < 6 / math.sqrt(SIZE)


def test_a_test_seed_repeats_rounds_but_not_noise(context):
  def rounds():
    process = factory(test_seed=5).create(VECTOR)
    state, results = samples.run(context, process.initialize), []
    for _ in range(2):
      output = samples.run(context, process.next, state, [np.zeros(3, 'f4')])
      state = output.state
      results.append(output.result)
    return np.array(results)

  one, other = rounds(), rounds()
  np.testing.assert_array_equal(one, other)
  assert len(set(one.ravel())) == 6


@pytest.mark.slow
def test_a_test_seed_tells_updates_apart_and_seeds(xla):
  def noise(value, seed):
    process = built(FLOAT, test_seed=seed)
    return first_round(xla, process, [value]).result - value / 4

  draws = [noise(v, s) for v in (0.0, 0.5) for s in (1, 2)]
  assert len(np.unique(np.round(draws, 4))) == 4


@NOISES
def test_two_updates_are_at_most_two_clip_norms_apart(xla, noise):
  process = factory(
    noise, noise_multiplier=SILENT, clip_norm=0.25, denominator=1.0
  ).create(VECTOR)
  rng = np.random.default_rng(3)
  order = 1 if noise == 'laplace' else 2
  sizes = (1e-30, 0.3, 1e30, 3e38)
  updates = [s * rng.uniform(-1, 1, 3).astype(np.float32) for s in sizes]
  found = [first_round(xla, process, [u]).result for u in updates]
  assert all(np.linalg.norm(f, order) <= 0.25 + 1e-7 for f in found)
  ends = [
    first_round(xla, process, [np.float32([end, 0, 0])]).result
    for end in (-1, 1)
  ]
  apart = np.linalg.norm(ends[1] - ends[0], order)
  assert apart == pytest.approx(0.5, rel=ROUNDING)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_an_update_not_finite_is_noise_and_nobody_is_told(context, bad):
  process = built(VECTOR, noise_multiplier=SILENT)
  values = [np.float32([0.5, bad, 0]), np.float32([0.25, 0.5, 0])]
  output = first_round(context, process, values)
  np.testing.assert_allclose(output.result, values[1] / 4, atol=1e-7)
  honest = first_round(context, process, [np.zeros(3, 'f4'), values[1]])
  for name in ('clip_norm', 'num_reports', 'noise_stddev'):
    assert output.measurements[name] == honest.measurements[name]
  assert output.measurements['num_reports'] == 2


@NOISES
def test_an_update_not_finite_has_the_noise_of_any_other(xla, noise):
  process = built(WIDE, noise)
  value = np.full([SIZE], np.nan, np.float32)
  found = 4 * np.float64(first_round(xla, process, [value]).result)
  assert_variance(found, stddev(noise) ** 2, noise)


def test_a_client_hands_in_its_report_and_that_it_did():
  process = factory().create(NESTED)

  # A MapReduceForm has two results.
  @tff.federated_computation(*process.next.type_signature.parameter)
  def two_results(state, value):
    output = process.next(state, value)
    return output.state, tff.federated_zip((output.result, output.measurements))

  form = tff.backends.mapreduce.get_map_reduce_form_for_computation(two_results)
  plain, *secure = form.work.type_signature.result
  tensors = tff.structure.flatten(plain)
  assert sorted(str(t) for t in tensors) == [
    'float32',
    'float32[3,2]',
    'float32[3]',
    'int64',
  ]
  assert not any(tff.structure.flatten(kind) for kind in secure)


NESTED = tff.types.to_type(
  collections.OrderedDict(
    # Not in alphabetical order.
    matrix=tff.TensorType(np.float32, [3, 2]),
    inner=(FLOAT, VECTOR),
  )
)


def test_structures_keep_their_form_and_have_one_norm(context):
  ones = collections.OrderedDict(
    matrix=np.ones([3, 2], np.float32),
    inner=(np.float32(1), np.ones([3], np.float32)),
  )
  process = built(NESTED, noise_multiplier=SILENT)
  output = first_round(context, process, [ones] * 4)
  samples.assert_same(list(output.result), ['matrix', 'inner'])
  expected = 1 / math.sqrt(10)
  found = [output.result['matrix'], *output.result['inner']]
  for tensor, shape in zip(found, ([3, 2], [], [3]), strict=True):
    assert np.shape(tensor) == tuple(shape)
    np.testing.assert_allclose(tensor, np.full(shape, expected), ROUNDING)


@pytest.mark.parametrize('dtype', [slow_cases.slow(np.float16), np.float64])
def test_results_have_the_type_of_the_values(xla, dtype):
  process = factory(noise_multiplier=SILENT).create(tff.TensorType(dtype))
  output = first_round(xla, process, [dtype(0.5)])
  assert output.result.dtype == dtype
  assert output.result == pytest.approx(0.125, rel=1e-3)


@pytest.mark.parametrize('num_clients', [1, 3, 8])
def test_the_denominator_stays_whoever_comes(context, num_clients):
  process = built(FLOAT, noise_multiplier=SILENT)
  output = first_round(context, process, [0.5] * num_clients)
  assert output.result == pytest.approx(0.5 * num_clients / 4, rel=ROUNDING)


def test_nobody_gives_zero_without_noise():
  reference = samples.Reference()
  output = first_round(reference, factory().create(VECTOR), [])
  reference.close()
  np.testing.assert_array_equal(output.result, np.zeros(3))
  for name, number in output.measurements.items():
    assert number == (1.0 if name == 'clip_norm' else 0.0)


@NOISES
def test_measurements_by_hand(context, noise):
  # Two clients of 3 coordinates; the noise is known from the result.
  process = built(VECTOR, noise, clip_norm=0.5, noise_multiplier=3.0)
  value = np.float32([0.1, 0, 0])
  output = first_round(context, process, [value] * 2)
  scale = stddev(noise, 3.0, 0.5)
  norm = np.linalg.norm(np.float64(output.result))
  power = (4 * norm) ** 2 / (2 * 3 * scale**2)
  expected = {
    'clip_norm': 0.5,
    'num_reports': 2,
    'noise_stddev': math.sqrt(2) * scale / 4,
    'result_norm': norm,
    'signal_to_noise': math.sqrt(max(0, power - 1)),
    'largest_signal_to_noise': math.sqrt(2 / 3) * 0.5 / scale,
  }
  assert list(output.measurements) == list(expected)
  for name, number in output.measurements.items():
    assert number.dtype == np.float32
    assert number == pytest.approx(expected[name], rel=1e-4, abs=1e-3), name


def test_the_estimated_signal_is_near_the_true_one(xla):
  # Equal updates of norm 1 by 16 clients, d = 20,000, noise multiplier 0.02:
  # signal to noise sqrt(16 / d) / 0.02 = 1.41. |sum|^2 / (n d s^2) - 1 is 2
  # with a standard deviation of sqrt((2 + 4 * 2) / d) = 0.022.
  process = factory(noise_multiplier=0.02).create(
    tff.TensorType(np.float32, [SIZE])
  )
  value = np.full([SIZE], 1.0, np.float32)
  found = first_round(xla, process, [value] * 16).measurements
  assert found['largest_signal_to_noise'] == pytest.approx(2**0.5, rel=1e-5)
  assert abs(found['signal_to_noise'] ** 2 - 2) < 6 * 0.023


@pytest.mark.slow
def test_a_round_of_fed_avg_without_noise_is_that_of_the_clipped_mean(xla):
  def averaging(aggregator):
    return tff.learning.algorithms.build_unweighted_fed_avg(
      samples.hand_written_model(),
      tff.learning.optimizers.build_sgdm(0.1),
      tff.learning.optimizers.build_sgdm(1.0),
      model_aggregator=aggregator,
    )

  data = samples.batches([7, 1, 3, 13]).datasets()
  local = averaging(factory(noise_multiplier=SILENT, clip_norm=0.05))
  found = first_round(xla, local, data)
  clipped = tff.aggregators.clipping_factory(
    0.05, tff.aggregators.UnweightedMeanFactory()
  )
  expected = first_round(xla, averaging(clipped), data)
  for one, other in zip(
    found.state.global_model_weights.trainable,
    expected.state.global_model_weights.trainable,
    strict=True,
  ):
    np.testing.assert_allclose(one, other, atol=1e-6)
  assert xla.explain(local.next).way == 'xla'


def test_weighted_averaging_refuses_it():
  with pytest.raises(TypeError, match='WeightedAggregationFactory'):
    tff.learning.algorithms.build_weighted_fed_avg(
      samples.hand_written_model(),
      tff.learning.optimizers.build_sgdm(0.1),
      model_aggregator=factory(),
    )


@NOISES
def test_its_layers_fit_together(noise):
  stack = factory(noise).stack
  composition.check(stack, num_clients=1)
  with pytest.raises(composition.CompositionError, match='weight is told'):
    composition.check((composition.WEIGHT, *stack))
  assert ('L1' in str(stack[0])) == (noise == 'laplace')


@NOISES
def test_the_noise_of_a_report_is_told(noise):
  told = factory(noise, clip_norm=0.5, noise_multiplier=3.0)
  assert told.report_stddev == pytest.approx(stddev(noise, 3.0, 0.5))


@pytest.mark.parametrize(
  'name', ['clip_norm', 'noise_multiplier', 'denominator']
)
@pytest.mark.parametrize('number', [0.0, -1.0, math.inf, math.nan])
def test_numbers_that_hide_nothing_are_refused(name, number):
  with pytest.raises(
    local_dp.LocalDpError, match=f'Expected a finite {name} above 0, found'
  ):
    factory(**{name: number})


def test_unknown_noise_is_refused():
  with pytest.raises(
    local_dp.LocalDpError, match="out of gaussian, laplace, found 'cauchy'"
  ):
    factory('cauchy')


@pytest.mark.parametrize(
  'value_type',
  [
    tff.TensorType(np.int32),
    tff.TensorType(np.float32, [None]),
    tff.TensorType(np.float32, [0]),
    tff.StructType([]),
    tff.StructType([('a', FLOAT), ('b', tff.TensorType(np.int32))]),
    tff.SequenceType(np.float32),
  ],
)
def test_values_other_than_floats_are_refused(value_type):
  with pytest.raises(
    value_types.ValueTypeError, match='Expected updates of float tensors'
  ):
    factory().create(value_type)


def test_its_errors_are_told_without_a_stack_trace():
  assert issubclass(local_dp.LocalDpError, errors.PipelineError)
