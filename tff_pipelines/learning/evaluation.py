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
  model_weights, data = weights_type(model), _data_type(model)
  evaluate_client = _client_metrics(model)
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


def build_for_each_client(
  model: tff.learning.models.FunctionalModel,
) -> tff.Computation:
  """Builds the evaluation of given weights on each client by itself.

  Type: (<M@SERVER, {B*}@CLIENTS> -> {metrics}@CLIENTS), the model's metrics of
  each client.

  The result is at the clients: in production nobody would see it. Only a
  simulation can, or an attacker who has the clients' data.
  """
  evaluate_client = finalized_metrics(model)

  @tff.federated_computation(
    tff.FederatedType(weights_type(model), tff.SERVER),
    tff.FederatedType(_data_type(model), tff.CLIENTS),
  )
  def evaluate(weights, batches):
    return tff.federated_map(
      evaluate_client, (tff.federated_broadcast(weights), batches)
    )

  return evaluate


def finalized_metrics(
  model: tff.learning.models.FunctionalModel,
) -> tff.Computation:
  """Builds a client's evaluation of weights: (<M, B*> -> metrics)."""
  evaluate_client = _client_metrics(model)

  @tff.tensorflow.computation(weights_type(model), _data_type(model))
  def finalized(weights, batches):
    return model.finalize_metrics(evaluate_client(weights, batches))

  return finalized


def _data_type(model: tff.learning.models.FunctionalModel) -> tff.SequenceType:
  return tff.SequenceType(tff.types.tensorflow_to_type(model.input_spec))


def _client_metrics(
  model: tff.learning.models.FunctionalModel,
) -> tff.Computation:
  """(<M, B*> -> state of the model's metrics)."""

  @tff.tensorflow.computation(weights_type(model), _data_type(model))
  def evaluate_client(weights, batches):
    weights = (weights.trainable, weights.non_trainable)
    return batches.reduce(
      model.initialize_metrics_state(),
      lambda state, batch: update_metrics(model, state, weights, batch),
    )

  return evaluate_client
