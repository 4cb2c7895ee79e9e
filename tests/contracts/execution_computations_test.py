"""Hand-written computations: XLA gives what TFF's own runtime gives."""

import collections
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples

FLOAT = tff.TensorType(np.float32)
INT = tff.TensorType(np.int32)
LONG = tff.TensorType(np.int64)
VECTOR = tff.TensorType(np.float32, [2])
FLOATS = tff.FederatedType(FLOAT, tff.CLIENTS)
INTS = tff.FederatedType(INT, tff.CLIENTS)
AT_SERVER = tff.FederatedType(FLOAT, tff.SERVER)
BATCHES = tff.FederatedType(
  tff.SequenceType(tff.types.tensorflow_to_type(samples.BATCH_SPEC)),
  tff.CLIENTS,
)
_MODULAR = tff.aggregators.SecureModularSumFactory(modulus=13).create(INT)


class Statistics(NamedTuple):
  total: object
  count: object


@tff.tensorflow.computation(BATCHES.member)
def _statistics(batches):
  total, count = batches.reduce(
    (tf.zeros([samples.NUM_FEATURES]), tf.constant(0, tf.int64)),
    lambda state, batch: (
      state[0] + tf.reduce_sum(batch['x'], axis=0),
      state[1] + tf.shape(batch['x'], tf.int64)[0],
    ),
  )
  return Statistics(total, count)


@tff.tensorflow.computation(FLOAT)
def _square(value):
  return value * value


@tff.tensorflow.computation(FLOAT, FLOAT)
def _add(one, other):
  return one + other


@tff.federated_computation(FLOATS, INTS)
def _several_sums(floats, ints):
  return collections.OrderedDict(
    z=tff.federated_sum(floats), a=(tff.federated_sum(ints),)
  )


@tff.federated_computation(FLOATS, FLOATS)
def _weighted_mean(values, weights):
  return tff.federated_mean(values, weights)


@tff.federated_computation(FLOATS)
def _mean(values):
  return tff.federated_mean(values)


@tff.federated_computation(FLOATS)
def _extremes(values):
  return tff.federated_min(values), tff.federated_max(values)


@tff.federated_computation(FLOATS)
def _with_a_value(values):
  ten = tff.federated_value(np.float32(10.0), tff.CLIENTS)
  return tff.federated_sum(tff.federated_map(_add, (values, ten)))


@tff.federated_computation(INTS)
def _with_eval(values):
  ones = tff.federated_eval(
    tff.tensorflow.computation(lambda: tf.constant(1, tf.int32)), tff.CLIENTS
  )
  at_server = tff.federated_eval(
    tff.tensorflow.computation(lambda: tf.constant([1.5, 2.5])), tff.SERVER
  )
  return tff.federated_sum(values), tff.federated_sum(ones), at_server


@tff.federated_computation(FLOATS)
def _nested_maps(values):
  twice = tff.federated_map(_square, tff.federated_map(_square, values))
  return tff.federated_map(_square, tff.federated_sum(twice))


@tff.federated_computation(AT_SERVER, FLOATS, AT_SERVER, INTS)
def _many_arguments(one, values, other, ints):
  both = tff.federated_map(_add, (one, other))
  shifted = tff.federated_map(_add, (values, tff.federated_broadcast(both)))
  return both, tff.federated_sum(shifted), tff.federated_sum(ints)


@tff.federated_computation(BATCHES)
def _of_batches(batches):
  return tff.federated_sum(tff.federated_map(_statistics, batches))


@tff.federated_computation(BATCHES, BATCHES)
def _two_datasets(one, other):
  return (
    tff.federated_sum(tff.federated_map(_statistics, one)),
    tff.federated_sum(tff.federated_map(_statistics, other)),
  )


@tff.federated_computation(
  tff.FederatedType(
    collections.OrderedDict(train=BATCHES.member, test=BATCHES.member),
    tff.CLIENTS,
  )
)
def _two_datasets_in_one(both):
  return (
    tff.federated_sum(tff.federated_map(_statistics, both['train'])),
    tff.federated_sum(tff.federated_map(_statistics, both['test'])),
  )


@tff.federated_computation(
  tff.FederatedType(BATCHES.member, tff.CLIENTS),
  tff.FederatedType(VECTOR, tff.CLIENTS),
)
def _dataset_and_tensor(batches, vectors):
  return (
    tff.federated_sum(tff.federated_map(_statistics, batches)),
    tff.federated_mean(vectors),
  )


@tff.federated_computation(INTS)
def _secure_sums(values):
  return (
    tff.federated_secure_sum(values, 2**20),
    tff.federated_secure_sum_bitwidth(values, 21),
    _MODULAR.next(_MODULAR.initialize(), values).result,
    tff.federated_sum(values),
  )


@tff.federated_computation(AT_SERVER)
def _at_the_server(value):
  return tff.federated_map(_square, value)


@tff.federated_computation(AT_SERVER, tff.FederatedType(VECTOR, tff.SERVER))
def _two_at_the_server(value, vector):
  return tff.federated_map(_square, value), vector


@tff.federated_computation
def _nothing():
  return tff.federated_value(np.float32(3.0), tff.SERVER)


@tff.federated_computation
def _two_values():
  return (
    tff.federated_value(np.float32(3.0), tff.SERVER),
    tff.federated_value(np.int32(4), tff.SERVER),
  )


@tff.federated_computation(FLOAT)
def _unplaced(value):
  return _square(value), _add(value, value)


@tff.tensorflow.computation(
  collections.OrderedDict(b=tff.TensorType(np.float32, [None]), a=LONG)
)
def _unplaced_tensorflow(value):
  return collections.OrderedDict(
    total=tf.reduce_sum(value['b']), again=(value['a'], value['b'])
  )


def _batches(seed=0):
  return samples.batches(samples.COHORTS[0], seed)


VALUES = [1.5, -2.0, 0.25, 4.0]
# Name -> computation, arguments.
AGGREGATIONS = {
  'several sums': (_several_sums, lambda: (VALUES, [1, 2, 3, 4])),
  'weighted mean': (_weighted_mean, lambda: (VALUES, [1.0, 2.0, 0.0, 4.0])),
  'mean': (_mean, lambda: (VALUES,)),
  'minimum and maximum': (_extremes, lambda: (VALUES,)),
  'federated_value': (_with_a_value, lambda: (VALUES,)),
  'federated_eval': (_with_eval, lambda: ([1, 2, 3],)),
  'nested maps': (_nested_maps, lambda: (VALUES,)),
  'several arguments': (
    _many_arguments,
    lambda: (1.0, VALUES, 2.0, [1, 2, 3, 4]),
  ),
  'one dataset': (_of_batches, lambda: (_batches(),)),
  'two datasets': (_two_datasets, lambda: (_batches(), _batches(1))),
  'a dataset and a tensor': (
    _dataset_and_tensor,
    lambda: (_batches(), [np.full([2], v, np.float32) for v in range(5)]),
  ),
  'two datasets in a struct': (
    _two_datasets_in_one,
    lambda: (
      [
        {'train': one, 'test': other}
        for one, other in zip(
          _batches().datasets(), _batches(1).datasets(), strict=True
        )
      ],
    ),
  ),
  'secure sums': (_secure_sums, lambda: ([5, 3, 2**20, 7],)),
}
AT_THE_SERVER = {
  'one argument': (_at_the_server, (3.0,)),
  'two arguments': (_two_at_the_server, (3.0, [1.0, 2.0])),
  'no argument': (_nothing, ()),
  'no argument, two results': (_two_values, ()),
  'unplaced': (_unplaced, (3.0,)),
  'unplaced TensorFlow': (
    _unplaced_tensorflow,
    (collections.OrderedDict(b=[1.0, 2.0], a=3),),
  ),
}


# With the most in them.
_ALWAYS_RUN = ('two datasets in a struct', 'several sums', 'secure sums')


@pytest.mark.parametrize('name', slow_cases.all_but(_ALWAYS_RUN, AGGREGATIONS))
def test_an_aggregation_is_that_of_tff(pair, name):
  computation, arguments = AGGREGATIONS[name]
  pair.same(computation, *arguments())
  assert pair.way(computation) == 'xla'


@pytest.mark.parametrize('name', AT_THE_SERVER)
def test_what_has_no_clients_is_that_of_tff(pair, name):
  computation, arguments = AT_THE_SERVER[name]
  pair.same(computation, *arguments)
  assert pair.way(computation) == 'function'


@tff.federated_computation(BATCHES)
def _per_client(batches):
  return tff.federated_map(_statistics, batches)


@tff.federated_computation(AT_SERVER, FLOATS)
def _shifted(shift, values):
  return tff.federated_map(_add, (values, tff.federated_broadcast(shift)))


@tff.federated_computation(FLOATS, INTS)
def _two_results(values, ints):
  return tff.federated_map(_square, values), ints


@tff.federated_computation(FLOATS)
def _broadcast_only(values):
  del values  # Unused.
  return tff.federated_value(np.float32(2.0), tff.CLIENTS)


@pytest.mark.parametrize(
  'computation, arguments',
  [
    (_per_client, lambda: (_batches(),)),
    (_shifted, lambda: (1.0, VALUES)),
  ],
)
def test_results_at_the_clients_are_a_list(pair, computation, arguments):
  found = pair.same(computation, *arguments())
  assert isinstance(found, list)
  assert pair.way(computation) == 'xla'


def test_two_results_at_the_clients_are_those_of_tff(pair):
  pair.same(_two_results, VALUES, [1, 2, 3, 4])
  assert pair.way(_two_results) == 'xla'


def test_the_worker_has_not_started_for_any_of_these(pair):
  assert not pair.xla.native.worker.started


def test_a_result_equal_at_all_clients_is_that_of_tff(pair):
  pair.same(_broadcast_only, VALUES)
  assert pair.way(_broadcast_only) == 'native'
