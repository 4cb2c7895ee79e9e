import numpy as np
import pytest
from scipy import special, stats

from tff_pipelines.privacy import (
  canaries,
  canary_simulation,
  error_rates,
  gaussian_conversion,
  one_run_audit,
)


def _cosines(included, noise, d, seed):
  weights = included[None, :].astype(float)
  return canary_simulation.simulate(weights, noise, d, seed=seed)[0]


@pytest.mark.parametrize('r,v', [(10, 10), (20, 17), (300, 250), (6, 0)])
@pytest.mark.parametrize('epsilon', [0.0, 0.7, 2.0])
@pytest.mark.parametrize('delta', [0.0, 1e-6, 1e-3])
def test_chance_is_the_theorems(r, v, epsilon, delta, m=1000):
  chance = special.expit(epsilon)
  masses = stats.binom.pmf(np.arange(r + 1), r, chance)
  most = max(
    [np.sum(masses[v - i : v]) / i for i in range(1, v + 1)], default=0.0
  )
  expected = min(1.0, np.sum(masses[v:]) + 2 * m * delta * most)
  found = one_run_audit.chance_of_guesses(m, r, v, epsilon, delta)
  assert found == pytest.approx(expected, rel=1e-9, abs=1e-14)


def test_chance_grows_with_epsilon_and_falls_with_right_guesses():
  by_epsilon = [
    one_run_audit.chance_of_guesses(100, 50, 40, e, 1e-5)
    for e in np.linspace(0, 6, 50)
  ]
  assert all(np.diff(by_epsilon) >= 0)
  by_right = [
    one_run_audit.chance_of_guesses(100, 50, v, 1.0, 1e-5) for v in range(51)
  ]
  assert all(np.diff(by_right) <= 1e-15)


def test_randomized_response_is_the_worst_case(epsilon=1.0, runs=400, m=200):
  rng = np.random.default_rng(0)
  above = 0
  for _ in range(runs):
    included = rng.integers(0, 2, m).astype(bool)
    told = included ^ (rng.uniform(size=m) > special.expit(epsilon))
    statistics = told + 1e-3 * rng.uniform(size=m)
    bound = one_run_audit.guesses_bound(
      statistics, included, 0.0, 0.9, num_guesses=[100]
    )
    above += bound.epsilon > epsilon
  # Exact but for whole numbers: 13 % at most, not far below 10 %.
  assert above <= stats.binom.isf(1e-6, runs, 0.1)
  assert above >= stats.binom.ppf(1e-6, runs, 0.05)


@pytest.mark.parametrize('noise,d', [(1.0, 2), (1.0, 30), (0.541, 10**6)])
def test_bound_holds_where_canaries_are_not_independent(noise, d, runs=200):
  # In 2 dimensions 100 canaries share everything.
  epsilon = gaussian_conversion.epsilon_of(1 / noise, 1e-5)
  rng = np.random.default_rng(0)
  above = 0
  for seed in range(runs):
    included = rng.integers(0, 2, 100).astype(bool)
    bound = one_run_audit.guesses_bound(
      _cosines(included, noise, d, seed), included, 1e-5, 0.9
    )
    above += bound.epsilon > epsilon
  assert above <= stats.binom.isf(1e-6, runs, 0.1)


def test_no_noise_is_found():
  included = canaries.Canaries(1, 600, 10).coins()
  cosines = _cosines(included, 0.01, 10**6, seed=0)
  bound = one_run_audit.guesses_bound(cosines, included, 1e-6)
  # All of 300 right: 300 log(1 + e^-epsilon) = log(1 / 0.0167), as three
  # numbers of guesses share 5 %; delta takes a little.
  assert bound.epsilon == pytest.approx(np.log(300 / np.log(60)), abs=0.05)


def test_half_of_the_noise_is_found_with_enough_canaries(m=60_000):
  claimed = gaussian_conversion.epsilon_of(1 / 1.54, 1e-6)
  rng = np.random.default_rng(0)
  included = rng.integers(0, 2, m).astype(bool)
  # The cosines, in the limit of many dimensions, in units of d^-1/2.
  statistics = rng.normal(size=m) + included / (1.54 / 2)
  bound = one_run_audit.guesses_bound(statistics, included, 1e-6)
  assert bound.epsilon > claimed


def test_guesses_without_knowledge_bound_nothing():
  rng = np.random.default_rng(0)
  included = rng.integers(0, 2, 500).astype(bool)
  bound = one_run_audit.guesses_bound(
    rng.normal(size=500), included, 1e-6, 1 - 1e-6
  )
  assert bound.epsilon == 0.0
  assert bound.method == 'guesses' and bound.confidence == 1 - 1e-6


def test_large_delta_excuses_everything():
  included = np.arange(20) < 10
  bound = one_run_audit.guesses_bound(1.0 * included, included, 0.5)
  assert bound.epsilon == 0.0


def test_refusals():
  error = error_rates.AuditError
  some, coins = np.arange(16.0), np.arange(16) > 7
  with pytest.raises(error, match='at least 16 statistics'):
    one_run_audit.guesses_bound(some[:15], coins[:15], 0.0)
  with pytest.raises(error, match=r'Expected 16 coins, found shape \(15,\)'):
    one_run_audit.guesses_bound(some, coins[:15], 0.0)
  with pytest.raises(error, match='delta from 0 to below 1'):
    one_run_audit.guesses_bound(some, coins, 1.0)
  with pytest.raises(error, match='confidence between 0 and 1'):
    one_run_audit.guesses_bound(some, coins, 0.0, 0.0)
  for guesses in ([], [3], [0], [18], [4, 5]):
    with pytest.raises(error, match='even numbers of guesses from 2 to 16'):
      one_run_audit.guesses_bound(some, coins, 0.0, num_guesses=guesses)
