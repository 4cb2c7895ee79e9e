"""The usual model and its computations, for tests of maps."""

import tensorflow_federated as tff

from tff_pipelines.learning import evaluation, fed_avg, local_steps
from tff_pipelines.models import place_models
from tff_pipelines.programs import map_runs

RATE = 0.1
NET = place_models.TanhNet()


def computations(
  aggregator: tff.aggregators.UnweightedAggregationFactory | None = None,
) -> map_runs.MapComputations:
  model = place_models.build(NET)
  return map_runs.MapComputations(
    process=fed_avg.build(
      model,
      client_optimizer=_sgd(),
      server_optimizer=tff.learning.optimizers.build_sgdm(1.0),
      aggregator=aggregator or tff.aggregators.UnweightedMeanFactory(),
    ),
    evaluation=evaluation.build(model),
    local_steps=steps(100),
    initial_weights=NET.initial_weights,
  )


def steps(room: int) -> tff.Computation:
  return local_steps.build(place_models.build(NET), _sgd(), room)


def _sgd() -> tff.learning.optimizers.Optimizer:
  return tff.learning.optimizers.build_sgdm(RATE)
