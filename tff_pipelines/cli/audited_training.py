"""What an audit trains: a task's training, time and again, a little changed."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import tensorflow_federated as tff

from tff_pipelines.aggregators import registry
from tff_pipelines.cli import (
  aggregator_flags,
  comparison,
  flag_groups,
  secure_sum_flags,
)
from tff_pipelines.data import population
from tff_pipelines.learning import fed_avg, optimizers
from tff_pipelines.privacy import guarantee
from tff_pipelines.programs import run_directory, training

# From a model and a number of clients to the private system of the flags.
SystemFor = Callable[
  [tff.learning.models.FunctionalModel, int], comparison.TrainedSystem
]


@dataclasses.dataclass(frozen=True)
class ShortTraining:
  """A training that is repeated, from other seeds or on other clients.

  Attributes:
    name: What its results are called.
    process: The learning process.
    program: Its rounds, cohorts and batches.
  """

  name: str
  process: tff.learning.templates.LearningProcess
  program: training.TrainingProgram

  @property
  def promise(self) -> guarantee.Guarantee | None:
    """What it promises; None if nothing."""
    terms = self.program.privacy
    return None if terms is None else terms.planned


@dataclasses.dataclass(frozen=True)
class AuditedTraining:
  """What is audited, and the means to train it.

  Attributes:
    dataset: Who has what.
    model: What is trained.
    client_optimizer: What clients train with.
    server_optimizer: What the server applies their mean with.
    system_for: The private system.
    program_for: From the number of clients, and a preferred way to draw
      cohorts, to the program.
    seed: Of the run.
    directory: Where it is recorded.
  """

  dataset: population.FederatedDataset
  model: tff.learning.models.FunctionalModel
  client_optimizer: optimizers.OptimizerConfig
  server_optimizer: optimizers.OptimizerConfig
  system_for: SystemFor
  program_for: Callable[..., training.TrainingProgram]
  seed: int
  directory: run_directory.RunDirectory

  def with_and_without_noise(self, num_clients: int) -> list[ShortTraining]:
    """Returns plain averaging, unclipped, and the private system.

    Both draw cohorts alike, but for coins, which could give a plain mean of
    nobody: these are replaced by a fixed number at random.

    Raises:
      FlagError: If a rule could stop them early.
      PipelineError: If the system cannot be built for so few clients.
    """
    system = self.system_for(self.model, num_clients)
    terms = system.program.privacy
    if system.program.stop_rules or (
      terms is not None and terms.stop_at_epsilon is not None
    ):
      raise flag_groups.FlagError(
        'Expected no rule that stops training early where models are compared '
        '(--attacks=membership,outlier), found one; give --rounds alone, or '
        'take --attacks=one_shot.'
      )
    scheme = system.program.participation.scheme
    preferred = 'uniform' if scheme == 'poisson' else scheme
    plain = fed_avg.build(
      self.model,
      client_optimizer=self.client_optimizer.build(),
      server_optimizer=self.server_optimizer.build(),
      aggregator=registry.build('uniform_mean'),
    )
    return [
      ShortTraining(
        'without noise', plain, self.program_for(num_clients, preferred)
      ),
      ShortTraining('with noise', system.build(), system.program),
    ]


def build(
  dataset: population.FederatedDataset,
  model: tff.learning.models.FunctionalModel,
  *,
  aggregator: aggregator_flags.AggregatorFlags,
  secure_sums: secure_sum_flags.SecureSumFlags,
  client_optimizer: optimizers.OptimizerConfig,
  server_optimizer: optimizers.OptimizerConfig,
  program_for: Callable[..., training.TrainingProgram],
  seed: int,
  directory: run_directory.RunDirectory,
) -> AuditedTraining:
  """Returns what the flags of a task train, to be audited.

  Raises:
    FlagError: If the flags name no private aggregator, or several.
  """
  if len(aggregator.names) != 1 or not aggregator.is_private:
    raise flag_groups.FlagError(
      'Expected one private aggregator to audit, found --aggregator='
      f'{",".join(aggregator.names)}; name one.'
    )

  @functools.lru_cache
  def system_for(
    trained: tff.learning.models.FunctionalModel, num_clients: int
  ) -> comparison.TrainedSystem:
    process = functools.partial(
      fed_avg.build,
      trained,
      client_optimizer=client_optimizer.build(),
      server_optimizer=server_optimizer.build(),
    )
    (system,) = aggregator.systems(
      process, functools.partial(program_for, num_clients), trained, secure_sums
    )
    return system

  return AuditedTraining(
    dataset,
    model,
    client_optimizer,
    server_optimizer,
    system_for,
    program_for,
    seed,
    directory,
  )


def all_batches(clients: population.ClientPopulation) -> Any:
  """Returns all that the clients have, in order, to evaluate models on."""
  return clients.batches(
    range(clients.num_clients),
    training.EVALUATION_BATCHING,
    seed=0,
    round_num=0,
  )
