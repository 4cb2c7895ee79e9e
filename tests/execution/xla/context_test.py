"""Which way a computation takes, and what the context says about it."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.execution.xla import context

FLOAT = tff.TensorType(np.float32)
FLOATS = tff.FederatedType(FLOAT, tff.CLIENTS)
BATCH = tff.TensorType(np.float32, [None])
BATCHES = tff.FederatedType(tff.SequenceType(BATCH), tff.CLIENTS)


@pytest.fixture(scope='module')
def xla():
  made = context.XlaContext(threads=2)
  yield made
  made.close()


@pytest.fixture(scope='module')
def reference():
  made = samples.Reference()
  yield made
  made.close()


def _sum_of(work, member=BATCHES.member):
  """The sum over the clients of what `work` makes of a client's data."""

  @tff.federated_computation(tff.FederatedType(member, tff.CLIENTS))
  def total(clients):
    computation = tff.tensorflow.computation(work, member)
    return tff.federated_sum(tff.federated_map(computation, clients))

  return total


def _reduced(step):
  return _sum_of(
    lambda batches: batches.reduce(
      0.0, lambda total, batch: total + tf.reduce_sum(step(batch))
    )
  )


def _fed_avg(**options):
  return tff.learning.algorithms.build_weighted_fed_avg(
    samples.hand_written_model(),
    client_optimizer_fn=tff.learning.optimizers.build_sgdm(0.1),
    **options,
  ).next


def _private_fed_avg():
  return tff.learning.algorithms.build_unweighted_fed_avg(
    samples.hand_written_model(),
    client_optimizer_fn=tff.learning.optimizers.build_sgdm(0.1),
    model_aggregator=tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
      1.0, 4.0, 0.5
    ),
  ).next


def _strings():
  spec = tff.SequenceType(tff.TensorType(np.str_, [None]))
  return _sum_of(
    lambda words: words.reduce(0, lambda total, batch: total + tf.size(batch)),
    spec,
  )


def _reservoir():
  factory = tff.aggregators.UnweightedReservoirSamplingFactory(2)
  return factory.create(FLOAT).next


def _collected():
  """A list of all clients' values, as `federated_collect` once gave it."""
  values = tff.TensorType(np.float32, [None])
  zero = tff.tensorflow.computation(lambda: tf.zeros([0]))
  add = tff.tensorflow.computation(
    lambda collected, value: tf.concat([collected, [value]], 0), [values, FLOAT]
  )
  merge = tff.tensorflow.computation(
    lambda a, b: tf.concat([a, b], 0), [values, values]
  )
  report = tff.tensorflow.computation(lambda collected: collected, values)

  @tff.federated_computation(tff.FederatedType(FLOAT, tff.CLIENTS))
  def collect(clients):
    return tff.federated_aggregate(clients, zero(), add, merge, report)

  return collect


def test_values_are_collected_in_the_order_of_the_clients(xla):
  found = samples.run(xla, _collected(), [3.0, 1.0, 2.0, 5.0])
  assert found.tolist() == [3, 1, 2, 5]


# Name -> computation, way, words of the reason, words about randomness.
EXPLANATIONS = {
  'FedAvg': (_fed_avg, 'xla', 'is one XLA program', 'It draws no random'),
  'DP': (
    _private_fed_avg,
    'xla',
    'the rest plain TensorFlow functions',
    "The server draws random numbers (RandomStandardNormal) from TensorFlow's "
    'own generator.',
  ),
  'strings': (_strings, 'function', 'XLA has no strings', 'It draws no random'),
  'Poisson': (
    lambda: _reduced(lambda batch: tf.random.poisson([], 3.0)),
    'function',
    'XLA has no kernel for RandomPoissonV2',
    "Client work draws random numbers (RandomPoissonV2) from TensorFlow's own",
  ),
  'normal draws in client work': (
    lambda: _reduced(lambda batch: tf.random.normal([])),
    'xla',
    'is one XLA program',
    "from XLA's (32-bit seed, not for privacy) generator",
  ),
  'seeds in client work': (
    lambda: _reduced(lambda b: tf.random.stateless_normal([], [1, 2])),
    'xla',
    'is one XLA program',
    'from seeds of its own',
  ),
  'a sample of the clients': (
    _reservoir,
    'function',
    'grows with their number, and XLA needs fixed shapes',
    'Client work computes random numbers',
  ),
  'a list of all values': (
    _collected,
    'function',
    'grows with their number, and XLA needs fixed shapes',
    'It draws no random',
  ),
  'dataset.map': (
    lambda: _sum_of(
      lambda d: d.map(lambda b: b + 1).reduce(
        0.0, lambda total, batch: total + tf.reduce_sum(batch)
      )
    ),
    'native',
    "its client work applies MapDataset to a client's dataset",
    'drawn by TensorFlow',
  ),
}


# With client work in other ways.
_SELDOM = ('DP', 'Poisson', 'a sample of the clients')


@pytest.mark.parametrize(
  'name',
  [slow_cases.slow(n) if n in _SELDOM else n for n in EXPLANATIONS],
)
def test_explanation(xla, name):
  build, way, reason, randomness = EXPLANATIONS[name]
  found = xla.explain(build())
  assert found.way == way
  assert reason in found.reason
  assert randomness in found.randomness
  assert str(found).startswith(f'{way}: ')


def test_an_explanation_starts_no_worker():
  made = context.XlaContext()
  assert made.explain(EXPLANATIONS['dataset.map'][0]()).way == 'native'
  assert not made.native.worker.started


def test_the_worker_starts_for_what_needs_it_and_ends_with_the_context():
  made = context.XlaContext()
  computation = EXPLANATIONS['dataset.map'][0]()
  data = [tf.data.Dataset.from_tensor_slices([1.0, 2.0]).batch(2)]
  assert samples.run(made, computation, data) == 5
  assert made.native.worker.started
  made.close()
  assert not made.native.worker.started


@pytest.mark.parametrize('draw', ['normal', 'poisson'])
def test_random_numbers_are_fresh_for_every_client_and_round(xla, draw):
  work = {
    'normal': lambda v: v + tf.random.normal([3]),
    # No XLA kernel: as a plain function. Large, so that draws hardly coincide.
    'poisson': lambda v: v + tf.random.poisson([3], 1e6),
  }[draw]

  @tff.federated_computation(FLOATS)
  def noisy(values):
    return tff.federated_map(tff.tensorflow.computation(work, FLOAT), values)

  draws = [
    tuple(drawn)
    for _ in range(3)
    for drawn in samples.run(xla, noisy, [0.0] * 5)
  ]
  assert len(draws) == len(set(draws)) == 15


def test_random_numbers_are_fresh_for_every_batch(xla):
  # The variance of a sum of n draws is n: a draw that is folded into a
  # constant, or drawn once, gives n^2. 400 sums, so 6 standard errors are
  # 6 * sqrt(2 / 400) = 0.43 (false alarm 2e-9); n is 16.
  def add(batches):
    return batches.reduce(
      0.0, lambda total, batch: total + tf.random.normal([])
    )

  @tff.federated_computation(BATCHES)
  def sums(clients):
    return tff.federated_map(
      tff.tensorflow.computation(add, BATCHES.member), clients
    )

  clients = [[np.zeros([1], np.float32)] * 16] * 400
  found = samples.run(xla, sums, clients)
  assert xla.explain(sums).way == 'xla'
  assert abs(np.var(found) / 16 - 1) < 0.43


def test_random_numbers_used_twice_are_drawn_once(xla):
  @tff.federated_computation(FLOATS)
  def pairs(values):
    def work(value):
      drawn = value + tf.random.normal([])
      return drawn, drawn

    return tff.federated_map(tff.tensorflow.computation(work, FLOAT), values)

  assert all(a == b for a, b in samples.run(xla, pairs, [0.0] * 4))


def test_random_numbers_at_the_server_are_fresh(xla):
  @tff.federated_computation(tff.FederatedType(FLOAT, tff.SERVER))
  def noisy(value):
    work = tff.tensorflow.computation(lambda v: v + tf.random.normal([]), FLOAT)
    return tff.federated_map(work, value)

  assert len({float(samples.run(xla, noisy, 0.0)) for _ in range(5)}) == 5
  assert 'It draws random numbers' in xla.explain(noisy).randomness


_sum = _reduced(lambda batch: batch)


@tff.federated_computation(FLOATS, FLOATS)
def _two(one, other):
  return tff.federated_sum(one), tff.federated_sum(other)


@tff.federated_computation(
  tff.FederatedType(
    tff.types.to_type(collections.OrderedDict(b=np.float32, a=np.int32)),
    tff.SERVER,
  )
)
def _named(value):
  return value


_plain = tff.tensorflow.computation(lambda v: v, tff.TensorType(np.int32, [2]))

MISTAKES = {
  'a string for a number': (_two, (['a'], [1.0])),
  'a vector for a number': (_two, ([[1.0, 2.0]], [1.0])),
  'an integer for a float': (_two, ([1], [1.0])),
  'float64 for float32': (_two, ([np.float64(1)], [1.0])),
  'one value for all clients': (_two, (3.0, [1.0])),
  'None': (_two, ([None], [1.0])),
  'different numbers of clients': (_two, ([1.0], [1.0, 2.0])),
  'batches of integers': (
    _sum,
    ([tf.data.Dataset.from_tensor_slices([1, 2]).batch(2)],),
  ),
  'elements that are not batches': (
    _sum,
    ([tf.data.Dataset.from_tensor_slices([1.0, 2.0])],),
  ),
  'a number for a dataset': (_sum, ([3.0],)),
  'a dataset for a list of them': (_sum, (tf.data.Dataset.range(3),)),
  'batches of another structure': (_sum, (samples.batches([3]),)),
  'a name too few': (_named, ({'b': 1.0},)),
  'a float for an integer': (_named, ({'b': 1.0, 'a': 2.5},)),
  'a vector of another size': (_plain, ([1, 2, 3],)),
}


@pytest.mark.parametrize('mistake', MISTAKES)
def test_a_wrong_argument_gets_tffs_own_message(xla, reference, mistake):
  computation, arguments = MISTAKES[mistake]
  errors = []
  for runtime in (reference, xla):
    with pytest.raises((TypeError, ValueError, NotImplementedError)) as raised:
      samples.run(runtime, computation, *arguments)
    errors.append((type(raised.value), str(raised.value)))
  assert errors[0] == errors[1]


def test_a_wrong_argument_of_a_secure_sum_is_refused_with_the_reason(xla):
  @tff.federated_computation(
    tff.FederatedType(tff.TensorType(np.int32), tff.CLIENTS)
  )
  def total(values):
    return tff.federated_secure_sum(values, 10)

  with pytest.raises(TypeError, match=r"dtype <class 'float'> to dtype"):
    samples.run(xla, total, [1.5])


def test_a_dict_is_taken_by_its_names(xla):
  # TFF takes the values in the order of the dict, whatever their names.
  found = samples.run(xla, _named, {'a': 1, 'b': 2.0})
  assert found == collections.OrderedDict(b=2.0, a=1)


def test_the_context_can_be_used_after_a_wrong_argument(xla):
  with pytest.raises(TypeError):
    samples.run(xla, _two, ['a'], [1.0])
  assert samples.run(xla, _two, [1.0], [2.0]) == (1.0, 2.0)
  assert xla.explain(_two).way == 'xla'


@pytest.mark.parametrize('spoiled', [np.nan, slow_cases.slow(np.inf)])
def test_data_that_make_nan_do_what_they_do_on_tff(xla, reference, spoiled):
  process = tff.learning.algorithms.build_weighted_fed_avg(
    samples.hand_written_model(),
    client_optimizer_fn=tff.learning.optimizers.build_sgdm(0.1),
  )
  clients = samples.batches([5, 3, 9])
  clients.elements['x'][2] = spoiled  # The second client's only batch.
  samples.Pair(reference, xla).same_rounds(process, [clients, clients])


def test_nan_is_summed_as_on_tff(xla, reference):
  data = [[np.array([1.0, np.nan], np.float32)], [np.ones([2], np.float32)]]
  found = samples.Pair(reference, xla).same(_sum, data)
  assert np.isnan(found)


@pytest.mark.parametrize('threads', [0, -1])
def test_less_than_one_thread_is_refused(threads):
  with pytest.raises(
    context.ThreadsError, match=f'at least 1 thread.*found {threads}'
  ):
    context.XlaContext(threads=threads)
