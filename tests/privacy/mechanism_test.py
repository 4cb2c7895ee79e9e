import pytest

from tff_pipelines.privacy import (
  central,
  correlated,
  distributed,
  local,
  mechanism,
)


@pytest.mark.parametrize('noise', [0.0, -1.0, float('inf'), float('nan')])
@pytest.mark.parametrize(
  'build',
  [
    central.Gaussian,
    lambda noise: central.AdaptiveClippingGaussian(noise, 1.0),
    lambda noise: central.AdaptiveClippingGaussian(1.0, noise),
    central.Laplace,
    central.Geometric,
    lambda noise: central.CentralDiscreteGaussian(noise, 1.0),
    correlated.TreeAggregation,
    lambda noise: correlated.BandedMatrixFactorization(noise, 4),
    lambda noise: distributed.DistributedSkellam(noise, 1.0, 1),
    local.LocalGaussian,
    local.LocalLaplace,
  ],
)
def test_no_noise_is_refused(build, noise):
  with pytest.raises(mechanism.MechanismError, match=r'finite .* above 0'):
    build(noise)


@pytest.mark.parametrize('probability,values', [(0.0, 2), (1.1, 2), (0.5, 1)])
def test_impossible_randomized_response_is_refused(probability, values):
  with pytest.raises(mechanism.MechanismError, match='noise_probability in'):
    local.RandomizedResponse(probability, values)


@pytest.mark.parametrize(
  'build',
  [
    lambda: central.Laplace(1.0, 0),
    lambda: correlated.TreeAggregation(1.0, 0),
    lambda: correlated.BandedMatrixFactorization(1.0, 0),
    lambda: local.LocalGaussian(1.0, 0),
  ],
)
def test_counts_below_one_are_refused(build):
  with pytest.raises(mechanism.MechanismError, match='at least 1, found 0'):
    build()


def test_other_variances_are_refused():
  with pytest.raises(mechanism.MechanismError, match="found 'best'"):
    correlated.TreeAggregation(1.0, None, 'best')


def test_a_count_that_spends_everything_is_refused():
  with pytest.raises(
    mechanism.MechanismError, match=r'count_noise_stddev above 0\.5'
  ):
    central.split_for_adaptive_clipping(1.0, 0.5)


def test_noise_is_replaced_and_nothing_else():
  tree = correlated.TreeAggregation(7.0, 128, 'honaker')
  changed = tree.with_noise(3.0)
  assert changed == correlated.TreeAggregation(3.0, 128, 'honaker')
  assert changed.noise == 3.0
  assert central.Geometric(2.0, 3).with_noise(5.0) == central.Geometric(5.0, 3)


@pytest.mark.parametrize(
  'ran, continuous',
  [
    (central.Gaussian(1.0), True),
    (central.AdaptiveClippingGaussian(1.0, 1.0), True),
    (central.Laplace(1.0), True),
    (correlated.TreeAggregation(1.0), True),
    (correlated.BandedMatrixFactorization(1.0, 2), True),
    (local.LocalGaussian(1.0), True),
    (local.LocalLaplace(1.0), True),
    (central.Geometric(1.0), False),
    (central.CentralDiscreteGaussian(1.0, 1.0), False),
    (distributed.DistributedDiscreteGaussian(1.0, 1.0, 1), False),
    (distributed.DistributedSkellam(1.0, 1.0, 1), False),
    (local.RandomizedResponse(0.5), False),
  ],
)
def test_noise_in_floating_point_says_so(ran, continuous):
  assert (mechanism.CONTINUOUS_NOISE in ran.assumptions) == continuous
