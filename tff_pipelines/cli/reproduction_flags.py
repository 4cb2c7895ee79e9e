"""Flags of a reproduction, and the three things that it can do."""

from collections.abc import Iterator
import os
import pathlib
import sys
import tempfile
import time
from typing import Any

import rich.console

from tff_pipelines.cli import (
  flag_groups,
  reproduction_run,
  reproduction_workers,
)
from tff_pipelines.programs import (
  files,
  reproduction_paper,
  reproduction_schedule,
)
from tff_pipelines.reports import reproduction_page, reproduction_tables

_RUNS = pathlib.Path('runs')
_SMOKE_SECONDS = 600.0

_Chosen = list[
  tuple[reproduction_paper.Paper, list[reproduction_paper.Experiment]]
]


class ReproductionFlags(flag_groups.FlagGroup):
  """`--paper` and how to reproduce it."""

  def __init__(self, papers: pathlib.Path):
    """Declares the flags.

    Args:
      papers: The folder of papers.
    """
    super().__init__('The reproduction')
    self._papers = papers
    self._paper = self.define(
      'paper', [], 'folders of tasks/papers, such as mcmahan2017'
    )
    self._experiment = self.define(
      'experiment', [], 'experiments of the paper; all unless they are named'
    )
    self._all = self.define('all', False, 'all papers')
    self._list = self.define('list', False, 'what there is, and how long')
    self._smoke = self.define(
      'smoke',
      False,
      'checks the flags of all runs, and runs one of each experiment for two '
      'rounds on small generated data; no verdicts',
    )
    self._data_dir = self.define(
      'data_dir',
      None,
      "folder of data sets; the tasks' own cache unless it is given",
    )
    self._output_dir = self.define(
      'output_dir',
      None,
      f'where runs and reports are kept, and found again when the same command '
      f'is given once more; {_RUNS}/reproduce unless it is given',
    )
    self._workers = self.define('workers', 0, 'runs at a time; 0 is one a core')

  def check(self) -> None:
    """Refuses unclear choices."""
    super().check()
    if bool(self._paper.value) == self._all.value and not self._list.value:
      raise flag_groups.FlagError(
        'Expected one of --paper=NAME and --all, found '
        f'{"both" if self._all.value else "neither"}; --list shows the papers.'
      )
    if self._experiment.value and len(self._paper.value) != 1:
      raise flag_groups.FlagError(
        'Expected one --paper where --experiment is given, found '
        f'--paper={",".join(self._paper.value)}.'
      )
    if self._workers.value < 0:
      raise flag_groups.FlagError(
        f'Expected --workers of at least 0, found {self._workers.value}.'
      )

  def run(self) -> None:
    """Lists, tries or reproduces what the flags choose.

    Exits with 1 if a run failed. A claim that is missed is a result.
    """
    chosen = self._chosen()
    if self._list.value:
      rich.console.Console().print(
        reproduction_tables.overview(_listed(chosen))
      )
      return
    failed = self._try(chosen) if self._smoke.value else self._reproduce(chosen)
    if failed:
      sys.exit(1)

  def _chosen(self) -> _Chosen:
    known = sorted(p.parent.name for p in self._papers.glob('*/expected.json'))
    for name in self._paper.value:
      if name not in known:
        raise flag_groups.FlagError(
          f'Expected a paper out of {", ".join(known)}, found --paper={name}.'
        )
    chosen = []
    for name in self._paper.value or known:
      paper = reproduction_paper.read(self._papers / name)
      names = self._experiment.value
      experiments = [paper.experiment(each) for each in names]
      chosen.append((paper, experiments or list(paper.experiments)))
    return chosen

  def num_workers(self, experiment: reproduction_paper.Experiment) -> int:
    """Returns how many jobs of an experiment run at a time.

    No more than it has: the fewer they are, the more cores has each.
    """
    return min(self._most_workers(), experiment.num_jobs)

  def _most_workers(self) -> int:
    return self._workers.value or os.cpu_count() or 1

  def _data(self) -> str | None:
    if self._data_dir.value is None:
      return None
    path = pathlib.Path(self._data_dir.value).expanduser()
    if not path.is_dir():
      raise flag_groups.FlagError(
        f'Expected a folder of data sets, found --data_dir={path}, where there '
        'is none.'
      )
    return str(path.absolute())

  def _reproduce(self, chosen: _Chosen) -> bool:
    data = self._data()
    root = pathlib.Path(self._output_dir.value or _RUNS / 'reproduce')
    root = root.expanduser().absolute()
    failed = False
    for paper, experiments in chosen:
      folder = root / paper.name
      with files.saving('a reproduction', folder):
        folder.mkdir(parents=True, exist_ok=True)
      record = reproduction_page.read_record(folder) or {}
      done = {each['name']: each for each in record.get('experiments', [])}
      for experiment in experiments:
        print(f'{paper.name}, {experiment.name}: {experiment.title}')
        place = reproduction_run.Place(
          folder, data, self.num_workers(experiment)
        )
        one = reproduction_run.ExperimentRun(experiment, place)
        started = time.monotonic()
        with reproduction_workers.Workers(
          place.workers, folder / 'workers.log'
        ) as processes:
          ran = one.run(processes)
        seconds = time.monotonic() - started if ran else 0.0
        before = done.get(experiment.name, {}).get('seconds', 0.0)
        done[experiment.name] = one.record(before + seconds)
        failed |= one.failed
        _write(folder, paper, done)
        console = rich.console.Console()
        console.print(reproduction_tables.claims(done[experiment.name]))
        for sentence in reproduction_tables.failures(done[experiment.name]):
          console.print(sentence, markup=False, highlight=False)
        console.print(
          reproduction_tables.effort(
            done[experiment.name], reproduction_run.machine()
          ),
          style='dim',
        )
      with files.saving('the report', folder):
        print(f'report: {reproduction_page.write(folder)}')
    return failed

  def _try(self, chosen: _Chosen) -> bool:
    """Runs the smoke test; returns whether anything failed."""
    failed = False
    with (
      tempfile.TemporaryDirectory(prefix='reproduce-smoke-') as folder,
      reproduction_workers.Workers(
        self._most_workers(), pathlib.Path(folder) / 'workers.log'
      ) as workers,
    ):
      for name, reason in _smoke(chosen, pathlib.Path(folder), workers):
        failed |= bool(reason)
        print(f'{name}: {reason or "works"}', flush=True)
    return failed


def _listed(chosen: _Chosen) -> list[list[str]]:
  return [
    [
      paper.name,
      experiment.name,
      experiment.title,
      str(experiment.num_jobs),
      f'{experiment.minutes:g}',
    ]
    for paper, experiments in chosen
    for experiment in experiments
  ]


def _write(
  folder: pathlib.Path,
  paper: reproduction_paper.Paper,
  done: dict[str, dict[str, Any]],
) -> None:
  order = [each.name for each in paper.experiments]
  files.write_json(
    folder / 'reproduction.json',
    {
      'paper': reproduction_run.paper_record(paper),
      'machine': reproduction_run.machine(),
      'experiments': [done[name] for name in order if name in done],
    },
  )


def _smoke(
  chosen: _Chosen,
  folder: pathlib.Path,
  workers: reproduction_workers.Workers,
) -> Iterator[tuple[str, str]]:
  """Yields what was tried, and why it failed or ''."""
  runs: dict[str, list[tuple[str, list[str]]]] = {}
  tried: list[tuple[str, reproduction_workers.Order]] = []
  for paper, experiments in chosen:
    for experiment in experiments:
      for run in experiment.runs:
        for job in reproduction_schedule.grid_jobs(experiment, run):
          name = f'{paper.name}/{job.name}'
          runs.setdefault(run.task, []).append((name, job.arguments))
      first = reproduction_schedule.grid_jobs(experiment, experiment.runs[0])[0]
      output = folder / paper.name / first.folder
      tried.append(
        (
          f'{paper.name}/{experiment.name}',
          reproduction_workers.Order(
            task=first.run.task,
            arguments=tuple(first.arguments),
            optional=(f'--output_dir={output}', '--report=false'),
            smoke=True,
            log=folder / f'{paper.name}-{experiment.name}.log',
          ),
        )
      )
  # A worker is of one task, so those of one task follow each other.
  orders: list[tuple[str, Any]] = []
  for task in dict.fromkeys(order.task for _, order in tried):
    orders.append((f'flags of {task}', task))
    orders += [pair for pair in tried if pair[1].task == task]
  waiting = orders[::-1]
  deadline = time.monotonic() + _SMOKE_SECONDS
  while waiting or workers.running:
    while waiting and workers.has_room:
      name, order = waiting.pop()
      if isinstance(order, str):
        workers.check((name, order), order, [a for _, a in runs[order]])
      else:
        workers.start((name, order), order)
    for (name, order), answer in workers.wait(1.0):
      yield name, _why(order, runs, answer)
    if time.monotonic() > deadline:
      for name, _ in workers.running:
        yield name, f'it takes longer than {_SMOKE_SECONDS:.0f} s'
      return


def _why(
  order: reproduction_workers.Order | str,
  runs: dict[str, list[tuple[str, list[str]]]],
  answer: dict[str, Any],
) -> str:
  """Returns why something failed, '' if it did not."""
  if answer.get('exit'):
    log = None if isinstance(order, str) else order.log
    return reproduction_run.reason(log, answer['exit'], with_path=False)
  refused: dict[str, str] = answer.get('refused', {})
  if isinstance(order, str):
    return '; '.join(
      f'{runs[order][int(index)][0]}: {sentence}'
      for index, sentence in refused.items()
    )
  return ''


def papers_folder() -> pathlib.Path:
  """Returns the folder of papers of this repository."""
  return pathlib.Path(__file__).parents[2] / 'tasks' / 'papers'
