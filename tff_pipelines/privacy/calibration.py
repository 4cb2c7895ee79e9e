"""From a target guarantee to noise, or to rounds."""

from collections.abc import Callable
import dataclasses
import functools
import math

from tff_pipelines.core import errors
from tff_pipelines.privacy import accounting, guarantee

_MAX_ROUNDS = 10_000_000


class CalibrationError(errors.PipelineError):
  """A target that no noise, or not a single round, reaches."""


def noise_for(
  plan: accounting.Plan,
  epsilon: float,
  delta: float,
  relation: guarantee.Relation | None = None,
  relative_tolerance: float = 1e-4,
) -> accounting.Plan:
  """Returns the plan with the least noise that keeps (epsilon, delta).

  The result's guarantee is computed, and at most `epsilon`; noise a share of
  `relative_tolerance` smaller would exceed it. Assumes that epsilon falls with
  `mechanism.noise_field`, as it does for all mechanisms here.

  Args:
    plan: Its mechanism's noise is where the search starts.
    epsilon: Above 0.
    delta: As for `accounting.spent`.
    relation: As there.
    relative_tolerance: Of the noise.

  Raises:
    CalibrationError: If no noise suffices, or none is needed.
  """

  def with_noise(noise: float) -> accounting.Plan:
    return dataclasses.replace(plan, mechanism=plan.mechanism.with_noise(noise))

  most = plan.mechanism.max_noise
  noise = least_noise(
    lambda noise: epsilon_of(with_noise(noise), delta, relation),
    epsilon,
    min(plan.mechanism.noise, most),
    most,
    relative_tolerance,
  )
  return with_noise(noise)


def least_noise(
  epsilon_at: Callable[[float], float],
  epsilon: float,
  start: float,
  most: float,
  relative_tolerance: float = 1e-4,
) -> float:
  """Returns the least noise at which epsilon is within a target.

  Args:
    epsilon_at: Of a noise: what it guarantees, computed anew; falls with it.
    epsilon: The target, above 0.
    start: Where the search starts.
    most: The most noise that makes sense.
    relative_tolerance: Of the noise.

  Raises:
    CalibrationError: If no noise suffices, or none is needed.
  """
  _check_target(epsilon)

  @functools.cache
  def excess(noise: float) -> float:
    """log(epsilon / target), below 0 where the target is kept."""
    found = epsilon_at(noise)
    return math.log(found / epsilon) if found > 0.0 else -math.inf

  low, high = _bracket(lambda noise: excess(noise) > 0.0, start, most)
  step = 1 + relative_tolerance / 3
  while high / low > 1 + relative_tolerance:
    guess = math.sqrt(low * high)
    if math.isfinite(excess(low)) and math.isfinite(excess(high)):
      # Where the straight line in logarithms meets the target.
      share = excess(low) / (excess(low) - excess(high))
      guess = low * (high / low) ** share
    for noise in (guess * step, guess / step, math.sqrt(low * high)):
      if not low < noise < high:
        continue
      if excess(noise) > 0.0:
        low = noise
      else:
        high = noise
      if high / low <= 1 + relative_tolerance:
        break
  return high


def rounds_for(
  plan: accounting.Plan,
  epsilon: float,
  delta: float,
  relation: guarantee.Relation | None = None,
  max_rounds: int = _MAX_ROUNDS,
) -> accounting.Plan:
  """Returns the plan with the most rounds that keep (epsilon, delta).

  One more round would exceed epsilon, or be the one after `max_rounds`.
  Assumes that epsilon never falls from one round to the next.

  Args:
    plan: Its `num_rounds` is where the search starts.
    epsilon: Above 0.
    delta: As for `accounting.spent`.
    relation: As there.
    max_rounds: Where the search ends; with few participations a client, no
      number of rounds may exceed epsilon.

  Raises:
    CalibrationError: If the first round already spends more.
  """
  _check_target(epsilon)

  def with_rounds(num_rounds: int) -> accounting.Plan:
    return dataclasses.replace(plan, num_rounds=num_rounds)

  def exceeds(num_rounds: int) -> bool:
    return epsilon_of(with_rounds(num_rounds), delta, relation) > epsilon

  if exceeds(1):
    raise CalibrationError(
      f'Expected at least one round within epsilon {epsilon} at delta {delta}, '
      'found none; add noise.'
    )
  low, high = 1, max(2, min(plan.num_rounds, max_rounds + 1))
  while high <= max_rounds and not exceeds(high):
    low, high = high, 2 * high
  high = min(high, max_rounds + 1)
  while high - low > 1:
    middle = (low + high) // 2
    if exceeds(middle):
      high = middle
    else:
      low = middle
  return with_rounds(low)


def epsilon_of(
  plan: accounting.Plan,
  delta: float,
  relation: guarantee.Relation | None = None,
) -> float:
  """Returns a plan's epsilon, infinite where it has none at this delta."""
  try:
    return accounting.planned(plan, delta, relation).epsilon
  except guarantee.GuaranteeError:
    return math.inf


def _bracket(
  exceeds: Callable[[float], bool], start: float, most: float
) -> tuple[float, float]:
  """Returns noise that is too little, and noise that suffices."""
  factor, noise = 1.5, start
  if exceeds(noise):
    while True:
      low, noise = noise, min(noise * factor, most)
      if low >= most:
        raise CalibrationError(
          f'Expected a noise that reaches the target, found none up to {most}; '
          'allow a larger epsilon.'
        )
      if not exceeds(noise):
        return low, noise
      factor *= 1.5
  while True:
    high, noise = noise, noise / factor
    if noise < 1e-9:
      raise CalibrationError(
        'Expected a target that needs noise, found that almost none meets it; '
        'no client takes part.'
      )
    if exceeds(noise):
      return noise, high
    factor *= 1.5


def _check_target(epsilon: float) -> None:
  if not 0.0 < epsilon < math.inf:
    raise CalibrationError(
      f'Expected a finite epsilon above 0 as target, found {epsilon}.'
    )
