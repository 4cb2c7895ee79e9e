"""What each client's own model is after every single step of training."""

import collections

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import evaluation, training_steps


def build(
  model: tff.learning.models.FunctionalModel,
  optimizer: tff.learning.optimizers.Optimizer,
  num_steps: int,
) -> tff.Computation:
  """Builds training that is tested after every step.

  Type: (<B@SERVER, {W}@CLIENTS, {B*}@CLIENTS> ->
  {<weights=W, metrics=<name=float32[num_steps], ...>>}@CLIENTS), W the model's
  trainable weights, B its batch. Every client starts from weights of its own,
  takes a step on each of its batches, and is tested on the common batch after
  each. The metrics are the model's, all as float32; those of steps that a
  client does not take are NaN, those of steps beyond `num_steps` are lost.

  The result is at the clients: in production nobody would see it. Only a
  simulation can.

  Args:
    model: The model; its non-trainable weights stay the initial ones.
    optimizer: The clients' optimizer; its state begins anew in every call.
    num_steps: Room for metrics: the most steps that a client takes. With room
      for the longest of several trainings one computation serves all.
  """
  model_weights = evaluation.weights_type(model)
  trainable_type = model_weights.trainable
  batch = tff.types.tensorflow_to_type(model.input_spec)

  @tff.tensorflow.computation(batch, trainable_type, tff.SequenceType(batch))
  def train_and_test(test_batch, trainable, batches):
    non_trainable = tf.nest.map_structure(
      tf.convert_to_tensor, model.initial_weights[1]
    )
    train = training_steps.build(model, optimizer, non_trainable)
    names = list(model.finalize_metrics(model.initialize_metrics_state()))

    @tf.function
    def step(state, batch):
      training, count, metrics = state
      training = train(training, batch)
      tested = model.finalize_metrics(
        evaluation.update_metrics(
          model,
          model.initialize_metrics_state(),
          (training[0], non_trainable),
          test_batch,
        )
      )
      # Not written at an index: XLA would make a scatter of it.
      is_this = tf.equal(tf.range(num_steps), count)
      metrics = collections.OrderedDict(
        (name, tf.where(is_this, tf.cast(tested[name], tf.float32), column))
        for name, column in metrics.items()
      )
      return training, count + 1, metrics

    untested = tf.fill([num_steps], float('nan'))
    training, _, metrics = batches.reduce(
      (
        training_steps.initial_state(optimizer, trainable),
        tf.constant(0),
        collections.OrderedDict((name, untested) for name in names),
      ),
      step,
    )
    return collections.OrderedDict(weights=training[0], metrics=metrics)

  @tff.federated_computation(
    tff.FederatedType(batch, tff.SERVER),
    tff.FederatedType(trainable_type, tff.CLIENTS),
    tff.FederatedType(tff.SequenceType(batch), tff.CLIENTS),
  )
  def local_steps(test_batch, weights, batches):
    return tff.federated_map(
      train_and_test,
      (tff.federated_broadcast(test_batch), weights, batches),
    )

  return local_steps
