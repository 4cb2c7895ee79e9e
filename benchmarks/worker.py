"""Runs one system on one job, a round for each line on standard input.

  python -m benchmarks.worker MODULE CLASS JOB WEIGHTS.npz

Says when it is ready, and answers each line with the seconds of a round. After
the second round it writes its weights.
"""

import importlib
import os
import sys
import time

import numpy as np

from benchmarks import jobs

# Systems add up in different orders, and on random labels such differences grow
# tenfold every few rounds, so weights are compared early.
COMPARED_ROUND = 2


def main() -> None:
  """Serves rounds until the input ends."""
  module, name, job, path = sys.argv[1:]
  # Libraries print to standard output; the answers have it to themselves.
  answers = os.fdopen(os.dup(1), 'w')
  os.dup2(2, 1)
  system_class = getattr(
    importlib.import_module(f'benchmarks.systems.{module}'), name
  )
  system = system_class(jobs.JOBS[job])
  print('ready', file=answers, flush=True)
  for number, _ in enumerate(sys.stdin, start=1):
    started = time.perf_counter()
    system.round()
    seconds = time.perf_counter() - started
    if number == COMPARED_ROUND:
      np.savez(path, *system.weights())
    print(seconds, file=answers, flush=True)


if __name__ == '__main__':
  main()
