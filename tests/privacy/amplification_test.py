"""Bounds under sampling, against numerical integration of the worst cases."""

import numpy as np
import pytest
from scipy import special

from tests import slow_cases
from tff_pipelines.privacy import amplification, losses

Sampling = amplification.Sampling


def _mixture(masses, other, rate):
  return np.logaddexp(np.log1p(-rate) + masses, np.log(rate) + other)


@pytest.mark.parametrize('rate', [0.01, 0.2, 0.7])
@pytest.mark.parametrize('noise', [0.8, 2.0])
@pytest.mark.parametrize('order', [2, 3, 7, 20])
def test_sampled_rdp_is_above_the_gaussian_integral(
  rate, noise, order, normal_masses
):
  q = normal_masses(0.0)
  gaussian = losses.Gaussian(1 / noise)
  p = _mixture(q, normal_masses(1 / noise), rate)
  exact = special.logsumexp(order * p + (1 - order) * q) / (order - 1)
  bound = amplification.sampled_rdp(
    gaussian.renyi, Sampling('poisson', rate), order
  )
  assert exact - 1e-9 <= bound <= gaussian.renyi(order)
  # Replacement: both data sets hold a client, on opposite sides.
  opposite = _mixture(q, normal_masses(-1 / noise), rate)
  exact = special.logsumexp(order * p + (1 - order) * opposite) / (order - 1)
  doubled = losses.Gaussian(2 / noise)
  bound = amplification.sampled_rdp(
    doubled.renyi, Sampling('fixed_size', rate), order
  )
  assert exact - 1e-9 <= bound <= doubled.renyi(order)


def test_the_whole_population_is_no_sample():
  gaussian = losses.Gaussian(0.7)
  for scheme in ('poisson', 'fixed_size'):
    found = amplification.sampled_rdp(gaussian.renyi, Sampling(scheme, 1.0), 5)
    assert found == gaussian.renyi(5)


@pytest.mark.parametrize('rate', [0.05, 0.5])
@pytest.mark.parametrize('mu', [0.5, 2.0])
@pytest.mark.parametrize('times', [1, slow_cases.slow(2)])
def test_fixed_size_distribution_is_above_all_neighbours(
  rate, mu, times, normal_masses, divergence
):
  pld = amplification.gaussian_pld(mu, Sampling('fixed_size', rate), 1e-3)
  composed = pld if times == 1 else pld.self_compose(times)
  q = normal_masses(0.0)
  bulk_away = (q, _mixture(q, normal_masses(mu), rate))
  opposite = (
    _mixture(q, normal_masses(-mu / 2), rate),
    _mixture(q, normal_masses(mu / 2), rate),
  )
  for first, second in (bulk_away, bulk_away[::-1], opposite, opposite[::-1]):
    for epsilon in (0.1, 0.5, 1.5):
      exact = divergence(first, second, times, epsilon)
      # The integral over a grid of 0.02 stddevs is good to (0.02)^2.
      bound = composed.get_delta_for_epsilon(epsilon)
      assert bound >= exact * (1 - 4e-4) - 1e-9


def test_fixed_size_of_one_round_is_tight(normal_masses, divergence):
  q = normal_masses(0.0)
  pld = amplification.gaussian_pld(1.0, Sampling('fixed_size', 0.3), 1e-4)
  mixture = _mixture(q, normal_masses(1.0), 0.3)
  exact = divergence(mixture, q, 1, 0.2)
  np.testing.assert_allclose(pld.get_delta_for_epsilon(0.2), exact, rtol=1e-3)


@pytest.mark.parametrize('scheme', ['poisson', 'fixed_size'])
@pytest.mark.parametrize('rate', [0.1, 1.0])
def test_pure_mechanisms_under_sampling(scheme, rate):
  epsilon = 1.0
  pld = amplification.pure_pld(epsilon, Sampling(scheme, rate), 1e-4)
  # log(1 + q (e^eps - 1)): Balle et al. 2018, theorem 9.
  amplified = np.log1p(rate * np.expm1(epsilon))
  found = pld.get_epsilon_for_delta(1e-12)
  assert amplified - 1e-9 <= found <= amplified + 2e-4
