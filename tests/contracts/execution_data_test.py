"""Forms of client data: whichever is given, the numbers are TFF's."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples

SIZES = samples.COHORTS[0]
SPEC = tff.types.tensorflow_to_type(samples.BATCH_SPEC)


def _total_over(element_type):
  """Sums every component over the elements of every client."""
  spec = tff.types.to_type(element_type)

  @tff.tensorflow.computation(tff.SequenceType(spec))
  def total(elements):
    def add(state, element):
      return tf.nest.map_structure(
        lambda old, new: old + tf.reduce_sum(tf.cast(new, tf.float64)),
        state,
        element,
      )

    zero = tf.nest.map_structure(
      lambda _: tf.zeros([], tf.float64), elements.element_spec
    )
    return elements.reduce(zero, add)

  @tff.federated_computation(
    tff.FederatedType(tff.SequenceType(spec), tff.CLIENTS)
  )
  def totals(clients):
    return tff.federated_sum(tff.federated_map(total, clients))

  return totals


_OF_BATCHES = _total_over(SPEC)
_OF_EXAMPLES = _total_over(
  collections.OrderedDict(
    x=tff.TensorType(np.float32, [samples.NUM_FEATURES]),
    y=tff.TensorType(np.float32, [1]),
  )
)


def _examples(client):
  return samples.examples(SIZES[client], [0, client])


def _as_batches(clients):
  return [
    list(clients.datasets()[c].as_numpy_iterator()) for c in range(len(SIZES))
  ]


BATCHED = {
  'ClientBatches': lambda clients: clients,
  'datasets': lambda clients: clients.datasets(),
  'lists': _as_batches,
  'datasets of other batch sizes': lambda _: [
    tf.data.Dataset.from_tensor_slices(_examples(c)).batch(c + 2)
    for c in range(len(SIZES))
  ],
}
UNBATCHED = {
  'datasets': lambda: [
    tf.data.Dataset.from_tensor_slices(_examples(c)) for c in range(len(SIZES))
  ],
  'lists': lambda: [
    [{k: v[n] for k, v in _examples(c).items()} for n in range(SIZES[c])]
    for c in range(len(SIZES))
  ],
}


@pytest.mark.parametrize('form', BATCHED)
def test_batches_in_every_form(pair, form):
  clients = BATCHED[form](samples.batches(SIZES))
  found = pair.same(_OF_BATCHES, clients)
  expected = sum(_examples(c)['x'].sum(dtype=float) for c in range(len(SIZES)))
  assert found['x'] == pytest.approx(expected, rel=1e-5)
  assert pair.way(_OF_BATCHES) == 'xla'


@pytest.mark.parametrize('form', UNBATCHED)
def test_examples_in_every_form(pair, form):
  found = pair.same(_OF_EXAMPLES, UNBATCHED[form]())
  expected = sum(_examples(c)['x'].sum(dtype=float) for c in range(len(SIZES)))
  assert found['x'] == pytest.approx(expected, rel=1e-5)
  assert pair.way(_OF_EXAMPLES) == 'xla'


def test_lists_of_scalars(pair):
  computation = _total_over(np.int32)
  assert pair.same(computation, [[1, 2], [], [3]]) == 6
  assert pair.way(computation) == 'xla'


def test_what_tff_itself_does_not_take_is_taken(pair):
  # Arrays as sequences, and lists of batches that are not only at last short.
  computation = _total_over(np.int32)
  clients = [np.array([1, 2], np.int32), np.array([3], np.int32)]
  assert samples.run(pair.xla, computation, clients) == 6
  uneven = [
    [
      {name: v[first:last] for name, v in _examples(c).items()}
      for first, last in ((0, 1), (1, 3), (3, 20))
      if first < SIZES[c]
    ]
    for c in range(len(SIZES))
  ]
  samples.assert_same(
    samples.run(pair.xla, _OF_BATCHES, uneven),
    samples.run(pair.xla, _OF_BATCHES, samples.batches(SIZES)),
  )


def _element(rng, kind):
  """A batch of 3 examples of a kind of structure."""
  floats = rng.normal(size=[3, 2]).astype(np.float32)
  ints = rng.integers(0, 5, [3])
  return {
    'keys out of order': collections.OrderedDict(
      z=floats, a=floats[:, 0], m=ints
    ),
    'nested dicts': collections.OrderedDict(
      x=collections.OrderedDict(b=ints, a=floats), w=floats[:, :1]
    ),
    'tuples': (floats, (ints, floats + 1)),
    'one tensor': floats,
    'int64': ints.astype(np.int64),
    'float64': floats.astype(np.float64),
    'bool': ints > 2,
    'int8 and float16': (ints.astype(np.int8), floats.astype(np.float16)),
    'a matrix an example': rng.normal(size=[3, 2, 2]).astype(np.float32),
  }[kind]


KINDS = (
  'keys out of order',
  'nested dicts',
  'tuples',
  'one tensor',
  'int64',
  'float64',
  'bool',
  'int8 and float16',
  'a matrix an example',
)
_ALWAYS_RUN = (
  'keys out of order',
  'nested dicts',
  'tuples',
  'int8 and float16',
)


@pytest.mark.parametrize(
  'batched', [True, slow_cases.slow(False)], ids=['batches', 'examples']
)
@pytest.mark.parametrize('kind', slow_cases.all_but(_ALWAYS_RUN, KINDS))
def test_elements_of_every_structure(pair, kind, batched):
  rng = np.random.default_rng(0)
  clients = [
    tf.data.Dataset.from_tensor_slices(_element(rng, kind)) for _ in range(3)
  ]
  clients.append(clients[0].take(0))
  if batched:
    clients = [d.batch(2) for d in clients]
  computation = _total_over(
    tff.types.tensorflow_to_type(clients[0].element_spec)
  )
  pair.same(computation, clients)
  assert pair.way(computation) == 'xla'


def test_the_order_of_an_elements_keys_is_kept(pair):
  # z is before a in the type; tf.data has them the other way round.
  spec = collections.OrderedDict(
    z=tff.TensorType(np.float32), a=tff.TensorType(np.float32)
  )
  clients = [
    tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(z=[10.0], a=[1.0])
    )
  ]
  found = pair.same(_total_over(spec), clients)
  assert found == collections.OrderedDict(z=10.0, a=1.0)
  found = pair.same(_total_over(spec), [[{'a': 1.0, 'z': 10.0}]])
  assert found == collections.OrderedDict(z=10.0, a=1.0)


def test_tensors_at_the_clients_with_nested_structure(pair):
  spec = tff.types.to_type(
    collections.OrderedDict(
      z=tff.TensorType(np.float32, [2]), a=(np.int64, np.float64)
    )
  )

  @tff.federated_computation(tff.FederatedType(spec, tff.CLIENTS))
  def total(values):
    return tff.federated_sum(values), tff.federated_max(values)

  clients = [
    collections.OrderedDict(
      z=np.array([c, 1.0], np.float32), a=(2**40 + c, 0.5 * c)
    )
    for c in range(4)
  ]
  pair.same(total, clients)
  pair.same(total, [tf.nest.map_structure(np.asarray, c) for c in clients])
  assert pair.way(total) == 'xla'


@tff.tensorflow.computation(tff.SequenceType(tff.TensorType(np.str_, [None])))
def _count_a(batches):
  return batches.reduce(
    0,
    lambda total, words: (
      total + tf.reduce_sum(tf.cast(tf.equal(words, 'a'), tf.int32))
    ),
  )


@tff.federated_computation(
  tff.FederatedType(
    tff.SequenceType(tff.TensorType(np.str_, [None])), tff.CLIENTS
  )
)
def _count_a_everywhere(clients):
  return tff.federated_sum(tff.federated_map(_count_a, clients))


def test_strings_in_this_process_without_xla(pair):
  clients = [
    tf.data.Dataset.from_tensor_slices(words).batch(2)
    for words in (['a', 'b', 'a'], ['c'], ['a', 'a', 'a', 'a', 'a'])
  ]
  assert pair.same(_count_a_everywhere, clients) == 7
  assert pair.way(_count_a_everywhere) == 'function'


@tff.federated_computation(
  tff.FederatedType(tff.TensorType(np.str_), tff.CLIENTS)
)
def _longest(words):
  length = tff.tensorflow.computation(
    lambda word: tf.strings.length(word), tff.TensorType(np.str_)
  )
  return tff.federated_max(tff.federated_map(length, words))


def test_a_string_a_client(pair):
  assert pair.same(_longest, ['a', 'bcd', 'ef']) == 3
  assert pair.way(_longest) == 'function'


@tff.tensorflow.computation(tff.TensorType(np.str_))
def _upper(word):
  return tf.strings.upper(word)


@tff.federated_computation(
  tff.FederatedType(tff.TensorType(np.str_), tff.CLIENTS)
)
def _upper_everywhere(words):
  return tff.federated_map(_upper, words)


def test_strings_as_results(pair):
  pair.same(_upper_everywhere, ['a', 'bcd', 'ef'])
  pair.same(_upper, 'abc')


def test_the_worker_has_not_started_for_any_of_these(pair):
  assert not pair.xla.native.worker.started


def test_tensors_that_vary_in_shape_run_on_the_worker(pair):
  @tff.federated_computation(
    tff.FederatedType(tff.TensorType(np.float32, [None]), tff.CLIENTS)
  )
  def total(values):
    add = tff.tensorflow.computation(
      lambda v: tf.reduce_sum(v), tff.TensorType(np.float32, [None])
    )
    return tff.federated_sum(tff.federated_map(add, values))

  assert pair.same(total, [[1.0], [2.0, 3.0], []]) == 6
  assert pair.way(total) == 'native'
