"""What each client reaches alone: the baseline without any federation."""

from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import evaluation, training_steps


def build(
  model: tff.learning.models.FunctionalModel,
  optimizer: tff.learning.optimizers.Optimizer,
  test_batch_size: int | None = None,
) -> tff.Computation:
  """Builds local training and the evaluation of each client's own model.

  Type: (<M@SERVER, B@SERVER, {B*}@CLIENTS> -> {metrics}@CLIENTS). Every client
  starts from the weights M, trains on its own batches, and is evaluated on the
  common test batch B. Epochs are a matter of the batches.

  The result is at the clients: in production nobody would see it. Only a
  simulation can.

  Args:
    model: The model.
    optimizer: The clients' optimizer.
    test_batch_size: Test examples at a time, which bounds what the model's
      output takes (of sequences and a large vocabulary, gigabytes for all);
      None for all at once. Metrics depend on it by rounding alone.
  """
  model_weights = evaluation.weights_type(model)
  batch = tff.types.tensorflow_to_type(model.input_spec)

  @tff.tensorflow.computation(model_weights, batch, tff.SequenceType(batch))
  def train_and_evaluate(weights, test_batch, batches):
    non_trainable = weights.non_trainable
    trainable, _ = batches.reduce(
      training_steps.initial_state(optimizer, weights.trainable),
      training_steps.build(model, optimizer, non_trainable),
    )
    state = _metrics_state(
      model, (trainable, non_trainable), test_batch, test_batch_size
    )
    return model.finalize_metrics(state)

  @tff.federated_computation(
    tff.FederatedType(model_weights, tff.SERVER),
    tff.FederatedType(batch, tff.SERVER),
    tff.FederatedType(tff.SequenceType(batch), tff.CLIENTS),
  )
  def train_locally(weights, test_batch, batches):
    return tff.federated_map(
      train_and_evaluate,
      (
        tff.federated_broadcast(weights),
        tff.federated_broadcast(test_batch),
        batches,
      ),
    )

  return train_locally


def _metrics_state(
  model: tff.learning.models.FunctionalModel,
  weights: Any,
  examples: Any,
  size: int | None,
) -> Any:
  """Returns the state of the metrics over examples, so many at a time."""
  initial = model.initialize_metrics_state()
  if size is None:
    return evaluation.update_metrics(model, initial, weights, examples)
  count = tf.shape(tf.nest.flatten(examples)[0])[0]
  num_whole = count // size

  def add(state: Any, first: tf.Tensor, number: Any) -> Any:
    # Not a slice, which XLA refuses where there are fewer than `number`, even
    # if it is never taken.
    rows = tf.minimum(first + tf.range(number), count - 1)
    part = tf.nest.map_structure(lambda a: tf.gather(a, rows), examples)
    return evaluation.update_metrics(model, state, weights, part)

  _, state = tf.while_loop(
    lambda i, _: i < num_whole,
    lambda i, state: (i + 1, add(state, i * size, size)),
    (tf.constant(0), initial),
  )
  # A batch of none would be a mean over none to many metrics.
  return tf.cond(
    count > num_whole * size,
    lambda: add(state, num_whole * size, count - num_whole * size),
    lambda: state,
  )
