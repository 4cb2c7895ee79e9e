import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import composition, registry
from tff_pipelines.core import errors
from tff_pipelines.execution import contexts


@pytest.mark.parametrize(
  ('name', 'kind'),
  [
    ('mean', tff.aggregators.WeightedAggregationFactory),
    ('uniform_mean', tff.aggregators.UnweightedAggregationFactory),
    ('zeroing_clipping', tff.aggregators.WeightedAggregationFactory),
    ('secure_mean', tff.aggregators.WeightedAggregationFactory),
    ('secure_uniform_mean', tff.aggregators.UnweightedAggregationFactory),
  ],
)
def test_the_kind_of_an_aggregator_says_how_clients_are_weighted(name, kind):
  assert isinstance(registry.build(name), kind)


def test_an_unknown_name_is_refused_with_those_that_exist():
  with pytest.raises(registry.UnknownAggregatorError) as raised:
    registry.build('median')
  assert str(raised.value) == (
    f'Expected an aggregator out of {", ".join(registry.AGGREGATORS)}, found '
    "'median'."
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
