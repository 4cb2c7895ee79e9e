"""Private aggregators by name: from what is asked for to noise and guarantee.

Each row calibrates its mechanism to the target, checks that the result promises
and learns something, and gives the factory together with the terms that the
ledger keeps. All weight clients alike.
"""

from collections.abc import Callable
import dataclasses
import functools
import math
import pathlib
from typing import Literal

from tff_pipelines.aggregators import (
  central_dp,
  clip_norms,
  distributed_dp,
  local_dp,
  registry,
  server_noise,
)
from tff_pipelines.cli import distributed_dp as distributed_plan
from tff_pipelines.cli import flag_groups
from tff_pipelines.core import participation as participation_lib
from tff_pipelines.numerics import prefix_sum_error, strategy_cache
from tff_pipelines.privacy import (
  accounting,
  calibration,
  central,
  contributions,
  correlated,
  guarantee,
  local,
  mechanism,
  weak_privacy,
)
from tff_pipelines.programs import privacy_log, training

# Of the budget, at most, that the count of an adaptive clip spends.
_COUNT_SHARE = 0.1
_IN_THE_CLEAR = (
  'In this simulation sums were taken in the clear (--secure_sum=insecure), '
  'which protects nobody; a deployment has to sum securely.'
)


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


@dataclasses.dataclass(frozen=True)
class PrivateAggregator:
  """A row: a private choice of `--aggregator`.

  Attributes:
    description: One line for `--help`.
    scheme: How its cohorts are drawn, unless something else is asked for.
    prepare: Makes it.
    plain_updates: Whether the server sees the updates of single clients.
  """

  description: str
  scheme: participation_lib.Scheme
  prepare: Callable[[Request], Prepared]
  plain_updates: bool = True


def _fixed(request: Request) -> Prepared:
  plan = request.plan(central.Gaussian(1.0), _secret(request, True))
  clip_norm = _clip_norm(request, 1.0)
  multiplier = plan.mechanism.noise
  return _central(
    request,
    plan,
    clip_norms.FixedClip(clip_norm),
    server_noise.IndependentNoise(multiplier),
    f'Gaussian noise of multiplier {multiplier:.4g} on the sum of updates '
    f'clipped to norm {clip_norm:g}',
  )


def _adaptive(request: Request) -> Prepared:
  whole = request.plan(central.Gaussian(1.0), _secret(request, True))
  effective = whole.mechanism.noise
  # A twentieth of the cohort, as Andrew et al. 2021 take, unless so little
  # noise would spend much of the budget.
  count_stddev = max(
    request.participation.clients_per_round / 20,
    effective / (2 * math.sqrt(_COUNT_SHARE)),
  )
  plan = dataclasses.replace(
    whole,
    mechanism=central.split_for_adaptive_clipping(effective, count_stddev),
  )
  initial, multiplier = _clip_norm(request, 0.1), plan.mechanism.noise
  return _central(
    request,
    plan,
    clip_norms.AdaptiveClip(
      initial_clip_norm=initial,
      target_quantile=request.clip_quantile,
      learning_rate=request.clip_learning_rate,
      count_noise_stddev=count_stddev,
    ),
    server_noise.IndependentNoise(multiplier),
    f'Gaussian noise of multiplier {multiplier:.4g} on the sum of updates '
    f'clipped to the {request.clip_quantile:g} quantile of their norms '
    f'({initial:g} at first), and of stddev {count_stddev:.4g} on the count '
    f'that the quantile follows; {effective:.4g} together',
  )


def _tree(request: Request) -> Prepared:
  rounds = request.program.rounds
  plan = request.plan(
    correlated.TreeAggregation(1.0, request.restart_rounds, 'honaker')
  )
  clip_norm, multiplier = _clip_norm(request, 1.0), plan.mechanism.noise
  variance = prefix_sum_error.honaker_tree(rounds, request.restart_rounds)[-1]
  return _central(
    request,
    plan,
    clip_norms.FixedClip(clip_norm),
    server_noise.TreeNoise(
      multiplier, request.restart_rounds, unrestarted_rounds=rounds
    ),
    f'a binary tree of Gaussian noise of multiplier {multiplier:.4g} a node, '
    f'on sums of updates clipped to norm {clip_norm:g}',
    float(variance),
  )


def _banded(request: Request) -> Prepared:
  rounds = request.program.rounds
  separation = request.participation.separation
  bands = request.num_bands or min(separation, rounds)
  if bands == 1:
    raise flag_groups.FlagError(
      'Expected at least 2 bands for dp_ftrl_banded, found 1, which is '
      'independent noise: a client can come back after '
      f'{separation} round(s); draw cohorts by --participation=cyclic, smaller '
      'ones or out of more clients.'
    )
  plan = request.plan(correlated.BandedMatrixFactorization(1.0, bands))
  clip_norm, multiplier = _clip_norm(request, 1.0), plan.mechanism.noise
  strategy = strategy_cache.optimal_strategy(
    rounds, bands, separation, request.strategies
  )
  return _central(
    request,
    plan,
    clip_norms.FixedClip(clip_norm),
    server_noise.BandedNoise(multiplier, strategy),
    f'Gaussian noise of multiplier {multiplier:.4g}, correlated over {bands} '
    f'bands, on sums of updates clipped to norm {clip_norm:g}',
    float(prefix_sum_error.banded(strategy)[-1]),
  )


def _central(
  request: Request,
  plan: accounting.Plan,
  clipping: clip_norms.FixedClip | clip_norms.AdaptiveClip,
  noise: server_noise.ServerNoise,
  words: str,
  prefix_variance: float | None = None,
) -> Prepared:
  """Args as named; `prefix_variance` that of all rounds' unit noise."""
  clients = request.participation.clients_per_round
  multiplier, size = plan.mechanism.noise, request.num_coordinates
  terms = _terms(request, plan)
  signal = clients / (multiplier * math.sqrt(size))
  if prefix_variance is None:
    weak_privacy.check_cohort(
      multiplier, clients, size, request.allow_weak_privacy
    )
    of = 'one round'
  else:
    signal *= request.program.rounds / math.sqrt(prefix_variance)
    of = 'all rounds together'
  factory = central_dp.CentralDpFactory(clipping, noise, clients)
  factory.check_rounds(request.program.rounds)
  return Prepared(factory, _with(request, terms), words, signal, of)


def _local(request: Request) -> Prepared:
  is_laplace = request.local_noise == 'laplace'
  size = request.num_coordinates
  plan = request.plan(
    local.LocalLaplace(1.0, size) if is_laplace else local.LocalGaussian(1.0)
  )
  clip_norm, multiplier = _clip_norm(request, 1.0), plan.mechanism.noise
  clients = request.participation.clients_per_round
  terms = _terms(request, plan)
  stddev = multiplier * (math.sqrt(2.0) if is_laplace else 1.0)
  weak_privacy.check_reports(stddev, clients, size, request.allow_weak_privacy)
  norm = 'L1 norm' if is_laplace else 'norm'
  return Prepared(
    local_dp.LocalDpFactory(
      clip_norm, multiplier, clients, request.local_noise
    ),
    _with(request, terms),
    f'{request.local_noise.capitalize()} noise of multiplier {multiplier:.4g} '
    f'on every single update, clipped to {norm} {clip_norm:g}',
    math.sqrt(clients / size) / stddev,
  )


def _distributed(request: Request) -> Prepared:
  clients = request.participation.clients_per_round
  setting = distributed_plan.Setting(
    kind=request.distributed_noise,
    participation=request.participation,
    num_rounds=request.program.rounds,
    num_parameters=request.num_coordinates,
    clip_norm=_clip_norm(request, 1.0),
    bits=request.bits_per_coordinate,
    tolerated_dropout=request.tolerated_dropout,
    num_colluding=math.floor(request.tolerated_corrupted * clients),
    secret_cohort=_secret(request, False),
    limits=request.limits,
  )
  if request.epsilon is None:
    found = distributed_plan.with_noise(
      setting, request.noise_multiplier or 0.0
    )
  else:
    found = distributed_plan.within(
      setting, request.epsilon, request.target_delta
    )
  config = found.config
  terms = _terms(
    request,
    found.plan,
    request.tolerated_dropout,
    () if request.masked else (_IN_THE_CLEAR,),
  )
  # Of the sum of all shares, more than of those that are counted on.
  multiplier = config.noise_multiplier * math.sqrt(
    clients / config.num_contributors
  )
  weak_privacy.check_cohort(
    multiplier, clients, request.num_coordinates, request.allow_weak_privacy
  )
  kind = request.distributed_noise.replace('_', ' ')
  return Prepared(
    distributed_dp.DistributedDpFactory(config),
    _with(request, terms),
    f'shares of {kind} noise, together of multiplier '
    f'{config.noise_multiplier:.4g} if {config.num_contributors} clients are '
    f'left, on updates clipped to norm {config.clip_norm:g}, in sums of '
    f'{config.bits} bits a coordinate, which wrap around with a probability of '
    f'at most {config.wrap_around_probability:g} a round',
    clients / (multiplier * math.sqrt(request.num_coordinates)),
  )


PRIVATE_AGGREGATORS: dict[str, PrivateAggregator] = {
  'dp_fixed': PrivateAggregator(
    'private: clipped at a fixed norm, Gaussian noise of the server',
    'poisson',
    _fixed,
  ),
  'dp_adaptive': PrivateAggregator(
    'private: clipped at a quantile of the norms, Gaussian noise of the server',
    'poisson',
    _adaptive,
  ),
  'dp_ftrl_tree': PrivateAggregator(
    'private: noise of the server from a binary tree, no sampling needed',
    'cyclic',
    _tree,
  ),
  'dp_ftrl_banded': PrivateAggregator(
    'private: noise of the server correlated by a banded matrix, no sampling '
    'needed',
    'cyclic',
    _banded,
  ),
  'distributed_dp': PrivateAggregator(
    'private: integer noise of the clients under secure aggregation, the '
    'server sees noisy sums only',
    'cyclic',
    _distributed,
    plain_updates=False,
  ),
  'local_dp': PrivateAggregator(
    'private: every client adds noise of its own, nobody is trusted',
    'cyclic',
    _local,
    plain_updates=False,
  ),
}


def _secret(request: Request, usual: bool) -> bool:
  return usual if request.secret_cohort is None else request.secret_cohort


def _clip_norm(request: Request, usual: float) -> float:
  return usual if request.clip_norm is None else request.clip_norm


def _terms(
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


def _with(
  request: Request, terms: privacy_log.PrivacyTerms
) -> training.TrainingProgram:
  return dataclasses.replace(request.program, privacy=terms)
