import dataclasses

import pytest

from tff_pipelines.core import participation as participation_lib
from tff_pipelines.privacy import (
  accounting,
  calibration,
  central,
  contributions,
  correlated,
  distributed,
  local,
)

_EVERYONE = participation_lib.Participation(100, 100, 'everyone')
_POISSON = participation_lib.Participation(3383, 120, 'poisson')


def _epsilon(plan, delta=1e-5):
  return accounting.planned(plan, delta).epsilon


@pytest.mark.parametrize(
  'mechanism',
  [
    central.Gaussian(1.0),
    central.Gaussian(1e-3),
    central.Gaussian(1e5),
    central.Laplace(1.0),
    central.Geometric(1.0),
    correlated.TreeAggregation(1.0, 4),
    correlated.BandedMatrixFactorization(1.0, 4),
    distributed.DistributedSkellam(10.0, 100.0, 64),
    distributed.DistributedDiscreteGaussian(10.0, 100.0, 64),
    local.RandomizedResponse(0.5, 4),
    local.LocalGaussian(1.0),
  ],
  ids=lambda m: m.kind,
)
def test_noise_keeps_the_target_and_no_less_does(mechanism):
  plan = accounting.Plan(mechanism, _EVERYONE, 6)
  found = calibration.noise_for(plan, 2.0, 1e-5, relative_tolerance=1e-2)
  assert _epsilon(found) <= 2.0
  less = found.mechanism.with_noise(found.mechanism.noise / 1.02)
  assert _epsilon(dataclasses.replace(found, mechanism=less)) > 2.0
  assert found.num_rounds == plan.num_rounds


def test_sampled_noise_both_ways():
  plan = accounting.Plan(central.Gaussian(1.2), _POISSON, 100, True)
  target = _epsilon(plan)
  start = dataclasses.replace(plan, mechanism=central.Gaussian(1.0))
  found = calibration.noise_for(start, target, 1e-5, relative_tolerance=1e-3)
  assert found.mechanism.noise_multiplier == pytest.approx(1.2, rel=1e-3)


def test_most_rounds_of_the_tutorial():
  plan = accounting.Plan(central.Gaussian(1.2), _POISSON, 100, True)
  found = calibration.rounds_for(plan, 2.0, 1e-5)
  assert _epsilon(found) <= 2.0
  more = dataclasses.replace(found, num_rounds=found.num_rounds + 1)
  assert _epsilon(more) > 2.0
  assert found.num_rounds > 100


def test_limited_participation_allows_any_number_of_rounds():
  limits = contributions.ContributionLimits(1)
  plan = accounting.Plan(central.Gaussian(4.0), _EVERYONE, 5, limits=limits)
  found = calibration.rounds_for(plan, 2.0, 1e-5, max_rounds=300)
  assert found.num_rounds == 300


def test_too_little_noise_for_a_round_is_refused():
  plan = accounting.Plan(central.Gaussian(0.1), _EVERYONE, 5)
  with pytest.raises(calibration.CalibrationError, match='at least one round'):
    calibration.rounds_for(plan, 1.0, 1e-5)


def test_unreachable_targets_are_refused():
  plan = accounting.Plan(
    correlated.TreeAggregation(1.0), _EVERYONE, 5, num_contributors=100
  )
  with pytest.raises(calibration.CalibrationError, match='found none up to'):
    calibration.noise_for(plan, 1e-300, 1e-300)


def test_targets_that_need_no_noise_are_refused():
  plan = accounting.Plan(
    central.Gaussian(1.0), _EVERYONE, 5, num_contributors=0
  )
  with pytest.raises(calibration.CalibrationError, match='no client takes'):
    calibration.noise_for(plan, 1.0, 1e-5)


@pytest.mark.parametrize('epsilon', [0.0, -1.0, float('inf')])
def test_impossible_targets_are_refused(epsilon):
  plan = accounting.Plan(central.Gaussian(1.0), _EVERYONE, 5)
  for calibrate in (calibration.noise_for, calibration.rounds_for):
    with pytest.raises(calibration.CalibrationError, match='above 0 as target'):
      calibrate(plan, epsilon, 1e-5)
