import math

from dp_accounting.pld import privacy_loss_distribution as pld_lib
import mpmath
import numpy as np
import pytest

from tff_pipelines.privacy import (
  _scipy_warnings,
  error_rates,
  gaussian_conversion,
  two_normals,
)

_STANDARD = two_normals.Normal(0.0, 1.0)


def _integral(first, second, epsilon):
  """max over both orders of the integral of [p - e^epsilon q]_+."""
  reach = 14 * max(first.stddev, second.stddev)
  x = np.linspace(
    min(first.mean, second.mean) - reach,
    max(first.mean, second.mean) + reach,
    2_000_001,
  )

  def density(normal):
    z = (x - normal.mean) / normal.stddev
    return np.exp(-(z**2) / 2) / (normal.stddev * math.sqrt(2 * math.pi))

  p, q = density(first), density(second)
  step = x[1] - x[0]
  return max(
    step * np.sum(np.maximum(p - math.exp(epsilon) * q, 0.0)),
    step * np.sum(np.maximum(q - math.exp(epsilon) * p, 0.0)),
  )


@pytest.mark.parametrize('mean', [0.0, 0.3, -2.0])
@pytest.mark.parametrize('stddev', [0.4, 0.97, 1.0, 1.03, 3.0])
@pytest.mark.parametrize('epsilon', [0.0, 0.5, 2.0])
def test_delta_is_the_integral(mean, stddev, epsilon):
  other = two_normals.Normal(mean, stddev)
  found = two_normals.delta_of(_STANDARD, other, epsilon)
  expected = _integral(_STANDARD, other, epsilon)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-12)


def test_far_tails_keep_their_digits():
  # The wider one, N(0, 1), is above e^8 times N(0.5, 0.9^2) in both its tails:
  # by quadrature with 40 digits.
  with mpmath.workdps(40):

    def narrow(x):
      return mpmath.npdf(x, mpmath.mpf(1) / 2, mpmath.mpf(9) / 10)

    def loss(x):
      return mpmath.log(mpmath.npdf(x) / narrow(x)) - 8

    def excess(x):
      return mpmath.npdf(x) - mpmath.exp(8) * narrow(x)

    low = mpmath.findroot(loss, (-60, 0.5), solver='bisect')
    high = mpmath.findroot(loss, (0.5, 60), solver='bisect')
    expected = mpmath.quad(excess, [-60, low - 9, low]) + mpmath.quad(
      excess, [high, high + 9, 90]
    )
  found = two_normals.delta_of(_STANDARD, two_normals.Normal(0.5, 0.9), 8.0)
  assert 0.0 < expected < 1e-6
  np.testing.assert_allclose(found, float(expected), rtol=1e-9)


@pytest.mark.parametrize('mu', [0.01, 1 / 4.22, 1.0, 5.0])
@pytest.mark.parametrize('delta', [1e-12, 1e-6, 0.1])
def test_equal_variances_are_the_gaussian_mechanism(mu, delta):
  found = two_normals.epsilon_of(_STANDARD, two_normals.Normal(mu, 1.0), delta)
  assert found == pytest.approx(
    gaussian_conversion.epsilon_of(mu, delta), rel=1e-9, abs=1e-11
  )


@pytest.mark.parametrize('noise,epsilon', [(4.22, 1), (1.54, 3), (0.541, 10)])
@_scipy_warnings.silenced()
def test_the_papers_noise_multipliers(noise, epsilon):
  shifted = two_normals.Normal(1.0, noise)
  found = two_normals.epsilon_of(
    two_normals.Normal(0.0, noise), shifted, delta=1e-6
  )
  assert abs(found - epsilon) < 0.01
  # dp_accounting rounds losses up, to multiples of 1e-4.
  pessimistic = pld_lib.from_gaussian_mechanism(
    noise, value_discretization_interval=1e-4
  ).get_epsilon_for_delta(1e-6)
  assert found <= pessimistic <= found + 2e-4


def test_nearly_equal_variances_are_as_equal_ones():
  shifted = two_normals.Normal(0.7, 1.0)
  expected = two_normals.delta_of(_STANDARD, shifted, 1.0)
  for stddev in (1 - 1e-15, 1 + 1e-15, 1 - 1e-9, 1 + 1e-9):
    found = two_normals.delta_of(
      _STANDARD, two_normals.Normal(0.7, stddev), 1.0
    )
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_units_mirror_and_order_do_not_matter():
  expected = two_normals.epsilon_of(
    _STANDARD, two_normals.Normal(0.8, 1.2), 1e-5
  )
  for first, second in (
    (two_normals.Normal(0.8, 1.2), _STANDARD),
    (two_normals.Normal(3.0, 1e-3), two_normals.Normal(3.0008, 1.2e-3)),
    (_STANDARD, two_normals.Normal(-0.8, 1.2)),
  ):
    found = two_normals.epsilon_of(first, second, 1e-5)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('other', [(0.1, 1.02), (1.9, 0.96), (0.0, 2.0)])
@pytest.mark.parametrize('delta', [1e-9, 1e-6, 0.01])
def test_epsilon_keeps_delta_and_is_tight(other, delta):
  other = two_normals.Normal(*other)
  epsilon = two_normals.epsilon_of(_STANDARD, other, delta)
  assert two_normals.delta_of(_STANDARD, other, epsilon) <= delta
  if epsilon > 0:
    below = two_normals.delta_of(_STANDARD, other, epsilon * (1 - 1e-6))
    assert below > delta


def test_delta_falls_with_epsilon():
  other = two_normals.Normal(0.5, 0.9)
  deltas = [
    two_normals.delta_of(_STANDARD, other, e) for e in np.linspace(0, 40, 400)
  ]
  assert all(np.diff(deltas) <= 0.0)


def test_extremes():
  assert two_normals.delta_of(_STANDARD, _STANDARD, 0.0) == 0.0
  assert two_normals.epsilon_of(_STANDARD, _STANDARD, 1e-9) == 0.0
  far = two_normals.Normal(1e4, 1.0)
  assert two_normals.delta_of(_STANDARD, far, 1.0) == 1.0
  narrow = two_normals.Normal(0.0, 1e-6)
  assert two_normals.delta_of(_STANDARD, narrow, 1.0) > 0.999
  assert two_normals.epsilon_of(_STANDARD, far, 1e-6) == pytest.approx(
    gaussian_conversion.epsilon_of(1e4, 1e-6), rel=1e-9
  )


def test_fit_is_unbiased_mean_and_variance():
  fitted = two_normals.fit(np.array([1.0, 2.0, 6.0]))
  assert fitted.mean == pytest.approx(3.0)
  assert fitted.stddev == pytest.approx(math.sqrt(7.0))


def test_refusals():
  with pytest.raises(error_rates.AuditError, match='epsilon of at least 0'):
    two_normals.delta_of(_STANDARD, _STANDARD, -0.1)
  for delta in (0.0, 1.0):
    with pytest.raises(error_rates.AuditError, match=f'0 and 1, found {delta}'):
      two_normals.epsilon_of(_STANDARD, _STANDARD, delta)
  with pytest.raises(error_rates.AuditError, match='positive, finite stddev'):
    two_normals.Normal(0.0, 0.0)
  with pytest.raises(error_rates.AuditError, match='finite mean'):
    two_normals.Normal(math.nan, 1.0)
  with pytest.raises(error_rates.AuditError, match='at least 2 statistics'):
    two_normals.fit(np.array([1.0]))
