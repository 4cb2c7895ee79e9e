"""Which runs an experiment needs next: a grid with one seed, then the others.

All of it is a function of the experiment and of how its jobs stand, so that a
reproduction that was stopped goes on from what its folders hold.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import hashlib
import json
import math
from typing import Any, Literal

from tff_pipelines.programs import (
  reproduction_measures,
  reproduction_paper,
)

# `cut`: not ended, but known not to be the best of its grid.
Standing = Literal['waiting', 'running', 'finished', 'cut', 'failed']
_ENDED = ('finished', 'cut', 'failed')


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of a task: of an experiment's run, with a grid value and a seed.

  Attributes:
    experiment: Name of the experiment.
    run: The run.
    value: Index of the grid value.
    seed: The seed.
  """

  experiment: str
  run: reproduction_paper.Run = dataclasses.field(compare=False)
  value: int
  seed: int
  run_name: str = ''

  def __post_init__(self) -> None:
    object.__setattr__(self, 'run_name', self.run.name)

  @property
  def flags(self) -> dict[str, Any]:
    """The flags after those of the flagfile, the grid's and the seed last."""
    grid = self.run.grid_values()[self.value]
    return {**self.run.flags, **grid, 'seed': self.seed}

  @property
  def arguments(self) -> list[str]:
    """The task's command line, without what belongs to a place."""
    return [
      *self.run.file_arguments,
      *(argument(name, value) for name, value in self.flags.items()),
    ]

  @property
  def folder(self) -> str:
    """Where its run directory is: another one if anything of it changes."""
    identity = json.dumps([self.run.task, self.run.file_arguments, self.flags])
    return f'{self.name}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}'

  @property
  def name(self) -> str:
    """What tells it from the other jobs of a paper."""
    grid = self.run.grid_values()[self.value]
    values = [f'{name}={_text(value)}' for name, value in grid.items()]
    name = ','.join([*values, f'seed={self.seed}']).replace('/', '_')
    return f'{self.experiment}/{self.run.name}/{name}'


def argument(name: str, value: Any) -> str:
  """Returns a flag as it is written on a command line."""
  return f'--{name}={_text(value)}'


def _text(value: Any) -> str:
  if isinstance(value, bool):
    return 'true' if value else 'false'
  if isinstance(value, list):
    return ','.join(_text(each) for each in value)
  return str(value)


@dataclasses.dataclass(frozen=True)
class Progress:
  """How a job stands.

  Attributes:
    standing: Whether it has ended, and how.
    score: What the experiment chooses by: of a finished or cut job.
    tie: Where scores are equal, the less is better.
    rounds: The last round that was evaluated so far; 0 before.
  """

  standing: Standing = 'waiting'
  score: reproduction_measures.Number | None = None
  tie: float = 0.0
  rounds: float = 0.0


def jobs(
  experiment: reproduction_paper.Experiment,
  progress: Mapping[Job, Progress],
) -> list[Job]:
  """Returns all jobs that are wanted by now, ended ones too.

  Args:
    experiment: What they are for.
    progress: How jobs stand; those that are missing wait.
  """
  found = []
  for run in experiment.runs:
    grid = grid_jobs(experiment, run)
    found += grid
    best = best_value(experiment, run, progress)
    if best is not None:
      found += [Job(experiment.name, run, best, seed) for seed in run.seeds[1:]]
  return found


def grid_jobs(
  experiment: reproduction_paper.Experiment, run: reproduction_paper.Run
) -> list[Job]:
  """Returns the jobs of a run's grid, with the first seed."""
  return [
    Job(experiment.name, run, value, run.seeds[0])
    for value in range(len(run.grid_values()))
  ]


def best_value(
  experiment: reproduction_paper.Experiment,
  run: reproduction_paper.Run,
  progress: Mapping[Job, Progress],
) -> int | None:
  """Returns the index of the best grid value.

  A single value is the best at once. Of several values that never reach the
  target that with the least `tie` is the best.

  Returns:
    None as long as it is not known, or if all failed.
  """
  grid = grid_jobs(experiment, run)
  if len(grid) == 1:
    return 0
  stand = [progress.get(job, Progress()) for job in grid]
  if any(one.standing not in _ENDED for one in stand):
    return None
  choose = experiment.choose
  assert choose is not None, 'The reader asks for it.'

  def order(index: int) -> tuple[float, float, float]:
    score = stand[index].score
    assert score is not None
    ends = (score.high, score.low) if choose.better == 'least' else (
      -score.low, -score.high
    )  # fmt: skip
    if math.isinf(ends[0]):
      return ends[0], stand[index].tie, ends[1]
    return ends[0], ends[1], stand[index].tie

  finished = [
    index for index, one in enumerate(stand) if one.standing == 'finished'
  ]
  return min(finished, key=order, default=None)


def cut_at(
  experiment: reproduction_paper.Experiment,
  job: Job,
  progress: Mapping[Job, Progress],
) -> float:
  """Returns the round from which on a job cannot be the best of its grid.

  That is known where the least rounds to a target are best: those of the best
  other value so far. Infinite otherwise, and for other seeds than the first.
  """
  choose = experiment.choose
  if choose is None or not choose.is_by_rounds:
    return math.inf
  if job.seed != job.run.seeds[0]:
    return math.inf
  return min(
    (
      stand.score.high
      for other in grid_jobs(experiment, job.run)
      if other != job
      and (stand := progress.get(other, Progress())).standing == 'finished'
      and stand.score is not None
    ),
    default=math.inf,
  )


def loses_race(
  experiment: reproduction_paper.Experiment,
  job: Job,
  at_race: Mapping[Job, float],
) -> bool:
  """Whether another value of a job's grid was better after `race_rounds`.

  Args:
    experiment: Whose job.
    job: The job.
    at_race: What the jobs' metric was then; those that have not come so far are
      missing. Of equal values the first wins.
  """
  if not job.run.race_rounds or job not in at_race:
    return False
  return any(
    (at_race[other], job.value) > (at_race[job], other.value)
    for other in grid_jobs(experiment, job.run)
    if other != job and other in at_race
  )


def longest_first(waiting: Iterable[Job]) -> list[Job]:
  """Returns jobs in the order in which to start them.

  Those of one length stay in their order, but first values of a grid go before
  second ones: they are likelier the best, which cuts the others short.
  """
  return sorted(waiting, key=lambda job: (-job.run.minutes, job.value))


def claimed(
  experiment: reproduction_paper.Experiment,
  claim: reproduction_paper.Claim,
  numbers: Mapping[
    tuple[str, reproduction_paper.Measure],
    Sequence[reproduction_measures.Number],
  ],
) -> list[reproduction_measures.Number]:
  """Returns the numbers of a claim, one a seed.

  Args:
    experiment: Whose claim.
    claim: The claim.
    numbers: Of each run and measure those of its seeds, in order; none where a
      run failed.
  """
  ours = numbers[claim.run, claim.measure]
  if claim.than is None:
    return list(ours)
  assert claim.than_measure is not None and claim.combine is not None
  theirs = numbers[claim.than, claim.than_measure]
  of_run = experiment.run(claim.run).seeds
  of_than = experiment.run(claim.than).seeds
  if len(of_than) == 1 and len(of_run) > 1 and theirs:
    # A deterministic comparison is computed once.
    theirs = [theirs[0]] * len(of_run)
  if not ours or not theirs:
    return []
  return [
    reproduction_measures.compare(one, other, claim.combine)
    for one, other in zip(ours, theirs, strict=False)
  ]
