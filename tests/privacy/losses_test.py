"""Renyi bounds against sums over the integers."""

import math

import numpy as np
import pytest
from scipy import special

from tff_pipelines.privacy import distributed, losses, mechanism


def _renyi(log_p, log_q, order):
  finite = np.isfinite(log_p) & np.isfinite(log_q)
  exponent = order * log_p[finite] + (1 - order) * log_q[finite]
  return special.logsumexp(exponent) / (order - 1)


@pytest.mark.parametrize('variance,shift', [(4.0, 1), (25.0, 3), (100.0, 5)])
@pytest.mark.parametrize('order', [2, 3.5, 8])
def test_skellam_is_above_the_sum(variance, shift, order):
  x = np.arange(-250, 251)

  def masses(at):
    with np.errstate(divide='ignore'):
      return np.log(special.ive(np.abs(x - at), variance))

  exact = _renyi(masses(0), masses(shift), order)
  bound = losses.Skellam(shift, shift, variance).renyi(order)
  assert exact <= bound <= 2.5 * exact


@pytest.mark.parametrize('stddev', [0.5, 0.6, 1.0])
@pytest.mark.parametrize('shares', [1, 3, 10])
@pytest.mark.parametrize('order', [2, 8])
def test_sum_of_discrete_gaussians_is_below_its_bound(stddev, shares, order):
  x = np.arange(-60, 61)
  share = np.exp(-(x**2) / (2 * stddev**2))
  total = share = share / share.sum()
  for _ in range(shares - 1):
    total = np.convolve(total, share)
  # Tails of the convolutions carry rounding only.
  log_total = np.where(total > 1e-30, np.log(np.maximum(total, 1e-99)), -np.inf)
  exact = _renyi(log_total[1:], log_total[:-1], order)
  mechanism_ = distributed.DistributedDiscreteGaussian(stddev, 1.0, 1)
  assert exact <= mechanism_.loss(shares, 1).renyi(order) + 1e-9


@pytest.mark.parametrize('order', [1.5, 2, 30])
def test_laplace_is_below_the_pure_curve(order, epsilon=0.8):
  x = np.linspace(-60, 60, 400_001)
  step = x[1] - x[0]
  p = -np.abs(x) * epsilon + math.log(epsilon / 2 * step)
  q = -np.abs(x - 1) * epsilon + math.log(epsilon / 2 * step)
  assert _renyi(p, q, order) <= losses.Pure(epsilon).renyi(order) <= epsilon


def test_curves_are_looked_up_at_the_next_order():
  gaussian = losses.Gaussian(1.3)
  curve = losses.Curve(tuple(gaussian.rdp(None)))
  np.testing.assert_array_equal(curve.rdp(None), gaussian.rdp(None))
  assert curve.renyi(2.05) >= gaussian.renyi(2.05)
  assert curve.renyi(1e9) == math.inf


def test_joint_releases():
  one, two = losses.Gaussian(0.3), losses.Gaussian(0.4)
  assert losses.joint([one]) is one
  assert losses.joint([one, two]).mu == pytest.approx(0.5)
  assert losses.joint([losses.Pure(1.0), losses.Pure(2.0)]) == losses.Pure(3.0)
  mixed = losses.joint([one, losses.Pure(1.0)])
  expected = one.renyi(3) + losses.Pure(1.0).renyi(3)
  assert mixed.renyi(3) == pytest.approx(expected)


def test_narrow_shares_are_refused():
  narrow = distributed.DistributedDiscreteGaussian(0.4, 1.0, 1)
  with pytest.raises(mechanism.MechanismError, match=r'at least 0\.5 integers'):
    narrow.loss(10, 1)
