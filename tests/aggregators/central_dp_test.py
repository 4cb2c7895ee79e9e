"""Clipped sums with the server's noise, on XLA.

That TFF's runtime gives the same is in contracts/execution_aggregators_test.
Tests of distributions have fixed seeds; a correct factory had a chance of about
1e-6 to be refused by each seed.
"""

import collections
import functools
import itertools
import math

import numpy as np
import pytest
from scipy import special, stats
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.aggregators import (
  central_dp,
  clip_norms,
  composition,
  server_noise,
  value_types,
)
from tff_pipelines.execution.xla import context as xla_context
from tff_pipelines.numerics import (
  banded_factorization,
  banded_noise,
  correlated_noise,
  prefix_sum_error,
  tree_noise,
)

DIMENSION = 20_000
VECTOR = tff.TensorType(np.float32, [4])
DOUBLE = tff.TensorType(np.float64, [4])
WIDE = tff.TensorType(np.float32, [DIMENSION])
NESTED = tff.types.to_type(
  collections.OrderedDict(
    # Not in alphabetical order.
    matrix=tff.TensorType(np.float32, [3, 2]),
    inner=(tff.TensorType(np.float64), tff.TensorType(np.float16, [4])),
  )
)
STRATEGY = banded_factorization.square_root_strategy(6, 3)
# Noise of a size that no result shows.
SILENT = 1e-12
NOISES = {
  'independent': server_noise.IndependentNoise,
  'tree': lambda z: server_noise.TreeNoise(z, 4, 'standard'),
  'honaker': server_noise.TreeNoise,
  'banded': lambda z: server_noise.BandedNoise(z, STRATEGY),
}
PREFIX_VARIANCE = {
  'independent': prefix_sum_error.independent(6),
  'tree': prefix_sum_error.tree(6, 4),
  'honaker': prefix_sum_error.honaker_tree(6),
  'banded': prefix_sum_error.banded(STRATEGY),
}


@pytest.fixture(scope='module', autouse=True)
def context():
  made = xla_context.XlaContext(threads=1)
  with tff.framework.get_context_stack().install(made):
    yield made
  made.close()


def fixed(clip_norm=1.0, noise=None, denominator=1.0, test_seed=1):
  return central_dp.CentralDpFactory(
    clip_norms.FixedClip(clip_norm),
    noise or server_noise.IndependentNoise(SILENT),
    denominator,
    test_seed,
  )


@functools.cache  # A context compiles a computation once.
def built(name, noise_multiplier, clip_norm, denominator, value_type):
  noise = NOISES[name](noise_multiplier)
  return fixed(clip_norm, noise, denominator).create(value_type)


def adaptive(denominator, test_seed=1, **fields):
  return central_dp.CentralDpFactory(
    clip_norms.AdaptiveClip(**fields),
    server_noise.IndependentNoise(SILENT),
    denominator,
    test_seed,
  )


def rounds(process, cohorts) -> list:
  """The outputs of rounds with these cohorts."""
  state, outputs = process.initialize(), []
  for cohort in cohorts:
    outputs.append(process.next(state, cohort))
    state = outputs[-1].state
  return outputs


def first(factory, cohort, value_type=VECTOR):
  return rounds(factory.create(value_type), [cohort])[0]


def vectors(num_clients, seed=0, dtype=np.float32) -> list[np.ndarray]:
  rng = np.random.default_rng(seed)
  return list(rng.normal(size=[num_clients, 4]).astype(dtype))


# What it computes, without noise that shows.


@pytest.mark.parametrize(
  'name', slow_cases.all_but(['independent', 'banded'], NOISES)
)
def test_no_noise_and_a_huge_clip_norm_give_the_mean(name):
  cohorts = [vectors(5, seed) for seed in range(3)]
  process = fixed(100.0, NOISES[name](SILENT), 5.0).create(VECTOR)
  for output, cohort in zip(rounds(process, cohorts), cohorts, strict=True):
    np.testing.assert_allclose(
      output.result, np.mean(cohort, axis=0), rtol=1e-6, atol=1e-7
    )
    assert output.result.dtype == np.float32


def test_updates_are_clipped_and_divided_by_the_planned_clients():
  cohort = [np.float32([3, -4, 0, 0]), np.float32([0, 0, 0.1, 0])]
  output = first(fixed(0.5, denominator=4.0), cohort)
  expected = np.array([0.3, -0.4, 0.1, 0]) / 4
  # Clipping aims at 2^-20 below the clip norm.
  np.testing.assert_allclose(output.result, expected, rtol=2e-6, atol=1e-9)


@pytest.mark.parametrize('seed', range(5))
def test_one_client_moves_the_sum_by_at_most_the_clip_norm(seed):
  clip_norm = 0.7
  process = built('independent', SILENT, clip_norm, 1.0, DOUBLE)
  rng = np.random.default_rng(seed)
  cohort = [v * rng.exponential(2) for v in vectors(4, seed, np.float64)]
  with_all = rounds(process, [cohort])[0].result
  for left_out in range(4):
    others = cohort[:left_out] + cohort[left_out + 1 :]
    without = rounds(process, [others])[0].result
    # The noise, of the same seed, cancels.
    assert np.linalg.norm(with_all - without) <= clip_norm + 1e-15


def test_structures_keep_their_order_shapes_and_types():
  process = fixed(50.0, denominator=2.0).create(NESTED)
  result_type = process.next.type_signature.result.result
  assert result_type.member.is_equivalent_to(NESTED)
  cohort = [
    collections.OrderedDict(
      matrix=np.full([3, 2], k, np.float32),
      inner=(np.float64(10 * k), np.full([4], -k, np.float16)),
    )
    for k in (1, 3)
  ]
  result = rounds(process, [cohort])[0].result
  assert list(result) == ['matrix', 'inner']
  np.testing.assert_allclose(result['matrix'], np.full([3, 2], 2), rtol=1e-6)
  np.testing.assert_allclose(result['inner'][0], 20, rtol=1e-9)
  np.testing.assert_allclose(result['inner'][1], np.full([4], -2), rtol=1e-3)


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_clients_that_are_not_finite_contribute_zero_and_are_counted(bad):
  cohort = [np.float32([3, 0, 0, 0]), np.float32([0, bad, 0, 0])]
  process = built('independent', SILENT, 5.0, 1.0, VECTOR)
  (output,) = rounds(process, [[*cohort, np.float32([0, 0, 1, 0])]])
  np.testing.assert_allclose(output.result, [3, 0, 1, 0], rtol=1e-6, atol=1e-9)
  assert output.measurements['non_finite_clients'] == 1
  assert output.measurements['clipped_clients'] == 0


def test_measurements_are_those_of_a_round_by_hand():
  cohort = [np.float32([3, 0, 0, 0]), np.float32([0, 0.5, 0, 0])]
  noise = server_noise.IndependentNoise(2.0)
  measured = first(fixed(1.5, noise, 10.0), cohort).measurements
  assert list(measured) == [
    'clip_norm',
    'clipped_clients',
    'noise_stddev',
    'signal_to_noise',
    'non_finite_clients',
  ]
  assert all(v.dtype == np.float32 for v in measured.values())
  assert measured['clip_norm'] == 1.5
  assert measured['clipped_clients'] == 0.5
  assert measured['noise_stddev'] == pytest.approx(0.3)
  signal = math.hypot(1.5, 0.5)
  expected = 3.0 * stats.chi(4).mean()
  assert measured['signal_to_noise'] == pytest.approx(signal / expected)


# Noise.


@pytest.mark.parametrize(
  'name', slow_cases.all_but(['independent', 'banded'], NOISES)
)
def test_noise_has_its_variance_in_every_round_and_prefix(name):
  stddev = 2.5 * 0.4 / 8  # Noise multiplier, clip norm, denominator.
  process = built(name, 2.5, 0.4, 8.0, WIDE)
  outputs = rounds(process, [[np.zeros([DIMENSION], np.float32)]] * 6)
  low, high = stats.chi2(DIMENSION).ppf([1e-7, 1 - 1e-7])
  prefix = np.zeros(DIMENSION)
  for output, variance in zip(outputs, PREFIX_VARIANCE[name], strict=True):
    told = float(output.measurements['noise_stddev'])
    assert low < np.sum(np.float64(output.result) ** 2) / told**2 < high
    prefix += output.result
    assert low < np.sum(prefix**2) / (variance * stddev**2) < high


@pytest.mark.parametrize(
  'name', slow_cases.all_but(['independent', 'banded'], NOISES)
)
def test_an_empty_cohort_has_all_of_the_noise(name):
  process = built(name, 2.5, 0.4, 8.0, WIDE)
  empty, full = (
    rounds(process, [cohort] * 3)
    for cohort in ([], [np.zeros([DIMENSION], np.float32)] * 2)
  )
  for one, other in zip(empty, full, strict=True):
    np.testing.assert_allclose(one.result, other.result, rtol=1e-6)
    assert np.count_nonzero(one.result) == DIMENSION
    assert one.measurements['clipped_clients'] == 0
    assert one.measurements['signal_to_noise'] == 0


def test_noise_is_gaussian_and_that_of_every_tensor_its_own():
  value_type = tff.types.to_type([WIDE, WIDE])
  factory = fixed(1.0, server_noise.IndependentNoise(1.0))
  zeros = [np.zeros([DIMENSION], np.float32)] * 2
  one, other = first(factory, [zeros], value_type).result
  for values in (one, other):
    assert_normal(values)
  assert not uncorrelated_failure(one, other)


def assert_normal(values) -> None:
  """Compares the distribution function with the normal one.

  They are apart by more than sqrt(ln(2 / p) / (2 n)) with a probability of at
  most p (Massart 1990), here 1e-6.
  """
  expected = special.ndtr(np.sort(np.float64(values)))
  steps = np.arange(len(values) + 1) / len(values)
  apart = max(np.max(expected - steps[:-1]), np.max(steps[1:] - expected))
  assert apart < math.sqrt(math.log(2e6) / (2 * len(values)))


def uncorrelated_failure(one, other) -> bool:
  """Whether two vectors are correlated; by chance with probability 1e-9."""
  correlation = np.corrcoef(np.float64(one), np.float64(other))[0, 1]
  return abs(correlation) * math.sqrt(len(one)) > stats.norm.isf(5e-10)


def test_the_systems_noise_is_fresh_in_rounds_runs_and_processes():
  # Seeds of the operating system: 15 pairs fail once in 6e7 runs.
  zeros = [np.zeros([DIMENSION], np.float32)]
  noise = server_noise.IndependentNoise(1.0)
  process = fixed(1.0, noise, test_seed=None).create(WIDE)
  another = fixed(1.0, noise, test_seed=None).create(WIDE)
  draws = [
    output.result
    for run in (process, process, another)
    for output in rounds(run, [zeros, zeros])
  ]
  for one, other in itertools.combinations(draws, 2):
    assert not uncorrelated_failure(one, other)


@pytest.mark.parametrize(
  'name', [slow_cases.slow('tree'), slow_cases.slow('honaker'), 'banded']
)
def test_the_systems_correlated_noise_is_fresh_in_every_run(name):
  zeros = [np.zeros([DIMENSION], np.float32)]
  process = fixed(1.0, NOISES[name](1.0), test_seed=None).create(WIDE)
  one, other = (rounds(process, [zeros] * 3) for _ in range(2))
  for first_run, second_run in itertools.product(one, other):
    assert not uncorrelated_failure(first_run.result, second_run.result)


def test_test_seeds_and_only_they_repeat_the_noise():
  noise, cohort = server_noise.IndependentNoise(1.0), vectors(2)
  one, same, other, systems = (
    first(fixed(1.0, noise, test_seed=seed), cohort).result
    for seed in (5, 5, 6, None)
  )
  np.testing.assert_array_equal(one, same)
  assert not set(one) & set(other)
  assert not set(one) & set(systems)


# Adaptive clipping.


def test_the_clip_norm_moves_as_in_the_paper():
  # Three of four clients are below 1; no noise that shows.
  process = adaptive(
    4.0, initial_clip_norm=1.0, count_noise_stddev=SILENT
  ).create(VECTOR)
  cohort = [s * np.float32([1, 0, 0, 0]) for s in (0.1, 0.2, 0.3, 7.0)]
  one, two = rounds(process, [cohort, cohort])
  np.testing.assert_allclose(one.measurements['clip_norm'], 1.0)
  expected = math.exp(-0.2 * (0.75 - 0.5))
  np.testing.assert_allclose(one.state.clip_norm, expected, rtol=1e-9)
  np.testing.assert_allclose(two.measurements['clip_norm'], expected, rtol=1e-6)
  assert one.measurements['clipped_clients'] == 0.25
  np.testing.assert_allclose(two.result[0], (0.6 + expected) / 4, rtol=2e-6)


@pytest.mark.parametrize(
  'quantile', [slow_cases.slow(0.2), slow_cases.slow(0.5), 0.9]
)
def test_the_clip_norm_converges_to_the_quantile(quantile):
  # Norms uniform on [0, 1]: near the quantile q a round takes a share of 0.3 q
  # of log(C / q) away and adds noise of stddev 0.3 * 2 / 50 = 0.012, so its
  # stddev stays below 0.012 / sqrt(0.3 q) = 0.049; 5 of them in 10 rounds fail
  # by chance with probability 6e-6 for one seed. 50 clients: steps of 0.02.
  cohort = [
    (c + 0.5) / 50 * v / np.linalg.norm(v)
    for c, v in enumerate(vectors(50, dtype=np.float32))
  ]
  process = adaptive(
    50.0, target_quantile=quantile, learning_rate=0.3, count_noise_stddev=2.0
  ).create(VECTOR)
  norms = [o.state.clip_norm for o in rounds(process, [cohort] * 120)][-10:]
  bound = 5 * 0.012 / math.sqrt(0.3 * quantile) + math.log1p(0.02 / quantile)
  assert np.abs(np.log(np.array(norms) / quantile)).max() < bound


def test_noise_follows_the_clip_norm_in_force():
  factory = central_dp.CentralDpFactory(
    clip_norms.AdaptiveClip(initial_clip_norm=4.0, count_noise_stddev=1.0),
    server_noise.IndependentNoise(2.5),
    10.0,
    test_seed=3,
  )
  zeros = [np.zeros([DIMENSION], np.float32)] * 10
  low, high = stats.chi2(DIMENSION).ppf([1e-7, 1 - 1e-7])
  norms = []
  for output in rounds(factory.create(WIDE), [zeros] * 3):
    norms.append(float(output.measurements['clip_norm']))
    stddev = 2.5 * norms[-1] / 10
    np.testing.assert_allclose(output.measurements['noise_stddev'], stddev)
    assert low < np.sum(np.float64(output.result) ** 2) / stddev**2 < high
  assert norms[0] == 4.0 and len(set(norms)) == 3


def test_the_count_has_its_noise():
  # Empty cohorts: every step is the noise alone.
  stddev, num_rounds = 3.0, 300
  process = adaptive(10.0, count_noise_stddev=stddev).create(VECTOR)
  norms = [0.1]
  norms += [o.state.clip_norm for o in rounds(process, [[]] * num_rounds)]
  drawn = np.diff(np.log(norms)) * 10 / (-0.2 * stddev)
  low, high = stats.chi2(num_rounds).ppf([5e-7, 1 - 5e-7])
  assert low < np.sum(drawn**2) < high
  assert_normal(drawn)


def test_clients_that_are_not_finite_move_no_clip_norm():
  process = adaptive(10.0, count_noise_stddev=SILENT).create(VECTOR)
  cohort = [np.full([4], math.nan, np.float32)] * 3
  (output,) = rounds(process, [cohort])
  np.testing.assert_allclose(output.state.clip_norm, 0.1, rtol=1e-9)


# What it is, and what it refuses.


def test_weights_are_not_taken():
  factory = fixed()
  assert isinstance(factory, tff.aggregators.UnweightedAggregationFactory)
  assert not isinstance(factory, tff.aggregators.WeightedAggregationFactory)
  assert not factory.create(VECTOR).is_weighted


def test_its_layers_fit_together():
  stack = fixed().stack
  composition.check(stack, num_clients=100)
  with pytest.raises(composition.CompositionError, match='weight every client'):
    composition.check((composition.WEIGHT, *stack))


@pytest.mark.parametrize(
  'name,noise_type',
  [
    ('independent', tuple),
    ('honaker', tree_noise.TreeState),
    ('banded', banded_noise.BandedState),
  ],
)
def test_the_state_is_named(name, noise_type):
  process = fixed(0.4, NOISES[name](1.0)).create(VECTOR)
  for state in (process.initialize(), rounds(process, [vectors(1)])[0].state):
    assert isinstance(state, central_dp.CentralDpState)
    assert isinstance(state.noise, noise_type)
    assert state.clip_norm == 0.4
  assert state.round_num == 1


def test_noise_is_kept_as_fine_as_the_result():
  for value_type, dtype in ((VECTOR, np.float32), (DOUBLE, np.float64)):
    state = fixed(1.0, NOISES['honaker'](1.0)).create(value_type).initialize()
    assert state.noise.estimates[0].dtype == dtype


def test_the_clients_are_told_the_clip_norm_only():
  process = fixed(1.0, NOISES['honaker'](1.0)).create(WIDE)

  @tff.federated_computation(*process.next.type_signature.parameter)
  def two_results(state, value):
    output = process.next(state, value)
    return output.state, output.result

  form = tff.backends.mapreduce.get_map_reduce_form_for_computation(two_results)
  told = form.prepare.type_signature.result
  assert [str(leaf) for leaf in tff.structure.flatten(told)] == ['float64']


@pytest.mark.parametrize('name', ['honaker', 'tree', 'banded'])
def test_an_adaptive_norm_with_correlated_noise_is_refused(name):
  with pytest.raises(
    central_dp.CentralDpError,
    match=r'found AdaptiveClip with (Tree|Banded)Noise: .* one norm in all',
  ):
    central_dp.CentralDpFactory(
      clip_norms.AdaptiveClip(count_noise_stddev=1.0), NOISES[name](1.0), 1.0
    )


@pytest.mark.parametrize('denominator', [0.0, -3.0, math.inf, math.nan])
def test_denominators_that_are_no_number_of_clients_are_refused(denominator):
  with pytest.raises(
    central_dp.CentralDpError, match=f'planned .* found {denominator}'
  ):
    fixed(denominator=denominator)


@pytest.mark.parametrize(
  'value_type',
  [
    tff.TensorType(np.int32, [3]),
    tff.TensorType(np.float32, [None]),
    tff.TensorType(np.float32, [0]),
    tff.StructType([]),
    tff.SequenceType(np.float32),
    tff.types.to_type([np.float32, np.int64]),
  ],
)
def test_values_that_are_no_vectors_are_refused(value_type):
  with pytest.raises(
    value_types.ValueTypeError, match='Expected updates of float tensors'
  ):
    fixed().create(value_type)


def test_rounds_beyond_the_strategy_are_refused_before_and_when_they_run():
  factory = fixed(1.0, NOISES['banded'](1.0))
  factory.check_rounds(6)
  with pytest.raises(
    correlated_noise.TooManyRoundsError, match=r'at most 6 rounds.*found 7'
  ):
    factory.check_rounds(7)
  process = factory.create(VECTOR)
  state = rounds(process, [vectors(1)] * 6)[-1].state
  with pytest.raises(Exception, match=r'at most 6 rounds.*\[7\]'):
    process.next(state, vectors(1))


def test_independent_noise_serves_any_number_of_rounds():
  fixed().check_rounds(10**9)


@pytest.mark.slow
def test_tensorflows_runtime_takes_empty_cohorts_too():
  process = fixed(1.0, NOISES['banded'](1.0)).create(VECTOR)
  expected = rounds(process, [[]])[0]
  reference = samples.Reference()
  state = samples.run(reference, process.initialize)
  found = samples.run(reference, process.next, state, [])
  reference.close()
  samples.assert_same(found, expected)
