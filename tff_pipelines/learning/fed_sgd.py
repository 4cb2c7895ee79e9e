"""Federated SGD: one gradient a client and round, any aggregator."""

import tensorflow_federated as tff

from tff_pipelines.learning import composition, schedules


def build(
  model: tff.learning.models.FunctionalModel,
  *,
  server_optimizer: tff.learning.optimizers.Optimizer,
  aggregator: tff.aggregators.UnweightedAggregationFactory
  | tff.aggregators.WeightedAggregationFactory,
  server_schedule: schedules.Schedule | None = None,
  secure_metrics: bool = False,
  broadcast: composition.Broadcast | None = None,
) -> tff.learning.templates.LearningProcess:
  """Builds federated SGD.

  Every client sends the gradient of the loss at the received model over all
  examples that it is given, the mean of its batches' gradients weighted by
  their examples: neither the size nor the order of the batches matters. The
  server takes one step on the clients' mean. A weighted aggregator weights
  clients by their examples, an unweighted one weights them alike.

  Type: as that of `fed_avg.build`.

  Privacy: as `fed_avg.build`.

  Reference: McMahan et al. 2017, section 2 (FedSGD: algorithm 1 with E = 1
  and B the whole of a client's data).
  """
  return tff.learning.algorithms.build_fed_sgd(
    model,
    schedules.at_server(server_optimizer, server_schedule),
    model_distributor=composition.of_model(broadcast, model),
    model_aggregator=composition.weighted(aggregator),
    metrics_aggregator=composition.metrics_aggregator(secure_metrics),
  )
