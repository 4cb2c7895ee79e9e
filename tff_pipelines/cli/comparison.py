"""One task, several systems: federated beside what a user compares it with."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import time
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.cli import flag_groups
from tff_pipelines.core import errors
from tff_pipelines.data import population
from tff_pipelines.learning import (
  evaluation,
  fed_avg,
  local_training,
  optimizers,
)
from tff_pipelines.programs import (
  baselines,
  results,
  run_directory,
  training,
)

SYSTEMS = ('central', 'local', 'federated', 'secure_federated')
# Whose model is the one to use, if it was trained.
_PREFERRED = ('federated', 'secure_federated', 'central')


class UnknownSystemError(errors.PipelineError):
  """A name that no system has."""


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What came of a comparison.

  Attributes:
    rows: The final table, best informed system last.
    notes: Sentences below it.
    weights: The trained weights of the system to use: the federated one, else
      the secure federated one, else the central one. None without any.
  """

  rows: list[dict[str, Any]]
  notes: list[str]
  weights: Sequence[np.ndarray] | None


class ComparisonFlags(flag_groups.FlagGroup):
  """`--system` and the effort that goes into the baselines."""

  def __init__(self, *, central_epochs: int, local_epochs: int):
    super().__init__('The systems to compare')
    self._systems = self.define(
      'system',
      list(SYSTEMS),
      'any of central (one model on everything in one place), local (a model '
      'a person), federated, secure_federated (the server sees sums only)',
    )
    self._central_epochs = self.define(
      'central_epochs', central_epochs, 'passes over all data of central'
    )
    self._local_epochs = self.define(
      'local_epochs', local_epochs, "passes over a person's data of local"
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
    for system, epochs in (
      ('central', self._central_epochs),
      ('local', self._local_epochs),
    ):
      if epochs.present and system not in self._systems.value:
        raise flag_groups.FlagError(
          f'Expected {system} in --system where --{epochs.name} is given, '
          f'found --system={chosen}, with which it has no effect; remove one '
          'of them.'
        )
      if epochs.value < 1:
        raise flag_groups.FlagError(
          f'Expected --{epochs.name} of at least 1, found {epochs.value}.'
        )

  def run(
    self,
    dataset: population.FederatedDataset,
    model: tff.learning.models.FunctionalModel,
    processes: Mapping[
      str, Callable[[], tff.learning.templates.LearningProcess]
    ],
    *,
    client_optimizer: optimizers.OptimizerConfig,
    program: training.TrainingProgram,
    columns: Sequence[results.Column],
    directory: run_directory.RunDirectory,
    unavailable: Mapping[str, str] | None = None,
  ) -> Outcome:
    """Trains the chosen systems, one after the other.

    Args:
      dataset: Who has what.
      model: The model, the same for all.
      processes: What builds the processes of federated and secure_federated.
      client_optimizer: What clients train with; central and local as well.
      program: The federated training program.
      columns: Of the final table.
      directory: Where it is recorded: federated in the folder itself, others
        in one below it.
      unavailable: Systems that cannot run here, and why. They are left out
        unless they were asked for by name.

    Raises:
      FlagError: If one of these was asked for by name.
    """
    evaluate = functools.partial(
      training.federated_evaluation,
      evaluation=evaluation.build(model),
      population=dataset.test,
    )
    shared = {'batch_size': program.batching.batch_size, 'seed': program.seed}
    rows, notes, weights = [], [], {}
    left_out = dict(unavailable or {})
    for system in (s for s in SYSTEMS if s in self._systems.value):
      if system in left_out:
        notes.append(self._leave_out(system, left_out[system]))
        continue
      if system == 'local':
        rows.append(
          self._local(
            dataset, model, client_optimizer, columns, directory, shared
          )
        )
        notes.append(
          f'local: median over {dataset.train.num_clients} people (minimum to '
          'maximum), each tested on the test texts of everyone'
        )
        continue
      if system == 'central':
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
        process = processes[system]()
        result = training.run(
          system.replace('_', ' '),
          process,
          dataset.train,
          evaluate(process),
          program,
          directory if system == 'federated' else directory.system(system),
        )
      weights[system] = process.get_model_weights(result.state).trainable
      metrics = {
        **result.metrics,
        'rounds': result.round_num,
        'seconds': result.elapsed_seconds,
      }
      rows.append(results.row(system, metrics, columns))
      notes += _notes(system, result)
    preferred = [s for s in _PREFERRED if s in weights]
    return Outcome(rows, notes, weights[preferred[0]] if preferred else None)

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
    shared: Mapping[str, int],
  ) -> dict[str, Any]:
    metrics = baselines.read_local_models(directory)
    seconds = None
    if metrics is None:
      started = time.monotonic()
      trainable, non_trainable = model.initial_weights
      metrics = baselines.train_locally(
        local_training.build(model, client_optimizer.build()),
        tff.learning.models.ModelWeights(trainable, non_trainable),
        dataset.train,
        dataset.test,
        epochs=self._local_epochs.value,
        **shared,
      )
      seconds = time.monotonic() - started
      baselines.write_local_models(directory, dataset.train, metrics)
    row = results.row_over_people('local', metrics, columns)
    return {**row, 'seconds': seconds}


def _notes(system: str, result: training.TrainingResult) -> list[str]:
  """Returns what has to be said of a trained system."""
  notes = []
  if result.stopped_because:
    notes.append(f'{system}: stopped early, {result.stopped_because}')
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
