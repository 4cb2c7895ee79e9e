"""Memory of a long run over a population that lies on disk.

  python -m benchmarks.population_memory              # 300 rounds
  python -m benchmarks.population_memory --rounds=50 --clients=1000

Generated people, 17,777 of them, in an SQLite example cache; federated
averaging of a small LSTM with 50 of them a round, as a task runs it: cohorts
read from the cache, metrics released, checkpoints saved, held-out people
evaluated. Resident memory is sampled every 10 rounds; it has to stay below
3 GB, and flat.
"""

import tff_pipelines  # isort: skip  # noqa: F401  (sets the environment first)

import argparse
import pathlib
import resource
import tempfile
import time
from typing import Any

import numpy as np
import psutil
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import participation, seeds
from tff_pipelines.data import batching, example_cache, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import evaluation, fed_avg
from tff_pipelines.models import character_lstm, language_models
from tff_pipelines.programs import run_directory, training

_LENGTH = 20
_VOCABULARY = 80
_SAMPLE_EVERY = 10
# Of the rounds, in which pools and caches of all kinds fill.
_SETTLING = 1 / 3


class _GeneratedPeople(population.ClientPopulation):
  """People with up to 60 random rows each, generated when they are read."""

  def __init__(self, num_clients: int, seed: int):
    rng = seeds.generator(seed, 'sizes')
    self._seed = seed
    self.client_ids = tuple(f'person {c}' for c in range(num_clients))
    self.sizes = rng.integers(1, 61, num_clients)
    row = tf.TensorSpec([_LENGTH], tf.int32)
    self.element_spec = (row, row)

  def examples(self, client: int, rows: np.ndarray | None = None) -> Any:
    rng = seeds.generator(self._seed, 'rows', client)
    shape = (self.sizes[client], _LENGTH + 1)
    tokens = rng.integers(4, _VOCABULARY, shape).astype(np.int32)
    if rows is not None:
      tokens = tokens[rows]
    return tokens[:, :-1], tokens[:, 1:]


def _mebibytes() -> float:
  return psutil.Process().memory_info().rss / 2**20


def run(num_clients: int, rounds: int, folder: pathlib.Path) -> None:
  """Runs the rounds and prints what they took."""
  path = folder / 'examples.sqlite'
  started = time.monotonic()
  example_cache.write(path, _GeneratedPeople(num_clients, 0), 'train')
  example_cache.write(path, _GeneratedPeople(100, 1), 'test')
  train = example_cache.SqlPopulation(path, 'train')
  test = example_cache.SqlPopulation(path, 'test')
  print(
    f'{train.num_clients} clients, {train.num_examples} examples, '
    f'{path.stat().st_size / 2**20:.0f} MiB written in '
    f'{time.monotonic() - started:.0f} s; resident {_mebibytes():.0f} MiB',
    flush=True,
  )
  context = contexts.install('xla')
  model = language_models.build(
    character_lstm.CharacterLstm(_VOCABULARY, _LENGTH, units=64)
  )
  process = fed_avg.build(
    model,
    client_optimizer=tff.learning.optimizers.build_sgdm(0.5),
    server_optimizer=tff.learning.optimizers.build_sgdm(1.0, 0.9),
    aggregator=tff.aggregators.MeanFactory(),
  )
  samples: list[tuple[int, float]] = []

  def observe(round_num: int, state: Any) -> None:
    del state  # Unused.
    if round_num % _SAMPLE_EVERY == 0:
      samples.append((round_num, _mebibytes()))
      print(f'round {round_num}: {samples[-1][1]:.0f} MiB', flush=True)

  result = training.run(
    'federated',
    process,
    train,
    training.federated_evaluation(process, evaluation.build(model), test),
    training.TrainingProgram(
      rounds=rounds,
      participation=participation.Participation(num_clients, 50),
      batching=batching.Batching(10),
      seed=0,
      evaluate_every=20,
    ),
    run_directory.RunDirectory(folder / 'run'),
    observe=observe,
  )
  settled = [s for s in samples if s[0] >= _SETTLING * rounds]
  slope = np.polyfit(*zip(*settled, strict=True), 1)[0]
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  print(
    f'{rounds} rounds of 50 clients: peak {peak:.0f} MiB, '
    f'{100 * slope:+.2f} MiB per 100 rounds after round {settled[0][0]}, '
    f'{result.elapsed_seconds / rounds:.3f} s a round, '
    f'{context.compilations} compilations',
    flush=True,
  )


def main() -> None:
  """Measures once."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--rounds', type=int, default=300)
  parser.add_argument('--clients', type=int, default=17_777)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    run(arguments.clients, arguments.rounds, pathlib.Path(folder))


if __name__ == '__main__':
  tf.get_logger().setLevel('ERROR')
  main()
