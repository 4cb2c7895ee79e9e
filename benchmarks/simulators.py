"""Seconds per round of simulators, on the same jobs, in one interleaved run.

  python -m benchmarks.simulators --jobs=softmax,2nn --systems=this,stock

Each system runs in a process (and, where it needs one, an environment) of its
own, and takes turns with the others round by round, so that a noisy machine is
noisy to all. After two rounds they have to have the same weights, to 1e-4. A
system that cannot do a job is told of, and the others go on.
"""

import argparse
from collections.abc import Callable, Sequence
import contextlib
import dataclasses
import datetime
from importlib import metadata
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
import rich.console
import rich.table

from benchmarks import environments, jobs, workers

_TOLERANCE = 1e-4
_TORCH = ('torch==2.13.0', 'numpy==2.4.6')


@dataclasses.dataclass(frozen=True)
class System:
  """How to start a system's worker.

  Attributes:
    module: In benchmarks/systems.
    name: Its class.
    requirements: Packages of an environment of its own; none for this one.
    installer: Of that environment: 'uv' or 'pip'.
  """

  module: str
  name: str
  requirements: tuple[str, ...] = ()
  installer: str = 'uv'

  def command(self) -> list[str]:
    """Returns the command up to the job; makes the environment."""
    python = environments.python(self.requirements, self.installer)
    return [*python, '-m', 'benchmarks.worker', self.module, self.name]


SYSTEMS = {
  'this': System('tff_systems', 'This'),
  'stock': System('tff_systems', 'Stock'),
  'stock_best': System('tff_systems', 'StockBest'),
  'pfl': System('pfl_research', 'PflResearch', ('pfl==0.6.0', *_TORCH), 'pip'),
  'fedjax': System(
    'fedjax_rounds',
    'FedJax',
    (
      'fedjax==0.0.17',
      'jax==0.5.3',
      'jaxlib==0.5.3',
      'dm-haiku==0.0.17',
      'optax==0.2.8',
      'numpy==2.4.6',
    ),
  ),
  'flower': System(
    'flower_rounds', 'Flower', ('flwr[simulation]==1.41.0', *_TORCH), 'pip'
  ),
  'jax': System('jax_scan', 'JaxScan', ('jax==0.10.2', 'numpy==2.3.5')),
}


def measure(
  job: str, systems: Sequence[str], rounds: int, tell: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
  """Runs one job on some systems.

  Args:
    job: Its name.
    systems: Their names; the first that works is the one compared with.
    rounds: To measure, after a first one that compiles.
    tell: Takes a line for each system that fails.

  Returns:
    Figures of each system, or why it has none, under 'failure'.
  """
  figures: dict[str, dict[str, Any]] = {}
  running: dict[str, workers.Worker] = {}

  @contextlib.contextmanager
  def failures_of(system: str):
    try:
      yield
    except (workers.WorkerError, environments.InstallError) as error:
      figures[system] = {'failure': str(error)}
      running.pop(system, None)
      tell(f'{system} cannot do {job}: {error}')

  with contextlib.ExitStack() as stack:
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
    for system in systems:
      with failures_of(system):
        running[system] = stack.enter_context(
          workers.Worker(SYSTEMS[system].command(), job, folder / system)
        )
    for _ in range(rounds + 1):
      for system in list(running):
        with failures_of(system):
          running[system].round()
    reference = None
    for system in list(running):
      with failures_of(system):
        weights = running[system].weights()
        reference = reference or weights
        gap = _gap(reference, weights)
        if not gap <= _TOLERANCE:
          raise workers.WorkerError(f'Its weights are {gap:.1e} away.')
        figures[system] = _figures(running[system], gap)
  return {system: figures[system] for system in systems}


def _gap(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
  return max(float(np.max(np.abs(x - y))) for x, y in zip(a, b, strict=True))


def _figures(worker: workers.Worker, gap: float) -> dict[str, Any]:
  first, *rest = worker.seconds
  median = statistics.median(rest)
  return {
    'seconds': median,
    'least_seconds': min(rest),
    'all_seconds': worker.seconds,
    'compile_seconds': first - median,
    'peak_mib': worker.peak_mib(),
    'gap': gap,
  }


def _rows(job: str, figures: dict[str, dict[str, Any]]) -> list[list[str]]:
  """Returns the table's rows; ratios are to the first that works."""
  base = next((f['seconds'] for f in figures.values() if 'seconds' in f), None)
  rows = []
  for system, f in figures.items():
    if 'failure' in f:
      rows.append([job, system, 'failed', '', '', '', '', ''])
      continue
    rows.append(
      [
        job,
        system,
        f'{f["seconds"]:.4f}',
        f'{f["least_seconds"]:.4f}',
        f'{f["seconds"] / base:.2f}',
        f'{f["compile_seconds"]:.1f}',
        f'{f["peak_mib"]:.0f}',
        f'{f["gap"]:.0e}',
      ]
    )
  return rows


def _setting(systems: Sequence[str]) -> dict[str, Any]:
  """Returns where, when and with which versions this runs."""
  pages = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  ours = ('numpy', 'tensorflow', 'tensorflow-federated')
  commit = subprocess.run(
    ['git', 'describe', '--always', '--dirty'],
    cwd=pathlib.Path(__file__).parent,
    capture_output=True,
    text=True,
    check=False,
  )
  return {
    'date': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'machine': {
      'cpu': _cpu_model(),
      'cores': os.cpu_count(),
      'memory_gib': round(pages / 2**30, 1),
      'system': platform.platform(),
    },
    'commit': commit.stdout.strip(),
    'python': platform.python_version(),
    'versions': {
      s: SYSTEMS[s].requirements
      or tuple(f'{p}=={metadata.version(p)}' for p in ours)
      for s in systems
    },
  }


def _cpu_model() -> str:
  with contextlib.suppress(OSError):
    for line in pathlib.Path('/proc/cpuinfo').open():
      if line.startswith('model name'):
        return line.partition(':')[2].strip()
  return platform.processor()


def _names(known: dict[str, Any]) -> Callable[[str], list[str]]:
  def parse(value: str) -> list[str]:
    names = value.split(',')
    for name in names:
      if name not in known:
        raise argparse.ArgumentTypeError(
          f'{name!r} is none of {", ".join(known)}'
        )
    return names

  return parse


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--jobs', type=_names(jobs.JOBS), default=[*jobs.JOBS])
  parser.add_argument(
    '--systems', type=_names(SYSTEMS), default=['this', 'stock']
  )
  parser.add_argument('--rounds', type=int, default=7)
  parser.add_argument('--json', type=pathlib.Path)
  arguments = parser.parse_args()
  for number in (signal.SIGTERM, signal.SIGHUP):
    # So that workers end too.
    signal.signal(number, lambda *_: sys.exit(1))
  console = rich.console.Console()
  table = rich.table.Table(title='seconds per round (median)')
  for heading in ('job', 'system'):
    table.add_column(heading, no_wrap=True)
  for heading in ('s/round', 'least', 'ratio', 'first +s', 'MiB', 'gap'):
    table.add_column(heading, justify='right', no_wrap=True)
  results = {}
  for job in arguments.jobs:
    results[job] = measure(
      job,
      arguments.systems,
      arguments.rounds,
      tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    for row in _rows(job, results[job]):
      table.add_row(*row)
    table.add_section()
    if arguments.json:
      # After each job: a run of all takes minutes.
      content = {**_setting(arguments.systems), 'jobs': results}
      arguments.json.write_text(json.dumps(content, indent=2) + '\n')
  console.print(table)


if __name__ == '__main__':
  main()
