import json

import numpy as np
import pytest
from scipy import special, stats

from tff_pipelines.privacy import (
  error_rates,
  gaussian_conversion,
  membership_inference,
  membership_scores,
)


def test_roc_of_a_few_scores_by_hand():
  curve = membership_inference.roc([4.0, 3.0, 2.0, 2.0], [3.0, 1.0, 0.0, 0.0])
  np.testing.assert_array_equal(
    curve.thresholds, [np.inf, 4.0, 3.0, 2.0, 1.0, 0.0]
  )
  np.testing.assert_allclose(
    curve.true_positive_rates, [0.0, 0.25, 0.5, 1.0, 1.0, 1.0]
  )
  np.testing.assert_allclose(
    curve.false_positive_rates, [0.0, 0.0, 0.25, 0.25, 0.5, 1.0]
  )


def test_area_counts_pairs_and_is_that_under_the_curve():
  rng = np.random.default_rng(0)
  members, non_members = rng.integers(2, 9, 30), rng.integers(0, 7, 50)
  pairs = np.subtract.outer(members, non_members)
  expected = np.mean((pairs > 0) + 0.5 * (pairs == 0))
  found = membership_inference.auc(members, non_members)
  assert found == pytest.approx(expected)
  curve = membership_inference.roc(members, non_members)
  area = np.trapz(curve.true_positive_rates, curve.false_positive_rates)
  assert found == pytest.approx(area)


def test_a_perfect_attack():
  attack = membership_inference.evaluate(
    np.arange(2000) + 5000.0, np.arange(2000.0), 1e-5, seed=0
  )
  assert attack.auc == attack.advantage == 1.0
  assert [rate.true_positive_rate for rate in attack.rates] == [1.0, 1.0]
  # Half of each, every one right: rates within 3.7 / 1000 at 97.5 %.
  assert attack.bound.epsilon == pytest.approx(np.log(1000 / 3.69), rel=0.01)


def test_guessing():
  rng = np.random.default_rng(0)
  members, non_members = rng.normal(size=(2, 3000))
  attack = membership_inference.evaluate(
    members, non_members, 1e-5, confidence=1 - 1e-6, seed=0
  )
  # 5 standard errors, sqrt((m + n + 1) / (12 m n)): 6e-7.
  assert abs(attack.auc - 0.5) < 5 * np.sqrt(6001 / (12 * 3000**2))
  assert attack.bound.epsilon == 0.0
  for rate in attack.rates:
    assert rate.interval[0] <= rate.target <= rate.interval[1]


def test_low_rates_of_two_normals():
  rng = np.random.default_rng(1)
  members, non_members = rng.normal(2.0, 1.0, 4000), rng.normal(size=200_000)
  for target in (0.001, 0.01):
    found = membership_inference.rate_at(
      members, non_members, target, confidence=1 - 1e-6
    )
    truth = special.ndtr(2.0 + special.ndtri(target))
    assert found.target == target
    assert found.interval[0] < truth < found.interval[1]
    assert target < found.false_positive_limit < 1.6 * target
    assert np.mean(members > np.quantile(non_members, 1 - target)) == (
      pytest.approx(found.true_positive_rate, abs=2e-3)
    )


def test_threshold_lets_pass_no_more_than_asked():
  non_members = np.arange(1000.0)
  members = np.arange(980.0, 1010.0)
  one = membership_inference.rate_at(members, non_members, 0.001)
  # Above 998 is one non-member, 999, and the members 999 to 1009.
  assert one.true_positive_rate == pytest.approx(11 / 30)
  ten = membership_inference.rate_at(members, non_members, 0.01)
  assert ten.true_positive_rate == pytest.approx(20 / 30)
  # Too few to see one in a thousand: none may pass, and the limit says so.
  few = membership_inference.rate_at(members, non_members[-100:], 0.001)
  assert few.true_positive_rate == pytest.approx(10 / 30)
  assert few.false_positive_limit == pytest.approx(1 - 0.05**0.01)


def test_tied_scores_are_not_let_pass():
  found = membership_inference.rate_at(
    np.array([1.0, 1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]), 0.25
  )
  assert found.true_positive_rate == 0.25


@pytest.mark.parametrize('n,target', [(50, 0.1), (40, 0.01)])
def test_limit_of_false_positives_holds_although_chosen(n, target, runs=2000):
  rng = np.random.default_rng(0)
  held = 0
  for _ in range(runs):
    non_members = rng.uniform(size=n)
    found = membership_inference.rate_at(np.zeros(4), non_members, target, 0.9)
    threshold = np.sort(non_members)[n - 1 - int(target * n)]
    held += 1 - threshold <= found.false_positive_limit
  # It is exact for continuous scores: from both sides, false alarm 2e-6.
  low, high = stats.binom.ppf(1e-6, runs, 0.9), stats.binom.isf(1e-6, runs, 0.9)
  assert low <= held <= high


@pytest.mark.parametrize('mu,delta', [(0.5, 1e-2), (2.0, 1e-5)])
def test_bound_stays_below_epsilon(mu, delta, runs=150):
  rng = np.random.default_rng(2)
  epsilon = gaussian_conversion.epsilon_of(mu, delta)
  found = [
    membership_inference.epsilon_bound(
      rng.normal(mu, 1.0, 300),
      rng.normal(size=300),
      delta,
      confidence=0.9,
      seed=seed,
    ).epsilon
    for seed in range(runs)
  ]
  assert np.sum(np.array(found) > epsilon) <= stats.binom.isf(1e-6, runs, 0.1)
  assert np.mean(found) > 0.05 * epsilon


def test_bound_reads_the_side_where_the_attack_is_sure():
  # Half of the non-members can be told for sure, no member can.
  rng = np.random.default_rng(0)
  members = rng.uniform(1.0, 2.0, 4000)
  non_members = rng.uniform(0.0, 2.0, 4000)
  bound = membership_inference.epsilon_bound(members, non_members, 1e-5, seed=0)
  # About half over 3.7 / 2000.
  assert bound.epsilon == pytest.approx(np.log(0.48 / (3.7 / 2000)), abs=0.2)
  assert any('noise' in sentence for sentence in bound.assumptions)


def test_attack_is_plain_values():
  attack = membership_inference.evaluate(
    np.arange(9.0), np.arange(-3.0, 5.0), 1e-5, seed=0
  )
  values = json.loads(json.dumps(attack.to_json()))
  assert values['num_members'] == 9 and values['num_non_members'] == 8
  assert [rate['target'] for rate in values['rates']] == [0.001, 0.01]
  assert values['bound']['method'] == 'threshold'


@pytest.mark.parametrize('mu', [0.3, 1.5])
def test_curve_of_two_normals(mu, n=20_000):
  rng = np.random.default_rng(3)
  members, non_members = rng.normal(mu, 1.0, n), rng.normal(size=n)
  attack = membership_inference.evaluate(members, non_members, 1e-5, seed=0)
  # 5 standard errors: of an AUC at most sqrt(1 / (6 n)), of a rate 1 / (2
  # sqrt(n)); the largest of all gaps is above the gap at mu / 2.
  assert abs(attack.auc - special.ndtr(mu / np.sqrt(2))) < 5 / np.sqrt(6 * n)
  best = 2 * special.ndtr(mu / 2) - 1
  assert -5 / np.sqrt(2 * n) < attack.advantage - best < 10 / np.sqrt(2 * n)
  # Theorem 2.1 of the composition theorem, at every threshold.
  epsilon = gaussian_conversion.epsilon_of(mu, 1e-3)
  curve = membership_inference.roc(members, non_members)
  limit = np.exp(epsilon) * curve.false_positive_rates + 1e-3
  slack = 5 / np.sqrt(n) * (1 + np.exp(epsilon))
  assert np.all(curve.true_positive_rates <= limit + slack)


def test_only_the_order_of_scores_counts():
  rng = np.random.default_rng(4)
  members, non_members = rng.normal(0.5, 1.0, 400), rng.normal(size=300)
  plain = membership_inference.evaluate(members, non_members, 1e-5, seed=0)
  curved = membership_inference.evaluate(
    np.exp(members), np.exp(non_members), 1e-5, seed=0
  )
  assert plain == curved


def test_an_attack_and_its_negation():
  rng = np.random.default_rng(5)
  members, non_members = rng.normal(0.5, 1.0, 400), rng.normal(size=300)
  forth = membership_inference.auc(members, non_members)
  assert forth > 0.5
  for back in (
    membership_inference.auc(-members, -non_members),
    membership_inference.auc(non_members, members),
  ):
    assert back == pytest.approx(1 - forth)


def test_curves_rise_from_nothing_to_everything():
  rng = np.random.default_rng(6)
  curve = membership_inference.roc(rng.normal(size=70), rng.normal(size=50))
  for rates in (curve.false_positive_rates, curve.true_positive_rates):
    assert rates[0] == 0.0 and rates[-1] == 1.0
    assert np.all(np.diff(rates) >= 0.0)
  assert np.all(np.diff(curve.thresholds) < 0.0)


def test_intervals_hold_the_true_positive_rate(runs=1500):
  rng = np.random.default_rng(7)
  held = 0
  for _ in range(runs):
    non_members = rng.normal(size=100)
    found = membership_inference.rate_at(
      rng.normal(1.0, 1.0, 60), non_members, 0.05, 0.9
    )
    # The rate of the threshold that these non-members gave.
    truth = special.ndtr(1.0 - np.sort(non_members)[-6])
    held += found.interval[0] <= truth <= found.interval[1]
  assert held >= stats.binom.ppf(1e-6, runs, 0.9)


def test_who_knows_the_others_sees_more_than_who_knows_the_loss(
  runs=1000, d=30, noise_stddev=2.0
):
  # One candidate in a sum of 10 clients, in or out in each of many runs.
  rng = np.random.default_rng(8)
  took_part = np.arange(runs) % 2 == 0
  update = np.zeros(d)
  update[0] = 3.0
  others = rng.normal(size=(runs, 10, d)).sum(axis=1)
  released = others + took_part[:, None] * update
  released += noise_stddev * rng.normal(size=(runs, d))
  known = membership_scores.residual_scores(
    released, others, np.tile(update, (runs, 1)), noise_stddev
  )
  # The loss of a model that moved by the release: distance to the update.
  unknown = membership_scores.loss_scores(
    np.sum((released - update) ** 2, axis=1)
  )
  attacks = [
    membership_inference.evaluate(s[took_part], s[~took_part], 1e-5, seed=0)
    for s in (unknown, known)
  ]
  assert attacks[0].auc + 0.05 < attacks[1].auc
  mu = 3.0 / noise_stddev
  # 5 standard errors of an AUC of 500 and 500.
  best = special.ndtr(mu / np.sqrt(2))
  assert abs(attacks[1].auc - best) < 5 / np.sqrt(6 * 500)
  epsilon = gaussian_conversion.epsilon_of(mu, 1e-5)
  assert 0.0 < attacks[1].bound.epsilon < epsilon


def test_refusals():
  error = error_rates.AuditError
  four = np.arange(4.0)
  with pytest.raises(error, match='at least 4 scores of members'):
    membership_inference.auc(four[:3], four)
  with pytest.raises(error, match='at least 4 scores of non-members'):
    membership_inference.roc(four, four[:3])
  with pytest.raises(error, match='finite scores of members, found 1'):
    membership_inference.roc(np.array([0.0, 1.0, 2.0, np.nan]), four)
  for target in (0.0, 1.0):
    with pytest.raises(error, match='false-positive rate between 0 and 1'):
      membership_inference.rate_at(four, four, target)
  for attempt in (
    lambda: membership_inference.rate_at(four, four, 0.5, 1.0),
    lambda: membership_inference.epsilon_bound(
      four, four, 0.0, confidence=0.0, seed=0
    ),
  ):
    with pytest.raises(error, match='confidence between 0 and 1'):
      attempt()
  with pytest.raises(error, match='delta from 0 to below 1'):
    membership_inference.epsilon_bound(four, four, 1.0, seed=0)
