"""Seconds per round of simulators, on the same jobs, in one interleaved run.

  python -m benchmarks.simulators --jobs=softmax,2nn --systems=this,stock

Each system runs in a process (and, where it needs one, an environment that uv
makes) of its own, and takes turns with the others round by round, so that a
noisy machine is noisy to all. After two rounds they have to have the same
weights, to 1e-4.
"""

import argparse
import atexit
from collections.abc import Sequence
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import rich.console
import rich.table

from benchmarks import jobs

_ROOT = pathlib.Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class System:
  """How to start a system's worker.

  Attributes:
    module: In benchmarks/systems.
    name: Its class.
    requirements: Packages of an environment of its own; none for this one.
  """

  module: str
  name: str
  requirements: tuple[str, ...] = ()

  def command(self) -> list[str]:
    """Returns the command up to the job."""
    python = [sys.executable]
    if self.requirements:
      python = ['uv', 'run', '--quiet', '--no-project', '--python', '3.11']
      for requirement in self.requirements:
        python += ['--with', requirement]
      python += ['python']
    return [*python, '-m', 'benchmarks.worker', self.module, self.name]


SYSTEMS = {
  'this': System('tff_systems', 'This'),
  'stock': System('tff_systems', 'Stock'),
  'jax': System('jax_scan', 'JaxScan', ('jax==0.10.2', 'numpy==2.3.5')),
}


class _Worker:
  def __init__(self, system: str, job: str, folder: pathlib.Path):
    self._weights = folder / f'{system}.npz'
    self._process = subprocess.Popen(
      [*SYSTEMS[system].command(), job, str(self._weights)],
      cwd=_ROOT,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      text=True,
      start_new_session=True,
    )
    # Some systems leave processes of their own behind.
    atexit.register(self._end)
    self.seconds: list[float] = []
    self._answer()

  def round(self) -> None:
    assert self._process.stdin is not None
    self._process.stdin.write('\n')
    self._process.stdin.flush()
    self.seconds.append(float(self._answer()))

  def finish(self) -> tuple[float, list[np.ndarray]]:
    """Ends the worker; returns peak memory in MiB and the weights."""
    assert self._process.stdin is not None
    self._process.stdin.close()
    peak = float(self._answer())
    with np.load(self._weights) as archive:
      weights = [archive[name] for name in archive.files]
    self._end()
    return peak, weights

  def _end(self) -> None:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(self._process.pid, signal.SIGKILL)
    self._process.wait()

  def _answer(self) -> str:
    assert self._process.stdout is not None
    line = self._process.stdout.readline()
    if not line:
      raise RuntimeError(f'{self._process.args} ended without an answer')
    return line


def measure(
  job: str, systems: Sequence[str], rounds: int
) -> dict[str, dict[str, float]]:
  """Runs one job on some systems; returns their figures.

  Raises:
    RuntimeError: If a system ends with other weights than the first.
  """
  with tempfile.TemporaryDirectory() as folder:
    workers = {s: _Worker(s, job, pathlib.Path(folder)) for s in systems}
    for _ in range(rounds + 1):
      for worker in workers.values():
        worker.round()
    figures, reference = {}, None
    for system, worker in workers.items():
      peak, weights = worker.finish()
      reference = reference or weights
      gap = max(
        float(np.max(np.abs(a - b)))
        for a, b in zip(reference, weights, strict=True)
      )
      if not gap <= 1e-4:
        raise RuntimeError(
          f'{system} is {gap:.1e} away after two rounds of {job}'
        )
      first, *rest = worker.seconds
      median = statistics.median(rest)
      figures[system] = {
        'seconds': median,
        'compile_seconds': first - median,
        'peak_mib': peak,
        'gap': gap,
      }
  return figures


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--jobs', default=','.join(jobs.JOBS))
  parser.add_argument('--systems', default='this,stock')
  parser.add_argument('--rounds', type=int, default=7)
  parser.add_argument('--json', type=pathlib.Path)
  arguments = parser.parse_args()
  systems = arguments.systems.split(',')
  results = {}
  table = rich.table.Table(title='seconds per round (median)')
  for heading in ('job', 'system', 's/round', 'ratio', 'compile s', 'peak MiB'):
    table.add_column(heading, justify='left' if heading == 'job' else 'right')
  for job in arguments.jobs.split(','):
    results[job] = figures = measure(job, systems, arguments.rounds)
    for system, f in figures.items():
      ratio = f['seconds'] / figures[systems[0]]['seconds']
      table.add_row(
        job,
        system,
        f'{f["seconds"]:.4f}',
        f'{ratio:.2f}',
        f'{f["compile_seconds"]:.1f}',
        f'{f["peak_mib"]:.0f}',
      )
  rich.console.Console().print(table)
  if arguments.json:
    arguments.json.write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
  main()
