"""Planned distributed noise keeps its target, and says what it cannot keep."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import composition, distributed_dp
from tff_pipelines.cli import distributed_dp as planning
from tff_pipelines.core import participation as participation_lib
from tff_pipelines.numerics import distributed_scale
from tff_pipelines.privacy import (
  accounting,
  calibration,
  central,
  contributions,
  distributed,
)

DELTA = 1e-5
KINDS = ('discrete_gaussian', 'skellam')


def setting(**options) -> planning.Setting:
  chosen = {
    'kind': 'skellam',
    'participation': participation_lib.Participation(1000, 50),
    'num_rounds': 20,
    'num_parameters': 1000,
    'clip_norm': 0.5,
  }
  return planning.Setting(**(chosen | options))


def epsilon(plan: accounting.Plan) -> float:
  return accounting.planned(plan, DELTA).epsilon


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(
  'options',
  [{}, {'tolerated_dropout': 0.2}, {'bits': 12}, {'num_colluding': 10}],
  ids=str,
)
def test_the_noise_keeps_the_target_and_no_less_does(kind, options):
  wanted = setting(kind=kind, **options)
  found = planning.within(wanted, 8.0, DELTA, relative_tolerance=1e-2)
  assert epsilon(found.plan) <= 8.0
  less = planning.with_noise(wanted, found.config.noise_multiplier / 1.02)
  assert epsilon(less.plan) > 8.0


@pytest.mark.parametrize('kind', KINDS)
def test_a_fine_scale_needs_nearly_the_noise_of_the_central_gaussian(kind):
  wanted = setting(kind=kind, bits=24)
  found = planning.within(wanted, 8.0, DELTA)
  gaussian = calibration.noise_for(
    accounting.Plan(central.Gaussian(1.0), wanted.participation, 20), 8.0, DELTA
  ).mechanism.noise_multiplier
  # The rest is what Renyi's conversion loses against the exact one.
  assert 1.0 <= found.config.noise_multiplier / gaussian < 1.08


def test_aggregator_scale_and_mechanism_tell_the_same():
  found = planning.within(setting(tolerated_dropout=0.1), 8.0, DELTA)
  config, mechanism = found.config, found.mechanism
  assert found.scale == config.scale(1000)
  assert mechanism == distributed.DistributedSkellam(
    noise_stddev=found.scale.share_stddev,
    l2_sensitivity=found.scale.l2_sensitivity,
    num_coordinates=1024,
  )
  assert config.num_contributors == found.plan.num_contributors == 45
  assert config.num_clients == 50 and config.denominator == 50.0
  # The noise of 45 shares, in units of an update.
  total = math.sqrt(45) * mechanism.noise_stddev / found.scale.scale
  assert total == pytest.approx(config.noise_multiplier * config.clip_norm)
  composition.check(config.stack, 50)
  process = distributed_dp.DistributedDpFactory(config).create(
    tff.TensorType(np.float32, [1000])
  )
  tff.test.assert_not_contains_unsecure_aggregation(process.next)


def test_every_client_that_is_missing_costs_privacy():
  found = planning.within(setting(tolerated_dropout=0.1), 8.0, DELTA)
  spent = [
    epsilon(dataclasses.replace(found.plan, num_contributors=count))
    for count in (50, 45, 40, 10)
  ]
  assert spent == sorted(spent)
  assert spent[0] < 8.0 and spent[1] <= 8.0 < spent[2] < spent[3]


def test_tolerating_dropout_takes_more_noise_of_each_client():
  none, some = (
    planning.within(setting(tolerated_dropout=share), 8.0, DELTA)
    for share in (0.0, 0.3)
  )
  assert some.config.num_contributors == 35
  ratios = [
    f.mechanism.noise_stddev / f.mechanism.l2_sensitivity for f in (none, some)
  ]
  assert ratios[1] / ratios[0] == pytest.approx(math.sqrt(50 / 35), rel=0.01)


@pytest.mark.parametrize(
  ('share', 'clients', 'left'),
  [(0.0, 10, 10), (0.3, 10, 7), (0.31, 10, 6), (0.9, 10, 1), (0.99, 10, 1)],
)
def test_dropped_clients_are_rounded_up(share, clients, left):
  participation = participation_lib.Participation(100, clients)
  wanted = setting(participation=participation, tolerated_dropout=share)
  assert wanted.num_contributors == left


def test_a_secret_cohort_takes_less_noise():
  open_cohort, secret = (
    planning.within(
      setting(
        participation=participation_lib.Participation(100_000, 50),
        limits=contributions.ContributionLimits(20),
        secret_cohort=is_secret,
      ),
      8.0,
      DELTA,
      relative_tolerance=1e-2,
    )
    for is_secret in (False, True)
  )
  assert secret.plan.secret_cohort
  assert (
    secret.config.noise_multiplier < 0.7 * open_cohort.config.noise_multiplier
  )


def test_limits_are_those_that_are_accounted_for():
  once = contributions.ContributionLimits(1)
  found = planning.within(setting(limits=once), 8.0, DELTA)
  assert found.plan.limits == once
  every = planning.within(setting(), 8.0, DELTA)
  assert every.config.noise_multiplier > 2 * found.config.noise_multiplier


@pytest.mark.parametrize('kind', KINDS)
def test_too_few_bits_are_refused_with_those_that_would_do(kind):
  with pytest.raises(
    distributed_scale.TooFewBitsError, match='noise of epsilon 8 at delta 1e-05'
  ) as raised:
    planning.within(setting(kind=kind, bits=7), 8.0, DELTA)
  enough = raised.value.enough
  assert f'take at least {enough} bits' in str(raised.value)
  planning.within(setting(kind=kind, bits=enough), 8.0, DELTA)
  with pytest.raises(distributed_scale.TooFewBitsError):
    planning.within(setting(kind=kind, bits=enough - 1), 8.0, DELTA)


def test_too_few_bits_for_given_noise_are_refused():
  with pytest.raises(distributed_scale.TooFewBitsError, match='at least'):
    planning.with_noise(setting(bits=7), 1.0)


def test_poisson_cohorts_are_not_amplified():
  poisson = participation_lib.Participation(200, 50, 'poisson')
  with pytest.raises(accounting.UnaccountableError, match='fixed size'):
    planning.within(
      setting(participation=poisson, secret_cohort=True), 8.0, DELTA
    )
  found = planning.within(setting(participation=poisson), 8.0, DELTA)
  assert found.config.num_clients == 200  # The largest that may come.


@pytest.mark.parametrize('target', [0.0, -1.0, math.inf])
def test_impossible_targets_are_refused(target):
  with pytest.raises(calibration.CalibrationError, match='above 0 as target'):
    planning.within(setting(), target, DELTA)


@pytest.mark.parametrize(
  ('options', 'expected'),
  [
    ({'tolerated_dropout': 1.0}, 'tolerated_dropout of at least 0'),
    ({'tolerated_dropout': -0.1}, 'tolerated_dropout of at least 0'),
    ({'num_parameters': 0}, 'at least one parameter'),
    ({'num_colluding': 50}, 'fewer colluding clients than the 50'),
    ({'num_colluding': -1}, 'fewer colluding clients than the 50'),
  ],
)
def test_settings_that_cannot_be_are_refused(options, expected):
  with pytest.raises(planning.DistributedPlanError, match=expected):
    setting(**options)


def test_other_numbers_are_refused_by_the_scale():
  with pytest.raises(
    distributed_scale.DistributedScaleError, match='clip_norm'
  ):
    planning.within(setting(clip_norm=0.0), 8.0, DELTA)
