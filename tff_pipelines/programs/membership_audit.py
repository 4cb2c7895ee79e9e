"""Who took part in training? Attacks on models, by clients' losses.

Pairs of models are trained on complementary random halves of the clients, so
that every client is in one model of each pair. Each model is attacked in turn;
the other pairs are the reference models that an attacker has trained.
"""

import dataclasses
from typing import Any

import numpy as np

from tff_pipelines.core import seeds
from tff_pipelines.privacy import (
  error_rates,
  membership_inference,
  membership_scores,
)
from tff_pipelines.privacy import (
  guarantee as guarantee_lib,
)


@dataclasses.dataclass(frozen=True)
class Trained:
  """Losses of models on clients.

  Attributes:
    losses: float64[2 * pairs, clients].
    members: bool[2 * pairs, clients], who was in each; rows 2p and 2p + 1 are
      complementary.
  """

  losses: np.ndarray
  members: np.ndarray


def halves(num_clients: int, num_pairs: int, seed: int) -> np.ndarray:
  """Returns the members of each model, bool[2 * num_pairs, num_clients].

  Rows 2p and 2p + 1 are complementary and have as many clients.

  Raises:
    AuditError: If there are fewer than 3 pairs, fewer than 8 clients, or an odd
      number of them.
  """
  if num_pairs < 3 or num_clients < 8 or num_clients % 2:
    raise error_rates.AuditError(
      'Expected at least 3 pairs of models and an even number of clients, 8 or '
      f'more, for membership inference, found {num_pairs} and {num_clients}; '
      'train more models, on more clients.'
    )
  rng = seeds.generator(seed, 'membership halves')
  rows = []
  for _ in range(num_pairs):
    order = rng.permutation(num_clients)
    for half in np.split(order, 2):
      chosen = np.zeros(num_clients, bool)
      chosen[half] = True
      rows.append(chosen)
  return np.stack(rows)


def attacks(
  trained: Trained, promise: guarantee_lib.Guarantee | None, seed: int
) -> list[dict[str, Any]]:
  """Returns how well each attack tells members from others.

  Args:
    trained: The models.
    promise: Of their training; None if there is none.
    seed: Of the split of scores that an epsilon needs.

  Returns:
    A part of `membership` of privacy_audit.json for each attack.
  """
  return [
    attack(
      'loss threshold',
      "each client's data, and the model",
      membership_scores.loss_scores(trained.losses),
      trained.members,
      promise,
      seed,
    ),
    attack(
      'likelihood ratio',
      f'besides, {len(trained.losses) - 2} models of the same kind, trained '
      'with and without each client',
      likelihood_ratios(trained),
      trained.members,
      promise,
      seed,
    ),
  ]


def likelihood_ratios(trained: Trained) -> np.ndarray:
  """Returns scores float64[models, clients]; the partner is no reference."""
  losses, members = trained.losses, trained.members
  rows = []
  for target in range(len(losses)):
    pairs = [p for p in range(len(losses) // 2) if p != target // 2]
    first = np.stack([losses[2 * p] for p in pairs])
    second = np.stack([losses[2 * p + 1] for p in pairs])
    is_in = np.stack([members[2 * p] for p in pairs])
    rows.append(
      membership_scores.online_likelihood_ratios(
        -losses[target],
        with_client=-np.where(is_in, first, second),
        without=-np.where(is_in, second, first),
        share_stddev=len(pairs) < 64,
      )
    )
  return np.stack(rows)


def attack(
  name: str,
  knowledge: str,
  scores: np.ndarray,
  members: np.ndarray,
  promise: guarantee_lib.Guarantee | None,
  seed: int,
) -> dict[str, Any]:
  """Returns an attack as privacy_audit.json has it.

  `epsilon_if_independent` would be a lower bound (95 % confidence) if the
  scores were independent, at the promise's delta, else at 0.

  Args:
    name: The attack.
    knowledge: What the attacker has, in words.
    scores: float64[...], larger for those that it takes for members.
    members: bool[...], who was one.
    promise: What the training promises that is attacked; None if nothing.
    seed: Of the split that the epsilon needs.

  Raises:
    AuditError: If there are fewer than 4 scores of members or of others, or
      some that are not finite.
  """
  inside, outside = scores[members], scores[~members]
  delta = 0.0 if promise is None else promise.delta
  found = membership_inference.evaluate(inside, outside, delta, seed=seed)
  curve = membership_inference.roc(inside, outside)
  return {
    'name': name,
    'knowledge': knowledge,
    'promise': None
    if promise is None
    else {'epsilon': promise.epsilon, 'delta': promise.delta},
    'roc': {
      'fpr': curve.false_positive_rates.tolist(),
      'tpr': curve.true_positive_rates.tolist(),
    },
    'auc': found.auc,
    'epsilon_if_independent': found.bound.epsilon,
    'tpr_at': [
      {
        'fpr': rate.target,
        'tpr': rate.true_positive_rate,
        'low': rate.interval[0],
        'high': rate.interval[1],
      }
      for rate in found.rates
    ],
  }


def sentence(found: dict[str, Any]) -> str:
  """Returns what an attack reached, for below a table."""
  rates = ', '.join(
    f'{rate["tpr"]:.1%} at {rate["fpr"]:.1%} false alarms'
    for rate in found['tpr_at']
  )
  return (
    f'membership by {found["name"]}: finds {rates}; AUC {found["auc"]:.3f} '
    '(0.5 is guessing)'
  )
