"""What canaries in a run say of its privacy, as privacy_audit.json has it."""

from collections.abc import Sequence
import math
from typing import Any

import numpy as np

from tff_pipelines.privacy import (
  canaries as canaries_lib,
)
from tff_pipelines.privacy import (
  error_rates,
  one_shot_audit,
)

_MINIMUM = 8


def analyse(
  models: np.ndarray,
  participated: np.ndarray,
  canaries: canaries_lib.Canaries,
  delta: float,
  *,
  accountant: float | None,
  gaussian: bool,
  secret_cohorts: bool,
  confidence: float = 0.95,
) -> dict[str, Any]:
  """Compares the canaries of a run with such as it did not have.

  The final model stands for whoever gets it in the end. Whoever sees every
  model has the sum of a canary's cosines over its rounds, or, not knowing which
  these are, the largest one.

  Where cohorts are secret, all canaries of the population count, those that no
  cohort happened to have as well: the chance to be left out is a part of what
  is promised. Otherwise the promise holds whatever the cohorts, and those that
  were in some cohort count.

  Args:
    models: float32[rounds + 1, d], the initial one first.
    participated: bool[rounds, k], which canaries were in which cohort.
    canaries: Their directions; indices from k on took no part.
    delta: Of epsilon.
    accountant: What the accountant says at that delta; None for nothing.
    gaussian: Whether what was released is Gaussian as a whole (correlated or
      unsampled noise): then the tighter lower bound holds.
    secret_cohorts: Whether the accountant counts on the adversary not knowing
      who took part in which round.
    confidence: Of the lower bounds.

  Returns:
    The part `one_shot` of privacy_audit.json.

  Raises:
    AuditError: If fewer than 8 canaries count.
  """
  counted = _counted(participated, secret_cohorts)
  count = int(counted.sum())
  if count < _MINIMUM:
    raise error_rates.AuditError(
      f'Expected at least {_MINIMUM} canaries that took part, found {count} of '
      f'{len(counted)}; insert more of them, or train longer.'
    )
  final = models[-1:] - models[:1]
  observed = canaries.cosines(final)[0, counted]
  null = one_shot_audit.CosineNull(canaries.num_dimensions)
  bound = (
    one_shot_audit.gaussian_bound
    if gaussian
    else one_shot_audit.threshold_bound
  )
  of_final = one_shot_audit.estimate(observed, null, delta)
  every = _all_rounds(models, participated, canaries, secret_cohorts)
  of_all = one_shot_audit.estimate(*every, delta)
  lower = [
    bound(observed, null, delta, (1 + confidence) / 2).epsilon,
    bound(*every, delta, (1 + confidence) / 2).epsilon,
  ]
  return {
    'canaries': count,
    'dimension': canaries.num_dimensions,
    'delta': delta,
    'estimate': of_final.epsilon,
    'estimate_all_rounds': of_all.epsilon,
    # Each bound has half of the error probability, so the larger one holds.
    'lower_bound': max(lower),
    'confidence': confidence,
    'accountant': accountant,
    'cosines': {
      'observed': observed.tolist(),
      'null_stddev': null.fitted().stddev,
    },
    'by_round': _by_round(
      models, participated, canaries, delta, secret_cohorts
    ),
  }


def sentence(found: dict[str, Any]) -> str:
  """Returns what was found, for below a table."""
  accountant = found['accountant']
  promised = (
    '' if accountant is None else f'; the accountant says {accountant:.3g}'
  )
  verdict = ''
  if accountant is not None and found['lower_bound'] > accountant:
    verdict = ': THE GUARANTEE DOES NOT HOLD'
  return (
    f'{found["canaries"]} canaries: epsilon looks like '
    f'{found["estimate"]:.3g} to who sees the final model, '
    f'{found["estimate_all_rounds"]:.3g} to who sees every round, and is at '
    f'least {found["lower_bound"]:.3g} ({found["confidence"]:.0%} confidence) '
    f'at delta {found["delta"]:.2g}{promised}{verdict}'
  )


def _counted(participated: np.ndarray, secret_cohorts: bool) -> np.ndarray:
  """Returns which canaries count, bool[k], of bool[rounds, k]."""
  took_part = participated.any(axis=0)
  return np.ones_like(took_part) if secret_cohorts else took_part


def _all_rounds(
  models: np.ndarray,
  participated: np.ndarray,
  canaries: canaries_lib.Canaries,
  secret_cohorts: bool,
) -> tuple[np.ndarray, one_shot_audit.SampledNull]:
  """Statistics of those that count, and of as many twins that took no part."""
  moved = np.diff(models, axis=0)
  changed = np.flatnonzero(np.any(moved != 0, axis=1))
  moved, participated = moved[changed], participated[changed]
  kept = _counted(participated, secret_cohorts)

  def statistics(first: int) -> np.ndarray:
    cosines = canaries.cosines(moved, first=first)[:, kept]
    if secret_cohorts:
      return one_shot_audit.largest(cosines)
    return one_shot_audit.sum_of_participations(cosines, participated[:, kept])

  return (
    statistics(0),
    one_shot_audit.SampledNull(statistics(canaries.num_canaries)),
  )


def _by_round(
  models: np.ndarray,
  participated: np.ndarray,
  canaries: canaries_lib.Canaries,
  delta: float,
  secret_cohorts: bool,
) -> Sequence[list[float]]:
  """Estimates from the models of some rounds, each after all rounds so far."""
  num_rounds = len(participated)
  rounds = np.unique(np.linspace(1, num_rounds, 12).astype(int))
  # A round of nobody, without noise, leaves the model as it was.
  rounds = rounds[np.any(models[rounds] != models[0], axis=1)]
  null = one_shot_audit.CosineNull(canaries.num_dimensions)
  cosines = canaries.cosines(models[rounds] - models[0])
  found = []
  for row, round_num in zip(cosines, rounds.tolist(), strict=True):
    so_far = _counted(participated[:round_num], secret_cohorts)
    if so_far.sum() >= _MINIMUM:
      epsilon = one_shot_audit.estimate(row[so_far], null, delta).epsilon
      if math.isfinite(epsilon):
        found.append([round_num, epsilon])
  return found
