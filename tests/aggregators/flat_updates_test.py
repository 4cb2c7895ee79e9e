import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import flat_updates, value_types


def test_there_and_back_with_shapes_and_types():
  # Not in alphabetical order.
  value = collections.OrderedDict(
    b=tf.constant([[1.0, 2.0]]), a=(tf.constant(3.0, tf.float64),)
  )
  updates = flat_updates.FlatUpdates(
    tff.types.to_type(
      collections.OrderedDict(
        b=tff.TensorType(np.float32, [1, 2]), a=(tff.TensorType(np.float64),)
      )
    )
  )
  vector = updates.vector(value)
  np.testing.assert_array_equal(vector, [3, 1, 2])
  assert updates.shapes == [(), (1, 2)]
  assert (updates.size, updates.dense_bytes) == (3, 2 * 4 + 8)
  back = updates.value(vector)
  assert list(back) == ['b', 'a']
  tf.nest.map_structure(np.testing.assert_array_equal, back, value)
  assert back['a'][0].dtype == tf.float64


def test_integers_are_refused():
  with pytest.raises(value_types.ValueTypeError):
    flat_updates.FlatUpdates(tff.TensorType(np.int32, [3]))
