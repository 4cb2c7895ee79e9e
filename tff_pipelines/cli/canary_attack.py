"""The attack by canaries: trains with them, then looks for them."""

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tff_pipelines.cli import audited_training, flag_groups
from tff_pipelines.core import seeds
from tff_pipelines.data import canary_population
from tff_pipelines.learning import evaluation, optimizers
from tff_pipelines.models import canaries as canary_models
from tff_pipelines.privacy import canaries as canaries_lib
from tff_pipelines.privacy import central, correlated
from tff_pipelines.programs import canary_audit, iterates, training

# Mechanisms that are Gaussian as a whole, unless sampling amplifies them.
_GAUSSIAN = (
  central.Gaussian,
  central.AdaptiveClippingGaussian,
  correlated.TreeAggregation,
  correlated.BandedMatrixFactorization,
)


@dataclasses.dataclass(frozen=True)
class GraphCanaries(canaries_lib.Canaries):
  """Canaries with the directions that `models.canaries` trains into.

  Attributes:
    like: Arrays in whose shapes the model's weights are.
  """

  like: Sequence[Any] = ()

  def direction(self, index: int) -> np.ndarray:
    """See base class."""
    with tf.device('/cpu:0'):
      parts = canary_models.direction(self.seed, index, self.like)
    return np.concatenate([part.numpy().ravel() for part in parts])


def check(client_optimizer: optimizers.OptimizerConfig) -> None:
  """Refuses clients whose updates are not along the gradient.

  Raises:
    FlagError: If they train with anything but plain SGD.
  """
  if client_optimizer.name != 'sgd' or client_optimizer.momentum:
    raise flag_groups.FlagError(
      'Expected --client_optimizer=sgd without momentum for canaries, found '
      f'{client_optimizer.name} with momentum {client_optimizer.momentum:g}: '
      'they train into their directions with plain SGD only; change it, or '
      'take --attacks=membership,outlier.'
    )


def run(
  audited: audited_training.AuditedTraining, num_canaries: int
) -> dict[str, Any]:
  """Trains with canaries in the population, and reads them off the models.

  A run that was killed goes on from its last checkpoint.

  Args:
    audited: What is trained.
    num_canaries: How many canaries come to its clients.

  Returns:
    The part `one_shot` of privacy_audit.json.
  """
  check(audited.client_optimizer)
  seed = seeds.derive(audited.seed, 'canaries') >> 65  # 63 bits.
  clients = canary_population.CanaryPopulation(
    audited.dataset.train, num_canaries
  )
  model = canary_models.with_canaries(audited.model, seed)
  system = audited.system_for(model, clients.num_clients)
  if system.promise:
    print(system.promise)
  process, terms = system.build(), system.program.privacy
  assert terms is not None  # Of a private aggregator.
  kept = iterates.Iterates(audited.directory.simulation_only / 'iterates')
  result = training.run(
    'training with canaries',
    process,
    clients,
    training.federated_evaluation(
      process,
      evaluation=evaluation.build(audited.model),
      population=audited.dataset.test,
    ),
    system.program,
    audited.directory,
    observe=lambda round_num, state: kept.save(
      round_num, process.get_model_weights(state).trainable
    ),
  )
  models = kept.load(result.round_num)
  return canary_audit.analyse(
    models,
    participations(system.program, clients, result.round_num),
    GraphCanaries(
      seed, num_canaries, models.shape[1], model.initial_weights[0]
    ),
    terms.delta,
    accountant=None if result.guarantee is None else result.guarantee.epsilon,
    gaussian=isinstance(terms.mechanism, _GAUSSIAN) and not terms.is_amplified,
    secret_cohorts=terms.is_amplified,
  )


def participations(
  program: training.TrainingProgram,
  clients: canary_population.CanaryPopulation,
  num_rounds: int,
) -> np.ndarray:
  """Returns which canaries were in which cohort, bool[num_rounds, canaries].

  Of the first attempts at rounds: where a secure sum failed, or left clients
  out, canaries are looked for in rounds in which they were not, which finds
  less of them, and nothing that is not there.
  """
  num_canaries = clients.num_clients - clients.base.num_clients
  found = np.zeros([num_rounds, num_canaries], bool)
  for row, participants in enumerate(found):
    cohort = program.participation.select(program.seed, row + 1)
    participants[clients.canaries(cohort)] = True
  return found
