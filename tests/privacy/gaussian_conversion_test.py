import math

import numpy as np
import pytest

from tff_pipelines.privacy import gaussian_conversion


@pytest.mark.parametrize(
  'rho,epsilon', [(0.1506840, 3.4240), (0.0143426, 0.99355), (0.81, 8.549)]
)
def test_published_conversions_of_rho(rho, epsilon):
  found = gaussian_conversion.epsilon_of(math.sqrt(2 * rho), 1e-10)
  assert abs(found - epsilon) < 6e-5 * max(1, epsilon)


@pytest.mark.parametrize('mu', [0.1, 1.0, 3.0])
@pytest.mark.parametrize('epsilon', [0.0, 0.5, 2.0])
def test_delta_is_the_integral(mu, epsilon, normal_masses, divergence):
  integral = divergence(normal_masses(mu), normal_masses(0.0), 1, epsilon)
  found = gaussian_conversion.delta_of(mu, epsilon)
  np.testing.assert_allclose(found, integral, rtol=1e-3, atol=1e-12)


def test_composition_adds_squares(normal_masses, divergence):
  twice = divergence(normal_masses(0.6), normal_masses(0.0), 2, 1.0)
  found = gaussian_conversion.delta_of(0.6 * math.sqrt(2), 1.0)
  np.testing.assert_allclose(found, twice, rtol=1e-3)


@pytest.mark.parametrize('mu', [1e-4, 0.01, 1.0, 50.0])
@pytest.mark.parametrize('delta', [1e-15, 1e-6, 0.3])
def test_epsilon_keeps_delta_and_is_tight(mu, delta):
  epsilon = gaussian_conversion.epsilon_of(mu, delta)
  assert gaussian_conversion.delta_of(mu, epsilon) <= delta
  if epsilon > 0:
    assert gaussian_conversion.delta_of(mu, epsilon * (1 - 1e-6)) > delta


def test_extremes():
  assert gaussian_conversion.epsilon_of(0.0, 1e-9) == 0.0
  assert gaussian_conversion.epsilon_of(math.inf, 1e-9) == math.inf
  assert gaussian_conversion.delta_of(0.0, 1.0) == 0.0


@pytest.mark.parametrize('delta', [0.0, 1.0, -1.0])
def test_impossible_delta_is_refused(delta):
  with pytest.raises(ValueError, match=f'between 0 and 1, found {delta}'):
    gaussian_conversion.epsilon_of(1.0, delta)
