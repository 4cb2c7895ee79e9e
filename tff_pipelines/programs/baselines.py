"""What a user compares federated learning with: one model for all, one each.

Both use the task's own model, optimizer and batching code.
"""

from collections.abc import Mapping, Sequence
import csv
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.core import participation
from tff_pipelines.data import batching as batching_lib
from tff_pipelines.data import population as population_lib
from tff_pipelines.programs import (
  files,
  progress,
  run_directory,
  training,
)

# Clients computed at a time: bounds memory, and gives the display steps.
_CLIENTS_AT_A_TIME = 50


def train_centrally(
  process: tff.learning.templates.LearningProcess,
  population: population_lib.ClientPopulation,
  evaluate: training.Evaluate,
  *,
  epochs: int,
  batch_size: int,
  seed: int,
  directory: run_directory.RunDirectory,
) -> training.TrainingResult:
  """Trains one model on everyone's examples in one place.

  That is federated averaging with a single client who holds everything and a
  server that takes over its model, one epoch a round, so it shares all code.

  Args:
    process: Federated averaging whose server optimizer is SGD at rate 1.
    population: The clients whose examples are pooled.
    evaluate: The evaluation of a state.
    epochs: Passes over all examples.
    batch_size: Examples in a batch.
    seed: The run's seed.
    directory: Where it is recorded.
  """
  pooled = population.pooled()
  program = training.TrainingProgram(
    rounds=epochs,
    participation=participation.Participation(1, 1, 'everyone'),
    batching=batching_lib.Batching(batch_size),
    seed=seed,
    counts_bytes=False,
  )
  return training.run('central', process, pooled, evaluate, program, directory)


def train_locally(
  train_and_evaluate: tff.Computation,
  initial_weights: Any,
  train: population_lib.ClientPopulation,
  test: population_lib.ClientPopulation,
  *,
  epochs: int,
  batch_size: int,
  seed: int,
) -> list[dict[str, float]]:
  """Trains a model for each client alone and tests it on all test examples.

  Args:
    train_and_evaluate: As `learning.local_training` builds it.
    initial_weights: What every client starts from.
    train: The clients.
    test: The held-out examples of everyone.
    epochs: Passes over a client's examples.
    batch_size: Examples in a batch.
    seed: The run's seed.

  Returns:
    Metrics by name, one mapping a client. Only a simulation can see them.
  """
  test_batch = test.pooled().examples(0)
  batching = batching_lib.Batching(batch_size, epochs)
  metrics: list[Mapping[str, Any]] = []
  with progress.Progress('local', train.num_clients, unit='client') as display:
    for first in range(0, train.num_clients, _CLIENTS_AT_A_TIME):
      last = min(first + _CLIENTS_AT_A_TIME, train.num_clients)
      batches = train.batches(
        range(first, last), batching, seed=seed, round_num=1
      )
      metrics += train_and_evaluate(initial_weights, test_batch, batches)
      display.update(last, _medians(metrics))
  return [{name: float(v) for name, v in m.items()} for m in metrics]


def _medians(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """The number worth showing while training goes on."""
  return {
    f'median {name}': np.median([m[name] for m in metrics])
    for name in ('accuracy', 'top1_recall')
    if name in metrics[0]
  }


def write_local_models(
  directory: run_directory.RunDirectory,
  population: population_lib.ClientPopulation,
  metrics: list[dict[str, float]],
) -> None:
  """Writes a row a client to simulation_only/local_models.csv."""
  files.write_text(
    directory.simulation_only / 'local_models.csv',
    files.csv_text(
      ['client_id', 'train_examples', *metrics[0]],
      (
        [name, size, *row.values()]
        for name, size, row in zip(
          population.client_ids, population.sizes, metrics, strict=True
        )
      ),
    ),
  )


def read_local_models(
  directory: run_directory.RunDirectory,
) -> list[dict[str, float]] | None:
  """Returns what `write_local_models` wrote, or None if it did not yet."""
  path = directory.simulation_only / 'local_models.csv'
  if not path.exists():
    return None
  with open(path, encoding='utf-8', newline='') as file:
    return [
      {
        name: float(value)
        for name, value in row.items()
        if name not in ('client_id', 'train_examples')
      }
      for row in csv.DictReader(file)
    ]
