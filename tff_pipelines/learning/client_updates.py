"""What each client's update of one round is, before any aggregation."""

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import evaluation


def build(
  model: tff.learning.models.FunctionalModel,
  optimizer: tff.learning.optimizers.Optimizer,
) -> tff.Computation:
  """Builds the client work of `fed_avg` on its own.

  Type: (<M@SERVER, {B*}@CLIENTS> ->
  {<update=M.trainable, update_weight=float32>}@CLIENTS), M the model's weights
  and B its batch. The update is trained minus received weights, the weight the
  number of examples: the mean of the updates with these weights is what the
  server of a weighted `fed_avg` adds to the model at a server rate of 1.

  Who sees the result: without secure aggregation the server, one update a
  client. With it nobody: then only a simulation can.
  """
  model_weights = evaluation.weights_type(model)
  data = tff.SequenceType(tff.types.tensorflow_to_type(model.input_spec))
  # TFF's own, which fed_avg is composed of: not a second implementation.
  work = tff.learning.templates.build_functional_model_delta_client_work(
    model=model,
    optimizer=optimizer,
    client_weighting=tff.learning.ClientWeighting.NUM_EXAMPLES,
  )
  result = work.next.type_signature.result.result.member

  # TFF's update points down, as a gradient does.
  @tff.tensorflow.computation(result)
  def upwards(result):
    return tff.learning.templates.ClientResult(
      update=tf.nest.map_structure(tf.negative, result.update),
      update_weight=result.update_weight,
    )

  @tff.federated_computation(
    tff.FederatedType(model_weights, tff.SERVER),
    tff.FederatedType(data, tff.CLIENTS),
  )
  def client_updates(weights, batches):
    received = tff.federated_broadcast(weights)
    output = work.next(work.initialize(), received, batches)
    return tff.federated_map(upwards, output.result)

  return client_updates
