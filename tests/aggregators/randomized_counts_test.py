"""Histograms of categories that no report gives away.

On TFF's own runtime and on XLA's. That reports have the law whose epsilon is
stated is shown in tests/numerics/randomized_response_test.py.
"""

import functools
import math

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.aggregators import composition, randomized_counts
from tff_pipelines.core import errors
from tff_pipelines.execution.xla import context as xla_context
from tff_pipelines.numerics import randomized_response

SCALAR = tff.TensorType(np.int32)
EVERY_METHOD = pytest.mark.parametrize('method', randomized_response.METHODS)
# At epsilon 40 the truth is told but with probability k e^-40 (unary: e^-20 a
# bit), so below 1e-6 in all tests here.
CERTAIN = 40.0


def factory(method='randomized_response', num_values=3, epsilon=1.0, seed=None):
  return randomized_counts.RandomizedResponseCountFactory(
    num_values, epsilon, method, seed
  )


@functools.cache  # A context compiles a computation once.
def certain(method='randomized_response', value_type=SCALAR):
  """A process of hardly any noise."""
  return factory(method, epsilon=CERTAIN).create(value_type)


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


def categories(*counts) -> list[np.int32]:
  """Values of clients, so many of each category."""
  return list(np.repeat(np.arange(len(counts)), counts).astype(np.int32))


def one_hot(value, num_values=3) -> np.ndarray:
  return np.eye(num_values, dtype=np.int32)[value]


@pytest.mark.parametrize('method', ['randomized_response', 'unary'])
def test_with_hardly_any_noise_it_is_the_histogram(context, method):
  process = certain(method)
  output = first_round(context, process, categories(2, 0, 3))
  np.testing.assert_allclose(output.result, [2, 0, 3], atol=1e-6)
  assert output.result.dtype == np.float32
  assert output.state.round_num == 1
  assert output.measurements['num_reports'] == 5


@pytest.mark.parametrize('dtype', [slow_cases.slow(np.int32), np.int64])
def test_a_category_can_be_a_number_or_one_hot(context, dtype):
  scalar = certain(value_type=tff.TensorType(dtype))
  vector = certain(value_type=tff.TensorType(dtype, [3]))
  values = [dtype(v) for v in (2, 0, 2)]
  for process, clients in (
    (scalar, values),
    (vector, [one_hot(v).astype(dtype) for v in values]),
  ):
    output = first_round(context, process, clients)
    np.testing.assert_allclose(output.result, [1, 0, 2], atol=1e-6)


@EVERY_METHOD
def test_estimates_are_within_their_deviations(xla, method):
  counts = 1300, 0, 500, 200
  built = factory(method, num_values=4)
  output = first_round(xla, built.create(SCALAR), categories(*counts))
  stddev = np.sqrt(built.randomizer.variance(np.array(counts), 2000.0))
  # 4 nearly normal estimates, 6 deviations: below 1e-8.
  assert np.abs((output.result - counts) / stddev).max() < 6
  # The stated deviations are those of the estimated counts: the variance is
  # linear in them and grows by at most its whole range over 2000.
  np.testing.assert_allclose(output.measurements['stddev'], stddev, rtol=0.15)
  assert output.measurements['report_epsilon'] == pytest.approx(1.0)


@EVERY_METHOD
def test_the_result_is_the_estimate_of_the_sum(context, method):
  built = factory(method, epsilon=1.5)
  output = first_round(context, built.create(SCALAR), categories(4, 2, 1))
  p, q = built.randomizer.true_probability, built.randomizer.false_probability
  marks = output.result * (p - q) + 7 * q
  np.testing.assert_allclose(marks, np.round(marks), atol=1e-5)
  assert np.all((np.round(marks) >= 0) & (np.round(marks) <= 7))
  if method == 'randomized_response':  # One mark a client.
    assert output.result.sum() == pytest.approx(7, abs=1e-5)
  likely = np.clip(output.result, 0, 7)
  np.testing.assert_allclose(
    output.measurements['stddev'],
    np.sqrt(built.randomizer.variance(likely, 7.0)),
    rtol=1e-5,
  )


def marks_of(context, process, values, randomizer) -> np.ndarray:
  """How many reports marked each category."""
  result = np.float64(first_round(context, process, values).result)
  q = randomizer.false_probability
  return result * randomizer.difference + len(values) * q


@EVERY_METHOD
def test_clients_of_one_category_answer_independently(context, method):
  # With equal noise all of them, or none, would mark it.
  built = factory(method, epsilon=0.5)
  process = built.create(SCALAR)
  found = marks_of(context, process, categories(0, 150, 0), built.randomizer)
  p, q = built.randomizer.true_probability, built.randomizer.false_probability
  for marks, chance in zip(found, (q, p, q), strict=True):
    deviation = math.sqrt(150 * chance * (1 - chance))
    # 6 deviations with the binomial's skew: below 1e-7.
    assert abs(marks - 150 * chance) < 6 * deviation


def test_rounds_programs_and_contexts_answer_independently(xla):
  # 200 bits of a client each, fair coins for its own value: two draws agree in
  # about as many as independent ones, 6 deviations off with probability 2e-9.
  built = factory('unary', num_values=200, epsilon=0.01)
  process = built.create(SCALAR)
  reference = samples.Reference()
  bits = []
  for where in (xla, reference):
    first = first_round(where, process, [np.int32(7)])
    again = samples.run(where, process.next, first.state, [np.int32(7)])
    bits += [first.result > 0, again.result > 0]
    bits.append(first_round(where, process, [np.int32(7)]).result > 0)
  reference.close()
  signs = 2.0 * np.array(bits) - 1
  together = signs @ signs.T
  np.fill_diagonal(together, 0)
  assert np.abs(together).max() < 6 * math.sqrt(200)


@pytest.mark.parametrize(
  'method', slow_cases.all_but(['unary'], randomized_response.METHODS)
)
def test_a_test_seed_repeats_runs_but_not_rounds(context, method):
  def rounds():
    process = factory(method, 60, 0.1, seed=5).create(SCALAR)
    state, results = samples.run(context, process.initialize), []
    for _ in range(3):
      output = samples.run(context, process.next, state, categories(0, 1, 1))
      state = output.state
      results.append(output.result)
    return results

  one, other = rounds(), rounds()
  np.testing.assert_array_equal(one, other)
  assert len({tuple(result) for result in one}) == 3


@pytest.mark.parametrize('bad', [-1, 3, 2**31 - 1])
def test_clients_of_no_category_count_as_stated(xla, bad):
  # Unary encoding leaves them out; with randomized response each is one report
  # of a uniform category.
  values = [np.int32(bad)] * 300 + categories(0, 2, 0)
  unary = certain('unary')
  found = first_round(xla, unary, values)
  np.testing.assert_allclose(found.result, [0, 2, 0], atol=1e-5)
  assert found.measurements['num_reports'] == 302
  direct = certain()
  found = first_round(xla, direct, values).result
  assert found.sum() == pytest.approx(302, abs=1e-3)
  # 100 each, standard deviation 8.2: 6 of them, below 1e-8.
  assert np.abs(found - [100, 102, 100]).max() < 6 * 8.2


@pytest.mark.parametrize('bad', [[0, 0, 0], [1, 0, 1], [0, 2, 0], [2, -1, 0]])
def test_vectors_that_are_not_one_hot_are_no_category(xla, bad):
  process = certain('unary', tff.TensorType(np.int32, [3]))
  output = first_round(xla, process, [np.int32(bad), one_hot(2)])
  np.testing.assert_allclose(output.result, [0, 0, 1], atol=1e-6)


def test_nobody_counts_as_nothing():
  reference = samples.Reference()
  output = first_round(reference, factory().create(SCALAR), [])
  reference.close()
  np.testing.assert_array_equal(output.result, np.zeros(3))
  np.testing.assert_array_equal(output.measurements['stddev'], np.zeros(3))


def test_a_client_hands_in_its_bits_and_that_it_did():
  process = factory(num_values=9).create(SCALAR)

  # A MapReduceForm has two results.
  @tff.federated_computation(*process.next.type_signature.parameter)
  def two_results(state, value):
    output = process.next(state, value)
    return output.state, tff.federated_zip((output.result, output.measurements))

  form = tff.backends.mapreduce.get_map_reduce_form_for_computation(two_results)
  plain, *secure = form.work.type_signature.result
  tensors = tff.structure.flatten(plain)
  assert sorted(str(t) for t in tensors) == ['int64', 'int64[9]']
  assert not any(tff.structure.flatten(kind) for kind in secure)


@EVERY_METHOD
def test_clients_and_server_run_on_xla(xla, method):
  assert xla.explain(factory(method).create(SCALAR).next).way == 'xla'


@EVERY_METHOD
def test_its_layers_fit_together(method):
  stack = factory(method).stack
  composition.check(stack, num_clients=1)
  assert method.replace('_', ' ') in str(stack[1])


@pytest.mark.parametrize(
  'value_type',
  [
    tff.TensorType(np.float32),
    tff.TensorType(np.bool_),
    tff.TensorType(np.int32, [2]),
    tff.TensorType(np.int32, [None]),
    tff.TensorType(np.int32, [3, 1]),
    tff.StructType([('a', SCALAR)]),
  ],
)
def test_values_that_are_no_categories_are_refused(value_type):
  with pytest.raises(
    randomized_counts.RandomizedCountsError,
    match='scalar, or one-hot of length 3, found',
  ):
    factory().create(value_type)


def test_impossible_randomizers_are_refused():
  error = randomized_response.RandomizedResponseError
  with pytest.raises(error, match='Expected an epsilon above 0'):
    factory(epsilon=0.0)
  with pytest.raises(error, match='at least 2 values, found 1'):
    factory('unary', num_values=1)
  with pytest.raises(error, match="found 'rappor'"):
    factory('rappor')


def test_its_errors_are_told_without_a_stack_trace():
  assert issubclass(
    randomized_counts.RandomizedCountsError, errors.PipelineError
  )
