import math
import time

import numpy as np
import pytest
from scipy import special, stats

from tests import slow_cases
from tff_pipelines.privacy import (
  canaries,
  canary_simulation,
  error_rates,
  gaussian_conversion,
  one_shot_audit,
)

_DELTA = 1e-6
_DIMENSIONS = 10**6
_NULL = one_shot_audit.CosineNull(_DIMENSIONS)
# Noise multiplier and epsilon of the paper's section on the Gaussian mechanism.
_PUBLISHED = [(4.22, 1.0, 0.35), (1.54, 3.0, 0.25), (0.541, 10.0, 0.05)]


def _cosines(noise, k, seed, d=_DIMENSIONS):
  return canary_simulation.simulate(np.ones((1, k)), noise, d, seed=seed)[0]


def test_the_papers_epsilons_come_out():
  # Standard errors of one repetition with 1,000 canaries are 13, 5 and 1.8 % of
  # epsilon (checked below), of the mean of 8 a third of that: the tolerances
  # are at least 6 of them, so a false alarm has probability below 1e-8.
  started = time.monotonic()
  for noise, epsilon, tolerance in _PUBLISHED:
    found = [
      one_shot_audit.estimate(_cosines(noise, 1000, seed), _NULL, _DELTA)
      for seed in range(8)
    ]
    mean = np.mean([one.epsilon for one in found])
    assert abs(mean - epsilon) < tolerance * epsilon
    assert found[0].standard_error / math.sqrt(8) < tolerance * epsilon / 6
  assert time.monotonic() - started < 30.0


def test_the_papers_epsilons_come_out_of_real_vectors(k=400, d=100_000):
  them = canaries.Canaries(seed=11, num_canaries=k, num_dimensions=d)
  rng = np.random.default_rng(5)
  total = them.total()
  released = np.stack(
    [total + noise * rng.standard_normal(d) for noise, _, _ in _PUBLISHED]
  )
  null = one_shot_audit.CosineNull(d)
  rows = zip(them.cosines(released), _PUBLISHED, strict=True)
  for cosines, (noise, epsilon, _) in rows:
    found = one_shot_audit.estimate(cosines, null, _DELTA)
    # 5 standard errors (6e-7), and what k / d takes from the shift.
    assert abs(found.epsilon - epsilon) < 5 * found.standard_error + 0.1
    assert found.observed.stddev == pytest.approx(
      d**-0.5, rel=5 / math.sqrt(2 * k)
    )
    bound = one_shot_audit.gaussian_bound(cosines, null, _DELTA)
    claimed = gaussian_conversion.epsilon_of(2 / noise, _DELTA)
    assert bound.epsilon < claimed


@pytest.mark.parametrize(
  'noise,epsilon,_', slow_cases.all_but(_PUBLISHED[:1], _PUBLISHED)
)
def test_standard_error_is_the_spread_over_runs(noise, epsilon, _, runs=200):
  found = [
    one_shot_audit.estimate(_cosines(noise, 300, seed), _NULL, _DELTA)
    for seed in range(runs)
  ]
  epsilons = [one.epsilon for one in found]
  # The stddev of 200 has a standard error of 5 %; 5 of them, and 5 % for
  # epsilon's curvature.
  spread = np.std(epsilons, ddof=1)
  predicted = np.mean([one.standard_error for one in found])
  assert spread == pytest.approx(predicted, rel=0.3)
  assert abs(np.mean(epsilons) - epsilon) < 5 * spread / math.sqrt(runs) + 0.02


def test_fitted_stddevs_make_small_epsilons_large(runs=40):
  # What `Estimate` says of the paper's own estimate.
  found = [
    one_shot_audit.estimate(_cosines(4.22, 1000, seed), _NULL, _DELTA)
    for seed in range(runs)
  ]
  assert 1.2 < np.mean([one.epsilon_fitted for one in found]) < 1.5
  assert 0.9 < np.mean([one.epsilon for one in found]) < 1.1


def test_fitted_stddevs_see_what_means_do_not():
  rng = np.random.default_rng(0)
  wide = rng.normal(0.0, 2.0, 1000) / math.sqrt(_DIMENSIONS)
  found = one_shot_audit.estimate(wide, _NULL, _DELTA)
  assert found.epsilon < 1.0
  # N(0, 4) and N(0, 1): the loss 3 z^2 / 2 - log 2 at z = 4.9, and over.
  assert found.epsilon_fitted > 20.0


def test_a_shift_is_read_exactly():
  # Observed cosines of mean 1/2 and any stddev, in units of the null's.
  cosines = np.array([0.25, 0.75, 0.5]) / 10
  found = one_shot_audit.estimate(cosines, one_shot_audit.CosineNull(100), 1e-5)
  assert found.epsilon == pytest.approx(
    gaussian_conversion.epsilon_of(0.5, 1e-5)
  )
  assert found.num_canaries == 3
  assert found.unobserved.stddev == pytest.approx(0.1)
  assert found.observed.stddev == pytest.approx(0.025)


def test_several_participations_add_to_the_final_sum(k=2000, d=10**7):
  # 4 of 16 rounds, noise 2 in each: mu = 4 / (2 sqrt(16)) = 1/2.
  cosines = canary_simulation.simulate(
    np.full((1, k), 4.0), 2.0 * math.sqrt(16), d, seed=0
  )[0]
  found = one_shot_audit.estimate(cosines, one_shot_audit.CosineNull(d), _DELTA)
  expected = gaussian_conversion.epsilon_of(0.5, _DELTA)
  assert abs(found.epsilon - expected) < 5 * found.standard_error


@pytest.fixture(scope='module')
def iterates():
  """Cosines and participations of 16 rounds, each canary in 4 of them."""
  rounds, k, d = 16, 1500, 10**7
  rng = np.random.default_rng(0)
  participated = rng.permuted(
    np.tile(np.arange(rounds)[:, None] < 4, (1, k)), axis=0
  )
  # The same number again of canaries that have a schedule but took no part.
  weights = np.concatenate([participated, np.zeros_like(participated)], axis=1)
  cosines = canary_simulation.simulate(weights, 2.0, d, seed=1)
  return participated, cosines[:, :k], cosines[:, k:], d


def test_all_iterates_and_the_schedule_tell_more_than_the_final_sum(iterates):
  participated, observed, unobserved, _ = iterates
  null = one_shot_audit.SampledNull(
    one_shot_audit.sum_of_participations(unobserved, participated)
  )
  statistics = one_shot_audit.sum_of_participations(observed, participated)
  found = one_shot_audit.estimate(statistics, null, _DELTA)
  # 4 independent releases at noise 2: mu = sqrt(4) / 2 = 1. Both means have
  # an error, so 5 sqrt(2) standard errors.
  expected = gaussian_conversion.epsilon_of(1.0, _DELTA)
  assert abs(found.epsilon - expected) < 5 * math.sqrt(2) * found.standard_error
  bound = one_shot_audit.gaussian_bound(statistics, null, _DELTA)
  final = gaussian_conversion.epsilon_of(4 / (2 * 4), _DELTA)
  assert final < bound.epsilon < expected


def test_the_largest_cosine_tells_less_than_the_schedule(iterates):
  participated, observed, unobserved, d = iterates
  statistics = one_shot_audit.largest(observed)
  np.testing.assert_array_equal(statistics, observed.max(axis=0))
  sampled = one_shot_audit.SampledNull(one_shot_audit.largest(unobserved))
  expected = gaussian_conversion.epsilon_of(1.0, _DELTA)
  found = one_shot_audit.estimate(statistics, sampled, _DELTA)
  assert 0.2 * expected < found.epsilon < expected
  for null in (sampled, one_shot_audit.CosineNull(d, num_looks=16)):
    bound = one_shot_audit.threshold_bound(statistics, null, _DELTA)
    assert bound.epsilon < expected
  assert participated.sum() == 4 * participated.shape[1]


@pytest.mark.parametrize('k', [1000, 4000])
@pytest.mark.parametrize('seed', range(3))
def test_half_of_the_noise_is_found(k, seed):
  claimed = gaussian_conversion.epsilon_of(1 / 1.54, _DELTA)
  cosines = _cosines(1.54 / 2, k, seed)
  gaussian = one_shot_audit.gaussian_bound(cosines, _NULL, _DELTA)
  assert gaussian.epsilon > 1.8 * claimed
  threshold = one_shot_audit.threshold_bound(cosines, _NULL, _DELTA)
  assert threshold.epsilon > claimed


@pytest.mark.parametrize(
  'noise,least', [(4.22, 0.2), (1.54, 0.7), (0.541, 0.8)]
)
def test_bounds_stay_below_the_accountants_epsilon(noise, least, runs=300):
  epsilon = gaussian_conversion.epsilon_of(1 / noise, _DELTA)
  found = {'threshold': [], 'gaussian': []}
  for seed in range(runs):
    cosines = _cosines(noise, 200, seed)
    for bound in (
      one_shot_audit.threshold_bound(cosines, _NULL, _DELTA, 0.95),
      one_shot_audit.gaussian_bound(cosines, _NULL, _DELTA, 0.95),
    ):
      found[bound.method].append(bound.epsilon)
  # At most 5 % may be above; more than this many of 300 with chance 1e-6.
  allowed = int(stats.binom.isf(1e-6, runs, 0.05))
  above = {name: np.sum(np.array(e) > epsilon) for name, e in found.items()}
  assert above['threshold'] <= allowed
  assert above['gaussian'] <= allowed
  # And they are not empty words: the Gaussian one errs about as often as said.
  assert above['gaussian'] >= stats.binom.ppf(1e-6, runs, 0.05)
  assert np.mean(found['gaussian']) > least * epsilon


@pytest.mark.parametrize('bound', ['threshold_bound', 'gaussian_bound'])
def test_bounds_from_sampled_nulls_stay_below(bound, runs=400, k=100):
  rng = np.random.default_rng(3)
  epsilon = gaussian_conversion.epsilon_of(1.0, 1e-3)
  above = 0
  for _ in range(runs):
    null = one_shot_audit.SampledNull(rng.normal(size=k))
    found = getattr(one_shot_audit, bound)(
      rng.normal(1.0, 1.0, k), null, 1e-3, 0.9
    )
    above += found.epsilon > epsilon
  assert above <= stats.binom.isf(1e-6, runs, 0.1)


def test_gaussian_bound_is_for_gaussian_mechanisms_only():
  # Laplace noise of epsilon 1: in its middle it looks like a mu of 0.9.
  rng = np.random.default_rng(0)
  statistics = rng.laplace(1.0, 1.0, 20_000)
  null = one_shot_audit.SampledNull(rng.laplace(0.0, 1.0, 20_000))
  sound = one_shot_audit.threshold_bound(statistics, null, 1e-6)
  assert 0.8 < sound.epsilon <= 1.0
  unsound = one_shot_audit.gaussian_bound(statistics, null, 1e-6)
  assert unsound.epsilon > 1.0
  assert any('no secret sampling' in text for text in unsound.assumptions)
  assert not any('Gaussian' in text for text in sound.assumptions)


@pytest.mark.parametrize('num_dimensions', [2, 3, 25, 10**4])
@pytest.mark.parametrize('z', [-3.0, -0.4, 0.0, 0.4, 1.0, 4.0, 9.0])
def test_tail_is_the_beta_distributions(num_dimensions, z):
  cosine = z / math.sqrt(num_dimensions)
  if abs(cosine) > 1.0:
    cosine = math.copysign(1.0, z)
  half = (num_dimensions - 1) / 2
  expected = special.betainc(half, half, (1.0 - cosine) / 2)
  null = one_shot_audit.CosineNull(num_dimensions)
  np.testing.assert_allclose(
    null.tail(cosine, 0.0), max(expected, 1e-300), rtol=1e-9
  )


@pytest.mark.parametrize('z', [0.5, 2.0, 5.0])
def test_tail_is_normal_in_many_dimensions(z):
  found = one_shot_audit.CosineNull(10**9).tail(z * 10**-4.5, 0.0)
  np.testing.assert_allclose(found, special.ndtr(-z), rtol=1e-5)


def test_tail_of_several_looks_is_booles():
  null = one_shot_audit.CosineNull(100, num_looks=7)
  one = one_shot_audit.CosineNull(100)
  assert null.tail(0.3, 0.0) == pytest.approx(7 * one.tail(0.3, 0.0))
  assert null.tail(0.01, 0.0) == 1.0
  assert null.tail(-0.3, 0.0) == 1.0


def test_no_cosine_is_proof_of_infinite_epsilon():
  assert one_shot_audit.CosineNull(10**6).tail(1.0, 0.0) > 0.0
  assert one_shot_audit.CosineNull(10**6).tail(0.9, 0.0) > 0.0
  alike = np.full(1000, 0.9)
  bound = one_shot_audit.threshold_bound(alike, _NULL, _DELTA)
  assert 600.0 < bound.epsilon < math.inf


def test_canaries_that_took_no_part_bound_nothing():
  cosines = canary_simulation.simulate(
    np.zeros((1, 1000)), 1.0, _DIMENSIONS, seed=2
  )[0]
  for bound in (
    one_shot_audit.threshold_bound(cosines, _NULL, _DELTA, 1 - 1e-6),
    one_shot_audit.gaussian_bound(cosines, _NULL, _DELTA, 1 - 1e-6),
  ):
    assert bound.epsilon == 0.0
    assert bound.confidence == 1 - 1e-6


def test_units_and_order_of_canaries_do_not_matter():
  cosines = _cosines(1.0, 64, 0)
  shuffled = np.random.default_rng(0).permutation(cosines)
  for read in (
    one_shot_audit.estimate,
    one_shot_audit.threshold_bound,
    one_shot_audit.gaussian_bound,
  ):
    one, two = read(cosines, _NULL, _DELTA), read(shuffled, _NULL, _DELTA)
    assert one.epsilon == pytest.approx(two.epsilon, rel=1e-12)
  samples = np.random.default_rng(1).normal(size=500)
  epsilons = [
    one_shot_audit.gaussian_bound(
      scale * (samples[:100] + 1.0),
      one_shot_audit.SampledNull(scale * samples[100:]),
      1e-3,
    ).epsilon
    for scale in (1.0, 1e-3)
  ]
  assert epsilons[0] == pytest.approx(epsilons[1], rel=1e-12)


def test_bounds_of_eight_canaries_by_hand():
  # One rank only, the 4th of 8, at the whole error probability.
  cosines = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]) / 20
  null = one_shot_audit.CosineNull(100)
  tpr, fpr = error_rates.lower_rate(4, 8, 0.9), null.tail(5 / 20, 0.0)
  threshold = one_shot_audit.threshold_bound(cosines, null, 1e-3, 0.9)
  assert threshold.epsilon == pytest.approx(math.log((tpr - 1e-3) / fpr))
  gaussian = one_shot_audit.gaussian_bound(cosines, null, 1e-3, 0.9)
  mu = special.ndtri(tpr) - special.ndtri(fpr)
  assert gaussian.epsilon == pytest.approx(
    gaussian_conversion.epsilon_of(mu, 1e-3)
  )
  # Of a sampled null each rate takes half.
  sampled = one_shot_audit.SampledNull(np.linspace(-0.2, 0.3, 101))
  tpr = error_rates.lower_rate(4, 8, 0.95)
  fpr = error_rates.upper_rate(11, 101, 0.95)
  found = one_shot_audit.threshold_bound(cosines, sampled, 0.0, 0.9)
  assert found.epsilon == pytest.approx(
    error_rates.epsilon_lower(tpr, fpr, 0.0)
  )


def test_more_confidence_is_a_lower_bound():
  cosines = _cosines(0.541, 500, 0)
  for bound in (one_shot_audit.threshold_bound, one_shot_audit.gaussian_bound):
    epsilons = [
      bound(cosines, _NULL, _DELTA, c).epsilon for c in (0.5, 0.9, 0.999)
    ]
    assert epsilons[0] > epsilons[1] > epsilons[2] > 0.0


def test_other_clients_hide_canaries_and_raise_no_alarm(k=1000):
  # Their sum is as long as the noise: the cosines shrink by sqrt(2).
  cosines = canary_simulation.simulate(
    np.ones((1, k)), 1.0, _DIMENSIONS, seed=0, others_norm=1000.0
  )[0]
  found = one_shot_audit.estimate(cosines, _NULL, _DELTA)
  expected = gaussian_conversion.epsilon_of(1 / math.sqrt(2), _DELTA)
  assert abs(found.epsilon - expected) < 5 * found.standard_error
  bound = one_shot_audit.gaussian_bound(cosines, _NULL, _DELTA)
  claimed = gaussian_conversion.epsilon_of(1.0, _DELTA)
  assert not bound.contradicts(claimed, _DELTA)


def test_refusals():
  error = error_rates.AuditError
  null = one_shot_audit.CosineNull(100)
  with pytest.raises(error, match='at least 2 dimensions and 1 look, found 1'):
    one_shot_audit.CosineNull(1)
  with pytest.raises(error, match='found 5 and 0'):
    one_shot_audit.CosineNull(5, 0)
  with pytest.raises(error, match='Expected one look, found 3'):
    one_shot_audit.CosineNull(5, 3).fitted()
  with pytest.raises(error, match='at least 2 unobserved statistics'):
    one_shot_audit.SampledNull(np.zeros(1))
  with pytest.raises(error, match='at least 2 observed statistics'):
    one_shot_audit.estimate(np.zeros(1), null, _DELTA)
  for bound in (one_shot_audit.threshold_bound, one_shot_audit.gaussian_bound):
    with pytest.raises(error, match='at least 8 observed statistics'):
      bound(np.zeros(7), null, _DELTA)
    with pytest.raises(error, match='confidence between 0 and 1, found 1'):
      bound(np.zeros(8), null, _DELTA, 1)
  with pytest.raises(error, match=r'shape \[rounds, canaries\], found \(3,\)'):
    one_shot_audit.largest(np.zeros(3))
  cosines = np.zeros((2, 3))
  never = np.array([[True, True, False], [True, False, False]])
  for participated in (never, np.ones((2, 2), bool)):
    with pytest.raises(error, match='each canary in at least one round'):
      one_shot_audit.sum_of_participations(cosines, participated)
