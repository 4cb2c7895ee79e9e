"""Membership inference by who knows the updates of all clients but one.

The adversary that a guarantee is against: from what a round released it
subtracts the others' clipped updates, and tests what is left for the
candidate's. With one clip norm for all rounds no attack on that round does
better; an adaptive one also releases a noisy count, which is not used here.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.core import client_batches, seeds
from tff_pipelines.data import population as population_lib
from tff_pipelines.privacy import membership_scores
from tff_pipelines.programs import progress, rounds, training

# From a model's weights and clients' batches to each client's flat update.
UpdatesOf = Callable[[Any, client_batches.ClientBatches], np.ndarray]


def flat(weights: Sequence[Any]) -> np.ndarray:
  """Returns a model's tensors one after the other, float64[d]."""
  return np.concatenate([np.ravel(w) for w in weights]).astype(np.float64)


def scores(
  process: tff.learning.templates.LearningProcess,
  updates_of: UpdatesOf,
  clients: population_lib.ClientPopulation,
  program: training.TrainingProgram,
  num_rounds: int,
  server_learning_rate: float,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns scores of who was in a round's cohort, and of others who were not.

  For a mean of clipped updates with independent Gaussian noise, which plain SGD
  of the server adds to the model: the aggregator's measurements `clip_norm` and
  `noise_stddev` say how it clipped and how much noise there is.

  In every round the others are as many as the cohort, as far as there are,
  drawn from the same population: both kinds have trained alike before, and what
  they would hand in is computed from the same model.

  Args:
    process: The learning process.
    updates_of: What its clients hand in before clipping.
    clients: Who trains; more than a cohort.
    program: Of the training.
    num_rounds: The rounds attacked, from the first.
    server_learning_rate: Of the server's SGD.

  Returns:
    Log likelihood ratios, float64[n] and float64[m]: one for a client and a
    round, N(mu^2/2, mu^2) and N(-mu^2/2, mu^2) distributed, where mu is the
    norm of the client's clipped update over the stddev of the sum's noise.
    Those of one round share its noise.
  """
  state = process.initialize()
  inside, outside = [np.zeros(0)], [np.zeros(0)]
  planned = program.participation.clients_per_round
  with progress.Progress('knowing all others', num_rounds) as display:
    for round_num in range(1, num_rounds + 1):
      cohort = program.participation.select(program.seed, round_num)
      others = _others(cohort, clients.num_clients, program.seed, round_num)
      of_cohort, of_others = (
        clients.batches(
          chosen, program.batching, seed=program.seed, round_num=round_num
        )
        for chosen in (cohort, others)
      )
      outcome = rounds.run(
        process,
        state,
        functools.partial(training.cohort, clients, program, round_num),
        round_num,
        retries=0,
      )
      before = process.get_model_weights(state)
      after = process.get_model_weights(outcome.process_state)
      state = outcome.process_state
      released = flat(after.trainable) - flat(before.trainable)
      released *= planned / server_learning_rate
      clip_norm = outcome.metrics['aggregator/clip_norm']
      noise_stddev = outcome.metrics['aggregator/noise_stddev'] * planned

      total = np.zeros_like(released)
      if len(cohort):
        updates = _clipped(updates_of(before, of_cohort), clip_norm)
        total = updates.sum(axis=0)
        inside.append(
          membership_scores.residual_scores(
            released, total - updates, updates, noise_stddev
          )
        )
      if len(others):
        updates = _clipped(updates_of(before, of_others), clip_norm)
        outside.append(
          membership_scores.residual_scores(
            released, total, updates, noise_stddev
          )
        )
      display.update(round_num)
  return np.concatenate(inside), np.concatenate(outside)


def _others(
  cohort: np.ndarray, num_clients: int, seed: int, round_num: int
) -> np.ndarray:
  """Returns as many clients out of the cohort as in it, as far as there are."""
  rest = np.setdiff1d(np.arange(num_clients), cohort)
  rng = seeds.generator(seed, 'not in the cohort', round_num)
  return rng.choice(rest, min(len(rest), len(cohort)), replace=False)


def _clipped(updates: np.ndarray, clip_norm: float) -> np.ndarray:
  """As the aggregator clips; zeros for an update that is not finite."""
  is_finite = np.all(np.isfinite(updates), axis=1, keepdims=True)
  updates = np.where(is_finite, updates, 0.0)
  norms = np.linalg.norm(updates, axis=1, keepdims=True)
  factors = np.minimum(1.0, clip_norm / np.maximum(norms, 1e-30))
  return updates * factors
