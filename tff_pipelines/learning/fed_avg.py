"""Federated averaging with any optimizers and any aggregator."""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import attacked_updates, scheduled_work, schedules


def build(
  model: tff.learning.models.FunctionalModel,
  *,
  client_optimizer: tff.learning.optimizers.Optimizer,
  server_optimizer: tff.learning.optimizers.Optimizer,
  aggregator: tff.aggregators.UnweightedAggregationFactory
  | tff.aggregators.WeightedAggregationFactory,
  client_schedule: schedules.Schedule | None = None,
  server_schedule: schedules.Schedule | None = None,
  secure_metrics: bool = False,
  attack: attacked_updates.Strengths | None = None,
) -> tff.learning.templates.LearningProcess:
  """Builds federated averaging (generalized by a server optimizer).

  A weighted aggregator weights clients by their examples, an unweighted one
  weights them alike; the aggregator's kind decides, so that no weighting can
  slip into an aggregator whose guarantee needs uniform weights.

  Type: initialize ( -> S@SERVER), next (<S@SERVER, {B*}@CLIENTS> ->
  <state=S@SERVER, metrics=M@SERVER>) with B the model's batch and
  S = `tff.learning.templates.LearningAlgorithmState`.

  A schedule replaces the optimizer's own learning rate by that of the round;
  with `client_schedule`, S.client_work is that of `scheduled_work`.

  With `attack`, clients attack as their examples say that they do (of a model
  as `models.kind_blind` makes them); S.client_work is then
  `attacked_updates.AttackedState`, and what honest clients send is the same.

  Privacy: that of the aggregator; the training metrics in M are plain sums, or,
  with `secure_metrics`, secure sums of metrics in 32 bits.

  Reference: McMahan et al. 2017, algorithm 1; Reddi et al. 2021, algorithm 1
  for the server optimizer.
  """
  is_weighted = isinstance(
    aggregator, tff.aggregators.WeightedAggregationFactory
  )
  of_metrics = (
    tff.learning.metrics.secure_sum_then_finalize
    if secure_metrics
    else tff.learning.metrics.sum_then_finalize
  )
  server_optimizer = schedules.at_server(server_optimizer, server_schedule)
  if attack is not None or client_schedule is not None:
    weighting = tff.learning.ClientWeighting
    by = weighting.NUM_EXAMPLES if is_weighted else weighting.UNIFORM
    if client_schedule is not None:
      work = scheduled_work.build(
        model, client_optimizer, client_schedule, by, of_metrics
      )
    else:
      work = tff.learning.templates.build_functional_model_delta_client_work(
        model=model,
        optimizer=client_optimizer,
        client_weighting=by,
        metrics_aggregator=of_metrics,
      )
    if attack is not None:
      work = attacked_updates.build(work, attack)
    return _composed(
      model,
      work,
      aggregator
      if is_weighted
      else tff.aggregators.as_weighted_aggregator(aggregator),
      server_optimizer,
    )
  algorithm = (
    tff.learning.algorithms.build_weighted_fed_avg
    if is_weighted
    else tff.learning.algorithms.build_unweighted_fed_avg
  )
  return algorithm(
    model,
    client_optimizer,
    server_optimizer,
    model_aggregator=aggregator,
    metrics_aggregator=of_metrics,
  )


def _composed(
  model: tff.learning.models.FunctionalModel,
  work: tff.learning.templates.ClientWorkProcess,
  aggregator: tff.aggregators.WeightedAggregationFactory,
  server_optimizer: tff.learning.optimizers.Optimizer,
) -> tff.learning.templates.LearningProcess:
  """Composes what TFF's federated averaging does, around other client work."""

  @tff.tensorflow.computation
  def initial_weights():
    trainable, non_trainable = model.initial_weights
    return tff.learning.models.ModelWeights(
      tuple(tf.convert_to_tensor(w) for w in trainable),
      tuple(tf.convert_to_tensor(w) for w in non_trainable),
    )

  weights = initial_weights.type_signature.result
  templates = tff.learning.templates
  return templates.compose_learning_process(
    initial_weights,
    templates.build_broadcast_process(weights),
    work,
    aggregator.create(weights.trainable, tff.TensorType(np.float32)),
    templates.build_apply_optimizer_finalizer(server_optimizer, weights),
  )
