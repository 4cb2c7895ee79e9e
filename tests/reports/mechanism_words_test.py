"""Noise in units of what one client can contribute, by hand."""

import math

import pytest

from tff_pipelines.reports import mechanism_words, privacy_record

pytestmark = pytest.mark.filterwarnings('error')


def _setting(kind, **numbers):
  return privacy_record.Setting('u', kind, numbers, 100, 10, 'uniform', False)


_SHARES = {'noise_stddev': 3.0, 'l2_sensitivity': 6.0, 'num_coordinates': 8}


@pytest.mark.parametrize(
  ('setting', 'expected'),
  [
    (_setting('Gaussian', noise_multiplier=1.2), 1.2),
    (_setting('AdaptiveClippingGaussian', noise_multiplier=1.2), 1.2),
    (_setting('TreeAggregation', noise_multiplier=7.0), 7.0),
    (_setting('BandedMatrixFactorization', noise_multiplier=8.0), 8.0),
    # The standard deviation of Laplace noise is sqrt(2) times its scale.
    (_setting('Laplace', noise_multiplier=2.0), 2.0 * math.sqrt(2.0)),
    # a = 1/2: variance 2 a / (1 - a)^2 = 4.
    (
      _setting('Geometric', noise_scale=1 / math.log(2.0), l1_sensitivity=2),
      1.0,
    ),
    (
      _setting('CentralDiscreteGaussian', noise_stddev=6.0, l2_sensitivity=3.0),
      2.0,
    ),
    # 16 shares of stddev 3 are one of 12.
    (_setting('DistributedDiscreteGaussian', **_SHARES), 2.0),
    (_setting('DistributedSkellam', **_SHARES), 2.0),
    # Nine of them honest: 9.
    (_setting('DistributedSkellam', num_colluding=7, **_SHARES), 1.5),
    (_setting('LocalGaussian', noise_multiplier=5.0), 20.0),
    (_setting('LocalLaplace', noise_multiplier=5.0), 20.0 * math.sqrt(2.0)),
    (_setting('RandomizedResponse', noise_probability=0.5), None),
    (_setting('UnaryEncoding', noise_probability=0.5, num_values=8), None),
    (_setting('Unheard', noise_multiplier=1.0), None),
    (_setting('Gaussian'), None),
    (_setting('Geometric', noise_scale=0.0, l1_sensitivity=1), None),
  ],
)
def test_noise_of_sixteen_contributors(setting, expected):
  found = mechanism_words.noise(setting, 16)
  if expected is None:
    assert found is None
  else:
    assert found == pytest.approx(expected, rel=1e-12)


def test_only_trees_and_matrices_are_correlated():
  for kind in ('TreeAggregation', 'BandedMatrixFactorization'):
    assert mechanism_words.is_correlated(_setting(kind))
  for kind in ('Gaussian', 'LocalGaussian', 'Unheard'):
    assert not mechanism_words.is_correlated(_setting(kind))


def test_a_mechanism_that_is_not_known_keeps_its_name():
  assert mechanism_words.name(_setting('Unheard')) == 'Unheard'
  assert mechanism_words.name(_setting('Gaussian')) == 'Gaussian'
