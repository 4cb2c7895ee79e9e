import json
import math

import numpy as np
import pytest
from scipy import special, stats

from tff_pipelines.privacy import (
  error_rates,
  gaussian_conversion,
  outlier_experiment,
)


def test_a_paired_gap_by_hand():
  without = np.array([1.0, 2.0, 3.0, 6.0])
  with_client = without + np.array([1.0, 3.0, 1.0, 3.0])
  gap = outlier_experiment.of_metric(with_client, without, paired=True)
  assert gap.mean == 2.0
  assert gap.per_seed == (1.0, 3.0, 1.0, 3.0)
  # Stddev of the gaps is sqrt(4/3), of the mean sqrt(1/3); t(3) at 97.5 %.
  reach = 3.18244631 * math.sqrt(1 / 3)
  assert gap.interval == pytest.approx((2 - reach, 2 + reach))
  # Variances: 14/3 without, (2, 5, 4, 9): 26/3 with.
  assert gap.spread == pytest.approx(math.sqrt(14 / 3))
  assert gap.effect_size == pytest.approx(2 / math.sqrt(20 / 3))


def test_an_unpaired_interval_is_welchs():
  rng = np.random.default_rng(0)
  with_client, without = rng.normal(1.0, 3.0, 9), rng.normal(size=9)
  gap = outlier_experiment.of_metric(
    with_client, without, paired=False, confidence=0.9
  )
  squares = np.var(with_client, ddof=1) / 9, np.var(without, ddof=1) / 9
  freedom = sum(squares) ** 2 / sum(square**2 / 8 for square in squares)
  reach = stats.t.isf(0.05, freedom) * math.sqrt(sum(squares))
  assert gap.interval == pytest.approx((gap.mean - reach, gap.mean + reach))


def test_the_sign_is_that_of_the_client():
  without = np.arange(10.0)
  up = outlier_experiment.of_metric(without + 5, without, paired=True)
  down = outlier_experiment.of_metric(without - 5, without, paired=True)
  assert up.mean == -down.mean == 5.0
  assert up.effect_size == -down.effect_size > 0


@pytest.mark.parametrize('paired', [True, False])
def test_intervals_hold_the_gap_as_often_as_they_say(paired, runs=1500):
  rng = np.random.default_rng(0)
  held = 0
  for _ in range(runs):
    shared = 3.0 * rng.normal(size=8) if paired else 0.0
    found = outlier_experiment.of_metric(
      0.7 + shared + rng.normal(size=8),
      shared + rng.normal(size=8),
      paired=paired,
      confidence=0.9,
      num_folds=2,
    )
    held += found.interval[0] <= 0.7 <= found.interval[1]
  # Student's is exact; Welch's within 1 %: from both sides, false alarm 2e-6.
  assert held >= stats.binom.ppf(1e-6, runs, 0.89)
  assert held <= stats.binom.isf(1e-6, runs, 0.91)


@pytest.mark.parametrize('sign', [1.0, -1.0])
def test_a_large_gap_is_always_told(sign):
  rng = np.random.default_rng(0)
  without = rng.normal(size=40)
  gap = outlier_experiment.of_metric(
    rng.normal(size=40) + 20.0 * sign, without, paired=False
  )
  assert gap.accuracy == 1.0
  assert gap.accuracy_interval == error_rates.interval(40, 40, 0.95)


def test_no_gap_is_told_by_chance(runs=300, n=20):
  rng = np.random.default_rng(0)
  found = [
    outlier_experiment.of_metric(*rng.normal(size=(2, n)), paired=False)
    for _ in range(runs)
  ]
  accuracies = [gap.accuracy for gap in found]
  # A single accuracy's stddev is at most 1/2 were all trials one; 5 standard
  # errors, and a bias of cross-validation below 0.03.
  error = np.std(accuracies) / math.sqrt(runs)
  assert abs(np.mean(accuracies) - 0.5) < 5 * error + 0.03
  held = [
    gap.accuracy_interval[0] <= 0.5 <= gap.accuracy_interval[1] for gap in found
  ]
  assert np.sum(held) >= stats.binom.ppf(1e-6, runs, 0.95)


@pytest.mark.parametrize('mu', [0.5, 2.0])
def test_private_runs_are_told_no_more_often_than_the_limit(mu, n=2000):
  rng = np.random.default_rng(0)
  gap = outlier_experiment.of_metric(
    rng.normal(mu, 1.0, n), rng.normal(size=n), paired=False
  )
  # The best threshold is right Phi(mu / 2) of the time; 5 standard errors.
  best = special.ndtr(mu / 2)
  assert abs(gap.accuracy - best) < 5 * 0.5 / math.sqrt(2 * n) + 0.01
  assert gap.accuracy_interval[0] < best < gap.accuracy_interval[1]
  epsilon = gaussian_conversion.epsilon_of(mu, 1e-6)
  limit = error_rates.accuracy_limit(epsilon, 1e-6)
  assert gap.accuracy_interval[0] < limit
  assert gap.effect_size == pytest.approx(mu, abs=0.15)


def test_runs_that_are_all_alike():
  same = np.ones(6)
  none = outlier_experiment.of_metric(same, same, paired=True)
  assert (none.mean, none.effect_size, none.spread) == (0.0, 0.0, 0.0)
  assert none.interval == (0.0, 0.0)
  assert none.accuracy == 0.5
  for paired in (True, False):
    sure = outlier_experiment.of_metric(same + 1, same, paired=paired)
    assert sure.effect_size == math.inf
    assert sure.interval == (1.0, 1.0)
    assert sure.accuracy == 1.0
    assert sure.to_json()['effect_size'] is None


def test_models_are_compared_along_a_given_direction():
  rng = np.random.default_rng(0)
  without = rng.normal(size=(8, 5))
  direction = np.array([0.0, 3.0, 0.0, 4.0, 0.0])
  with_client = without + 2.0 * direction / 5
  gap = outlier_experiment.of_model(
    with_client, without, paired=True, direction=direction
  )
  assert gap.per_seed == pytest.approx((2.0,) * 8)
  expected = np.std(without @ direction / 5, ddof=1)
  assert gap.spread == pytest.approx(expected)


def test_models_are_compared_along_the_mean_gap_of_other_seeds():
  rng = np.random.default_rng(0)
  without = rng.normal(size=(20, 1000))
  client = rng.normal(size=1000)
  client *= 30.0 / np.linalg.norm(client)
  with_client = without + client + 0.1 * rng.normal(size=(20, 1000))
  gap = outlier_experiment.of_model(with_client, without, paired=True)
  assert len(gap.per_seed) == 10
  # The direction is the client's up to 0.1 sqrt(1000 / 10) / 30 = 3 %.
  assert gap.mean == pytest.approx(30.0, rel=0.01)
  assert gap.accuracy == 1.0


def test_chance_is_no_gap_between_models(runs=400):
  rng = np.random.default_rng(0)
  held = 0
  for _ in range(runs):
    with_client, without = rng.normal(size=(2, 12, 300))
    gap = outlier_experiment.of_model(with_client, without, paired=False)
    held += gap.interval[0] <= 0.0 <= gap.interval[1]
  assert held >= stats.binom.ppf(1e-6, runs, 0.94)


def test_a_gap_is_plain_values():
  rng = np.random.default_rng(0)
  gap = outlier_experiment.of_metric(*rng.normal(size=(2, 5)), paired=False)
  values = json.loads(json.dumps(gap.to_json()))
  assert values['mean'] == gap.mean
  assert values['interval'] == list(gap.interval)
  assert values['effect_size'] == gap.effect_size
  assert len(values['per_seed']) == 5


def test_units_do_not_matter():
  rng = np.random.default_rng(1)
  with_client, without = rng.normal(0.8, 1.0, 12), rng.normal(size=12)
  plain = outlier_experiment.of_metric(with_client, without, paired=True)
  other = outlier_experiment.of_metric(
    100.0 * with_client + 7.0, 100.0 * without + 7.0, paired=True
  )
  assert other.mean == pytest.approx(100.0 * plain.mean)
  assert other.spread == pytest.approx(100.0 * plain.spread)
  assert other.effect_size == pytest.approx(plain.effect_size)
  assert other.accuracy == plain.accuracy


def test_folds_never_outnumber_seeds():
  rng = np.random.default_rng(2)
  runs = rng.normal(size=(2, 5))
  many = outlier_experiment.of_metric(*runs, paired=False, num_folds=100)
  assert many == outlier_experiment.of_metric(*runs, paired=False, num_folds=5)


def test_noise_hides_the_sweater_wearer(num_seeds=60, d=500, clip_norm=1.0):
  # One client's update is far from the others' and is clipped like theirs.
  rng = np.random.default_rng(3)
  sweater = np.zeros(d)
  sweater[0] = clip_norm
  others = rng.normal(0.0, 0.05, size=(num_seeds, d))
  bare = outlier_experiment.of_model(
    others + sweater, others, paired=True, direction=sweater
  )
  assert bare.accuracy == 1.0
  assert bare.mean == pytest.approx(1.0)
  multiplier = 4.22
  noise = multiplier * clip_norm * rng.normal(size=(2, num_seeds, d))
  private = outlier_experiment.of_model(
    others + sweater + noise[0],
    others + noise[1],
    paired=True,
    direction=sweater,
    confidence=1 - 1e-6,
  )
  epsilon = gaussian_conversion.epsilon_of(1 / multiplier, 1e-6)
  limit = error_rates.accuracy_limit(epsilon, 1e-6)
  assert private.accuracy_interval[0] < limit < 0.74
  assert private.interval[0] < 1.0 < private.interval[1]
  assert private.spread > 10 * bare.spread


def test_refusals():
  error = error_rates.AuditError
  five = np.arange(5.0)
  models = np.zeros((5, 2))
  with pytest.raises(error, match='at least 4 runs with the client'):
    outlier_experiment.of_metric(five[:3], five, paired=True)
  with pytest.raises(error, match='finite runs without the client, found 1'):
    outlier_experiment.of_metric(five, [0, 1, 2, np.nan, 4], paired=True)
  with pytest.raises(error, match='found 5 and 4'):
    outlier_experiment.of_metric(five, five[:4], paired=True)
  with pytest.raises(error, match='at least 2 folds, found 1'):
    outlier_experiment.of_metric(five, five, paired=True, num_folds=1)
  with pytest.raises(error, match='confidence between 0 and 1'):
    outlier_experiment.of_metric(five, five, paired=True, confidence=1.0)
  for other in (five, np.zeros((4, 2))):
    with pytest.raises(error, match=r'one shape \[num_seeds, d\]'):
      outlier_experiment.of_model(models, other, paired=True)
  for direction in (np.zeros(2), np.ones(3), np.array([np.inf, 0.0])):
    with pytest.raises(error, match=r'direction of shape \(2,\)'):
      outlier_experiment.of_model(
        models, models, paired=True, direction=direction
      )
