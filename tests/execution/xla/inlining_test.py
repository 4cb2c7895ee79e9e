import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.execution import contexts
from tff_pipelines.execution.xla import programs


def test_a_gradient_that_needs_a_shape_of_the_forward_pass_crosses_no_call(
  monkeypatch,
):
  """XLA would compile such a program anew for all new data."""
  built = []
  build = programs.ClientLoop.build

  def recorded(self, *arguments):
    built.append(build(self, *arguments))
    return built[-1]

  monkeypatch.setattr(programs.ClientLoop, 'build', recorded)
  # The gradient of a lookup asks for the table's shape.
  predict = tf.function(lambda weights, x: tf.gather(weights, x))

  @tff.tensorflow.computation(
    tff.TensorType(np.float32, [7, 2]),
    tff.SequenceType(tff.TensorType(np.int32, [None, 3])),
  )
  def gradients(weights, batches):
    def step(total, x):
      with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = tf.reduce_sum(predict(weights, x) ** 2)
      return total + tf.convert_to_tensor(tape.gradient(loss, weights))

    return batches.reduce(tf.zeros([7, 2]), step)

  @tff.federated_computation(
    tff.FederatedType(gradients.type_signature.parameter[0], tff.SERVER),
    tff.FederatedType(gradients.type_signature.parameter[1], tff.CLIENTS),
  )
  def summed(weights, batches):
    received = tff.federated_broadcast(weights)
    return tff.federated_sum(tff.federated_map(gradients, (received, batches)))

  weights = np.arange(14, dtype=np.float32).reshape(7, 2)
  rows = np.array([[0, 1, 1], [2, 3, 6], [5, 5, 5]], np.int32)
  data = [tf.data.Dataset.from_tensor_slices(rows).batch(2)] * 2
  with contexts.using('xla'):
    result = summed(weights, data)
  visits = np.bincount(rows.ravel(), minlength=7)[:, np.newaxis]
  np.testing.assert_allclose(result, 2 * 2 * weights * visits, rtol=1e-6)
  assert built
  for program in built:
    graph = program._concrete.graph.as_graph_def()
    bodies = [graph.node, *(f.node_def for f in graph.library.function)]
    operations = {node.op for body in bodies for node in body}
    assert 'UnsortedSegmentSum' in operations
    assert not any(op.endswith('PartitionedCall') for op in operations)
