"""Unary encoding, accounted against the law of all its reports."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from tff_pipelines.core import participation
from tff_pipelines.numerics import randomized_response
from tff_pipelines.privacy import (
  accounting,
  amplification,
  calibration,
  guarantee,
  ledger,
  local,
  losses,
  mechanism,
)

_PEOPLE = participation.Participation(10, 10, 'everyone')
_BOTH = pytest.mark.parametrize('optimized', [False, True])


def _logs(built: local.UnaryEncoding, value: int) -> np.ndarray:
  """Log probabilities of all 2^k reports of a client with this value."""
  q = built.noise_probability / 2
  p = 0.5 if built.optimized else 1 - q
  return np.array(
    [
      sum(
        math.log(one if bit else 1 - one)
        for v, bit in enumerate(report)
        for one in [p if v == value else q]
      )
      for report in itertools.product((0, 1), repeat=built.num_values)
    ]
  )


def _epsilon(built, delta, num_rounds=1):
  plan = accounting.Plan(built, _PEOPLE, num_rounds)
  return accounting.planned(plan, delta).epsilon


@_BOTH
@pytest.mark.parametrize('num_values', [2, 3, 5])
@pytest.mark.parametrize('noise', [0.05, 0.5, 0.9])
def test_epsilon_is_the_largest_loss_of_all_reports(
  optimized, num_values, noise
):
  built = local.UnaryEncoding(noise, num_values, optimized=optimized)
  largest = max(
    np.max(_logs(built, one) - _logs(built, other))
    for one, other in itertools.permutations(range(num_values), 2)
  )
  assert built.report_epsilon == pytest.approx(largest, rel=1e-12)
  assert _epsilon(built, 0.0) == pytest.approx(largest, rel=1e-9)


@_BOTH
@pytest.mark.parametrize('noise', [0.05, 0.5, 0.9])
@pytest.mark.parametrize('order', [1.25, 2, 3.5, 20])
def test_renyi_divergences_are_exact(optimized, noise, order):
  built = local.UnaryEncoding(noise, 3, optimized=optimized)
  one, other = _logs(built, 0), _logs(built, 2)
  exact = np.log(np.sum(np.exp(order * one + (1 - order) * other)))
  found = built.report_loss.renyi(order)
  assert found == pytest.approx(exact / (order - 1), rel=1e-9)
  # Sharper than what is known of any mechanism of this epsilon.
  assert found < losses.Pure(built.report_epsilon).renyi(order)


@_BOTH
@pytest.mark.parametrize('noise', [0.3, 0.8])
@pytest.mark.parametrize('times', [1, 2, 4])
@pytest.mark.parametrize('share', [0.3, 0.8])
def test_composed_reports_by_enumeration(
  optimized, noise, times, share, divergence
):
  built = local.UnaryEncoding(noise, 3, optimized=optimized)
  target = share * times * built.report_epsilon
  exact = divergence(_logs(built, 0), _logs(built, 1), times, target)
  found = _epsilon(built, exact, num_rounds=times)
  # Losses of 1e-4 are rounded up; never below the truth.
  assert target - 1e-9 <= found <= target + times * 2e-4
  pure = losses.Pure(built.report_epsilon)
  composed = pure.pld(None, 1e-4).self_compose(times)
  assert found <= composed.get_epsilon_for_delta(exact) + 1e-9


def test_reports_of_a_round_compose():
  one, many = (local.UnaryEncoding(0.5, 4, count) for count in (1, 3))
  assert _epsilon(many, 0.0, 2) == pytest.approx(6 * one.report_epsilon)
  assert _epsilon(many, 1e-5, 2) == pytest.approx(_epsilon(one, 1e-5, 6))


def test_its_guarantee_trusts_nobody():
  plan = accounting.Plan(local.UnaryEncoding(0.5), _PEOPLE, 1)
  found = accounting.planned(plan, 0.0)
  assert found.trust is guarantee.Trust.NOTHING
  assert found.relation is guarantee.Relation.REPLACE


@_BOTH
@pytest.mark.parametrize('scheme', ['poisson', 'fixed_size'])
def test_sampled_losses_are_those_of_any_pure_mechanism(optimized, scheme):
  loss = local.UnaryEncoding(0.5, 3, optimized=optimized).report_loss
  sampling = amplification.Sampling(scheme, 0.1)
  pure = losses.Pure(loss.epsilon)
  for epsilon in (0.0, 0.1):
    assert loss.pld(sampling, 1e-3).get_delta_for_epsilon(epsilon) == pure.pld(
      sampling, 1e-3
    ).get_delta_for_epsilon(epsilon)


@_BOTH
def test_only_noise_costs_nothing(optimized):
  built = local.UnaryEncoding(1.0, optimized=optimized)
  assert built.report_epsilon == 0.0
  assert built.report_loss.renyi(2.0) == pytest.approx(0.0, abs=1e-15)
  assert _epsilon(built, 1e-5, 3) == pytest.approx(0.0, abs=1e-3)


@_BOTH
def test_calibration_finds_its_noise(optimized):
  built = local.UnaryEncoding(0.5, 5, optimized=optimized)
  plan = accounting.Plan(built, _PEOPLE, 6)
  found = calibration.noise_for(plan, 2.0, 1e-5, relative_tolerance=1e-2)
  assert _epsilon(found.mechanism, 1e-5, 6) <= 2.0
  assert found.mechanism.optimized is optimized
  less = found.mechanism.with_noise(found.mechanism.noise / 1.02)
  assert _epsilon(less, 1e-5, 6) > 2.0


@_BOTH
def test_it_is_read_back_exactly(optimized):
  built = local.UnaryEncoding(1 / 3, 7, 2, optimized)
  assert mechanism.from_json(built.to_json()) == built
  record = ledger.Record(1, built, _PEOPLE, 10)
  again = ledger.Ledger.from_json(ledger.Ledger([record]).to_json())
  assert again.records[0].mechanism == built


@pytest.mark.parametrize('epsilon', [0.1, 1.0, 6.0])
def test_the_randomizers_that_run_are_those_accounted_for(epsilon):
  for method, kind, options in (
    ('randomized_response', local.RandomizedResponse, {}),
    ('unary', local.UnaryEncoding, {}),
    ('optimized_unary', local.UnaryEncoding, {'optimized': True}),
  ):
    runs = randomized_response.for_epsilon(method, 5, epsilon)
    told = kind(runs.noise_probability, runs.num_values, **options)
    assert told.report_epsilon == pytest.approx(runs.epsilon, rel=1e-12)
    assert told.report_epsilon == pytest.approx(epsilon, rel=1e-12)


@pytest.mark.parametrize(
  'kind', [local.UnaryEncoding, local.RandomizedResponse]
)
@pytest.mark.parametrize('probability,values', [(0.0, 2), (1.1, 2), (0.5, 1)])
def test_impossible_responses_are_refused(kind, probability, values):
  with pytest.raises(
    mechanism.MechanismError,
    match=rf'noise_probability in \(0, 1\] .* found {probability} and {values}',
  ):
    kind(probability, values)
  with pytest.raises(mechanism.MechanismError, match='num_reports of at least'):
    kind(0.5, 2, 0)


def test_it_is_data():
  built = local.UnaryEncoding(0.25, 4)
  assert dataclasses.replace(built, num_values=9) != built
  assert hash(built.report_loss) == hash(local.UnaryEncoding(0.25).report_loss)
