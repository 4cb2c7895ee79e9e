"""Memory of a round, by the number of clients and over many rounds.

  python -m benchmarks.memory                # 100 and 10,000 clients a round
  python -m benchmarks.memory --rounds=500   # rounds of varying cohorts

Federated averaging of the 784-200-200-10 network over a population of 10,000
clients with 20 examples each, in batches of 10.
"""

import tff_pipelines  # isort: skip  # noqa: F401  (sets the environment first)

import argparse
import resource
import subprocess
import sys

import numpy as np
import psutil
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import jobs
from benchmarks.systems import tff_systems
from tff_pipelines.data import batching, population
from tff_pipelines.execution import contexts

_NUM_CLIENTS = 10_000
_EXAMPLES = 20


def _population() -> population.ArrayPopulation:
  rng = np.random.default_rng(0)
  count = _NUM_CLIENTS * _EXAMPLES
  x = rng.standard_normal((count, 784), np.float32)
  y = rng.integers(0, 10, count).astype(np.int32)
  rows = np.arange(count).reshape(_NUM_CLIENTS, _EXAMPLES)
  return population.ArrayPopulation(
    (x, y), {str(c): own for c, own in enumerate(rows)}
  )


def run(clients_per_round: int, rounds: int, *, vary: bool) -> None:
  """Runs some rounds and prints what they took."""
  context = contexts.install('xla')
  people = _population()
  job = jobs.Job(jobs.Mlp((784, 200, 200, 10)), (), 10)
  process: tff.learning.templates.LearningProcess = tff_systems.process(job)
  state = process.initialize()
  rng = np.random.default_rng(1)
  resident = []
  for round_num in range(1, rounds + 1):
    count, batch_size = clients_per_round, 10
    if vary:
      count = int(rng.integers(clients_per_round // 2, clients_per_round + 1))
    batches = batching.Batching(batch_size, max_examples=17 if vary else None)
    clients = rng.choice(people.num_clients, count, replace=False)
    data = people.batches(clients, batches, seed=0, round_num=round_num)
    state = process.next(state, data).state
    resident.append(psutil.Process().memory_info().rss / 2**20)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  line = (
    f'{clients_per_round} clients a round, {rounds} rounds: peak {peak:.0f} '
    f'MiB, {context.compilations} compilations'
  )
  if rounds > 60:
    later = resident[50:]
    growth = max(later) / min(later) - 1
    line += f', resident after round 50 varies by {100 * growth:.1f} %'
  print(line, flush=True)


def main() -> None:
  """Measures in processes of their own."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--rounds', type=int)
  parser.add_argument('--clients', type=int)
  arguments = parser.parse_args()
  if arguments.rounds and not arguments.clients:
    run(100, arguments.rounds, vary=True)
    return
  if arguments.clients:
    run(arguments.clients, arguments.rounds, vary=False)
    return
  for count in (100, _NUM_CLIENTS):
    module = [sys.executable, '-m', 'benchmarks.memory']
    subprocess.run([*module, '--rounds=3', f'--clients={count}'], check=True)


if __name__ == '__main__':
  tf.get_logger().setLevel('ERROR')
  main()
