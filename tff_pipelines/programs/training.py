"""The training loop: select, compute, release, checkpoint, stop.

After every round the metrics are released, then (every few rounds) the state
is saved. Selection and batches are pure functions of the seed and the round,
so a run that is killed at any moment and started again repeats the rounds since
its last checkpoint and goes on as if nothing had happened.
"""

import asyncio
from collections.abc import Callable
import dataclasses
import functools
import time
from typing import Any

import tensorflow_federated as tff

from tff_pipelines.core import client_batches, errors, participation
from tff_pipelines.data import batching as batching_lib
from tff_pipelines.data import population as population_lib
from tff_pipelines.programs import (
  checkpoints,
  metrics_log,
  progress,
  rounds,
  run_directory,
)
from tff_pipelines.programs import (
  stop_rules as stop_rules_lib,
)


class TrainingProgramError(errors.PipelineError):
  """A training program that makes no sense."""


@dataclasses.dataclass(frozen=True)
class TrainingProgram:
  """How long to train, on whom, and how often to look.

  Attributes:
    rounds: The last round.
    participation: Who takes part in a round.
    batching: What a participant trains on in a round.
    seed: The run's seed.
    evaluate_every: Rounds between evaluations; the initial state and the last
      round are always evaluated.
    checkpoint_every: Rounds between checkpoints; the last is always saved.
    stop_rules: Rules that can end the run earlier.
    round_retries: How often a round whose secure aggregation failed is tried
      again, with a new cohort.
  """

  rounds: int
  participation: participation.Participation
  batching: batching_lib.Batching
  seed: int
  evaluate_every: int = 1
  checkpoint_every: int = 10
  stop_rules: tuple[stop_rules_lib.StopRule, ...] = ()
  round_retries: int = 3

  def __post_init__(self) -> None:
    for name in ('rounds', 'evaluate_every', 'checkpoint_every'):
      if getattr(self, name) < 1:
        raise TrainingProgramError(
          f'Expected {name} of at least 1, found {getattr(self, name)}.'
        )


@dataclasses.dataclass(frozen=True)
class TrainingResult:
  """What came of a run.

  Attributes:
    state: The last state of the learning process.
    round_num: The last round.
    metrics: The last evaluation, numbers by name.
    elapsed_seconds: Time of all rounds, over all sessions.
    secure_sum_seconds: Of these, in the protocol of secure sums.
    stopped_because: Why it ended before the last round, or None.
  """

  state: Any
  round_num: int
  metrics: dict[str, float]
  elapsed_seconds: float
  secure_sum_seconds: float
  stopped_because: str | None


# From the state of a learning process to metrics of the model, by name.
Evaluate = Callable[[Any], Any]


def federated_evaluation(
  process: tff.learning.templates.LearningProcess,
  evaluation: tff.Computation,
  population: population_lib.ClientPopulation,
  batch_size: int = 256,
) -> Evaluate:
  """Returns the evaluation of a process's model on all clients given.

  Args:
    process: The learning process.
    evaluation: (<M@SERVER, {B*}@CLIENTS> -> metrics@SERVER).
    population: The clients, with held-out examples.
    batch_size: Examples in a batch; without effect on the metrics.
  """
  batches = population.batches(
    range(population.num_clients),
    batching_lib.Batching(batch_size, shuffle=False),
    seed=0,
    round_num=0,
  )
  return lambda state: evaluation(process.get_model_weights(state), batches)


def run(
  name: str,
  process: tff.learning.templates.LearningProcess,
  population: population_lib.ClientPopulation,
  evaluate: Evaluate,
  program: TrainingProgram,
  directory: run_directory.RunDirectory,
) -> TrainingResult:
  """Runs or resumes a training program to its end.

  Args:
    name: What the progress display calls it.
    process: The learning process.
    population: The clients it trains on.
    evaluate: The evaluation of a state; its metrics are released as `test/...`.
    program: How long, on whom.
    directory: Where it is recorded. If it holds an earlier part of this run,
      the run goes on from there.

  Raises:
    TrainingProgramError: If the program is for another population, or if the
      directory lacks metrics of rounds that are done.
    SavingFailedError: If something that has to last cannot be written. What
      was saved before is whole.
  """
  if program.participation.population_size != population.num_clients:
    raise TrainingProgramError(
      f'Expected participation of the {population.num_clients} clients of the '
      f'population, found a population_size of '
      f'{program.participation.population_size}.'
    )
  return asyncio.run(
    _run(name, process, population, evaluate, program, directory)
  )


async def _run(
  name: str,
  process: tff.learning.templates.LearningProcess,
  population: population_lib.ClientPopulation,
  evaluate: Evaluate,
  program: TrainingProgram,
  directory: run_directory.RunDirectory,
) -> TrainingResult:
  log = metrics_log.MetricsLog(directory)
  saved = checkpoints.Checkpoints(directory.checkpoints)
  initial = process.initialize()
  state = await saved.load_latest(initial)
  if state is None:
    state = checkpoints.ProgramState(initial, 0, 0.0)
    await log.release(metrics_log.flatten('test', evaluate(initial)), 0)
    await saved.save(state)
  else:
    rows = [row[metrics_log.KEY] for row in log.history(state.round_num)]
    if rows != list(range(state.round_num + 1)):
      raise TrainingProgramError(
        f'Expected metrics of the rounds 0 to {state.round_num} in '
        f'{directory.metrics_csv}, as there is a checkpoint of that round, '
        f'found {len(rows)} rows; choose another --output_dir.'
      )

  with progress.Progress(name, program.rounds, state.round_num) as display:
    reason = _stop_reason(program, log, state)
    while state.round_num < program.rounds and reason is None:
      round_num = state.round_num + 1
      started = time.monotonic()
      outcome = rounds.run(
        process,
        state.process_state,
        functools.partial(_cohort, population, program, round_num),
        round_num,
        program.round_retries,
      )
      metrics, process_state = outcome.metrics, outcome.process_state
      is_last = round_num == program.rounds
      tested = {}
      if is_last or round_num % program.evaluate_every == 0:
        tested = metrics_log.flatten('test', evaluate(process_state))
      elapsed = state.elapsed_seconds + time.monotonic() - started
      state = checkpoints.ProgramState(
        process_state,
        round_num,
        elapsed,
        state.secure_sum_seconds + outcome.secure_sum_seconds,
      )
      await log.release({**metrics, **tested}, round_num)
      reason = _stop_reason(program, log, state)
      if reason is not None and not tested:
        tested = metrics_log.flatten('test', evaluate(process_state))
        await log.release({**metrics, **tested}, round_num)
      if is_last or reason or round_num % program.checkpoint_every == 0:
        await saved.save(state)
      display.update(round_num, _headline(tested))

  last = log.history(state.round_num)[-1]
  return TrainingResult(
    state=state.process_state,
    round_num=state.round_num,
    metrics={
      key.removeprefix('test/'): value
      for key, value in last.items()
      if key.startswith('test/')
    },
    elapsed_seconds=state.elapsed_seconds,
    secure_sum_seconds=state.secure_sum_seconds,
    stopped_because=reason,
  )


def _cohort(
  population: population_lib.ClientPopulation,
  program: TrainingProgram,
  round_num: int,
  attempt: int,
) -> client_batches.ClientBatches:
  clients = program.participation.select(program.seed, round_num, attempt)
  return population.batches(
    clients, program.batching, seed=program.seed, round_num=round_num
  )


def _stop_reason(
  program: TrainingProgram,
  log: metrics_log.MetricsLog,
  state: checkpoints.ProgramState,
) -> str | None:
  if not program.stop_rules:
    return None
  history = log.history(state.round_num)
  for rule in program.stop_rules:
    reason = rule.reason(history, state.elapsed_seconds)
    if reason is not None:
      return reason
  return None


def _headline(tested: dict[str, Any]) -> dict[str, Any]:
  """The two numbers worth showing while training goes on."""
  return {
    name.replace('/', ' '): tested[name]
    for name in ('test/loss', 'test/accuracy')
    if name in tested
  }
