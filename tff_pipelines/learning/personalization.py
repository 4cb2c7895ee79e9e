"""What each client gains by training the received model a little further."""

import collections

import tensorflow_federated as tff

from tff_pipelines.learning import evaluation, training_steps


def build(
  model: tff.learning.models.FunctionalModel,
  optimizer: tff.learning.optimizers.Optimizer,
) -> tff.Computation:
  """Builds fine-tuning, tested before and after it.

  Type: (<M@SERVER, {B*}@CLIENTS, {B*}@CLIENTS> ->
  {<before=metrics, after=metrics>}@CLIENTS), M the model's weights, B its
  batch. Every client starts from the weights M, trains on its first batches,
  and both models, the received and the trained one, are tested on its second
  batches. Epochs are a matter of the batches.

  The result is at the clients: in production nobody would see it. Only a
  simulation can.

  Reference: Wang et al. 2019, "Federated Evaluation of On-device
  Personalization", section 2.
  """
  model_weights = evaluation.weights_type(model)
  batch = tff.types.tensorflow_to_type(model.input_spec)
  data = tff.SequenceType(batch)
  test_client = evaluation.finalized_metrics(model)

  @tff.tensorflow.computation(model_weights, data)
  def train(weights, batches):
    trainable, _ = batches.reduce(
      training_steps.initial_state(optimizer, weights.trainable),
      training_steps.build(model, optimizer, weights.non_trainable),
    )
    return tff.learning.models.ModelWeights(trainable, weights.non_trainable)

  @tff.tensorflow.computation(model_weights, data, data)
  def personalize_client(weights, train_batches, test_batches):
    return collections.OrderedDict(
      before=test_client(weights, test_batches),
      after=test_client(train(weights, train_batches), test_batches),
    )

  @tff.federated_computation(
    tff.FederatedType(model_weights, tff.SERVER),
    tff.FederatedType(data, tff.CLIENTS),
    tff.FederatedType(data, tff.CLIENTS),
  )
  def personalize(weights, train_batches, test_batches):
    received = tff.federated_broadcast(weights)
    return tff.federated_map(
      personalize_client, (received, train_batches, test_batches)
    )

  return personalize
