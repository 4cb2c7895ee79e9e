"""Every reason for which a computation goes to TFF's worker."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.execution.xla import context, graphs, lowering

FLOAT = tff.TensorType(np.float32)
FLOATS = tff.FederatedType(FLOAT, tff.CLIENTS)
AT_SERVER = tff.FederatedType(FLOAT, tff.SERVER)
DATASET = tff.SequenceType(tff.TensorType(np.float32, [None]))


@pytest.fixture(scope='module')
def xla():
  return context.XlaContext(threads=1)


def _total(dataset):
  return dataset.reduce(0.0, lambda total, b: total + tf.reduce_sum(b))


def _one(work):
  computation = tff.tensorflow.computation(work, DATASET)

  @tff.federated_computation(tff.FederatedType(DATASET, tff.CLIENTS))
  def total(clients):
    return tff.federated_sum(tff.federated_map(computation, clients))

  return total


def _two(work):
  computation = tff.tensorflow.computation(work, DATASET, DATASET)

  @tff.federated_computation(
    tff.FederatedType(DATASET, tff.CLIENTS),
    tff.FederatedType(DATASET, tff.CLIENTS),
  )
  def total(one, other):
    return tff.federated_sum(tff.federated_map(computation, (one, other)))

  return total


@tf.function
def _own_dataset(dataset):
  numbers = iter(tf.data.Dataset.range(3))
  return _total(dataset) + tf.cast(next(numbers), tf.float32)


def _chosen(one, other):
  return _total(tf.cond(_total(one) > 0, lambda: one, lambda: other))


def _swapped(one, other):
  _, one, _ = tf.while_loop(
    lambda k, *_: k < 3, lambda k, a, b: (k + 1, b, a), (0, one, other)
  )
  return _total(one)


def _with_table(dataset):
  table = tf.lookup.StaticHashTable(
    tf.lookup.KeyValueTensorInitializer([1.0], [2.0]), 0.0
  )
  return _total(dataset) + tf.ensure_shape(table.lookup(tf.constant(1.0)), [])


@tff.federated_computation(FLOATS, AT_SERVER)
def _results_everywhere(values, value):
  return tff.federated_sum(values), values, value


@tff.federated_computation(FLOATS)
def _same_everywhere(values):
  del values  # Unused.
  return tff.federated_value(np.float32(1), tff.CLIENTS)


@tff.federated_computation(FLOAT, FLOATS)
def _unplaced_argument(value, values):
  del value  # Unused.
  return tff.federated_sum(values)


@tff.federated_computation(FLOAT)
def _placed_from_unplaced(value):
  del value  # Unused.
  return tff.federated_value(np.float32(1), tff.SERVER)


@tff.federated_computation
def _only_clients():
  return tff.federated_value(np.float32(1), tff.CLIENTS)


@tff.federated_computation(AT_SERVER)
def _counts_clients(value):
  one = tff.federated_value(np.float32(1), tff.CLIENTS)
  return value, tff.federated_sum(one)


@tff.federated_computation(FLOATS)
def _sum_twice(values):
  # Sums, tells the clients, sums again: two rounds of communication.
  total = tff.federated_broadcast(tff.federated_sum(values))
  return tff.federated_sum(total)


@tff.tensorflow.computation(DATASET)
def _plain(dataset):
  return _total(dataset)


REFUSED = {
  'a dataset of its own': (
    lambda: _one(_own_dataset),
    'iterates over a dataset of its own',
  ),
  'a choice': (lambda: _two(_chosen), 'chooses between datasets'),
  'a swap': (lambda: _two(_swapped), 'its loop replaces a dataset'),
  'a table': (lambda: _one(_with_table), 'initializes a table or a variable'),
  'results everywhere': (
    lambda: _results_everywhere,
    'its results are not all at the server or all at the clients',
  ),
  'the same everywhere': (lambda: _same_everywhere, 'same at all clients'),
  'an unplaced argument': (
    lambda: _unplaced_argument,
    'its argument 0 is neither at the server nor at the clients',
  ),
  'placed from unplaced': (
    lambda: _placed_from_unplaced,
    'its parameter is of the type float32',
  ),
  'only at the clients': (lambda: _only_clients, 'same at all clients'),
  'two rounds': (lambda: _sum_twice, 'finds no map-reduce form of it'),
  'clients without arguments': (
    lambda: _counts_clients,
    'its result is not made at one place alone',
  ),
  'a sequence': (lambda: _plain, 'it takes or returns a sequence'),
}


@pytest.mark.parametrize('what', REFUSED)
def test_what_is_refused_and_why(xla, what):
  build, reason = REFUSED[what]
  found = xla.explain(build())
  assert found.way == 'native'
  assert reason in found.reason
  assert "TensorFlow's own generators" in found.randomness


@pytest.mark.parametrize(
  'name, work',
  [
    ('MapDataset', lambda d: _total(d.map(lambda b: b + 1))),
    ('TakeDataset', lambda d: _total(d.take(1))),
    ('SkipDataset', lambda d: _total(d.skip(1))),
    ('ShuffleDataset', lambda d: _total(d.shuffle(4))),
    ('RepeatDataset', lambda d: _total(d.repeat(2))),
    ('DatasetCardinality', lambda d: tf.cast(d.cardinality(), tf.float32)),
  ],
)
def test_what_client_work_does_to_its_dataset_is_named(xla, name, work):
  found = xla.explain(_one(work))
  assert found.way == 'native'
  assert f"client work applies {name} to a client's dataset" in found.reason


def test_an_iterator_of_unknown_origin_is_refused():
  graph = tf.compat.v1.GraphDef()
  graph.node.add(name='iterator', op='AnonymousIteratorV3')
  graph.node.add(
    name='next', op='IteratorGetNextAsOptional', input=['iterator']
  )
  body = graphs.Body(graph, (), ('next:0',))
  library = graphs.Library(tf.compat.v1.GraphDef().library)
  with pytest.raises(graphs.NotLowerableError, match='of unknown origin'):
    lowering.Lowering(library, compiled=True).run(body, [])


def test_a_graph_of_something_else_than_tensorflow_is_refused():
  @tff.federated_computation(FLOAT)
  def identity(value):
    return value

  with pytest.raises(graphs.NotLowerableError, match='not made of TensorFlow'):
    graphs.read(identity)
