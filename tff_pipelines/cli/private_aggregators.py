"""Private aggregators by name: from what is asked for to noise and guarantee.

Each row calibrates its mechanism to the target, checks that the result promises
and learns something, and gives the factory together with the terms that the
ledger keeps. All weight clients alike.
"""

from collections.abc import Callable
import dataclasses
import math

from tff_pipelines.aggregators import distributed_dp, local_dp
from tff_pipelines.cli import central_privacy, private_request
from tff_pipelines.cli import distributed_dp as distributed_plan
from tff_pipelines.core import participation as participation_lib
from tff_pipelines.privacy import local, weak_privacy

_IN_THE_CLEAR = (
  'In this simulation sums were taken in the clear (--secure_sum=insecure), '
  'which protects nobody; a deployment has to sum securely.'
)


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
  prepare: Callable[[private_request.Request], private_request.Prepared]
  plain_updates: bool = True


def _local(request: private_request.Request) -> private_request.Prepared:
  is_laplace = request.local_noise == 'laplace'
  size = request.num_coordinates
  plan = request.plan(
    local.LocalLaplace(1.0, size) if is_laplace else local.LocalGaussian(1.0)
  )
  clip_norm, multiplier = (
    private_request.clip_norm(request, 1.0),
    plan.mechanism.noise,
  )
  clients = request.participation.clients_per_round
  terms = private_request.terms_of(request, plan)
  stddev = multiplier * (math.sqrt(2.0) if is_laplace else 1.0)
  weak_privacy.check_reports(stddev, clients, size, request.allow_weak_privacy)
  norm = 'L1 norm' if is_laplace else 'norm'
  return private_request.Prepared(
    local_dp.LocalDpFactory(
      clip_norm, multiplier, clients, request.local_noise
    ),
    private_request.with_terms(request, terms),
    f'{request.local_noise.capitalize()} noise of multiplier {multiplier:.4g} '
    f'on every single update, clipped to {norm} {clip_norm:g}',
    math.sqrt(clients / size) / stddev,
  )


def _distributed(request: private_request.Request) -> private_request.Prepared:
  clients = request.participation.clients_per_round
  setting = distributed_plan.Setting(
    kind=request.distributed_noise,
    participation=request.participation,
    num_rounds=request.program.rounds,
    num_parameters=request.num_coordinates,
    clip_norm=private_request.clip_norm(request, 1.0),
    bits=request.bits_per_coordinate,
    tolerated_dropout=request.tolerated_dropout,
    num_colluding=math.floor(request.tolerated_corrupted * clients),
    secret_cohort=private_request.secret(request, False),
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
  terms = private_request.terms_of(
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
  return private_request.Prepared(
    distributed_dp.DistributedDpFactory(config),
    private_request.with_terms(request, terms),
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
    central_privacy.fixed,
  ),
  'dp_adaptive': PrivateAggregator(
    'private: clipped at a quantile of the norms, Gaussian noise of the server',
    'poisson',
    central_privacy.adaptive,
  ),
  'dp_ftrl_tree': PrivateAggregator(
    'private: noise of the server from a binary tree, no sampling needed',
    'cyclic',
    central_privacy.tree,
  ),
  'dp_ftrl_banded': PrivateAggregator(
    'private: noise of the server correlated by a banded matrix, no sampling '
    'needed',
    'cyclic',
    central_privacy.banded,
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
