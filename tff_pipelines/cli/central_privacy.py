"""Private aggregators whose noise is the server's: which and how much of it."""

import dataclasses
import math

from tff_pipelines.aggregators import central_dp, clip_norms, server_noise
from tff_pipelines.cli import flag_groups, private_request
from tff_pipelines.numerics import prefix_sum_error, strategy_cache
from tff_pipelines.privacy import accounting, central, correlated, weak_privacy

# Of the budget, at most, that the count of an adaptive clip spends.
_COUNT_SHARE = 0.1


def fixed(request: private_request.Request) -> private_request.Prepared:
  """Prepares a fixed clip and independent Gaussian noise."""
  plan = request.plan(
    central.Gaussian(1.0), private_request.secret(request, True)
  )
  clip_norm = private_request.clip_norm(request, 1.0)
  multiplier = plan.mechanism.noise
  return _central(
    request,
    plan,
    clip_norms.FixedClip(clip_norm),
    server_noise.IndependentNoise(multiplier),
    f'Gaussian noise of multiplier {multiplier:.4g} on the sum of updates '
    f'clipped to norm {clip_norm:g}',
  )


def adaptive(request: private_request.Request) -> private_request.Prepared:
  """Prepares an adaptive clip, whose count has noise of its own."""
  whole = request.plan(
    central.Gaussian(1.0), private_request.secret(request, True)
  )
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
  initial, multiplier = (
    private_request.clip_norm(request, 0.1),
    plan.mechanism.noise,
  )
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


def tree(request: private_request.Request) -> private_request.Prepared:
  """Prepares noise from a binary tree (DP-FTRL)."""
  rounds = request.program.rounds
  plan = request.plan(
    correlated.TreeAggregation(1.0, request.restart_rounds, 'honaker')
  )
  clip_norm, multiplier = (
    private_request.clip_norm(request, 1.0),
    plan.mechanism.noise,
  )
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


def banded(request: private_request.Request) -> private_request.Prepared:
  """Prepares noise correlated by a banded matrix.

  Raises:
    FlagError: If clients come back too soon for two bands.
  """
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
  clip_norm, multiplier = (
    private_request.clip_norm(request, 1.0),
    plan.mechanism.noise,
  )
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
  request: private_request.Request,
  plan: accounting.Plan,
  clipping: clip_norms.FixedClip | clip_norms.AdaptiveClip,
  noise: server_noise.ServerNoise,
  words: str,
  prefix_variance: float | None = None,
) -> private_request.Prepared:
  """Args as named; `prefix_variance` that of all rounds' unit noise."""
  clients = request.participation.clients_per_round
  multiplier, size = plan.mechanism.noise, request.num_coordinates
  terms = private_request.terms_of(request, plan)
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
  return private_request.Prepared(
    factory, private_request.with_terms(request, terms), words, signal, of
  )
