"""Reading TensorFlow computations, and importing what is needed of them."""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.execution.xla import graphs

FLOAT = tff.TensorType(np.float32)


def _part(python_function, *types):
  return graphs.read(tff.tensorflow.computation(python_function, *types))


def _call(part, *arguments):
  flat = [tf.constant(a) for a in arguments]
  return tf.function(lambda *a: part(a), autograph=False)(*flat)


@tf.function
def _twice(value):
  return value + value


def test_a_part_computes_what_its_computation_does():
  part = _part(lambda a, b: (a - b, _twice(b)), FLOAT, FLOAT)
  difference, double = _call(part, 5.0, 2.0)
  assert (float(difference), float(double)) == (3, 4)


def test_operations_include_those_of_called_functions():
  part = _part(lambda a: _twice(a) * a, FLOAT)
  assert {'AddV2', 'Mul'} <= part.operations


def test_functions_of_two_parts_have_different_names():
  parts = [_part(_twice, FLOAT) for _ in range(2)]
  names = [
    {
      name
      for node in p.body.graph.node
      for name in graphs.called_functions(node)
    }
    for p in parts
  ]
  assert names[0] and names[1] and not names[0] & names[1]


def test_a_part_without_parameter_has_the_empty_struct_as_parameter():
  part = _part(lambda: tf.constant(3.0))
  assert len(part.parameter_type) == 0
  assert float(tf.function(lambda: part([])[0])()) == 3


def test_only_needed_nodes_are_imported():
  part = _part(lambda a, b: (a + 1.0, tf.exp(b)), FLOAT, FLOAT)
  graph = tf.Graph()
  with graph.as_default():
    given = tf.constant(1.0)
    env = dict(zip(part.body.inputs, [given, given], strict=True))
    graphs.import_tensors(part.body, part.library, env, part.body.outputs[:1])
  operations = {node.op for node in graph.as_graph_def().node}
  assert 'AddV2' in operations
  assert not {'Exp', 'Placeholder'} & operations


def test_a_random_number_is_drawn_once_however_often_it_is_imported():
  part = _part(lambda a: (a + tf.random.normal([]),) * 2, FLOAT)
  one, other = _call(part, 0.0)
  assert float(one) == float(other)


def test_names_of_tensors_and_nodes():
  assert graphs.full_name('x') == 'x:0'
  assert graphs.full_name('x:1') == 'x:1'
  assert graphs.node_name('x:1') == 'x'
