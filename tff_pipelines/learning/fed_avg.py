"""Federated averaging with any optimizers and any aggregator."""

import tensorflow_federated as tff


def build(
  model: tff.learning.models.FunctionalModel,
  *,
  client_optimizer: tff.learning.optimizers.Optimizer,
  server_optimizer: tff.learning.optimizers.Optimizer,
  aggregator: tff.aggregators.UnweightedAggregationFactory
  | tff.aggregators.WeightedAggregationFactory,
  secure_metrics: bool = False,
) -> tff.learning.templates.LearningProcess:
  """Builds federated averaging (generalized by a server optimizer).

  A weighted aggregator weights clients by their examples, an unweighted one
  weights them alike; the aggregator's kind decides, so that no weighting can
  slip into an aggregator whose guarantee needs uniform weights.

  Type: initialize ( -> S@SERVER), next (<S@SERVER, {B*}@CLIENTS> ->
  <state=S@SERVER, metrics=M@SERVER>) with B the model's batch and
  S = `tff.learning.templates.LearningAlgorithmState`.

  Privacy: that of the aggregator; the training metrics in M are plain sums, or,
  with `secure_metrics`, secure sums of metrics in 32 bits.

  Reference: McMahan et al. 2017, algorithm 1; Reddi et al. 2021, algorithm 1
  for the server optimizer.
  """
  if isinstance(aggregator, tff.aggregators.WeightedAggregationFactory):
    algorithm = tff.learning.algorithms.build_weighted_fed_avg
  else:
    algorithm = tff.learning.algorithms.build_unweighted_fed_avg
  of_metrics = (
    tff.learning.metrics.secure_sum_then_finalize
    if secure_metrics
    else tff.learning.metrics.sum_then_finalize
  )
  return algorithm(
    model,
    client_optimizer,
    server_optimizer,
    model_aggregator=aggregator,
    metrics_aggregator=of_metrics,
  )
