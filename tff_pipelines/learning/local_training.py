"""What each client reaches alone: the baseline without any federation."""

import tensorflow_federated as tff

from tff_pipelines.learning import evaluation, training_steps


def build(
  model: tff.learning.models.FunctionalModel,
  optimizer: tff.learning.optimizers.Optimizer,
) -> tff.Computation:
  """Builds local training and the evaluation of each client's own model.

  Type: (<M@SERVER, B@SERVER, {B*}@CLIENTS> -> {metrics}@CLIENTS). Every client
  starts from the weights M, trains on its own batches, and is evaluated on the
  common test batch B. Epochs are a matter of the batches.

  The result is at the clients: in production nobody would see it. Only a
  simulation can.
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
    state = evaluation.update_metrics(
      model,
      model.initialize_metrics_state(),
      (trainable, non_trainable),
      test_batch,
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
