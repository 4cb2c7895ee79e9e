"""Runs the experiments of a paper, and says what came of their claims."""

from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import os
import pathlib
import platform
import time
from typing import Any

from tff_pipelines.cli import reproduction_display, reproduction_workers
from tff_pipelines.core import errors
from tff_pipelines.programs import (
  files,
  reproduction_measures,
  reproduction_paper,
  reproduction_schedule,
)

Job = reproduction_schedule.Job
Progress = reproduction_schedule.Progress
_POLL_SECONDS = 0.5
_MOST_POINTS = 400


@dataclasses.dataclass(frozen=True)
class Place:
  """Where a reproduction happens.

  Attributes:
    folder: Of the paper: a run directory a job, logs, reproduction.json.
    data_dir: Folder of data sets; None for the tasks' default.
    workers: Jobs at a time.
  """

  folder: pathlib.Path
  data_dir: str | None
  workers: int

  def run_dir(self, job: Job) -> pathlib.Path:
    """Returns the run directory of a job."""
    return self.folder / job.folder

  def log(self, job: Job) -> pathlib.Path:
    """Returns the file of what a job prints."""
    return self.folder / f'{job.folder}.log'

  def order(self, job: Job) -> reproduction_workers.Order:
    """Returns what a worker is told."""
    threads = max(1, (os.cpu_count() or 1) // self.workers)
    data = [] if self.data_dir is None else [f'--data_dir={self.data_dir}']
    return reproduction_workers.Order(
      task=job.run.task,
      arguments=(*job.arguments, f'--output_dir={self.run_dir(job)}'),
      optional=(*data, '--report=false', f'--threads={threads}'),
      log=self.log(job),
    )


class ExperimentRun:
  """Runs the jobs of one experiment, or finds what they left before."""

  def __init__(self, experiment: reproduction_paper.Experiment, place: Place):
    self._experiment, self._place = experiment, place
    self._progress: dict[Job, Progress] = {}
    self._reasons: dict[Job, str] = {}
    self._started: dict[Job, float] = {}

  @property
  def failed(self) -> bool:
    """Whether a job failed."""
    return bool(self._reasons)

  def run(self, workers: reproduction_workers.Workers) -> bool:
    """Runs all jobs that have not ended before; returns whether there were."""
    with reproduction_display.Display() as display:
      return self._run(workers, display)

  def _run(
    self,
    workers: reproduction_workers.Workers,
    display: reproduction_display.Display,
  ) -> bool:
    while True:
      wanted = reproduction_schedule.jobs(self._experiment, self._progress)
      for job in wanted:
        if job not in self._progress:
          self._progress[job] = self._found(job)
      waiting = [j for j in wanted if self._standing(j) == 'waiting']
      for job in reproduction_schedule.longest_first(waiting):
        if self._standing(job) == 'waiting' and self._is_cut(job):
          continue
        if workers.has_room:
          self._start(job, workers)
      if not workers.running:
        if any(self._standing(j) == 'waiting' for j in waiting):
          continue
        more = reproduction_schedule.jobs(self._experiment, self._progress)
        if all(j in self._progress for j in more):
          return bool(self._started)
        continue
      display.update({j.name: self._place.log(j) for j in workers.running})
      for job, answer in workers.wait(_POLL_SECONDS):
        self._end(job, answer['exit'], wanted)
      for job in workers.running:
        self._cut_short(job, workers)

  def _standing(self, job: Job) -> reproduction_schedule.Standing:
    return self._progress[job].standing

  def _start(self, job: Job, workers: reproduction_workers.Workers) -> None:
    with files.saving('a log', self._place.folder):
      self._place.log(job).parent.mkdir(parents=True, exist_ok=True)
    self._progress[job] = Progress('running')
    self._started[job] = time.monotonic()
    workers.start(job, self._place.order(job))

  def _end(self, job: Job, code: int, wanted: Sequence[Job]) -> None:
    if code == 0:
      found = self._found(job)
    elif code == 130 and self._progress[job].standing == 'cut':
      # It has gone on for a while since.
      found = Progress('cut', *self._score(job))
    else:
      found = Progress('failed')
      self._reasons[job] = reason(self._place.log(job), code)
    if found.standing == 'waiting':
      found = Progress('failed')
      self._reasons[job] = f'it left no results ({self._place.log(job)})'
    self._progress[job] = found
    ended = sum(
      self._progress[j].standing not in ('waiting', 'running') for j in wanted
    )
    seconds = time.monotonic() - self._started[job]
    print(
      f'[{ended}/{len(wanted)}] {job.name}: '
      f'{self._told(job)}  ({seconds:.0f} s)',
      flush=True,
    )

  def _told(self, job: Job) -> str:
    found = self._progress[job]
    if found.standing == 'failed':
      return f'failed: {self._reasons[job]}'
    score = found.score
    if score is None:
      return found.standing
    return f'{found.standing}, {number_text(score)}'

  def _cut_short(self, job: Job, workers: reproduction_workers.Workers) -> None:
    if self._standing(job) == 'running' and self._is_cut(job):
      workers.interrupt(job)

  def _is_cut(self, job: Job) -> bool:
    """Whether a job cannot be the best; notes it if so."""
    bound = reproduction_schedule.cut_at(self._experiment, job, self._progress)
    race = self._race(job)
    if (bound == float('inf') and not race) or not self._metrics_exist(job):
      return False
    try:
      score, tie = self._score(job)
    except errors.PipelineError:
      return False  # Nothing was measured yet.
    if score is None or score.exact is not None:
      return False
    if score.low < bound and not reproduction_schedule.loses_race(
      self._experiment, job, race
    ):
      return False
    self._progress[job] = Progress('cut', score, tie)
    return True

  def _race(self, job: Job) -> dict[Job, float]:
    """What the metric of a job's grid was after `race_rounds`, if it was."""
    choose, at = self._experiment.choose, job.run.race_rounds
    if not at or choose is None or job.seed != job.run.seeds[0]:
      return {}
    metric = dataclasses.replace(choose.measure, kind='at', round_num=at)
    found = {}
    for other in reproduction_schedule.grid_jobs(self._experiment, job.run):
      with contextlib.suppress(errors.PipelineError, OSError):
        number = reproduction_measures.measure(
          self._place.run_dir(other), metric, job.run.system
        )
        found[other] = number.low
    return found

  def _metrics_exist(self, job: Job) -> bool:
    folder = reproduction_measures.system_folder(
      self._place.run_dir(job), job.run.system
    )
    return (folder / 'metrics.csv').exists()

  def _found(self, job: Job) -> Progress:
    """How a job stands by what it has left."""
    if not (self._place.run_dir(job) / 'results.json').exists():
      return Progress()
    try:
      return Progress('finished', *self._score(job))
    except errors.PipelineError as error:
      self._reasons[job] = str(error)
      return Progress('failed')

  def _score(
    self, job: Job
  ) -> tuple[reproduction_measures.Number | None, float]:
    choose = self._experiment.choose
    if choose is None:
      return None, 0.0
    measure = functools.partial(
      reproduction_measures.measure, self._place.run_dir(job)
    )
    score = measure(choose.measure, job.run.system)
    tie = 0.0
    if score.exact is None:
      highest = dataclasses.replace(choose.measure, kind='highest')
      tie = -measure(highest, job.run.system).low
    return score, tie

  def record(self, seconds: float) -> dict[str, Any]:
    """Returns what came of it, plain values, as reproduction.json has them."""
    experiment = self._experiment
    return {
      'name': experiment.name,
      'title': experiment.title,
      'where': experiment.where,
      'deviations': list(experiment.deviations),
      'minutes': experiment.minutes,
      'seconds': seconds,
      'runs': [self._run_record(run) for run in experiment.runs],
      'claims': [self._claim_record(claim) for claim in experiment.claims],
      'figures': [self._figure_record(figure) for figure in experiment.figures],
    }

  def _jobs(self, run: reproduction_paper.Run) -> list[Job]:
    """The jobs of a run's best value, one a seed."""
    best = reproduction_schedule.best_value(
      self._experiment, run, self._progress
    )
    if best is None:
      return []
    return [Job(self._experiment.name, run, best, s) for s in run.seeds]

  def _run_record(self, run: reproduction_paper.Run) -> dict[str, Any]:
    jobs = self._jobs(run)
    grid = reproduction_schedule.grid_jobs(self._experiment, run)
    return {
      'name': run.name,
      'label': run.label,
      'seeds': list(run.seeds),
      'best': run.grid_values()[jobs[0].value] if jobs else None,
      'tried': [
        {
          'values': run.grid_values()[job.value],
          'standing': self._standing(job),
          'score': _plain(self._progress[job].score),
        }
        for job in grid
      ],
      'jobs': [
        {
          'seed': job.seed,
          'folder': job.folder,
          'standing': self._standing(job),
          'reason': self._reasons.get(job),
        }
        for job in [*grid, *(j for j in jobs if j not in grid)]
      ],
    }

  def _numbers(
    self, run: reproduction_paper.Run, what: reproduction_paper.Measure
  ) -> tuple[list[reproduction_measures.Number], str]:
    """The numbers of a run's seeds; none, and why, if it failed."""
    jobs = self._jobs(run)
    if not jobs:
      reasons = [r for job, r in self._reasons.items() if job.run == run]
      return [], reasons[0] if reasons else 'it did not run'
    try:
      for job in jobs:
        if job in self._reasons:
          return [], self._reasons[job]
      return [
        reproduction_measures.measure(
          self._place.run_dir(job), what, run.system
        )
        for job in jobs
      ], ''
    except errors.PipelineError as error:
      self._reasons.setdefault(jobs[0], str(error))
      return [], str(error)

  def _claim_record(self, claim: reproduction_paper.Claim) -> dict[str, Any]:
    needed = [(claim.run, claim.measure)]
    if claim.than is not None and claim.than_measure is not None:
      needed.append((claim.than, claim.than_measure))
    found, reason = {}, ''
    for name, what in needed:
      found[name, what], why = self._numbers(self._experiment.run(name), what)
      reason = reason or why
    numbers = reproduction_schedule.claimed(self._experiment, claim, found)
    middle = reproduction_measures.median(numbers) if numbers else None
    return {
      'label': claim.label,
      'where': claim.where or self._experiment.where,
      'row': claim.row,
      'column': claim.column,
      'format': claim.format,
      'sign': claim.is_difference,
      'paper': claim.paper,
      'low': claim.low,
      'high': claim.high,
      'why': claim.why,
      'numbers': [_plain(number) for number in numbers],
      'median': _plain(middle),
      'verdict': (
        'failed'
        if middle is None
        else reproduction_measures.verdict(middle, claim.low, claim.high)
      ),
      'reason': reason,
    }

  def _figure_record(self, figure: reproduction_paper.Figure) -> dict[str, Any]:
    curves: dict[str, list[dict[str, Any]]] = {}
    for name, system in figure.runs:
      run = self._experiment.run(name)
      label = run.label if system == run.system else f'{run.label}, {system}'
      for job in self._jobs(run):
        folder = reproduction_measures.system_folder(
          self._place.run_dir(job), system
        )
        try:
          found = reproduction_measures.curves(
            folder / figure.file, figure.x, figure.y
          )
        except errors.PipelineError:
          continue  # Its job has failed, and the table says so.
        for own, points in found.items():
          line = {'seed': job.seed, 'points': _thinned(points)}
          curves.setdefault(own or label, []).append(line)
    return {
      'title': figure.title,
      'kind': figure.kind,
      'x': figure.x,
      'y': figure.y,
      'x_title': figure.x_title,
      'y_title': figure.y_title,
      'log': figure.log,
      'y_limits': figure.y_limits,
      'curves': [
        {'label': label, 'lines': lines} for label, lines in curves.items()
      ],
      'paper': [dataclasses.asdict(points) for points in figure.paper],
    }


def _thinned(
  points: Sequence[tuple[float, float]],
) -> list[tuple[float, float]]:
  step = max(1, len(points) // _MOST_POINTS)
  kept = list(points[::step])
  if points and kept[-1] != points[-1]:
    kept.append(points[-1])
  return kept


def number_text(number: reproduction_measures.Number) -> str:
  """Writes a number, or what is known of it, for a log."""
  if number.exact is not None:
    return f'{number.exact:.6g}'
  if number.high == float('inf'):
    return f'more than {number.low:.6g}'
  return f'{number.low:.6g} to {number.high:.6g}'


def machine() -> dict[str, Any]:
  """Returns what the numbers of seconds depend on."""
  name = platform.processor() or platform.machine()
  cpuinfo = pathlib.Path('/proc/cpuinfo')
  if cpuinfo.exists():
    for line in cpuinfo.read_text(encoding='utf-8').splitlines():
      if line.startswith('model name'):
        name = line.partition(':')[2].strip()
        break
  return {'processor': name, 'cores': os.cpu_count()}


def paper_record(paper: reproduction_paper.Paper) -> dict[str, Any]:
  """Returns what a report says of a paper."""
  return {
    'name': paper.name,
    'title': paper.title,
    'authors': paper.authors,
    'year': paper.year,
    'source': paper.source,
  }


def _plain(
  number: reproduction_measures.Number | None,
) -> list[float] | None:
  return None if number is None else [number.low, number.high]


def reason(
  log: pathlib.Path | None, code: int, *, with_path: bool = True
) -> str:
  """Returns the last words of a job that failed, and where its log is."""
  last = '' if log is None else reproduction_display.last_line(log)
  last = last.removeprefix('Error: ')[:300]
  if code < 0:
    last = f'killed by signal {-code}'
  last = last or f'exit code {code}'
  return f'{last} ({log})' if with_path and log else last
