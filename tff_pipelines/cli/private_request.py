"""What is asked of a private aggregator, and what has been prepared for it."""

import dataclasses
import functools
import pathlib
from typing import Literal

from tff_pipelines.aggregators import registry
from tff_pipelines.cli import flag_groups
from tff_pipelines.core import participation as participation_lib
from tff_pipelines.privacy import (
  accounting,
  calibration,
  contributions,
  guarantee,
  mechanism,
  weak_privacy,
)
from tff_pipelines.programs import privacy_log, training


@dataclasses.dataclass(frozen=True)
class Request:
  """What is asked of a private aggregator.

  Attributes:
    program: The training program, whose participation is that of the ledger.
    num_coordinates: Parameters of the model.
    delta: Of the guarantee; None: `guarantee.default_delta`.
    epsilon: The target; None where `noise_multiplier` is given.
    noise_multiplier: Noise stddev (of Laplace noise the scale) over the clip
      norm: of the sum, under local_dp of a report, under distributed_dp of the
      sum of those that are counted on. Of dp_adaptive that of the sum and the
      count together.
    clip_norm: Largest norm of an update; None: 1, or 0.1 for dp_adaptive, whose
      clip norm starts there.
    secret_cohort: Whether cohorts stay secret; None: as is usual for the
      aggregator.
    stop_at_epsilon: Stops before the round that would exceed it; None: never.
    allow_weak_privacy: Whether settings that mean nothing are allowed.
    clip_quantile: Share of the updates that dp_adaptive leaves as they are.
    clip_learning_rate: Of its clip norm.
    restart_rounds: Rounds of a tree; None: all.
    num_bands: Of the strategy; None: as many as the participation allows.
    strategies: Where strategies are kept.
    distributed_noise: Distribution of the clients' integer noise.
    bits_per_coordinate: Of a secure sum.
    tolerated_dropout: Share of a cohort that may drop out of it.
    tolerated_corrupted: Share of a cohort that may work for the server.
    masked: Whether secure sums are; in the clear they protect nobody.
    local_noise: Distribution of a report's noise.
  """

  program: training.TrainingProgram
  num_coordinates: int
  delta: float | None = None
  epsilon: float | None = None
  noise_multiplier: float | None = None
  clip_norm: float | None = None
  secret_cohort: bool | None = None
  stop_at_epsilon: float | None = None
  allow_weak_privacy: bool = False
  clip_quantile: float = 0.5
  clip_learning_rate: float = 0.2
  restart_rounds: int | None = None
  num_bands: int | None = None
  strategies: pathlib.Path | None = None
  distributed_noise: Literal['discrete_gaussian', 'skellam'] = (
    'discrete_gaussian'
  )
  bits_per_coordinate: int = 16
  tolerated_dropout: float = 0.0
  tolerated_corrupted: float = 0.0
  masked: bool = True
  local_noise: Literal['gaussian', 'laplace'] = 'gaussian'

  def __post_init__(self) -> None:
    if (self.epsilon is None) == (self.noise_multiplier is None):
      found = 'neither' if self.epsilon is None else 'both'
      raise flag_groups.FlagError(
        'Expected one of --epsilon and --noise_multiplier with a private '
        f'aggregator, found {found}; there is no usual privacy.'
      )

  @property
  def participation(self) -> participation_lib.Participation:
    """How cohorts are drawn."""
    return self.program.participation

  @functools.cached_property
  def limits(self) -> contributions.ContributionLimits:
    """What every client keeps: cohorts are a pure function of the seed."""
    history = contributions.ParticipationHistory()
    for round_num in range(1, self.program.rounds + 1):
      history.add(
        round_num, self.participation.select(self.program.seed, round_num)
      )
    return history.limits

  @property
  def target_delta(self) -> float:
    """The delta of the guarantee."""
    if self.delta is not None:
      return self.delta
    return guarantee.default_delta(self.participation.population_size)

  def plan(
    self,
    unit_noise: mechanism.Mechanism,
    secret_cohort: bool = False,
    num_contributors: int | None = None,
  ) -> accounting.Plan:
    """Returns the plan whose noise keeps the target, or is the one given.

    Args:
      unit_noise: The mechanism, with a noise multiplier of 1.
      secret_cohort: Whether cohorts are.
      num_contributors: Those counted on; None: all.
    """
    plan = accounting.Plan(
      unit_noise,
      self.participation,
      self.program.rounds,
      secret_cohort,
      self.limits,
      num_contributors,
    )
    if self.epsilon is None:
      return dataclasses.replace(
        plan, mechanism=unit_noise.with_noise(self.noise_multiplier or 0.0)
      )
    return calibration.noise_for(plan, self.epsilon, self.target_delta)


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A private aggregator, ready to run.

  Attributes:
    factory: The factory.
    program: The training program with its terms of privacy.
    noise: Its noise, in words.
    signal_to_noise: Of the largest possible mean update over the noise's
      expected norm; see `signal_of`.
    signal_of: What it is about, in words.
  """

  factory: registry.Factory
  program: training.TrainingProgram
  noise: str
  signal_to_noise: float
  signal_of: str = 'one round'


def secret(request: Request, usual: bool) -> bool:
  """Whether cohorts are secret, as is usual unless asked otherwise."""
  return usual if request.secret_cohort is None else request.secret_cohort


def clip_norm(request: Request, usual: float) -> float:
  """Returns the clip norm, the usual one unless asked otherwise."""
  return usual if request.clip_norm is None else request.clip_norm


def terms_of(
  request: Request,
  plan: accounting.Plan,
  tolerated_dropout: float = 0.0,
  assumed: tuple[str, ...] = (),
) -> privacy_log.PrivacyTerms:
  """Returns the terms of a plan that promises something.

  Raises:
    WeakPrivacyError: If it does not.
  """
  planned = accounting.planned(plan, request.target_delta)
  weak_privacy.check_guarantee(
    planned,
    request.participation.population_size,
    request.allow_weak_privacy,
  )
  return privacy_log.PrivacyTerms(
    plan.mechanism,
    request.participation,
    request.target_delta,
    planned,
    plan.secret_cohort,
    request.stop_at_epsilon,
    tolerated_dropout,
    assumed,
  )


def with_terms(
  request: Request, terms: privacy_log.PrivacyTerms
) -> training.TrainingProgram:
  """Returns the training program with its terms of privacy."""
  return dataclasses.replace(request.program, privacy=terms)
