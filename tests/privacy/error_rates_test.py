import math

import numpy as np
import pytest
from scipy import special, stats

from tff_pipelines.privacy import error_rates, gaussian_conversion


@pytest.mark.parametrize('epsilon', [0.1, 1.0, 8.0])
def test_randomized_response_is_read_exactly(epsilon):
  tpr, fpr = special.expit(epsilon), special.expit(-epsilon)
  assert error_rates.epsilon_lower(tpr, fpr, 0.0) == pytest.approx(epsilon)


@pytest.mark.parametrize('epsilon,delta', [(1.0, 0.01), (3.0, 0.2)])
def test_the_worst_mechanism_of_epsilon_and_delta_is_read_exactly(
  epsilon, delta
):
  # With probability delta it tells all, else it is randomized response.
  tpr = delta + (1 - delta) * special.expit(epsilon)
  fpr = (1 - delta) * special.expit(-epsilon)
  found = error_rates.epsilon_lower(tpr, fpr, delta)
  assert found == pytest.approx(epsilon)
  # And the test that is right most often is right as often as the limit.
  accuracy = (tpr + 1 - fpr) / 2
  assert accuracy == pytest.approx(error_rates.accuracy_limit(epsilon, delta))


@pytest.mark.parametrize('mu', [0.237, 1.0, 1.85])
@pytest.mark.parametrize('delta', [1e-6, 1e-2])
def test_no_threshold_beats_the_gaussians_epsilon_and_one_meets_it(mu, delta):
  epsilon = gaussian_conversion.epsilon_of(mu, delta)
  found = [
    error_rates.epsilon_lower(special.ndtr(mu - t), special.ndtr(-t), delta)
    for t in np.linspace(-9, 9, 20_001)
  ]
  assert epsilon - 1e-4 < max(found) <= epsilon + 1e-9
  assert error_rates.accuracy_limit(epsilon, delta) >= special.ndtr(mu / 2)


@pytest.mark.parametrize('threshold', [-3.0, 0.0, 1.0, 6.0])
def test_every_threshold_reads_mu_of_a_gaussian(threshold, mu=1.3):
  tpr, fpr = special.ndtr(mu - threshold), special.ndtr(-threshold)
  assert error_rates.mu_lower(tpr, fpr) == pytest.approx(mu, rel=1e-9)


def test_rates_without_information():
  assert error_rates.epsilon_lower(0.3, 0.3, 0.0) == pytest.approx(0.0)
  assert error_rates.epsilon_lower(0.0, 0.5, 1e-6) == 0.0
  for rate in (0.0, 0.4, 1.0):
    assert error_rates.mu_lower(rate, rate) == 0.0
  assert error_rates.mu_lower(0.1, 0.2) == 0.0


def test_rates_that_no_epsilon_allows():
  assert error_rates.epsilon_lower(0.5, 0.0, 0.1) == math.inf
  assert error_rates.epsilon_lower(1.0, 0.5, 0.1) == math.inf
  assert error_rates.mu_lower(1.0, 0.5) == math.inf
  # Within delta nothing is excluded.
  assert error_rates.epsilon_lower(0.1, 0.0, 0.1) == 0.0


@pytest.mark.parametrize('trials', [1, 7, 20])
def test_intervals_are_scipys(trials):
  for successes in range(trials + 1):
    found = error_rates.interval(successes, trials, 0.9)
    expected = stats.binomtest(successes, trials).proportion_ci(0.9)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize('trials', [5, 30])
def test_intervals_hold_the_rate_as_often_as_they_say(trials, confidence=0.9):
  bounds = np.array(
    [error_rates.interval(x, trials, confidence) for x in range(trials + 1)]
  )
  lower = [
    error_rates.lower_rate(x, trials, confidence) for x in range(trials + 1)
  ]
  for rate in np.linspace(0.0, 1.0, 201):
    masses = stats.binom.pmf(np.arange(trials + 1), trials, rate)
    inside = (bounds[:, 0] <= rate) & (rate <= bounds[:, 1])
    assert np.sum(masses[inside]) >= confidence - 1e-12
    assert np.sum(masses[np.array(lower) <= rate]) >= confidence - 1e-12


def test_one_sided_bounds_solve_their_equations():
  low = error_rates.lower_rate(3, 40, 0.95)
  assert stats.binom.sf(2, 40, low) == pytest.approx(0.05)
  high = error_rates.upper_rate(3, 40, 0.95)
  assert stats.binom.cdf(3, 40, high) == pytest.approx(0.05)
  assert error_rates.lower_rate(0, 40, 0.95) == 0.0
  assert error_rates.upper_rate(40, 40, 0.95) == 1.0
  # "The rule of three."
  assert error_rates.upper_rate(0, 1000, 0.95) == pytest.approx(3e-3, rel=4e-3)


def test_bounds_are_plain_values_and_sentences():
  bound = error_rates.LowerBound(1.5, 1e-6, 0.95, 'threshold', ('One.',))
  assert bound.to_json() == {
    'epsilon': 1.5,
    'delta': 1e-6,
    'confidence': 0.95,
    'method': 'threshold',
    'assumptions': ['One.'],
  }
  assert str(bound) == (
    'epsilon at least 1.5 at delta 1e-06 (0.95 confidence, threshold)'
  )


def test_bounds_contradict_smaller_epsilons_at_no_larger_deltas():
  bound = error_rates.LowerBound(1.5, 1e-6, 0.95, 'threshold', ())
  assert bound.contradicts(1.4, 1e-6)
  assert bound.contradicts(1.4, 1e-9)
  assert not bound.contradicts(1.5, 1e-6)
  assert not bound.contradicts(1.4, 1e-5)


def _all_tests(p, q):
  """(P(S), Q(S)) of every set S of outcomes."""
  sets = (np.arange(2 ** len(p))[:, None] >> np.arange(len(p))) & 1
  return np.clip(sets @ p, 0.0, 1.0), np.clip(sets @ q, 0.0, 1.0)


def _epsilon_by_definition(p, q, delta):
  """The least epsilon with P(S) <= e^epsilon Q(S) + delta both ways."""
  low, high = 0.0, 50.0
  for _ in range(100):
    middle = (low + high) / 2
    divergence = max(
      np.sum(np.maximum(p - np.exp(middle) * q, 0.0)),
      np.sum(np.maximum(q - np.exp(middle) * p, 0.0)),
    )
    low, high = (middle, high) if divergence > delta else (low, middle)
  return high


@pytest.mark.parametrize('delta', [0.0, 0.01, 0.1])
@pytest.mark.parametrize('seed', range(8))
def test_every_test_of_every_mechanism_is_within_its_epsilon(seed, delta):
  # Random pairs of distributions on 8 outcomes, all 256 tests of them; the best
  # one reads the epsilon itself.
  rng = np.random.default_rng(seed)
  p, q = rng.dirichlet(np.ones(8), size=2)
  epsilon = _epsilon_by_definition(p, q, delta)
  found = [
    error_rates.epsilon_lower(tpr, fpr, delta)
    for tpr, fpr in zip(*_all_tests(p, q), strict=True)
    if 1e-12 < fpr and tpr < 1 - 1e-12
  ]
  assert max(found) <= epsilon + 1e-9
  assert max(found) == pytest.approx(epsilon, abs=1e-6)


@pytest.mark.parametrize('delta', [0.0, 0.1])
@pytest.mark.parametrize('seed', range(4))
def test_no_test_of_any_mechanism_is_right_more_often_than_the_limit(
  seed, delta
):
  rng = np.random.default_rng(seed)
  p, q = rng.dirichlet(np.ones(8), size=2)
  tpr, fpr = _all_tests(p, q)
  limit = error_rates.accuracy_limit(_epsilon_by_definition(p, q, delta), delta)
  assert np.max(1 + tpr - fpr) / 2 <= limit + 1e-9


def test_better_rates_and_smaller_deltas_never_lower_epsilon():
  rates = np.linspace(0.01, 0.99, 25)
  table = np.array(
    [[error_rates.epsilon_lower(t, f, 0.01) for f in rates] for t in rates]
  )
  assert np.all(np.diff(table, axis=0) >= 0.0)
  assert np.all(np.diff(table, axis=1) <= 0.0)
  by_delta = [error_rates.epsilon_lower(0.8, 0.1, d) for d in rates]
  assert all(np.diff(by_delta) <= 0.0)


def test_refusals():
  error = error_rates.AuditError
  with pytest.raises(error, match='delta from 0 to below 1, found 1'):
    error_rates.epsilon_lower(0.5, 0.5, 1.0)
  with pytest.raises(error, match='delta from 0 to below 1, found -1'):
    error_rates.accuracy_limit(1.0, -1.0)
  with pytest.raises(error, match=r'rates from 0 to 1, found 1\.5 and 0'):
    error_rates.epsilon_lower(1.5, 0.0, 0.0)
  with pytest.raises(error, match=r'rates from 0 to 1, found 0\.5 and nan'):
    error_rates.mu_lower(0.5, math.nan)
  with pytest.raises(error, match='found 5 of 4'):
    error_rates.lower_rate(5, 4, 0.9)
  with pytest.raises(error, match='found 0 of 0'):
    error_rates.upper_rate(0, 0, 0.9)
  for confidence in (0.0, 1.0):
    with pytest.raises(error, match='confidence between 0 and 1'):
      error_rates.interval(1, 2, confidence)
  with pytest.raises(error, match='at least 3 scores in one dimension'):
    error_rates.finite_vector('scores', np.zeros(2), 3)
  with pytest.raises(error, match='in one dimension'):
    error_rates.finite_vector('scores', np.zeros((3, 3)), 3)
  with pytest.raises(error, match='finite scores, found 1 that are not'):
    error_rates.finite_vector('scores', np.array([0.0, math.nan]), 1)
