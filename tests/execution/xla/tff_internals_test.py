"""Fails when TensorFlow moves a private symbol, or changes what it does."""

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.execution.xla import _tff_internals


def test_a_padded_batch_has_its_true_size_under_xla():
  @tf.function(jit_compile=True)
  def statistics(padded, size):
    batch = tf.ensure_shape(
      _tff_internals.with_true_size(padded, size), [None, 2]
    )
    return tf.shape(batch)[0], tf.reduce_mean(batch), tf.reduce_sum(batch, 0)

  padded = tf.constant([[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]])
  count, mean, sums = statistics(padded, tf.constant(2))
  assert count == 2
  assert mean == 3
  assert sums.numpy().tolist() == [4, 8]


def _traced():
  @tf.function
  def double(x):
    return 2 * x

  @tf.function
  def outer(x):
    return double(x) + 1.0

  concrete = outer.get_concrete_function(tf.TensorSpec([], tf.float32))
  return concrete.graph.as_graph_def().library


def _renamed(library):
  """A copy under names that nothing else in this process has."""
  copy = type(library)()
  copy.CopyFrom(library)
  for function in copy.function:
    function.signature.name = 'test_' + function.signature.name
  return copy


def test_registered_functions_are_known_to_the_eager_runtime():
  library = _renamed(_traced())
  _tff_internals.register_functions(library)
  name = library.function[0].signature.name
  graph = tf.compat.v1.GraphDef()
  graph.node.add(name='x', op='Placeholder').attr[
    'dtype'
  ].type = tf.float32.as_datatype_enum
  graph.node.add(name='y', op=name, input=['x'])

  @tf.function
  def call(x):
    return tf.graph_util.import_graph_def(
      graph, input_map={'x:0': x}, return_elements=['y:0']
    )[0]

  graph.library.CopyFrom(library)
  assert call(tf.constant(3.0)) == 6


def test_a_functions_body_names_its_tensors():
  library = _renamed(_traced())
  _tff_internals.register_functions(library)
  function = library.function[0]
  graph, names = _tff_internals.function_body(function)
  (argument,) = function.signature.input_arg
  assert argument.name in {node.name for node in graph.node}
  (result,) = function.signature.output_arg
  made_by = names[function.ret[result.name]].split(':')[0]
  assert made_by in {node.name for node in graph.node}


@pytest.mark.parametrize('jit_compile', [False, True])
def test_a_flat_function_takes_and_returns_flat_tensors(jit_compile):
  offset = tf.constant(10.0)
  flat = _tff_internals.FlatFunction(
    lambda x, n: [x + tf.cast(n, tf.float32), x + offset],
    [tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int32)],
    jit_compile=jit_compile,
  )
  sums, captured = flat(np.float32([1, 2]), tf.constant(3))
  assert sums.numpy().tolist() == [4, 5]
  assert captured.numpy().tolist() == [11, 12]
  with pytest.raises(ValueError):
    flat(np.float32([1, 2]))


def test_a_flat_function_without_results_gives_none_of_them():
  nothing = _tff_internals.FlatFunction(lambda: [], [])
  assert nothing() == []
