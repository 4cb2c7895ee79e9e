"""Between TFF's types and flat tensors."""

import collections
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.execution.xla import values


class Pair(NamedTuple):
  z: object
  a: object


FLOAT = tff.TensorType(np.float32)
NESTED = tff.types.to_type(
  collections.OrderedDict(z=FLOAT, a=[FLOAT, (FLOAT, FLOAT)])
)
VALUE = collections.OrderedDict(z=1.0, a=[2.0, (3.0, 4.0)])


def _as_floats(flat):
  return [float(v) for v in flat]


@pytest.mark.parametrize(
  'value',
  [
    VALUE,
    {'a': [2.0, (3.0, 4.0)], 'z': 1.0},
    tff.structure.Struct([('z', 1.0), ('a', (2.0, [3.0, 4.0]))]),
    Pair(1.0, [np.float32(2), (tf.constant(3.0), tf.Variable(4.0))]),
    (1.0, [2.0, (3.0, 4.0)]),
  ],
)
def test_every_container_is_flattened_in_the_order_of_the_type(value):
  assert _as_floats(values.flatten(value, NESTED)) == [1, 2, 3, 4]


def test_pack_undoes_flatten():
  packed = values.pack([1.0, 2.0, 3.0, 4.0], NESTED)
  assert packed == VALUE
  assert type(packed) is collections.OrderedDict
  assert [type(packed['a']), type(packed['a'][1])] == [list, tuple]


def test_pack_builds_named_tuples():
  type_spec = tff.types.to_type(Pair(FLOAT, FLOAT))
  packed = values.pack([1.0, 2.0], tff.FederatedType(type_spec, tff.SERVER))
  assert packed == Pair(1.0, 2.0)
  assert type(packed) is Pair


@pytest.mark.parametrize(
  'value', [{'z': 1.0}, {'z': 1.0, 'b': 2.0}, (1.0,), (1.0, 2.0, 3.0), 5.0]
)
def test_a_value_of_another_structure_is_a_type_error(value):
  with pytest.raises(TypeError, match=r'Expected a value of type <z=.*found'):
    values.flatten(value, NESTED)


@pytest.mark.parametrize(
  'value, type_spec, message',
  [
    (1.5, tff.TensorType(np.int32), r"dtype <class 'float'> to dtype"),
    ([1.0, 2.0], FLOAT, r'shape \(2,\) to shape \(\)'),
  ],
)
def test_a_tensor_of_another_type_gets_tffs_message(value, type_spec, message):
  with pytest.raises(TypeError, match=message):
    values.tensor(value, type_spec)


def test_clients_results_are_a_list_for_each_placed_value():
  placed = tff.FederatedType(FLOAT, tff.CLIENTS)
  pairs = tff.FederatedType(tff.types.to_type(Pair(FLOAT, FLOAT)), tff.CLIENTS)
  found = values.pack_clients(
    [[1, 2], [3, 4], [5, 6]],
    2,
    tff.types.to_type(collections.OrderedDict(z=placed, a=pairs)),
  )
  assert found == collections.OrderedDict(z=[1, 2], a=[Pair(3, 5), Pair(4, 6)])


@pytest.mark.parametrize(
  'type_spec, placed',
  [
    (None, False),
    (FLOAT, False),
    (NESTED, False),
    (tff.FederatedType(FLOAT, tff.SERVER), True),
    (
      tff.types.to_type([FLOAT, (tff.FederatedType(FLOAT, tff.CLIENTS),)]),
      True,
    ),
  ],
)
def test_whether_something_is_placed(type_spec, placed):
  assert values.is_federated(type_spec) == placed
