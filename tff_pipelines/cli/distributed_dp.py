"""From a target guarantee to distributed noise: scale, shares and bits.

The scale depends on the noise, which has to fit into the modulus with the sum;
and the noise needed depends on the scale, since rounding makes the sensitivity
larger. Both are found together, by a search over the noise multiplier with the
accountant.
"""

import dataclasses
import math

from tff_pipelines.aggregators import distributed_dp
from tff_pipelines.core import errors
from tff_pipelines.core import participation as participation_lib
from tff_pipelines.numerics import distributed_scale
from tff_pipelines.privacy import (
  accounting,
  calibration,
  contributions,
  distributed,
  mechanism,
)

_MECHANISMS = {
  'discrete_gaussian': distributed.DistributedDiscreteGaussian,
  'skellam': distributed.DistributedSkellam,
}
# Above, the noise of a round is larger than any mean could be.
_MAX_NOISE_MULTIPLIER = 1e5


class DistributedPlanError(errors.PipelineError):
  """A run with distributed noise that cannot be planned."""


@dataclasses.dataclass(frozen=True)
class DistributedPlan:
  """A run with distributed noise.

  Attributes:
    config: Of the aggregator.
    scale: Of its updates and noise, for the number of parameters.
    plan: What the accountant accounts for; its mechanism is that of every
      round, and its `num_contributors` what is left after the tolerated
      dropout.
  """

  config: distributed_dp.DistributedDpConfig
  scale: distributed_scale.Scale
  plan: accounting.Plan

  @property
  def mechanism(self) -> distributed.DistributedMechanism:
    """What every round's record in the ledger holds."""
    assert isinstance(self.plan.mechanism, distributed.DistributedMechanism)
    return self.plan.mechanism


@dataclasses.dataclass(frozen=True)
class Setting:
  """What a run with distributed noise is planned for.

  Attributes:
    kind: Distribution of the shares.
    participation: How cohorts are drawn; the largest has to fit the modulus.
    num_rounds: How many.
    num_parameters: Numbers of an update.
    clip_norm: In L2.
    bits: Of a coordinate of the sum.
    tolerated_dropout: Share of a cohort, whose noise is done without.
    num_colluding: Contributors of a round that may leave out their noise.
    secret_cohort: Whether cohorts stay secret, so that sampling amplifies.
    limits: What every client is made to keep.
    beta: As in the aggregator's configuration.
    wrap_around_probability: As there.
  """

  kind: distributed_scale.Mechanism
  participation: participation_lib.Participation
  num_rounds: int
  num_parameters: int
  clip_norm: float
  bits: int = 16
  tolerated_dropout: float = 0.0
  num_colluding: int = 0
  secret_cohort: bool = False
  limits: contributions.ContributionLimits | None = None
  beta: float = math.exp(-0.5)
  wrap_around_probability: float = 1e-6

  def __post_init__(self) -> None:
    if not 0.0 <= self.tolerated_dropout < 1.0:
      raise DistributedPlanError(
        'Expected a tolerated_dropout of at least 0 and below 1, found '
        f'{self.tolerated_dropout}.'
      )
    if self.num_parameters < 1:
      raise DistributedPlanError(
        f'Expected at least one parameter, found {self.num_parameters}.'
      )
    if not 0 <= self.num_colluding < self.num_contributors:
      raise DistributedPlanError(
        f'Expected fewer colluding clients than the {self.num_contributors} '
        'contributors a round that are left after the tolerated dropout, found '
        f'{self.num_colluding}; take larger cohorts.'
      )

  @property
  def num_contributors(self) -> int:
    """Clients of a round whose noise is counted on."""
    clients = self.participation.clients_per_round
    # 0.3 * 10 is 3, whatever floating point makes of 0.7 * 10.
    dropped = math.ceil(round(self.tolerated_dropout * clients, 9))
    return max(1, clients - dropped)

  def config(
    self, noise_multiplier: float
  ) -> distributed_dp.DistributedDpConfig:
    """Returns the aggregator's configuration."""
    return distributed_dp.DistributedDpConfig(
      mechanism=self.kind,
      clip_norm=self.clip_norm,
      noise_multiplier=noise_multiplier,
      num_contributors=self.num_contributors,
      num_clients=self.participation.max_clients_per_round,
      denominator=float(self.participation.clients_per_round),
      bits=self.bits,
      beta=self.beta,
      wrap_around_probability=self.wrap_around_probability,
    )

  def plan(
    self, config: distributed_dp.DistributedDpConfig
  ) -> tuple[accounting.Plan, distributed_scale.Scale]:
    """Returns what is accounted for, without refusing coarse scales."""
    request = config.request(self.num_parameters)
    scale = distributed_scale.unchecked(request)
    return accounting.Plan(
      mechanism=_MECHANISMS[self.kind](
        noise_stddev=scale.share_stddev,
        l2_sensitivity=scale.l2_sensitivity,
        num_coordinates=request.size,
        num_colluding=self.num_colluding,
      ),
      participation=self.participation,
      num_rounds=self.num_rounds,
      secret_cohort=self.secret_cohort,
      limits=self.limits,
      num_contributors=self.num_contributors,
    ), scale


def with_noise(setting: Setting, noise_multiplier: float) -> DistributedPlan:
  """Returns the plan with a given noise multiplier.

  Args:
    setting: What is planned for.
    noise_multiplier: Stddev of the noise of all counted contributors together
      over the clip norm (before rounding makes the sensitivity larger).

  Raises:
    DistributedScaleError: If a number is out of its range; as TooFewBitsError,
      which tells how many would do, if bits do not suffice.
  """
  config = setting.config(noise_multiplier)
  config.scale(setting.num_parameters)  # Refuses coarse scales.
  plan, scale = setting.plan(config)
  return DistributedPlan(config, scale, plan)


def within(
  setting: Setting,
  epsilon: float,
  delta: float,
  relative_tolerance: float = 1e-3,
) -> DistributedPlan:
  """Returns the plan with the least noise that keeps (epsilon, delta).

  Args:
    setting: What is planned for.
    epsilon: Above 0.
    delta: As for `accounting.spent`.
    relative_tolerance: Of the noise multiplier.

  Raises:
    TooFewBitsError: If no noise suffices with so many bits; tells how many do.
    CalibrationError: If no number of bits suffices.
    UnaccountableError: If there is no known bound for the participation.
    DistributedScaleError: If a number is out of its range.
  """
  try:
    return with_noise(
      setting, _least_noise(setting, epsilon, delta, relative_tolerance)
    )
  except (
    distributed_scale.TooFewBitsError,
    calibration.CalibrationError,
  ) as error:
    enough = _enough_bits(setting, epsilon, delta)
    if enough is None:
      raise
    raise distributed_scale.TooFewBitsError(
      f'Expected bits that leave room for the noise of epsilon {epsilon:g} at '
      f'delta {delta:g}, found {setting.bits} a coordinate for '
      f'{setting.participation.max_clients_per_round} clients and '
      f'{setting.num_parameters} parameters; take at least {enough} bits.',
      enough,
    ) from error


def _least_noise(
  setting: Setting, epsilon: float, delta: float, relative_tolerance: float
) -> float:
  def epsilon_at(noise_multiplier: float) -> float:
    plan, _ = setting.plan(setting.config(noise_multiplier))
    try:
      return calibration.epsilon_of(plan, delta)
    except mechanism.MechanismError:
      return math.inf  # Shares too narrow to account for.

  return calibration.least_noise(
    epsilon_at, epsilon, 1.0, _MAX_NOISE_MULTIPLIER, relative_tolerance
  )


def _enough_bits(setting: Setting, epsilon: float, delta: float) -> int | None:
  """Returns the least bits above those of the setting that suffice."""
  for bits in range(setting.bits + 1, distributed_scale.MAX_BITS + 1):
    finer = dataclasses.replace(setting, bits=bits)
    try:
      with_noise(finer, _least_noise(finer, epsilon, delta, 1e-2))
    except (
      distributed_scale.TooFewBitsError,
      calibration.CalibrationError,
    ):
      continue
    return bits
  return None
