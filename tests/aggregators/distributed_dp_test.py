"""The noisy mean is the mean of clipped updates, plus the noise stated.

On TFF's test context, which sums in the clear, and on XLA's with masked and
with insecure sums.
"""

import collections
import dataclasses
import functools
import math

import numpy as np
import pytest
from scipy import linalg
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.aggregators import composition, distributed_dp, value_types
from tff_pipelines.execution.xla import context as xla_context
from tff_pipelines.numerics import distributed_scale, hadamard

MECHANISMS = ('discrete_gaussian', 'skellam')
SIZE = 1000
VECTOR = tff.TensorType(np.float32, [SIZE])
NESTED = tff.types.to_type(
  collections.OrderedDict(
    # Not in alphabetical order.
    matrix=tff.TensorType(np.float32, [3, 2]),
    inner=(tff.TensorType(np.float32), tff.TensorType(np.float64, [4])),
  )
)
# Draws of such noise are zero, except with probability 1e-8 each; the scale is
# the finest there is.
NO_NOISE = {'mechanism': 'skellam', 'noise_multiplier': 1e-13, 'bits': 32}


def config(**options) -> distributed_dp.DistributedDpConfig:
  chosen = {
    'mechanism': 'skellam',
    'clip_norm': 0.5,
    'noise_multiplier': 1.0,
    'num_contributors': 8,
    'num_clients': 10,
    'denominator': 10.0,
  }
  return distributed_dp.DistributedDpConfig(**(chosen | options))


@functools.cache  # A context compiles a computation once.
def build(value_type=VECTOR, test_seed=None, **options):
  factory = distributed_dp.DistributedDpFactory(config(**options), test_seed)
  return factory.create(value_type)


CONTEXTS = {
  'test': samples.Reference,
  'masked': lambda: xla_context.XlaContext(threads=1),
  'insecure': lambda: xla_context.XlaContext(threads=1, secure_sums='insecure'),
}


@pytest.fixture(scope='module')
def every_context():
  made = {name: make() for name, make in CONTEXTS.items()}
  yield made
  for context in made.values():
    context.close()


@pytest.fixture(params=CONTEXTS)
def context(request, every_context):
  return every_context[request.param]


@pytest.fixture
def xla(every_context):
  return every_context['insecure']


def first_round(context, process, values):
  state = samples.run(context, process.initialize)
  return samples.run(context, process.next, state, values)


def vectors(count, norm, seed=0) -> list[np.ndarray]:
  drawn = np.random.default_rng(seed).normal(size=[count, SIZE])
  drawn *= norm / np.linalg.norm(drawn, axis=1, keepdims=True)
  return list(drawn.astype(np.float32))


def zeros(count) -> list[np.ndarray]:
  return [np.zeros(SIZE, np.float32)] * count


def rounding_error(process_config, count, size=SIZE) -> float:
  """How far rounding can move the result: below 1 in every coordinate."""
  scale = process_config.scale(size).scale
  root = math.sqrt(hadamard.padded_size(size))
  return count * root / (scale * process_config.denominator)


def test_types_and_measurements():
  process = build(NESTED)
  state = process.initialize.type_signature.result.member
  assert state.python_container is distributed_dp.DistributedDpState
  output = process.next.type_signature.result
  assert output.result.member.is_equivalent_to(NESTED)
  assert list(
    dict(tff.structure.iter_elements(output.measurements.member))
  ) == [
    'clip_norm',
    'clipped_clients',
    'noise_stddev',
    'signal_to_noise',
    'non_finite_clients',
    'wrap_around_probability',
    'bits_per_coordinate',
  ]
  assert all(
    of_type == tff.TensorType(np.float32)
    for _, of_type in tff.structure.iter_elements(output.measurements.member)
  )


def test_nothing_leaves_a_client_but_by_a_secure_sum():
  tff.test.assert_not_contains_unsecure_aggregation(build().next)


@pytest.mark.parametrize(
  'context', slow_cases.all_but(['masked'], CONTEXTS), indirect=True
)
def test_without_noise_it_is_the_mean_of_the_clipped_updates(context):
  values = vectors(5, 0.4) + vectors(4, 3.0, seed=1)
  found = first_round(context, build(**NO_NOISE), values)
  clipped = [v * min(1.0, 0.5 / np.linalg.norm(v)) for v in values]
  error = np.linalg.norm(found.result - np.sum(clipped, axis=0) / 10)
  # Beside the rounding: float32 rotations, and the clip's margin of 2^-20.
  assert error <= rounding_error(config(**NO_NOISE), 9) + 5e-6
  assert found.measurements['clipped_clients'] == pytest.approx(4 / 9)
  assert found.measurements['clip_norm'] == 0.5
  assert found.measurements['non_finite_clients'] == 0


@pytest.mark.parametrize(
  'context', slow_cases.all_but(['masked'], CONTEXTS), indirect=True
)
def test_structures_are_put_together_again(context):
  values = [
    collections.OrderedDict(
      matrix=np.full([3, 2], 0.01 * c, np.float32),
      inner=(np.float32(-0.02 * c), np.arange(4.0) / 100),
    )
    for c in range(1, 4)
  ]
  found = first_round(
    context, build(NESTED, denominator=3.0, **NO_NOISE), values
  ).result
  np.testing.assert_allclose(found['matrix'], np.full([3, 2], 0.02), atol=1e-6)
  np.testing.assert_allclose(found['inner'][0], -0.04, atol=1e-6)
  np.testing.assert_allclose(found['inner'][1], np.arange(4) / 100, atol=1e-6)
  assert found['inner'][1].dtype == np.float64


def test_every_step_by_numpy(xla):
  # Coarse on purpose: the steps must be those of the rounded, rotated vectors.
  options = {'noise_multiplier': 1e-13, 'bits': 8, 'num_clients': 10}
  settings = config(**options)
  values = vectors(3, 0.5)
  process = build(**options)
  state = samples.run(xla, process.initialize)
  scale = settings.scale(SIZE)
  # D, from the rotation of (1, 0, ..., 0), (0, 1, 0, ...), ... at once.
  signs = np.sign(
    hadamard.rotate_back(
      tf.eye(1, 1024)[0], tf.constant(state.rotation_seed), 1024
    )
  )
  rotation = linalg.hadamard(1024) * signs / 32
  exact = [rotation[:, :SIZE] @ (scale.scale * v) for v in values]
  found = samples.run(xla, process.next, state, values).result
  # The sum of integers, out of the result and the padding that it lost.
  low, high = (sum(f(e) for e in exact) for f in (np.floor, np.ceil))
  total = 10 * scale.scale * rotation[:, :SIZE] @ found
  # What the lost 24 coordinates held was rounding, of a norm below 3 sqrt(24).
  assert (total >= low - 3 * math.sqrt(24)).all()
  assert (total <= high + 3 * math.sqrt(24)).all()
  error = np.linalg.norm(total - sum(exact))
  # Expected square 3 * 1024 / 6 for even fractions; twice as much at most.
  assert 0.5 < error / math.sqrt(3 * 1024 / 6) < 1.5


@pytest.mark.parametrize(
  'mechanism', [slow_cases.slow('discrete_gaussian'), 'skellam']
)
def test_the_noise_has_the_stddev_stated_and_is_fresh(xla, mechanism):
  # The default is built already.
  process = build() if mechanism == 'skellam' else build(mechanism=mechanism)
  state = samples.run(xla, process.initialize)
  drawn = []
  for _ in range(4):
    output = samples.run(xla, process.next, state, zeros(10))
    state = output.state
    drawn.append(output.result)
    stddev = output.measurements['noise_stddev']
    # 8 shares make up noise_multiplier * clip_norm.
    assert stddev == pytest.approx(0.5 * math.sqrt(10 / 8) / 10, rel=1e-6)
    # Six standard errors of a variance of 1000 nearly normal numbers: 2e-9.
    ratio = np.mean(output.result**2) / stddev**2
    assert abs(ratio - 1) < 6 * math.sqrt(2 / SIZE)
  for one in range(4):
    for other in range(one):
      cosine = np.mean(drawn[one] * drawn[other]) / stddev**2
      assert abs(cosine) < 6 / math.sqrt(SIZE)
  assert samples.run(xla, process.initialize).round_num == 1
  assert state.round_num == 5


def test_noise_of_masked_sums_is_there_too(every_context):
  found = first_round(every_context['masked'], build(), zeros(6))
  stddev = found.measurements['noise_stddev']
  assert stddev == pytest.approx(0.5 * math.sqrt(6 / 8) / 10, rel=1e-6)
  ratio = np.mean(found.result**2) / stddev**2
  assert abs(ratio - 1) < 6 * math.sqrt(2 / SIZE)


def test_clients_that_are_missing_take_their_noise_with_them(xla):
  process = build()
  many, few = (first_round(xla, process, zeros(n)) for n in (8, 2))
  halved = few.measurements['noise_stddev'] / many.measurements['noise_stddev']
  assert halved == pytest.approx(0.5)
  ratio = np.mean(few.result**2) / np.mean(many.result**2)
  # Six standard errors of each variance.
  slack = 6 * math.sqrt(2 / SIZE)
  assert (1 - slack) / (1 + slack) < 4 * ratio < (1 + slack) / (1 - slack)


def test_clients_with_equal_updates_add_different_noise(xla):
  # Were it the same, the sum's variance would be n^2 and not n times a share's.
  found = first_round(xla, build(), zeros(8))
  ratio = np.mean(found.result**2) / found.measurements['noise_stddev'] ** 2
  assert ratio < 1 + 6 * math.sqrt(2 / SIZE) < 8


def test_rotations_differ_from_round_to_round_and_run_to_run(xla):
  process = build()
  first, again = (samples.run(xla, process.initialize) for _ in range(2))
  second = samples.run(xla, process.next, first, zeros(2)).state
  seeds = {tuple(s.rotation_seed.tolist()) for s in (first, again, second)}
  assert len(seeds) == 3


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_a_client_with_a_number_that_is_not_finite_adds_zeros(xla, bad):
  values = vectors(3, 0.3)
  broken = values[1].copy()
  broken[5] = bad
  found = first_round(xla, build(**NO_NOISE), [values[0], broken, values[2]])
  np.testing.assert_allclose(
    found.result, (values[0] + values[2]) / 10, atol=1e-6
  )
  assert found.measurements['non_finite_clients'] == 1
  assert found.measurements['clipped_clients'] == 0


@pytest.mark.slow
def test_signal_to_noise_is_near_the_truth(xla):
  # Eight equal updates of norm 0.5: a signal of 4, and noise sqrt(n * 1/4).
  value = vectors(1, 0.499)[0]
  found = first_round(
    xla, build(noise_multiplier=0.1, num_clients=8), [value] * 8
  )
  truth = 8 * 0.499 / (0.1 * 0.5 * math.sqrt(SIZE))
  measured = found.measurements['signal_to_noise']
  # Squares differ by less than six of their standard errors.
  slack = 6 * math.sqrt((2 + 4 * truth**2) / SIZE)
  assert abs(measured**2 - truth**2) < slack
  noise_only = first_round(xla, build(), zeros(8))
  assert noise_only.measurements['signal_to_noise'] ** 2 < 6 * math.sqrt(
    2 / SIZE
  )


def test_bits_are_those_of_all_summands(xla):
  found = first_round(xla, build(bits=20), zeros(2)).measurements
  expected = (1024 * 20 + 3 * 31) / 1000
  assert found['bits_per_coordinate'] == pytest.approx(expected)


def test_sums_that_wrap_around_show_it(xla):
  values = vectors(8, 0.5)
  exact = np.sum(values, axis=0) / 10
  options = {'noise_multiplier': 0.01, 'bits': 12}
  good = first_round(xla, build(**options), values)
  assert good.measurements['wrap_around_probability'] <= 1.0001e-6
  bad = first_round(xla, build(head_room=0.05, **options), values)
  assert bad.measurements['wrap_around_probability'] == 1.0
  errors = [np.linalg.norm(f.result - exact) for f in (good, bad)]
  assert errors[1] > 5 * errors[0]
  # As large as the result itself: nothing is left of it.
  assert errors[1] > 0.5 * np.linalg.norm(exact)


def test_more_clients_than_planned_void_the_bound(xla):
  process = build(num_clients=8)
  state = samples.run(xla, process.initialize)
  for count, is_kept in ((8, True), (9, False)):
    found = samples.run(xla, process.next, state, zeros(count)).measurements
    assert (found['wrap_around_probability'] < 1.0) == is_kept


def test_a_round_of_nobody_adds_nothing(every_context):
  found = first_round(every_context['test'], build(), [])
  assert (found.result == 0).all()
  for name in ('clipped_clients', 'noise_stddev', 'signal_to_noise'):
    assert found.measurements[name] == 0.0


@pytest.mark.slow
def test_a_test_seed_makes_rounds_repeat_and_masks_do_not_change_them(
  xla, every_context
):
  masked = every_context['masked']
  process = build(test_seed=7)
  values = vectors(4, 0.4)
  one, same, other = (
    first_round(c, process, values) for c in (xla, xla, masked)
  )
  samples.assert_same(same, one)
  samples.assert_same(other, one)
  second = samples.run(xla, process.next, one.state, values)
  assert np.abs(second.result - one.result).max() > 1e-3
  different = first_round(xla, build(test_seed=8), values)
  assert np.abs(different.result - one.result).max() > 1e-3


def test_all_is_one_xla_program_with_seeds_of_the_operating_system(xla):
  explanation = xla.explain(build().next)
  assert explanation.way == 'xla'
  assert (
    'Client work reads fresh seeds of the operating system'
    in explanation.randomness
  )


def test_its_layers_fit_together_for_the_planned_cohort():
  factory = distributed_dp.DistributedDpFactory(config())
  composition.check(factory.stack, 10)
  with pytest.raises(composition.CompositionError, match='at most 10 clients'):
    composition.check(factory.stack, 11)
  forced = dataclasses.replace(config(), head_room=1.0)
  assert forced.stack[-1].wrap_around_probability == 1.0


def test_too_few_bits_are_refused_before_round_one():
  with pytest.raises(distributed_scale.TooFewBitsError) as raised:
    build(bits=6)
  assert f'take at least {raised.value.enough} bits' in str(raised.value)
  build(bits=raised.value.enough)


@pytest.mark.parametrize(
  'value_type',
  [
    tff.TensorType(np.int32, [3]),
    tff.TensorType(np.float32, [None]),
    tff.types.to_type((np.float32, np.int64)),
    tff.types.to_type([]),
    tff.TensorType(np.float32, [0]),
  ],
  ids=str,
)
def test_values_that_are_no_floats_of_known_shapes_are_refused(value_type):
  with pytest.raises(
    value_types.ValueTypeError, match='float tensors of known shapes'
  ):
    build(value_type)


@pytest.mark.parametrize('denominator', [0.0, -1.0, math.inf])
def test_a_denominator_that_is_none_is_refused(denominator):
  with pytest.raises(distributed_dp.DistributedDpError, match='denominator'):
    config(denominator=denominator)


def test_numbers_out_of_range_are_refused_when_they_are_given():
  with pytest.raises(
    distributed_scale.DistributedScaleError, match='clip_norm'
  ):
    config(clip_norm=-1.0)
