"""What can be aggregated."""

import collections
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import value_types

FLOAT = tff.TensorType(np.float32, [2])


class Layer(NamedTuple):
  kernel: Any
  bias: Any


def test_specs_have_the_structure_of_the_type():
  value_type = tff.types.to_type(
    collections.OrderedDict(b=FLOAT, a=(FLOAT, tff.TensorType(np.float64)))
  )
  assert value_types.specs(value_type) == collections.OrderedDict(
    b=tf.TensorSpec([2], tf.float32),
    a=(tf.TensorSpec([2], tf.float32), tf.TensorSpec([], tf.float64)),
  )


@pytest.mark.parametrize(
  ('structure', 'expected'),
  [
    (FLOAT, ['value']),
    ((FLOAT, FLOAT), ['0', '1']),
    # Sorted, as tf.nest flattens mappings.
    (collections.OrderedDict(b=FLOAT, a=FLOAT), ['a', 'b']),
    # In the order of the fields.
    (Layer(FLOAT, FLOAT), ['kernel', 'bias']),
    (
      [collections.OrderedDict(z=Layer(FLOAT, FLOAT), y=FLOAT), FLOAT],
      ['0/y', '0/z/kernel', '0/z/bias', '1'],
    ),
  ],
)
def test_leaves_are_named_in_the_order_in_which_they_are_flattened(
  structure, expected
):
  leaves = value_types.named_leaves(tff.types.to_type(structure))
  assert [name for name, _ in leaves] == expected


def test_a_leaf_has_the_spec_of_its_name():
  structure = collections.OrderedDict(
    b=tff.TensorType(np.float64, [3]), a=tff.TensorType(np.float32, [1, 4])
  )
  assert value_types.named_leaves(tff.types.to_type(structure)) == [
    ('a', tf.TensorSpec([1, 4], tf.float32)),
    ('b', tf.TensorSpec([3], tf.float64)),
  ]


@pytest.mark.parametrize(
  'value_type',
  [
    tff.TensorType(np.int32, [2]),
    tff.TensorType(np.float32, [None]),
    tff.TensorType(np.float32, [0]),
    tff.StructType([]),
    tff.types.to_type((FLOAT, np.int32)),
    tff.SequenceType(FLOAT),
  ],
)
def test_others_are_refused(value_type):
  with pytest.raises(
    value_types.ValueTypeError,
    match=r'^Expected updates of float tensors of known shapes, not empty, ',
  ):
    value_types.specs(value_type)
