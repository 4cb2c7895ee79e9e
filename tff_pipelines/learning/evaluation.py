"""Federated evaluation of a model."""

from typing import Any

import tensorflow as tf
import tensorflow_federated as tff


def weights_type(
  model: tff.learning.models.FunctionalModel,
) -> tff.types.Type:
  """Returns the type of the model's weights as a learning process has them."""

  def specs(weights: Any) -> tuple[tf.TensorSpec, ...]:
    return tuple(tf.TensorSpec(w.shape, w.dtype) for w in weights)

  trainable, non_trainable = model.initial_weights
  return tff.types.tensorflow_to_type(
    tff.learning.models.ModelWeights(specs(trainable), specs(non_trainable))
  )


def update_metrics(
  model: tff.learning.models.FunctionalModel,
  state: Any,
  weights: Any,
  batch: Any,
) -> Any:
  """Adds one batch (x, y) to the model's metrics state, without training."""
  x, y = batch
  output = model.predict_on_batch(weights, x, training=False)
  return model.update_metrics_state(
    state,
    labels=y,
    batch_output=tff.learning.models.BatchOutput(
      loss=model.loss(output=output, label=y),
      predictions=output,
      num_examples=tf.shape(tf.nest.flatten(output)[0])[0],
    ),
  )


def build(
  model: tff.learning.models.FunctionalModel,
) -> tff.Computation:
  """Builds the evaluation of given weights on the clients' batches.

  Type: (<M@SERVER, {B*}@CLIENTS> -> metrics@SERVER), M the model's weights, B
  its batch; the metrics are those of the model, finalized over the sum of the
  clients' states.

  Privacy: adds none; the server sees the sum of the metrics' states.
  """
  model_weights = weights_type(model)
  data = tff.SequenceType(tff.types.tensorflow_to_type(model.input_spec))

  @tff.tensorflow.computation(model_weights, data)
  def evaluate_client(weights, batches):
    weights = (weights.trainable, weights.non_trainable)
    return batches.reduce(
      model.initialize_metrics_state(),
      lambda state, batch: update_metrics(model, state, weights, batch),
    )

  aggregate = tff.learning.metrics.sum_then_finalize(model.finalize_metrics)

  @tff.federated_computation(
    tff.FederatedType(model_weights, tff.SERVER),
    tff.FederatedType(data, tff.CLIENTS),
  )
  def evaluate(weights, batches):
    return aggregate(
      tff.federated_map(
        evaluate_client, (tff.federated_broadcast(weights), batches)
      )
    )

  return evaluate
