"""pfl-research on PyTorch, with a process for each core.

Its own multi-worker mode, over torch.distributed: this process is worker 0, and
starts the others, which take a line on standard input for a round.
"""

import os
import pickle
import socket
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks import jobs


class PflResearch:
  """FederatedAveraging on SimulatedBackend."""

  def __init__(self, job: jobs.Job):
    count = os.cpu_count() or 1
    with socket.socket() as probe:
      probe.bind(('localhost', 0))
      address = f'localhost:{probe.getsockname()[1]}'
    # The first address is where the workers meet.
    os.environ['PFL_WORKER_ADDRESSES'] = ','.join([address] * count)
    self._others = [_start_worker(job, rank) for rank in range(1, count)]
    self._worker = _build_worker(job, rank=0)

  def round(self) -> None:
    for process in self._others:
      process.stdin.write(b'\n')
      process.stdin.flush()
    self._worker.round()

  def weights(self) -> list[np.ndarray]:
    return self._worker.weights()


def _start_worker(job: jobs.Job, rank: int) -> Any:
  process = subprocess.Popen(
    [sys.executable, '-m', 'benchmarks.systems.pfl_research', str(rank)],
    stdin=subprocess.PIPE,
  )
  pickle.dump(job, process.stdin)
  process.stdin.flush()
  return process


def _build_worker(job: jobs.Job, rank: int) -> Any:
  """Joins the other workers, which importing pfl does."""
  os.environ['PFL_WORKER_RANK'] = str(rank)
  from benchmarks.systems import pfl_worker

  return pfl_worker.Worker(job)


def main() -> None:
  """Runs a worker other than the first, until its input ends."""
  job = pickle.load(sys.stdin.buffer)
  worker = _build_worker(job, int(sys.argv[1]))
  for _ in sys.stdin.buffer:
    worker.round()


if __name__ == '__main__':
  main()
