import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  attackers,
  composition,
  krum,
  norm_bound,
  registry,
  trimmed_mean,
)
from tff_pipelines.core import errors
from tff_pipelines.execution import contexts

# Those that compare single updates.
ROBUST = (
  'median',
  'trimmed_mean',
  'krum',
  'multi_krum',
  'geometric_median',
  'norm_bound',
  'zeroing',
)


@pytest.mark.parametrize(
  ('name', 'kind'),
  [
    ('mean', tff.aggregators.WeightedAggregationFactory),
    ('uniform_mean', tff.aggregators.UnweightedAggregationFactory),
    ('zeroing_clipping', tff.aggregators.WeightedAggregationFactory),
    ('secure_mean', tff.aggregators.WeightedAggregationFactory),
    ('secure_uniform_mean', tff.aggregators.UnweightedAggregationFactory),
    # Who may attack may claim any weight.
    *((name, tff.aggregators.UnweightedAggregationFactory) for name in ROBUST),
  ],
)
def test_the_kind_of_an_aggregator_says_how_clients_are_weighted(name, kind):
  assert isinstance(registry.build(name, 8), kind)


def test_an_unknown_name_is_refused_with_those_that_exist():
  with pytest.raises(registry.UnknownAggregatorError) as raised:
    registry.build('mode')
  assert str(raised.value) == (
    f'Expected an aggregator out of {", ".join(registry.AGGREGATORS)}, found '
    "'mode'."
  )
  assert isinstance(raised.value, errors.PipelineError)


def aggregate(name: str, values: list[float], weights: list[float]) -> float:
  """The result of the first round."""
  factory = registry.build(name)
  float32 = tff.TensorType(np.float32)
  if isinstance(factory, tff.aggregators.WeightedAggregationFactory):
    process = factory.create(float32, float32)
    return process.next(process.initialize(), values, weights).result
  process = factory.create(float32)
  return process.next(process.initialize(), values).result


@pytest.mark.parametrize(
  ('name', 'values', 'expected'),
  [
    ('mean', [0.5, 0.1], (1 * 0.5 + 3 * 0.1) / 4),
    ('uniform_mean', [0.5, 0.1], (0.5 + 0.1) / 2),
    ('zeroing_clipping', [0.5, 0.1], (1 * 0.5 + 3 * 0.1) / 4),
    # The first norms are 1 for clipping and 2 * 10 + 1 for zeroing.
    ('zeroing_clipping', [4.0, 0.1], (1 * 1.0 + 3 * 0.1) / 4),
    ('zeroing_clipping', [20.9, 0.1], (1 * 1.0 + 3 * 0.1) / 4),
    ('zeroing_clipping', [21.1, 0.1], (1 * 0.0 + 3 * 0.1) / 4),
  ],
)
def test_two_clients_of_weights_1_and_3_by_hand(
  native_context, name, values, expected
):
  del native_context  # Installed by the fixture.
  found = aggregate(name, values, [1.0, 3.0])
  assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
  ('name', 'expected'),
  [('secure_mean', 0.2), ('secure_uniform_mean', 0.3)],
)
def test_two_clients_by_hand_under_a_secure_sum(name, expected):
  with contexts.using('xla'):
    found = aggregate(name, [0.5, 0.1], [1.0, 3.0])
  # Half a step of the first range, 1.
  assert found == pytest.approx(expected, abs=0.5 / (2**15 - 1))


@pytest.mark.parametrize('name', ['secure_mean', 'secure_uniform_mean'])
def test_a_cohort_too_large_for_a_secure_sum_is_refused(name):
  stack = registry.AGGREGATORS[name].stack
  composition.check(stack, num_clients=10_000)
  with pytest.raises(composition.CompositionError, match='found 20000'):
    composition.check(stack, num_clients=20_000)


def test_every_aggregator_has_a_line_for_the_help():
  for name, row in registry.AGGREGATORS.items():
    assert row.description, name
    assert '\n' not in row.description, name


def test_a_cohort_that_could_overflow_a_secure_sum_is_refused_at_once():
  registry.build('secure_mean', num_clients=1000)
  with pytest.raises(composition.CompositionError, match='clients'):
    registry.build('secure_mean', num_clients=10**7)


def test_those_that_compare_single_updates_are_robust_statistics():
  for name, row in registry.AGGREGATORS.items():
    kinds = {layer.kind for layer in row.stack}
    is_robust = composition.Kind.ROBUST_STATISTIC in kinds
    assert is_robust == (name in ROBUST), name


@pytest.mark.parametrize('name', ROBUST)
def test_layers_of_the_row_are_those_of_the_factory(name):
  assert registry.AGGREGATORS[name].stack == registry.build(name, 9).stack


@pytest.mark.parametrize('name', ROBUST)
def test_they_have_room_for_the_largest_cohort(name):
  assert registry.build(name, 9).max_clients == 9


@pytest.mark.parametrize('name', ROBUST)
def test_they_need_the_largest_cohort(name):
  with pytest.raises(registry.UnknownCohortError) as raised:
    registry.build(name)
  assert str(raised.value) == (
    'Expected the largest cohort of a round for an aggregator that compares '
    'single updates, found none; give num_clients.'
  )


@pytest.mark.parametrize('name', ROBUST)
def test_under_a_secure_sum_they_are_refused_in_a_sentence(name):
  stack = (
    *registry.AGGREGATORS[name].stack,
    composition.QUANTIZE,
    composition.secure_sum(255, 2**32),
  )
  with pytest.raises(
    composition.CompositionError,
    match='it compares single updates, and the server learns their sum only',
  ):
    composition.check(stack)


@pytest.mark.parametrize(
  'name, kind',
  [
    ('trimmed_mean', trimmed_mean.TrimmedMeanFactory),
    ('krum', krum.KrumFactory),
    ('multi_krum', krum.MultiKrumFactory),
  ],
)
def test_a_quarter_of_the_cohort_is_tolerated_unless_told_otherwise(name, kind):
  usual = registry.build(name, 16)
  assert type(usual) is kind
  assert usual.tolerated_attackers == 4
  assert (
    registry.build(name, 16, tolerated_attackers=2).tolerated_attackers == 2
  )


@pytest.mark.parametrize(
  'name, tolerated, least',
  [('trimmed_mean', 8, 17), ('krum', 7, 17), ('multi_krum', 7, 17)],
)
def test_more_attackers_than_a_cohort_tolerates_are_refused(
  name, tolerated, least
):
  registry.build(name, 17, tolerated_attackers=tolerated)
  with pytest.raises(
    attackers.TooManyAttackersError,
    match=f'at least {least} clients .* {tolerated} attackers, found 16;',
  ):
    registry.build(name, 16, tolerated_attackers=tolerated)


def test_norm_bound_that_is_given_needs_no_cohort():
  found = registry.build('norm_bound', norm_bound=0.5)
  assert type(found) is norm_bound.NormBoundFactory
  assert found.norm_bound == 0.5
  assert type(registry.build('norm_bound', 9)) is (
    norm_bound.MedianNormBoundFactory
  )
