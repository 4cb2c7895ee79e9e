"""Integer noise has the distribution that it says.

Chi-square tests fail with probability 1e-6 each for a right sampler; the seeds
are fixed, so they do not.
"""

import decimal
import math

import numpy as np
import pytest
from scipy import special
import tensorflow as tf

from tff_pipelines.numerics import discrete_noise, noise_seeds
from tff_pipelines.privacy import distributed

COUNT = 200_000
FALSE_ALARM = 1e-6


def seed(number: int) -> tf.Tensor:
  return tf.constant([number, 11], tf.int64)


def draw(table, number=0, count=COUNT) -> np.ndarray:
  return discrete_noise.sample(table, seed(number), [count]).numpy()


def gaussian_pmf(stddev: float, values: np.ndarray) -> np.ndarray:
  around = np.arange(-math.ceil(40 * stddev) - 2, math.ceil(40 * stddev) + 3)
  total = np.exp(-(around**2) / (2 * stddev**2)).sum()
  return np.exp(-(values**2) / (2 * stddev**2)) / total


def skellam_pmf(stddev: float, values: np.ndarray) -> np.ndarray:
  return special.ive(np.abs(values), stddev**2)


def geometric_pmf(scale: float, values: np.ndarray) -> np.ndarray:
  ratio = math.exp(-1 / scale)
  return (1 - ratio) / (1 + ratio) * ratio ** np.abs(values)


MAKERS = {
  'discrete_gaussian': (discrete_noise.discrete_gaussian, gaussian_pmf),
  'skellam': (discrete_noise.skellam, skellam_pmf),
  'geometric': (discrete_noise.geometric, geometric_pmf),
}
CASES = [
  (kind, parameter) for kind in MAKERS for parameter in (0.3, 0.5, 1.0, 3.7, 50)
]


def p_value(drawn: np.ndarray, pmf, parameter: float) -> float:
  """Of Pearson's test, with bins of an expected 20 or more."""
  values = np.arange(drawn.min() - 1, drawn.max() + 2)
  expected = len(drawn) * pmf(parameter, values)
  counts = np.bincount(drawn - values[0], minlength=len(values))
  kept = expected >= 20
  observed = np.append(counts[kept], counts[~kept].sum())
  expected = np.append(expected[kept], len(drawn) - expected[kept].sum())
  if expected[-1] < 20:  # Joins the last bin that is large enough.
    observed = np.append(observed[:-2], observed[-2:].sum())
    expected = np.append(expected[:-2], expected[-2:].sum())
  statistic = ((observed - expected) ** 2 / expected).sum()
  return special.chdtrc(len(observed) - 1, statistic)


@pytest.mark.parametrize(('kind', 'parameter'), CASES)
def test_draws_have_the_distribution(kind, parameter):
  make, pmf = MAKERS[kind]
  assert p_value(draw(make(parameter)), pmf, parameter) > FALSE_ALARM


def test_the_test_tells_neighbouring_distributions_apart():
  drawn = draw(discrete_noise.skellam(1.0))
  assert p_value(drawn, gaussian_pmf, 1.0) < FALSE_ALARM
  assert p_value(drawn, skellam_pmf, 1.02) < FALSE_ALARM


@pytest.mark.parametrize(('kind', 'parameter'), CASES)
def test_masses_add_up_to_one_exactly_and_are_those_of_the_distribution(
  kind, parameter
):
  make, pmf = MAKERS[kind]
  table = make(parameter)
  columns = len(table.thresholds)
  masses = table.masses()
  assert sum(masses) == columns * 2**63
  assert masses == masses[::-1]
  values = np.arange(-table.radius, table.radius + 1)
  found = np.array([float(mass) for mass in masses]) / (columns * 2.0**63)
  np.testing.assert_allclose(
    found, pmf(parameter, values), rtol=1e-9, atol=2.0**-63 / columns
  )


@pytest.mark.parametrize(('kind', 'parameter'), CASES)
def test_what_is_changed_in_all_is_below_two_to_the_minus_62(kind, parameter):
  table = MAKERS[kind][0](parameter)
  assert 0 < table.total_variation < 2.0**-62
  values = np.arange(table.radius + 1, table.radius + 10_000)
  tail = 2 * MAKERS[kind][1](parameter, values).sum()
  assert tail <= min(2.0**-64, table.total_variation)


def test_a_table_against_fractions_of_the_definition():
  # q = exp(-1 / (2 sigma^2)) = exp(-1/2) at sigma 1, by 60 digits.
  with decimal.localcontext(decimal.Context(prec=60)):
    q = decimal.Decimal('-0.5').exp()
    weights = [q ** (k * k) for k in range(40)]
    total = weights[0] + 2 * sum(weights[1:])
    table = discrete_noise.discrete_gaussian(1.0)
    unit = decimal.Decimal(2**63 * len(table.thresholds))
    masses = table.masses()[table.radius :]
    changed = [
      abs(decimal.Decimal(m) / unit - w / total)
      for m, w in zip(masses, weights, strict=False)
    ]
    # Half a unit each, and at 0 what is left.
    assert all(c * unit <= decimal.Decimal('0.500001') for c in changed[1:])
    in_all = (changed[0] + 2 * sum(changed[1:])) / 2
    assert in_all <= table.total_variation


@pytest.mark.parametrize(('kind', 'parameter'), CASES)
def test_the_variance_is_that_of_the_table(kind, parameter):
  table = MAKERS[kind][0](parameter)
  drawn = draw(table, 1).astype(np.float64)
  # Six standard errors of the mean square, 2e-9, by the sample's own kurtosis.
  error = np.std(drawn**2) / math.sqrt(COUNT)
  assert abs(np.mean(drawn**2) - table.variance) < 6 * error
  assert abs(drawn.mean()) < 6 * math.sqrt(table.variance / COUNT)


def test_variances_by_formula():
  assert discrete_noise.skellam(3.7).variance == pytest.approx(3.7**2, 1e-12)
  assert discrete_noise.discrete_gaussian(2.0).variance == pytest.approx(4.0)
  assert discrete_noise.discrete_gaussian(0.5).variance < 0.25
  q = math.exp(-1 / 3.7)
  assert discrete_noise.geometric(3.7).variance == pytest.approx(
    2 * q / (1 - q) ** 2, 1e-12
  )


def _sum_of_shares(make, stddev: float, count: int) -> np.ndarray:
  table = make(stddev)
  return sum(draw(table, number) for number in range(count))


def test_the_sum_of_skellam_shares_is_skellam():
  total = _sum_of_shares(discrete_noise.skellam, 1.2, 10)
  assert p_value(total, skellam_pmf, 1.2 * math.sqrt(10)) > FALSE_ALARM


def _convolved(stddev: float, count: int) -> tuple[np.ndarray, np.ndarray]:
  values = np.arange(-40, 41)
  one = gaussian_pmf(stddev, values)
  pmf = one
  for _ in range(count - 1):
    pmf = np.convolve(pmf, one)
  radius = 40 * count
  return np.arange(-radius, radius + 1), pmf


@pytest.mark.parametrize('stddev', [0.5, 0.8, 1.2])
def test_the_sum_of_discrete_gaussian_shares_is_as_close_as_the_bound_says(
  stddev,
):
  count = 10
  values, pmf = _convolved(stddev, count)
  target = gaussian_pmf(stddev * math.sqrt(count), values)
  # Theorem 1 bounds the largest divergence by tau, each way, at all points.
  large = target > 1e-14
  loss = np.abs(np.log(pmf[large] / target[large])).max()
  assert loss <= distributed._tau(stddev, count) + 1e-9
  total = _sum_of_shares(discrete_noise.discrete_gaussian, stddev, count)
  assert (
    p_value(
      total,
      lambda _, wanted: pmf[wanted - values[0]],
      stddev,
    )
    > FALSE_ALARM
  )


def test_draws_are_independent_of_each_other_and_between_seeds():
  table = discrete_noise.skellam(3.0)
  one, other = draw(table, 1) / 3.0, draw(table, 2) / 3.0
  # Correlations of stddev 1 / sqrt(COUNT); 6 of them have 2e-9.
  limit = 6 / math.sqrt(COUNT)
  assert abs(np.mean(one * other)) < limit
  for lag in (1, 2, 64, 1000):
    assert abs(np.mean(one[lag:] * one[:-lag])) < limit
  # Squares, too: their variance is at most 3 for this table.
  assert abs(np.mean((one**2 - 1) * (other**2 - 1))) < 3 * limit


def test_a_seed_of_the_operating_system_gives_other_noise_each_time():
  table = discrete_noise.skellam(100.0)

  @tf.function
  def fresh():
    return discrete_noise.sample(table, noise_seeds.draw(), [100])

  # Equal by chance with a probability below 0.003 a coordinate.
  assert (fresh().numpy() != fresh().numpy()).mean() > 0.9


def test_xla_draws_the_same_shapes_and_distribution():
  table = discrete_noise.discrete_gaussian(3.7)
  compiled = tf.function(
    lambda s: discrete_noise.sample(table, s, [COUNT // 4, 4]), jit_compile=True
  )
  drawn = compiled(seed(5)).numpy()
  assert drawn.shape == (COUNT // 4, 4) and drawn.dtype == np.int64
  assert p_value(drawn.ravel(), gaussian_pmf, 3.7) > FALSE_ALARM
  assert (drawn == compiled(seed(5)).numpy()).all()


def test_a_table_by_hand():
  # Of four columns of 2^63: 1/4, 1 and 3/4 of one, and 2; in any pairing.
  masses = [2**61, 2**63, 3 * 2**61, 2**64]
  thresholds, aliases = discrete_noise._aliases(masses, 4)
  table = discrete_noise.NoiseTable('', thresholds, aliases, 2, 0.0, 0.0)
  assert table.masses() == masses


@pytest.mark.parametrize('kind', MAKERS)
@pytest.mark.parametrize('parameter', [0.0, -1.0, math.inf, math.nan])
def test_parameters_that_are_none_are_refused(kind, parameter):
  with pytest.raises(discrete_noise.DiscreteNoiseError, match='above 0'):
    MAKERS[kind][0](parameter)


@pytest.mark.parametrize(
  ('kind', 'parameter'),
  [('discrete_gaussian', 1e5), ('skellam', 1e5), ('geometric', 2e4)],
)
def test_tables_that_are_too_large_are_refused(kind, parameter):
  with pytest.raises(
    discrete_noise.DiscreteNoiseError, match='at most 1048576 columns, found'
  ):
    MAKERS[kind][0](parameter)
