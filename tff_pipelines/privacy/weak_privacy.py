"""Settings that promise next to nothing, or learn nothing, are refused."""

import math

from tff_pipelines.core import errors
from tff_pipelines.privacy import guarantee as guarantee_lib

MAX_EPSILON = 20.0
# Noise of the mean, as a vector, over the largest possible mean.
MAX_NOISE_TO_SIGNAL = 10.0


class WeakPrivacyError(errors.PipelineError):
  """A guarantee that protects nobody; `allow_weak_privacy` overrides."""


class LargeEpsilonError(WeakPrivacyError):
  """Epsilon above 20."""


class LargeDeltaError(WeakPrivacyError):
  """Delta above 1 / population."""


class SmallCohortError(WeakPrivacyError):
  """A cohort whose signal drowns in the noise."""


def check_guarantee(
  guarantee: guarantee_lib.Guarantee,
  population_size: int,
  allow_weak_privacy: bool = False,
) -> None:
  """Raises the first rule that a guarantee breaks.

  Says nothing about whether a smaller epsilon would be needed.

  Raises:
    LargeEpsilonError: If epsilon is above 20.
    LargeDeltaError: If delta is above 1 / population_size.
  """
  check_delta(guarantee.delta, population_size, allow_weak_privacy)
  if guarantee.epsilon > MAX_EPSILON and not allow_weak_privacy:
    raise LargeEpsilonError(
      f'Expected an epsilon of at most {MAX_EPSILON:g}, found '
      f'{guarantee.epsilon:.4g}: an observer may become e^'
      f'{guarantee.epsilon:.0f} times surer of a client, which protects '
      'nobody; add noise, train fewer rounds or draw from more clients. '
      'allow_weak_privacy overrides.'
    )


def check_delta(
  delta: float, population_size: int, allow_weak_privacy: bool = False
) -> None:
  """Raises LargeDeltaError if delta is above 1 / population_size."""
  if delta * population_size > 1.0 and not allow_weak_privacy:
    raise LargeDeltaError(
      f'Expected a delta of at most 1/population = {1 / population_size:.3g}, '
      f'found {delta:.3g}: publishing one of the {population_size} clients at '
      'random would count as private; choose '
      f'{guarantee_lib.default_delta(population_size):.2g}. allow_weak_privacy '
      'overrides.'
    )


def check_cohort(
  noise_multiplier: float,
  clients_per_round: int,
  num_coordinates: int = 1,
  allow_weak_privacy: bool = False,
) -> None:
  """Raises SmallCohortError if a round's noise dwarfs what clients can say.

  The noise of the mean has norm noise_multiplier sqrt(num_coordinates) /
  clients_per_round in clip norms, the mean itself at most 1. For independent
  noise; correlated noise cancels over the rounds.
  """
  ratio = noise_multiplier * math.sqrt(num_coordinates) / clients_per_round
  if ratio > MAX_NOISE_TO_SIGNAL and not allow_weak_privacy:
    least = math.ceil(
      noise_multiplier * math.sqrt(num_coordinates) / MAX_NOISE_TO_SIGNAL
    )
    raise SmallCohortError(
      f'Expected at least {least} clients per round for a noise multiplier of '
      f'{noise_multiplier:g} on {num_coordinates} coordinates, found '
      f'{clients_per_round}: the noise is {ratio:.0f} times as large as the '
      'largest mean update and nothing will be learned; draw more clients or '
      'train fewer rounds. allow_weak_privacy overrides.'
    )


def check_reports(
  noise_multiplier: float,
  clients_per_round: int,
  num_coordinates: int = 1,
  allow_weak_privacy: bool = False,
) -> None:
  """Raises SmallCohortError if noise of every report dwarfs the mean of them.

  As `check_cohort`, for noise that each client adds on its own: that of the
  mean has norm noise_multiplier sqrt(num_coordinates / clients_per_round).
  """
  ratio = noise_multiplier * math.sqrt(num_coordinates / clients_per_round)
  if ratio > MAX_NOISE_TO_SIGNAL and not allow_weak_privacy:
    least = math.ceil(
      (noise_multiplier / MAX_NOISE_TO_SIGNAL) ** 2 * num_coordinates
    )
    raise SmallCohortError(
      f'Expected at least {least} clients per round for reports with a noise '
      f'multiplier of {noise_multiplier:g} on {num_coordinates} coordinates, '
      f'found {clients_per_round}: the noise is {ratio:.0f} times as large as '
      'the largest mean update and nothing will be learned; draw more clients '
      'or train fewer rounds. allow_weak_privacy overrides.'
    )
