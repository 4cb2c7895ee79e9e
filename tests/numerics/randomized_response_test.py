"""Reports that hide a category, and the counts that come out of them.

Probabilities are read from the integers that the randomizers compare with, so
epsilon is checked exactly; that these integers are used is checked by
replacing the draws, and that draws are uniform by chi-square.
"""

import fractions
import itertools
import math

import mpmath
import numpy as np
import pytest
from scipy import special
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.numerics import randomized_response as rr

Fraction = fractions.Fraction
SEED = (17, -23)
# A test that fails by chance does so with this probability, one call.
FALSE_ALARM = 1e-6


def built(method, num_values=3, epsilon=1.0):
  return rr.for_epsilon(method, num_values, epsilon)


def exact(randomizer):
  """p and q as fractions."""
  return tuple(Fraction(t, rr.SCALE) for t in randomizer.thresholds)


def law(randomizer, value):
  """Report -> its probability, by enumeration of all reports."""
  p, q = exact(randomizer)
  k = randomizer.num_values
  if isinstance(randomizer, rr.RandomizedResponse):
    marks = [p if v == value else q for v in range(k)]
    assert sum(marks) == 1
    return dict(zip(map(tuple, np.eye(k, dtype=int)), marks, strict=True))
  ones = [p if v == value else q for v in range(k)]
  return {
    report: math.prod(
      one if bit else 1 - one for bit, one in zip(report, ones, strict=True)
    )
    for report in itertools.product((0, 1), repeat=k)
  }


def chi_square(observed, expected) -> float:
  """The probability of observations that are as far off."""
  observed, expected = np.float64(observed), np.float64(expected)
  statistic = np.sum((observed - expected) ** 2 / expected)
  return special.chdtrc(len(expected) - 1, statistic)


def reports(randomizer, values, seed=SEED) -> np.ndarray:
  return randomizer.report(tf.constant(seed, tf.int64), values).numpy()


EVERY_METHOD = pytest.mark.parametrize('method', rr.METHODS)


@EVERY_METHOD
@pytest.mark.parametrize('num_values', [2, 3, 5])
@pytest.mark.parametrize('epsilon', [0.01, 1.0, 8.0])
def test_epsilon_is_the_largest_loss_of_all_reports(
  method, num_values, epsilon
):
  randomizer = built(method, num_values, epsilon)
  laws = [law(randomizer, value) for value in range(num_values)]
  assert all(sum(of.values()) == 1 for of in laws)
  largest = max(
    one[report] / other[report]
    for one, other in itertools.permutations(laws, 2)
    for report in one
  )
  with mpmath.workdps(60):
    loss = mpmath.log(mpmath.mpf(largest.numerator) / largest.denominator)
    assert abs(loss - randomizer.epsilon) < 1e-15 * max(1.0, epsilon)
    assert abs(loss - epsilon) < 1e-12 * max(1.0, epsilon)


@EVERY_METHOD
@pytest.mark.parametrize('num_values', [2, 3, 1000])
@pytest.mark.parametrize('epsilon', [0.01, 1.0, 8.0, 20.0, 40.0])
def test_rounding_gives_away_nothing_and_keeps_nearly_all(
  method, num_values, epsilon
):
  randomizer = built(method, num_values, epsilon)
  p, q = exact(randomizer)
  with mpmath.workdps(60):
    f = mpmath.mpf(randomizer.noise_probability)
    if method == 'randomized_response':
      ideal = mpmath.log1p((1 - f) * num_values / f)
      found = mpmath.log(mpmath.mpf((p / q).numerator) / (p / q).denominator)
    else:
      odds = p * (1 - q) / (q * (1 - p))
      both = 1 if method == 'optimized_unary' else 2
      ideal = both * mpmath.log((1 - f / 2) / (f / 2))
      found = mpmath.log(mpmath.mpf(odds.numerator) / odds.denominator)
    # -1e-50 is 0 in 60 digits.
    assert -1e-50 < ideal - found < num_values * 2.0**-62 / float(q)


@EVERY_METHOD
def test_probabilities_are_those_of_the_papers(method):
  randomizer = built(method, 4, 2.0)
  p, q = randomizer.true_probability, randomizer.false_probability
  e = math.exp(2.0)
  expected = {
    'randomized_response': (e / (e + 3), 1 / (e + 3)),
    'unary': (math.exp(1) / (math.exp(1) + 1), 1 / (math.exp(1) + 1)),
    'optimized_unary': (0.5, 1 / (e + 1)),
  }[method]
  assert (p, q) == pytest.approx(expected, rel=1e-14)
  assert randomizer.difference == pytest.approx(p - q, rel=1e-14)


def test_the_variances_are_those_of_wang_et_al():
  # Of a category that nobody has, one client; their equations 6, 8 and 10.
  e = math.exp(1.5)
  half = math.exp(0.75)
  for method, expected in (
    ('randomized_response', (8 - 2 + e) / (e - 1) ** 2),
    ('unary', half / (half - 1) ** 2),
    ('optimized_unary', 4 * e / (e - 1) ** 2),
  ):
    found = built(method, 8, 1.5).variance(0.0, 1.0)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize('epsilon', [0.5, 1.0, 2.0])
def test_randomized_response_is_better_for_few_values_only(epsilon):
  turn = 3 * math.exp(epsilon) + 2
  for num_values in (math.floor(turn), math.floor(turn) + 1):
    direct = built('randomized_response', num_values, epsilon)
    unary = built('optimized_unary', num_values, epsilon)
    better = direct.variance(0.0, 1.0) < unary.variance(0.0, 1.0)
    assert better == (num_values < turn)


@EVERY_METHOD
def test_estimates_are_unbiased_with_the_stated_variance(method):
  # Over all reports of two clients, with categories 0 and 2: no sampling.
  randomizer = built(method)
  counts = np.array([1.0, 0.0, 1.0])
  mean, square = np.zeros(3), np.zeros(3)
  for one, other in itertools.product(
    law(randomizer, 0).items(), law(randomizer, 2).items()
  ):
    chance = float(one[1] * other[1])
    found = randomizer.estimate(np.add(one[0], other[0]), 2.0)
    mean += chance * found
    square += chance * found**2
  np.testing.assert_allclose(mean, counts, atol=1e-12)
  np.testing.assert_allclose(
    square - mean**2, randomizer.variance(counts, 2.0), rtol=1e-12
  )


@EVERY_METHOD
@pytest.mark.parametrize('value', [0, 2])
def test_reports_follow_their_law(method, value):
  size = 100_000
  randomizer = built(method)
  found = reports(randomizer, np.full([size], value))
  assert found.shape == (size, 3) and found.dtype == np.int64
  expected = law(randomizer, value)
  kinds, observed = np.unique(found, axis=0, return_counts=True)
  seen = dict(zip(map(tuple, kinds), observed, strict=True))
  assert set(seen) <= set(expected)
  found = chi_square(
    [seen.get(report, 0) for report in expected],
    [size * float(chance) for chance in expected.values()],
  )
  assert found > FALSE_ALARM


@EVERY_METHOD
@pytest.mark.parametrize('num_values', [2, 40])
def test_estimated_counts_are_within_their_deviations(method, num_values):
  counts = np.zeros(num_values)
  counts[:2] = 30_000, 10_000
  randomizer = built(method, num_values)
  values = np.repeat(np.arange(num_values), counts.astype(int))
  marks = reports(randomizer, values).sum(axis=0)
  found = randomizer.estimate(marks, len(values))
  stddev = np.sqrt(randomizer.variance(counts, len(values)))
  # Normal for so many reports: 6.2 deviations in 40 places, below 3e-8.
  assert np.abs((found - counts) / stddev).max() < 6.2


@pytest.mark.parametrize('bad', [-1, 3, 2**31 - 1, -(2**31)])
def test_numbers_that_are_no_category_are_hidden_as_well(bad):
  size = 50_000
  values = np.full([size], bad, np.int32)
  direct = reports(built('randomized_response'), values).sum(axis=0)
  assert chi_square(direct, np.full([3], size / 3)) > FALSE_ALARM
  for method in ('unary', 'optimized_unary'):
    randomizer = built(method)
    marks = reports(randomizer, values).sum(axis=0)
    q = randomizer.false_probability
    deviation = math.sqrt(size * q * (1 - q))
    assert np.abs(marks - size * q).max() < 6 * deviation
    # One bit differs from a category's law, not two.
    p, q = exact(randomizer)
    assert max(p / q, (1 - q) / (1 - p)) < math.exp(randomizer.epsilon)


def draws(monkeypatch, integers):
  monkeypatch.setattr(
    rr,
    '_integers',
    lambda seed, shape: tf.reshape(tf.constant(integers, tf.int64), shape),
  )


@pytest.mark.parametrize('value', [0, 1, 2])
def test_randomized_response_compares_with_its_thresholds(monkeypatch, value):
  randomizer = built('randomized_response', 3, 1.3)
  _, false = randomizer.thresholds
  others = [v for v in range(3) if v != value]
  edges = {
    0: others[0],
    false - 1: others[0],
    false: others[1],
    2 * false - 1: others[1],
    2 * false: value,
    rr.SCALE - 1: value,
  }
  draws(monkeypatch, [[edge, 0] for edge in edges])
  found = reports(randomizer, np.full([len(edges)], value))
  np.testing.assert_array_equal(found.argmax(axis=1), list(edges.values()))
  assert np.all(found.sum(axis=1) == 1)


@pytest.mark.parametrize('method', ['unary', 'optimized_unary'])
def test_unary_encoding_compares_with_its_thresholds(monkeypatch, method):
  randomizer = built(method, 2, 1.3)
  true, false = randomizer.thresholds
  draws(
    monkeypatch,
    [[0, 0], [true - 1, false - 1], [true, false], [rr.SCALE - 1] * 2],
  )
  found = reports(randomizer, np.zeros([4], np.int32))
  np.testing.assert_array_equal(found, [[1, 1], [1, 1], [0, 0], [0, 0]])


def test_integers_have_63_uniform_bits():
  size = 20_000
  drawn = rr._integers(tf.constant(SEED, tf.int64), [size]).numpy()
  assert drawn.min() >= 0
  bits = (drawn[:, np.newaxis] >> np.arange(64)) & 1
  assert not bits[:, 63].any()
  # 63 sums with deviation sqrt(size) / 2; 6 of them: below 2e-7.
  ones = bits[:, :63].sum(axis=0)
  assert np.abs(ones - size / 2).max() < 6 * math.sqrt(size) / 2
  # And no two bits go together: 63 * 62 / 2 correlations, below 4e-6.
  centred = 2 * bits[:, :63] - 1
  together = centred.T @ centred - size * np.eye(63)
  assert np.abs(together).max() < 6 * math.sqrt(size)


@EVERY_METHOD
def test_reports_depend_on_the_seed_and_on_nothing_else(method):
  randomizer, values = built(method), np.arange(300) % 3
  one = reports(randomizer, values)
  np.testing.assert_array_equal(one, reports(randomizer, values))
  for seed in ((17, -22), (18, -23), (17, -23 + 2**40)):
    assert np.any(one != reports(randomizer, values, seed))


@EVERY_METHOD
@pytest.mark.parametrize('seed', [(0, 0), (5, 2**62 + 1)])
def test_xla_draws_the_same(method, seed):
  randomizer = built(method, 7)

  def drawn(seed, values):
    return randomizer.report(seed, values)

  arguments = tf.constant(seed, tf.int64), tf.range(-1, 8)
  compiled = tf.function(drawn, jit_compile=True)
  np.testing.assert_array_equal(compiled(*arguments), drawn(*arguments))


@EVERY_METHOD
def test_a_single_client_reports_a_vector(method):
  found = reports(built(method, 4), tf.constant(2))
  assert found.shape == (4,) and set(found) <= {0, 1}


@pytest.mark.parametrize('epsilon', [0.0, -1.0, 40.1, math.nan, math.inf])
def test_epsilons_that_hide_all_or_nothing_are_refused(epsilon):
  with pytest.raises(rr.RandomizedResponseError, match='Expected an epsilon'):
    rr.for_epsilon('unary', 3, epsilon)


def test_unknown_methods_are_refused():
  with pytest.raises(
    rr.RandomizedResponseError,
    match="out of randomized_response, unary, optimized_unary, found 'rappor'",
  ):
    rr.for_epsilon('rappor', 3, 1.0)


@pytest.mark.parametrize('kind', [rr.RandomizedResponse, rr.UnaryEncoding])
def test_impossible_randomizers_are_refused(kind):
  with pytest.raises(rr.RandomizedResponseError, match='2 values, found 1'):
    kind(1, 0.5)
  for probability in (0.0, 1.0, -0.1, math.nan):
    with pytest.raises(
      rr.RandomizedResponseError, match=r'noise_probability in \(0, 1\), found'
    ):
      kind(3, probability)


def test_answers_that_rounding_makes_independent_of_the_truth_are_refused():
  almost = math.nextafter(1.0, 0.0)
  rr.RandomizedResponse(4, almost)
  with pytest.raises(
    rr.RandomizedResponseError, match='answers that depend on the truth'
  ):
    rr.RandomizedResponse(2**20, almost)


def test_its_errors_are_told_without_a_stack_trace():
  assert issubclass(rr.RandomizedResponseError, errors.PipelineError)
