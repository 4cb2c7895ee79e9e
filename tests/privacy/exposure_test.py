"""Exposure of canaries, and whether it is above chance."""

import itertools
import math

import mpmath
import numpy as np
import pytest

from tff_pipelines.privacy import error_rates, exposure


def test_ranks_and_exposures_by_hand():
  candidates = np.array([5.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0])
  canaries = np.array([1.0, 2.5, 4.0, 9.0])
  # None is below 1; one (2) below 2.5; three are below 4 or equal to it.
  assert exposure.ranks(canaries, candidates).tolist() == [1, 2, 4, 8]
  # |R| = 8, with the canary: log2(8) = 3.
  assert exposure.measured(canaries, candidates).tolist() == [3, 2, 1, 0]


def test_by_chance_a_rank_is_uniform_and_its_exposure_1_44_bits():
  # All the places that a canary can have among 999: ranks 1 to 1,000.
  found = exposure.measured(np.arange(1000) - 0.5, np.arange(999.0))
  assert np.sort(np.rint(1000 / 2**found)).tolist() == list(range(1, 1001))
  assert np.mean(found) == pytest.approx(exposure.CHANCE_BITS, abs=0.01)
  for bits in (1, 2, 3.3, 5, 9):
    assert np.mean(found >= bits) <= 2.0**-bits


@pytest.mark.parametrize('shape', [-8.0, -1.0, 0.0, 1.5, 20.0])
@pytest.mark.parametrize('place', [-12.0, -4.0, -1.0, 0.5, 3.0])
def test_exposure_of_a_skew_normal_is_its_tail(shape, place):
  """Against an integral of the density with 40 digits."""
  with mpmath.workdps(40):
    tail = mpmath.quad(
      lambda z: 2 * mpmath.npdf(z) * mpmath.ncdf(shape * z),
      [-mpmath.inf, place - 30, place - 3, place - 0.3, place - 0.01, place],
    )
    expected = float(-mpmath.log(tail, 2))
  model = exposure.SkewNormal(shape, 100.0, 3.0, 0.0)
  found = model.exposure(np.array([100.0 + 3.0 * place]))
  np.testing.assert_allclose(found, [expected], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('shape', [-4.0, 0.0, 3.0])
def test_a_fit_finds_what_candidates_were_drawn_from(shape):
  rng = np.random.default_rng(7)
  # The sum of a normal and half a normal is skew-normal.
  delta = shape / math.hypot(1, shape)
  drawn = delta * np.abs(rng.normal(size=4000))
  drawn += math.sqrt(1 - delta**2) * rng.normal(size=4000)
  model = exposure.fit(50 + 6 * drawn)
  # Kolmogorov: above 1.95 / sqrt(n) once in a thousand.
  assert model.distance < 1.95 / math.sqrt(4000)
  true = exposure.SkewNormal(shape, 50.0, 6.0, 0.0)
  # From where half of the candidates are to one of 4,000 (12 bits).
  at = 50 + 6 * np.quantile(drawn, [0.5, 0.1, 0.01, 0.001])
  np.testing.assert_allclose(
    model.exposure(at), true.exposure(at), atol=0.3, rtol=0.05
  )


def test_the_likelihood_has_the_gradient_that_it_gives():
  values = np.random.default_rng(3).gumbel(size=50)
  point = np.array([1.7, -0.4, 0.3])
  _, gradient = exposure._negative_log_likelihood(point, values)
  for k, step in enumerate(1e-6 * np.eye(3)):
    above, _ = exposure._negative_log_likelihood(point + step, values)
    below, _ = exposure._negative_log_likelihood(point - step, values)
    assert gradient[k] == pytest.approx((above - below) / 2e-6, abs=1e-7)


def test_extrapolation_goes_on_where_ranks_end():
  candidates = np.random.default_rng(0).normal(60.0, 4.0, size=2000)
  model = exposure.fit(candidates)
  middle, far = np.array([60.0, 54.0]), np.array([30.0, 20.0])
  np.testing.assert_allclose(
    model.exposure(middle), exposure.measured(middle, candidates), atol=0.4
  )
  assert exposure.measured(far, candidates) == pytest.approx(
    [math.log2(2001)] * 2
  )
  assert model.exposure(far)[0] > 30
  assert model.exposure(far)[1] > model.exposure(far)[0] + 10


# One canary: the p-value is its rank over |R|. Two of 1 bit each: the product
# of two uniform numbers is 1/4 or less with probability 1/4 (1 + ln 4).
def test_p_values_by_hand():
  assert exposure.p_value(np.array([3.0])) == pytest.approx(1 / 8)
  assert exposure.p_value(np.array([1.0, 1.0])) == pytest.approx(
    0.25 * (1 + math.log(4))
  )
  assert exposure.p_value(np.array([0.0, 0.0, 0.0])) == 1.0
  assert exposure.p_value(np.full(5, 10.0)) < 1e-9


@pytest.mark.parametrize('num_candidates', [3, 9])
def test_a_p_value_is_no_smaller_than_its_probability(num_candidates):
  """All ranks that three canaries of their own can have, each as likely."""
  size = num_candidates + 1
  exposures = np.log2(size) - np.log2(np.arange(1, size + 1))
  found = np.array(
    [
      exposure.p_value(np.array(e))
      for e in itertools.product(exposures, repeat=3)
    ]
  )
  for level in np.unique(found):
    assert np.mean(found <= level) <= level + 1e-12


def test_shared_candidates_give_the_exact_permutation_test():
  """All 56 ways in which 3 of 8 sentences could have been the canaries."""
  canaries, candidates = np.array([0.0, 2.0, 4.5]), np.array([1.0, 3, 4, 5, 6])

  def statistic(places) -> float:
    return math.prod(1 + place - k for k, place in enumerate(places))

  # Canaries at places 0, 2 and 5 of all eight: ranks 1, 2 and 4.
  assert exposure.ranks(canaries, candidates).tolist() == [1, 2, 4]
  every = [statistic(p) for p in itertools.combinations(range(8), 3)]
  exact = np.mean(np.array(every) <= 8)
  found = exposure.shared_p_value(
    canaries, candidates, np.random.default_rng(0), num_draws=20_000
  )
  # 4 standard deviations of the draws: one false alarm in 16,000 seeds.
  assert found == pytest.approx(
    exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000)
  )


def test_chance_gives_uniform_p_values_and_known_canaries_tiny_ones():
  rng = np.random.default_rng(1)
  by_chance = []
  for _ in range(200):
    # Whatever the model is: the same for canaries and candidates.
    losses = rng.gamma(3.0, 5.0, size=105)
    by_chance.append(
      exposure.shared_p_value(losses[:5], losses[5:], rng, num_draws=199)
    )
  steps = np.arange(201) / 200
  by_chance.sort()
  distance = max(
    np.abs(by_chance - steps[1:]).max(), np.abs(by_chance - steps[:-1]).max()
  )
  # Kolmogorov: above this once in a thousand seeds.
  assert distance < 1.95 / math.sqrt(200)
  losses = rng.gamma(3.0, 5.0, size=100)
  known = np.full(5, losses.min() - 1)
  assert exposure.shared_p_value(known, losses, rng, num_draws=999) == 1 / 1000


@pytest.mark.parametrize(
  ('call', 'expected'),
  [
    (lambda: exposure.ranks(np.ones(0), np.ones(3)), 'at least 1 canaries'),
    (lambda: exposure.ranks(np.ones(1), np.ones(0)), 'at least 1 candidates'),
    (
      lambda: exposure.measured(np.array([np.nan]), np.ones(3)),
      'finite canaries, found 1 that are not',
    ),
    (lambda: exposure.fit(np.arange(99.0)), 'at least 100 candidates'),
    (lambda: exposure.fit(np.full(100, 3.3)), 'found all equal'),
    (lambda: exposure.p_value(np.array([-1.0])), 'at least 0 bits, found -1.0'),
    (
      lambda: exposure.shared_p_value(
        np.ones(1), np.ones(1), np.random.default_rng(0), num_draws=0
      ),
      'at least 1 draw, found 0',
    ),
  ],
)
def test_numbers_that_say_nothing_are_refused(call, expected):
  with pytest.raises(error_rates.AuditError, match=expected):
    call()
