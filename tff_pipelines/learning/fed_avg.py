"""Federated averaging with any optimizers and any aggregator."""

import tensorflow_federated as tff

from tff_pipelines.learning import (
  attacked_updates,
  composition,
  scheduled_work,
  schedules,
  subspace_training,
)


def build(
  model: tff.learning.models.FunctionalModel,
  *,
  client_optimizer: tff.learning.optimizers.Optimizer,
  server_optimizer: tff.learning.optimizers.Optimizer,
  aggregator: composition.Aggregator,
  client_schedule: schedules.Schedule | None = None,
  server_schedule: schedules.Schedule | None = None,
  secure_metrics: bool = False,
  attack: attacked_updates.Strengths | None = None,
  broadcast: composition.Broadcast | None = None,
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

  Where the aggregator has subspaces (random masks, matrices of low rank),
  clients train inside of them, so that nothing is lost afterwards;
  S.client_work is then that of `scheduled_work`, too.

  With `broadcast`, clients train from what that makes of the server's weights,
  and send what they have changed of it.

  With `attack`, clients attack as their examples say that they do (of a model
  as `models.kind_blind` makes them); S.client_work is then
  `attacked_updates.AttackedState`, and what honest clients send is the same.

  Privacy: that of the aggregator; the training metrics in M are plain sums, or,
  with `secure_metrics`, secure sums of metrics in 32 bits.

  Reference: McMahan et al. 2017, algorithm 1; Reddi et al. 2021, algorithm 1
  for the server optimizer.
  """
  of_metrics = composition.metrics_aggregator(secure_metrics)
  server_optimizer = schedules.at_server(server_optimizer, server_schedule)
  # An attacker stays in no subspace.
  subspaces = (
    subspace_training.of_aggregator(aggregator, client_optimizer)
    if attack is None
    else None
  )
  if any(given is not None for given in (attack, client_schedule, subspaces)):
    by = composition.weighting(aggregator)
    if client_schedule is not None or subspaces is not None:
      work = scheduled_work.build(
        model,
        client_optimizer,
        schedules.at_clients(client_optimizer, client_schedule),
        scheduled_work.plain_training(model, by),
        of_metrics,
        subspaces,
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
    return composition.compose(
      model, work, aggregator, server_optimizer, broadcast
    )
  algorithm = (
    tff.learning.algorithms.build_weighted_fed_avg
    if composition.is_weighted(aggregator)
    else tff.learning.algorithms.build_unweighted_fed_avg
  )
  return algorithm(
    model,
    client_optimizer,
    server_optimizer,
    model_distributor=composition.of_model(broadcast, model),
    model_aggregator=aggregator,
    metrics_aggregator=of_metrics,
  )
