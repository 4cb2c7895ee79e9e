"""Who took part? Models on halves of the clients, and attacks on them."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import numpy as np

from tff_pipelines.cli import audited_training
from tff_pipelines.core import seeds
from tff_pipelines.data import changed_population, population
from tff_pipelines.learning import client_updates, evaluation, optimizers
from tff_pipelines.privacy import central
from tff_pipelines.programs import (
  kept_results,
  known_others,
  membership_audit,
  progress,
  short_runs,
)

_INDEPENDENT = (central.Gaussian, central.AdaptiveClippingGaussian)
_OTHERS = 'knowing all others'
_KNOWLEDGE = (
  'the model before and after a round, and the updates of its cohort but one'
)


def candidates(
  clients: population.ClientPopulation, seed: int
) -> changed_population.SubsetPopulation:
  """Returns whom the attacks are about: an even number of clients with data.

  Who has no data leaves no trace; of an odd number one, drawn at random, is
  left out.
  """
  chosen = np.flatnonzero(clients.sizes)
  if len(chosen) % 2:
    rng = seeds.generator(seed, 'left out of the halves')
    chosen = np.delete(chosen, rng.integers(len(chosen)))
  return changed_population.SubsetPopulation(clients, chosen)


def run(
  audited: audited_training.AuditedTraining, num_pairs: int, known_rounds: int
) -> tuple[list[dict[str, Any]], list[str]]:
  """Attacks models, with noise and without, on halves of the clients.

  What is done is kept, so that a run that was killed goes on with the next
  model.

  Args:
    audited: What is trained.
    num_pairs: Pairs of models.
    known_rounds: Rounds attacked by who knows all clients but one.

  Returns:
    The part `membership` of privacy_audit.json, and what has to be said of it.
  """
  clients = candidates(audited.dataset.train, audited.seed)
  members = membership_audit.halves(
    clients.num_clients, num_pairs, audited.seed
  )
  kept = kept_results.KeptResults(audited.directory.simulation_only / 'attacks')
  losses_of = _losses_of(audited, clients)
  found, notes = [], []
  left_out = audited.dataset.train.num_clients - clients.num_clients
  if left_out:
    notes.append(
      f'membership: {left_out} of {audited.dataset.train.num_clients} clients '
      'left out, who have no data, or would make the halves unequal'
    )
  for short in audited.with_and_without_noise(int(members[0].sum())):
    trained = _train(audited.seed, clients, members, short, losses_of, kept)
    rows = membership_audit.attacks(trained, short.promise, audited.seed)
    if short.promise is not None:
      reason = why_not_known(short, audited.server_optimizer)
      if reason is None:
        half = changed_population.SubsetPopulation(clients, members[0])
        rows.append(_known_others(audited, short, half, known_rounds, kept))
      else:
        notes.append(f'membership by {_OTHERS}: left out, {reason}')
    found += [{**row, 'name': f'{row["name"]}, {short.name}'} for row in rows]
  return found, notes


def why_not_known(
  short: audited_training.ShortTraining,
  server: optimizers.OptimizerConfig,
) -> str | None:
  """Returns why nobody can subtract the others' updates; None if one can."""
  terms = short.program.privacy
  if terms is None or not isinstance(terms.mechanism, _INDEPENDENT):
    return (
      "it is for the server's independent noise (--aggregator=dp_fixed or "
      'dp_adaptive)'
    )
  if server.name != 'sgd' or server.momentum:
    return (
      'as models tell what a single round released only with '
      '--server_optimizer=sgd without momentum, found '
      f'{server.name} with momentum {server.momentum:g}'
    )
  drawn = short.program.participation
  if drawn.clients_per_round == drawn.population_size:
    return 'as everyone is in every cohort, so that there is nobody to compare'
  return None


def _train(
  seed: int,
  clients: population.ClientPopulation,
  members: np.ndarray,
  short: audited_training.ShortTraining,
  losses_of: Callable[[Any], list[float]],
  kept: kept_results.KeptResults,
) -> membership_audit.Trained:
  """Returns each client's loss under a model trained on each of the halves."""

  def losses(number: int) -> list[float]:
    state = short_runs.train(
      short.process,
      changed_population.SubsetPopulation(clients, members[number]),
      dataclasses.replace(short.program, seed=seed + number),
    )
    return losses_of(short.process.get_model_weights(state))

  rows = []
  what = f'membership, {short.name}'
  with progress.Progress(what, len(members), unit='model') as display:
    for number in range(len(members)):
      rows.append(
        kept.get(f'{what} {number}', functools.partial(losses, number))
      )
      display.update(number + 1)
  return membership_audit.Trained(np.array(rows), members)


def _losses_of(
  audited: audited_training.AuditedTraining,
  clients: population.ClientPopulation,
) -> Callable[[Any], list[float]]:
  evaluate = evaluation.build_for_each_client(audited.model)
  batches = audited_training.all_batches(clients)
  return lambda weights: [
    float(metrics['loss']) for metrics in evaluate(weights, batches)
  ]


def _known_others(
  audited: audited_training.AuditedTraining,
  short: audited_training.ShortTraining,
  clients: population.ClientPopulation,
  num_rounds: int,
  kept: kept_results.KeptResults,
) -> dict[str, Any]:
  """The attack by who knows all clients of a round but one."""
  updates = client_updates.build(
    audited.model, audited.client_optimizer.build()
  )
  terms = short.program.privacy
  assert terms is not None

  def scores() -> list[list[float]]:
    both = known_others.scores(
      short.process,
      lambda weights, batches: np.stack(
        [known_others.flat(row.update) for row in updates(weights, batches)]
      ),
      clients,
      short.program,
      min(num_rounds, short.program.rounds),
      audited.server_optimizer.learning_rate,
    )
    return [values.tolist() for values in both]

  inside, outside = kept.get(_OTHERS, scores)
  return membership_audit.attack(
    _OTHERS,
    _KNOWLEDGE
    + (
      ', and so the cohort, which the promise takes for secret'
      if terms.is_amplified
      else ''
    ),
    np.array(inside + outside),
    np.arange(len(inside) + len(outside)) < len(inside),
    # A promise that rests on secret cohorts is none to who knows them.
    None if terms.is_amplified else short.promise,
    audited.seed,
  )
