"""How well each system serves each held-out person.

A mean hides for whom a model is bad. Only a simulation can see any of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_federated as tff

from tff_pipelines.data import batching as batching_lib
from tff_pipelines.data import population as population_lib
from tff_pipelines.programs import files, run_directory

# Metrics by name, one mapping a person.
ByPerson = Sequence[Mapping[str, float]]


def testing(batch_size: int) -> batching_lib.Batching:
  """Returns all of a client's examples, in their order, so many at a time."""
  return batching_lib.Batching(batch_size, shuffle=False)


def evaluate(
  evaluation: tff.Computation,
  weights: Any,
  population: population_lib.ClientPopulation,
  batch_size: int,
) -> list[dict[str, float]]:
  """Returns the metrics of one model on each client's examples.

  Args:
    evaluation: As `learning.evaluation.build_for_each_client` builds it.
    weights: The model's weights.
    population: The clients, with held-out examples.
    batch_size: Examples at a time, on which the metrics do not depend.
  """
  batches = population.batches(
    range(population.num_clients),
    testing(batch_size),
    seed=0,
    round_num=0,
  )
  return [
    {name: float(value) for name, value in metrics.items()}
    for metrics in evaluation(weights, batches)
  ]


def write(
  directory: run_directory.RunDirectory,
  population: population_lib.ClientPopulation,
  by_system: Mapping[str, ByPerson],
  metrics: Sequence[str],
) -> None:
  """Writes a row a person and system to simulation_only/people.csv.

  Columns: client_id, test_examples, system, and the metrics asked for.
  """
  files.write_text(
    directory.simulation_only / 'people.csv',
    files.csv_text(
      ['client_id', 'test_examples', 'system', *metrics],
      (
        [name, int(size), system, *(found[m] for m in metrics)]
        for system, people in by_system.items()
        for name, size, found in zip(
          population.client_ids, population.sizes, people, strict=True
        )
      ),
    ),
  )
