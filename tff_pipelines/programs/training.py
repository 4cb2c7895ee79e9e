"""The training loop: select, compute, release, checkpoint, stop.

After every round what it spent of the clients' privacy is written down (where
the program has terms of privacy), then the metrics are released, then (every
few rounds) the state is saved. Selection and batches are pure functions of the
seed and the round, so a run that is killed at any moment and started again
repeats the rounds since its last checkpoint and goes on as if nothing had
happened.
"""

import asyncio
from collections.abc import Callable, Mapping
import dataclasses
import functools
import time
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import client_batches, errors, participation
from tff_pipelines.data import batching as batching_lib
from tff_pipelines.data import population as population_lib
from tff_pipelines.execution import contexts
from tff_pipelines.privacy import guarantee as guarantee_lib
from tff_pipelines.programs import (
  byte_ledger,
  checkpoints,
  metrics_log,
  privacy_log,
  progress,
  rounds,
  run_directory,
  speed_log,
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
    privacy: On what terms clients take part; None for a process that promises
      nothing.
    counts_bytes: Whether clients and server are apart, so that what travels
      between them is counted.
  """

  rounds: int
  participation: participation.Participation
  batching: batching_lib.Batching
  seed: int
  evaluate_every: int = 1
  checkpoint_every: int = 10
  stop_rules: tuple[stop_rules_lib.StopRule, ...] = ()
  round_retries: int = 3
  privacy: privacy_log.PrivacyTerms | None = None
  counts_bytes: bool = True

  def __post_init__(self) -> None:
    for name in ('rounds', 'evaluate_every', 'checkpoint_every'):
      if getattr(self, name) < 1:
        raise TrainingProgramError(
          f'Expected {name} of at least 1, found {getattr(self, name)}.'
        )
    if self.privacy and self.privacy.participation != self.participation:
      raise TrainingProgramError(
        'Expected terms of privacy for the participation of the program, found '
        f'{self.privacy.participation} instead of {self.participation}.'
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
    guarantee: What it has spent of its clients' privacy; None if the program
      has no terms of privacy.
    rates: How fast it was: seconds_per_round, examples_per_second and, of a
      model that counts them, tokens_per_second.
    traffic: Bytes, as `byte_ledger.summary`; empty if none were counted.
    compressed: The names of those that compression has made smaller.
  """

  state: Any
  round_num: int
  metrics: dict[str, float]
  elapsed_seconds: float
  secure_sum_seconds: float
  stopped_because: str | None
  guarantee: guarantee_lib.Guarantee | None = None
  rates: Mapping[str, float] = dataclasses.field(default_factory=dict)
  traffic: Mapping[str, float] = dataclasses.field(default_factory=dict)
  compressed: tuple[str, ...] = ()


# From the state of a learning process to metrics of the model, by name.
Evaluate = Callable[[Any], Any]
# Gets the number of a round and the state after it, before it is released.
Observe = Callable[[int, Any], None]


# Of evaluations, on whose metrics it has no effect.
EVALUATION_BATCHING = batching_lib.Batching(256, shuffle=False)


def federated_evaluation(
  process: tff.learning.templates.LearningProcess,
  evaluation: tff.Computation,
  population: population_lib.ClientPopulation,
  batch_size: int = EVALUATION_BATCHING.batch_size,
) -> Evaluate:
  """Returns the evaluation of a process's model on all clients given.

  Args:
    process: The learning process.
    evaluation: (<M@SERVER, {B*}@CLIENTS> -> metrics@SERVER).
    population: The clients, with held-out examples.
    batch_size: Examples at a time, on which the metrics do not depend.
  """
  batches = population.batches(
    range(population.num_clients),
    dataclasses.replace(EVALUATION_BATCHING, batch_size=batch_size),
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
  observe: Observe | None = None,
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
    observe: Sees every state, the initial one included; a round that is
      repeated after an interruption is seen again.

  Raises:
    TrainingProgramError: If the program is for another population, or if the
      directory lacks metrics of rounds that are done.
    PrivacyLogError: If the directory does not tell what these rounds released.
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
    _run(name, process, population, evaluate, program, directory, observe)
  )


async def _run(
  name: str,
  process: tff.learning.templates.LearningProcess,
  population: population_lib.ClientPopulation,
  evaluate: Evaluate,
  program: TrainingProgram,
  directory: run_directory.RunDirectory,
  observe: Observe | None,
) -> TrainingResult:
  log = metrics_log.MetricsLog(directory)
  saved = checkpoints.Checkpoints(directory.checkpoints)
  privacy = _privacy_log(program, directory)
  initial = process.initialize()
  state = await saved.load_latest(initial)
  if state is None:
    if privacy is not None:
      log.cut(-1)
      privacy.start()
    state = checkpoints.ProgramState(
      initial, 0, 0.0, participation_history=_history(privacy)
    )
    if observe is not None:
      observe(0, initial)
    tested = metrics_log.flatten('test', evaluate(initial))
    sent: Mapping[str, Any] = (
      byte_ledger.NOTHING if program.counts_bytes else {}
    )
    await log.release({**tested, **_spent(privacy), **sent}, 0)
    await saved.save(state)
  else:
    history = log.history(state.round_num)
    rows = [row[metrics_log.KEY] for row in history]
    if rows != list(range(state.round_num + 1)):
      raise TrainingProgramError(
        f'Expected metrics of the rounds 0 to {state.round_num} in '
        f'{directory.metrics_csv}, as there is a checkpoint of that round, '
        f'found {len(rows)} rows; choose another --output_dir.'
      )
    if privacy is not None:
      # First, so that no row is without its release in the ledger.
      log.cut(state.round_num)
      privacy.restore(state.round_num, state.participation_history)
    sent = history[-1]

  ledger = _byte_ledger(process, initial) if program.counts_bytes else None
  speed = speed_log.SpeedLog(directory.path, state.round_num)
  with progress.Progress(name, program.rounds, state.round_num) as display:
    reason = _stop_reason(program, log, state, privacy)
    while state.round_num < program.rounds and reason is None:
      round_num = state.round_num + 1
      started = time.monotonic()
      outcome = rounds.run(
        process,
        state.process_state,
        functools.partial(cohort, population, program, round_num),
        round_num,
        program.round_retries,
      )
      speed.append(
        speed_log.RoundSpeed(
          round_num,
          round(time.monotonic() - started, 6),
          int(outcome.metrics['cohort/examples']),
          int(outcome.metrics.get('train/num_tokens', 0)),
        )
      )
      process_state = outcome.process_state
      if observe is not None:
        observe(round_num, process_state)
      is_last = round_num == program.rounds
      tested = {}
      if is_last or round_num % program.evaluate_every == 0:
        tested = metrics_log.flatten('test', evaluate(process_state))
      elapsed = state.elapsed_seconds + time.monotonic() - started
      if privacy is not None:
        privacy.append(
          round_num,
          program.participation.select(
            program.seed, round_num, outcome.failed_attempts
          ),
          outcome.num_contributors,
        )
      if ledger is not None:
        sent = ledger.round_metrics(
          outcome.metrics, int(outcome.metrics['cohort/clients']), sent
        )
      metrics = {
        **outcome.metrics,
        **_spent(privacy),
        **(sent if ledger is not None else {}),
      }
      state = checkpoints.ProgramState(
        process_state,
        round_num,
        elapsed,
        state.secure_sum_seconds + outcome.secure_sum_seconds,
        _history(privacy),
      )
      await log.release({**metrics, **tested}, round_num)
      reason = _stop_reason(program, log, state, privacy)
      if reason is not None and not tested:
        tested = metrics_log.flatten('test', evaluate(process_state))
        await log.release({**metrics, **tested}, round_num)
      if is_last or reason or round_num % program.checkpoint_every == 0:
        await saved.save(state)
      display.update(round_num, _headline(tested), _aside(privacy))

  history = log.history(state.round_num)
  return TrainingResult(
    state=state.process_state,
    round_num=state.round_num,
    metrics={
      key.removeprefix('test/'): value
      for key, value in history[-1].items()
      if key.startswith('test/')
    },
    elapsed_seconds=state.elapsed_seconds,
    secure_sum_seconds=state.secure_sum_seconds,
    stopped_because=reason,
    guarantee=None if privacy is None else privacy.guarantee,
    rates=speed.rates(),
    traffic=byte_ledger.summary(history),
    compressed=byte_ledger.compressed(history),
  )


def cohort(
  population: population_lib.ClientPopulation,
  program: TrainingProgram,
  round_num: int,
  attempt: int,
) -> client_batches.ClientBatches:
  """Returns the batches of a round's cohort, a pure function."""
  clients = program.participation.select(program.seed, round_num, attempt)
  return population.batches(
    clients, program.batching, seed=program.seed, round_num=round_num
  )


def _byte_ledger(
  process: tff.learning.templates.LearningProcess, initial: Any
) -> byte_ledger.ByteLedger:
  weights = process.get_model_weights(initial)
  return byte_ledger.of_weights(
    tf.nest.flatten(weights.trainable), tf.nest.flatten(weights.non_trainable)
  )


def _privacy_log(
  program: TrainingProgram, directory: run_directory.RunDirectory
) -> privacy_log.PrivacyLog | None:
  if program.privacy is None:
    return None
  fails = contexts.current_secure_sums() is not None
  return privacy_log.PrivacyLog(
    directory.privacy_json,
    program.privacy,
    functools.partial(program.participation.select, program.seed),
    program.round_retries + 1 if fails else 1,
  )


def _history(privacy: privacy_log.PrivacyLog | None) -> np.ndarray:
  return checkpoints.NO_HISTORY if privacy is None else privacy.history


def _spent(privacy: privacy_log.PrivacyLog | None) -> dict[str, float]:
  return {} if privacy is None else privacy.metrics


def _aside(privacy: privacy_log.PrivacyLog | None) -> dict[str, float]:
  return {} if privacy is None else {'epsilon': privacy.guarantee.epsilon}


def _stop_reason(
  program: TrainingProgram,
  log: metrics_log.MetricsLog,
  state: checkpoints.ProgramState,
  privacy: privacy_log.PrivacyLog | None,
) -> str | None:
  rules = list(program.stop_rules)
  terms = program.privacy
  if privacy and terms and terms.stop_at_epsilon is not None:
    rules.append(
      stop_rules_lib.EpsilonBudget(
        terms.stop_at_epsilon, program.rounds, privacy.next_epsilon
      )
    )
  if not rules:
    return None
  history = log.history(state.round_num)
  for rule in rules:
    reason = rule.reason(history, state.elapsed_seconds)
    if reason is not None:
      return reason
  return None


def _headline(tested: dict[str, Any]) -> dict[str, Any]:
  """The numbers worth showing while training goes on."""
  return {
    name.replace('/', ' '): tested[name]
    for name in ('test/loss', 'test/accuracy', 'test/top1_recall')
    if name in tested
  }
