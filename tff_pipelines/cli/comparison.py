"""One task, several systems: federated beside what a user compares it with."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import dataclasses
import functools
import time
from typing import Any, Literal

from absl import flags
import numpy as np
import tensorflow_federated as tff

from tff_pipelines.cli import flag_groups
from tff_pipelines.core import errors, seeds, wording
from tff_pipelines.data import changed_population, population
from tff_pipelines.learning import (
  evaluation,
  fed_avg,
  local_training,
  optimizers,
)
from tff_pipelines.programs import (
  baselines,
  byte_ledger,
  privacy_log,
  results,
  run_directory,
  training,
)

SYSTEMS = ('central', 'local', 'federated', 'secure_federated')
# Who is trained in rounds, by programs of their own.
_TRAINED = ('federated', 'secure_federated')
_EPSILON = results.Column(
  privacy_log.EPSILON, 'epsilon', 'epsilon', 'ratio', 'lower'
)
# What a client sends and gets in a round, where compression makes it less.
_BYTES = (
  results.Column(
    byte_ledger.UPLINK, byte_ledger.UPLINK, 'sent up', 'bytes', 'lower'
  ),
  results.Column(
    byte_ledger.DOWNLINK, byte_ledger.DOWNLINK, 'sent down', 'bytes', 'lower'
  ),
)


class UnknownSystemError(errors.PipelineError):
  """A name that no system has."""


@dataclasses.dataclass(frozen=True)
class TrainedSystem:
  """A system that a training program trains.

  Attributes:
    name: What the table calls it.
    choice: The choice of `--system` that it belongs to: `federated`, of which
      there are as many as aggregators, or `secure_federated`.
    build: What builds its learning process.
    program: How long it is trained, on whom, on what terms of privacy.
    promise: What it promises, printed before anything is trained; None if
      nothing.
    plain_updates: Whether its server sees the updates of single clients, as the
      name of `federated` says.
  """

  name: str
  choice: Literal['federated', 'secure_federated']
  build: Callable[[], tff.learning.templates.LearningProcess]
  program: training.TrainingProgram
  promise: str | None = None
  plain_updates: bool = True


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What came of a comparison.

  Attributes:
    columns: Of the final table: those asked for, and epsilon if a system is
      private.
    rows: The final table, best informed system last.
    notes: Sentences below it.
    weights: The trained weights of the system to use: the first federated one,
      else the secure federated one, else the central one. None without any.
    weights_by_system: The trained weights of every system that has one model
      for all.
    sentence: The result in one sentence; None lets a report compare the rows.
  """

  columns: list[results.Column]
  rows: list[dict[str, Any]]
  notes: list[str]
  weights: Sequence[np.ndarray] | None
  sentence: str | None = None
  weights_by_system: Mapping[str, Sequence[np.ndarray]] = dataclasses.field(
    default_factory=dict
  )


class ComparisonFlags(flag_groups.FlagGroup):
  """`--system` and the effort that goes into the baselines."""

  def __init__(
    self,
    *,
    central_epochs: int,
    local_epochs: int,
    systems: Sequence[str] = SYSTEMS,
    local_people: int = 0,
  ):
    super().__init__('The systems to compare')
    self._systems = self.define(
      'system',
      list(systems),
      'any of central (one model on everything in one place), local (a model '
      'a person), federated, secure_federated (the server sees sums only)',
    )
    self._central_epochs = self.define(
      'central_epochs', central_epochs, 'passes over all data of central'
    )
    self._local_epochs = self.define(
      'local_epochs', local_epochs, "passes over a person's data of local"
    )
    self._local_people = self.define(
      'local_people',
      local_people,
      'people of local, drawn at random where there are more; 0 is all',
    )

  def check(self) -> None:
    """Refuses systems that there are not, and effort without its system."""
    super().check()
    chosen = ','.join(self._systems.value)
    for name in self._systems.value or ['']:
      if name not in SYSTEMS:
        raise UnknownSystemError(
          f'Expected systems out of {", ".join(SYSTEMS)}, found '
          f'--system={chosen}.'
        )
    for system, effort, least in (
      ('central', self._central_epochs, 1),
      ('local', self._local_epochs, 1),
      ('local', self._local_people, 0),
    ):
      if effort.present and system not in self._systems.value:
        raise flag_groups.FlagError(
          f'Expected {system} in --system where --{effort.name} is given, '
          f'found --system={chosen}, with which it has no effect; remove one '
          'of them.'
        )
      if effort.value < least:
        raise flag_groups.FlagError(
          f'Expected --{effort.name} of at least {least}, found {effort.value}.'
        )
    if _is_given('aggregator') and 'federated' not in self._systems.value:
      raise flag_groups.FlagError(
        'Expected federated in --system where --aggregator is given, found '
        f'--system={chosen}, with which it has no effect; remove one of them.'
      )

  def run(
    self,
    dataset: population.FederatedDataset,
    model: tff.learning.models.FunctionalModel,
    trained: Sequence[TrainedSystem],
    *,
    client_optimizer: optimizers.OptimizerConfig,
    batch_size: int,
    seed: int,
    columns: Sequence[results.Column],
    directory: run_directory.RunDirectory,
    unavailable: Mapping[str, str] | None = None,
    evaluation_batch_size: int = training.EVALUATION_BATCHING.batch_size,
  ) -> Outcome:
    """Trains the chosen systems, one after the other.

    Args:
      dataset: Who has what.
      model: The model, the same for all.
      trained: The systems that are trained in rounds, in the order of the
        table; those that were not chosen are left out.
      client_optimizer: What clients train with; central and local as well.
      batch_size: Examples in a batch of central and local.
      seed: The run's seed.
      columns: Of the final table.
      directory: Where it is recorded: federated in the folder itself, others
        in one below it.
      unavailable: Systems that cannot run here, and why. They are left out
        unless they were asked for by name.
      evaluation_batch_size: Test examples at a time; without effect on metrics.

    Raises:
      FlagError: If one of these was asked for by name.
    """
    evaluate = functools.partial(
      training.federated_evaluation,
      evaluation=evaluation.build(model),
      population=dataset.test,
      batch_size=evaluation_batch_size,
    )
    shared = {'batch_size': batch_size, 'seed': seed}
    rows, notes, weights = [], [], {}
    traffic: dict[str, Mapping[str, float]] = {}
    compressed: set[str] = set()
    left_out = dict(unavailable or {})
    columns = _with_epsilon(columns, self._chosen(trained))
    for _, one in self._chosen(trained):
      if one and one.promise:
        print(one.promise)
    for system, one in self._chosen(trained):
      if system in left_out:
        notes.append(self._leave_out(system, left_out[system]))
        continue
      if system == 'local':
        rows.append(
          self._local(
            dataset,
            model,
            client_optimizer,
            columns,
            directory,
            evaluation_batch_size,
            shared,
          )
        )
        notes.append(
          f'local: median over {self._who_is_local(dataset)} (minimum to '
          'maximum), each tested on the test examples of everyone'
        )
        continue
      if one is None:
        process = fed_avg.build(
          model,
          client_optimizer=client_optimizer.build(),
          server_optimizer=optimizers.OptimizerConfig('sgd', 1.0).build(),
          aggregator=tff.aggregators.MeanFactory(),
        )
        result = baselines.train_centrally(
          process,
          dataset.train,
          evaluate(process),
          epochs=self._central_epochs.value,
          directory=directory.system('central'),
          **shared,
        )
      else:
        process = one.build()
        result = training.run(
          system.replace('_', ' '),
          process,
          dataset.train,
          evaluate(process),
          one.program,
          directory if system == 'federated' else directory.system(system),
        )
      weights[system] = process.get_model_weights(result.state).trainable
      metrics = {
        **result.metrics,
        **result.rates,
        'rounds': result.round_num,
        'seconds': result.elapsed_seconds,
      }
      if result.guarantee is not None:
        metrics[privacy_log.EPSILON] = result.guarantee.epsilon
      rows.append(results.row(system, metrics, columns))
      traffic[system] = result.traffic
      compressed.update(result.compressed)
      notes += _notes(system, one.program if one else None, result)
    # Whose model is the one to use: central has gone before all others.
    to_use = sorted(weights, key=lambda system: system == 'central')
    shown = [column for column in _BYTES if column.key in compressed]
    for row in rows:
      sent = traffic.get(row['system'], {})
      row.update({column.key: sent.get(column.metric) for column in shown})
    columns = _before_effort(columns, shown)
    if shown:
      notes.append(
        f'{", ".join(column.title for column in shown)}: bytes of a client in '
        'a round, the mean of all'
      )
    return Outcome(
      list(columns),
      rows,
      notes,
      weights[to_use[0]] if to_use else None,
      weights_by_system=weights,
    )

  def _chosen(
    self, trained: Sequence[TrainedSystem]
  ) -> Iterator[tuple[str, TrainedSystem | None]]:
    """The chosen systems, in the order of the table."""
    for choice in (s for s in SYSTEMS if s in self._systems.value):
      if choice not in _TRAINED:
        yield choice, None
      for one in trained:
        if one.choice == choice:
          yield one.name, one

  def _leave_out(self, system: str, why: str) -> str:
    """Returns the note on a system that cannot run here."""
    if self._systems.present:
      raise flag_groups.FlagError(
        f'Expected systems that can run, found --{self._systems.name} with '
        f'{system}: {why}.'
      )
    return f'{system}: left out, {why}'

  def _local(
    self,
    dataset: population.FederatedDataset,
    model: tff.learning.models.FunctionalModel,
    client_optimizer: optimizers.OptimizerConfig,
    columns: Sequence[results.Column],
    directory: run_directory.RunDirectory,
    test_batch_size: int,
    shared: Mapping[str, int],
  ) -> dict[str, Any]:
    people = self._local_train(dataset, shared['seed'])
    metrics = baselines.read_local_models(directory)
    seconds = None
    if metrics is None:
      started = time.monotonic()
      trainable, non_trainable = model.initial_weights
      metrics = baselines.train_locally(
        local_training.build(model, client_optimizer.build(), test_batch_size),
        tff.learning.models.ModelWeights(trainable, non_trainable),
        people,
        dataset.test,
        epochs=self._local_epochs.value,
        **shared,
      )
      seconds = time.monotonic() - started
      baselines.write_local_models(directory, people, metrics)
    row = results.row_over_people('local', metrics, columns)
    return {**row, 'seconds': seconds}

  def _local_train(
    self, dataset: population.FederatedDataset, seed: int
  ) -> population.ClientPopulation:
    """Returns who trains alone."""
    number, everyone = self._local_people.value, dataset.train
    if not 0 < number < everyone.num_clients:
      return everyone
    drawn = seeds.generator(seed, 'local people').choice(
      everyone.num_clients, number, replace=False
    )
    return changed_population.SubsetPopulation(everyone, np.sort(drawn))

  def _who_is_local(self, dataset: population.FederatedDataset) -> str:
    """Returns in words who trains alone."""
    number, everyone = self._local_people.value, dataset.train.num_clients
    if not 0 < number < everyone:
      return wording.people(everyone)
    return f'{wording.people(number)}, drawn at random from {everyone:,}'


def _is_given(flag: str) -> bool:
  """Whether the task has such a flag and it was given."""
  return flag in flags.FLAGS and bool(flags.FLAGS[flag].present)


def _with_epsilon(
  columns: Sequence[results.Column],
  chosen: Iterable[tuple[str, TrainedSystem | None]],
) -> list[results.Column]:
  """Returns the columns, with epsilon before the effort if any is private."""
  if not any(one and one.program.privacy for _, one in chosen):
    return list(columns)
  return _before_effort(columns, [_EPSILON])


def _before_effort(
  columns: Sequence[results.Column], further: Sequence[results.Column]
) -> list[results.Column]:
  """Returns the columns, with others before those of the effort."""
  effort = [column for column in columns if column in results.EFFORT]
  others = [column for column in columns if column not in results.EFFORT]
  return [*others, *further, *effort]


def _notes(
  system: str,
  program: training.TrainingProgram | None,
  result: training.TrainingResult,
) -> list[str]:
  """Returns what has to be said of a trained system."""
  notes = []
  if result.stopped_because:
    notes.append(f'{system}: stopped early, {result.stopped_because}')
  if program is not None and result.guarantee is not None:
    drawn = program.participation
    notes.append(
      f'{system}: {result.guarantee}, with {drawn.clients_per_round} of '
      f'{drawn.population_size} clients a round ({drawn.scheme})'
    )
  if system == 'secure_federated':
    if result.secure_sum_seconds:
      share = result.secure_sum_seconds / max(result.elapsed_seconds, 1e-9)
      notes.append(
        f'{system}: {result.elapsed_seconds / result.round_num:.2f} s a round, '
        f'{100 * share:.0f} % of them in the secure aggregation protocol (all '
        "clients' work on this machine)"
      )
    else:
      notes.append(
        f'{system}: secure sums were insecure, summed in the clear: this run '
        'shows what they do to learning and protects nobody'
      )
  return notes
