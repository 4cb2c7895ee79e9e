"""What every aggregator of the registry satisfies."""

import collections

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples
from tff_pipelines.aggregators import composition, registry

# What half a step of rounding can move a result: 16 bits, a first range of 1.
ROUNDING = 0.5 / (2**15 - 1)
# The largest cohort; it tolerates 2 attackers by default.
CLIENTS = 8

_COMPRESSED = {composition.Kind.COMPRESS, composition.Kind.SKETCH}


def _is_compressed(name: str) -> bool:
  kinds = {layer.kind for layer in registry.AGGREGATORS[name].stack}
  return bool(kinds & _COMPRESSED)


# Those that lose part of an update: no single round is the mean.
COMPRESSED = [name for name in registry.AGGREGATORS if _is_compressed(name)]
UNBIASED = [
  name for name in COMPRESSED if registry.build(name, CLIENTS).code.is_unbiased
]
EXACT = [name for name in registry.AGGREGATORS if name not in COMPRESSED]
# Those that add up and those that compare, by what their layers end with.
STATISTICS = [
  name
  for name, row in registry.AGGREGATORS.items()
  if row.stack[-1].kind is composition.Kind.ROBUST_STATISTIC
]
SUMS = [name for name in EXACT if name not in STATISTICS]

# Put together of others, or with a twin that always runs.
SELDOM = ('zeroing_clipping', 'secure_uniform_mean', 'multi_krum')


def often(names) -> list:
  return [slow_cases.slow(n) if n in SELDOM else n for n in names]


VALUE_TYPE = tff.types.to_type(
  collections.OrderedDict(
    matrix=tff.TensorType(np.float32, [3, 2]), scalar=tff.TensorType(np.float32)
  )
)


def value(seed: int) -> collections.OrderedDict:
  """An update of Euclidean norm 0.5: robust aggregators leave it as it is."""
  vector = np.random.default_rng(seed).normal(size=7)
  vector = (0.5 * vector / np.linalg.norm(vector)).astype(np.float32)
  return collections.OrderedDict(
    matrix=vector[:6].reshape(3, 2), scalar=vector[6]
  )


class Aggregation:
  """A process of either kind; weights are given to those that take them."""

  def __init__(self, name: str):
    factory = registry.build(name, CLIENTS)
    kinds = {layer.kind for layer in registry.AGGREGATORS[name].stack}
    self.tolerance = 1e-6
    if composition.Kind.QUANTIZE in kinds:
      self.tolerance += ROUNDING
    self.is_weighted = isinstance(
      factory, tff.aggregators.WeightedAggregationFactory
    )
    if self.is_weighted:
      self.process = factory.create(VALUE_TYPE, tff.TensorType(np.float32))
    else:
      self.process = factory.create(VALUE_TYPE)

  def first_round(self, values, weights):
    return self.next(self.process.initialize(), values, weights)

  def next(self, state, values, weights):
    if self.is_weighted:
      return self.process.next(state, values, weights)
    return self.process.next(state, values)


@pytest.fixture(scope='module', autouse=True)
def runtime():
  """TFF's own, with secure sums in the clear."""
  context = execution_samples.Reference()
  with tff.framework.get_context_stack().install(context):
    yield
  context.close()


@pytest.fixture(scope='module', params=often(registry.AGGREGATORS))
def aggregation(request) -> Aggregation:
  return Aggregation(request.param)


def assert_close(found, expected, tolerance: float = 1e-6) -> None:
  assert list(found) == list(expected)
  for name in expected:
    np.testing.assert_allclose(found[name], expected[name], atol=tolerance)


def test_the_result_has_the_type_of_the_values(aggregation):
  result = aggregation.process.next.type_signature.result.result
  assert result.placement is tff.SERVER
  assert result.member.is_equivalent_to(VALUE_TYPE)


@pytest.mark.parametrize('aggregation', often(EXACT), indirect=True)
@pytest.mark.parametrize('seed', range(3))
def test_the_mean_of_equal_updates_is_that_update(aggregation, seed):
  found = aggregation.first_round([value(seed)] * 4, [1.0, 2.0, 3.0, 4.0])
  assert_close(found.result, value(seed), aggregation.tolerance)


@pytest.mark.parametrize('aggregation', often(EXACT), indirect=True)
def test_a_cohort_of_one_is_its_update(aggregation):
  found = aggregation.first_round([value(0)], [3.0])
  assert_close(found.result, value(0), aggregation.tolerance)


def test_zero_updates_give_zero(aggregation):
  zero = collections.OrderedDict(
    matrix=np.zeros([3, 2], np.float32), scalar=np.float32(0)
  )
  assert_close(
    aggregation.first_round([zero] * 3, [1.0, 2.0, 3.0]).result, zero
  )


@pytest.mark.parametrize('aggregation', often(SUMS), indirect=True)
def test_the_aggregate_of_equal_weights_is_the_mean(aggregation):
  values = [value(seed) for seed in range(4)]
  expected = {
    name: np.mean([v[name] for v in values], axis=0) for name in values[0]
  }
  found = aggregation.first_round(values, [2.0] * 4)
  assert_close(found.result, expected, aggregation.tolerance)


def flat(value) -> np.ndarray:
  return np.concatenate([np.ravel(v) for v in value.values()])


@pytest.mark.parametrize(
  'aggregation', slow_cases.all_but(['quantized'], UNBIASED), indirect=True
)
def test_the_mean_of_compressed_updates_is_the_mean_over_seeds(aggregation):
  state, results = aggregation.process.initialize(), []
  for _ in range(64):
    # Alike, but not equal, so that clients have different seeds.
    values = [value(0), value(0)]
    values[1]['matrix'] = values[1]['matrix'] * np.float32(1 + 1e-6)
    output = aggregation.next(state, values, [1.0, 1.0])
    state = output.state
    results.append(flat(output.result))
  stderr = np.std(results, axis=0) / 8
  error = np.abs(np.mean(results, axis=0) - flat(value(0)))
  # 7 means of 64 with the tails of a code that keeps a coordinate seldom.
  assert (error <= 7 * stderr + 0.01).all()
  assert output.measurements['uplink_bytes_per_client'] > 0


@pytest.mark.parametrize('aggregation', often(STATISTICS), indirect=True)
def test_a_robust_statistic_is_between_the_updates(aggregation):
  values = [value(seed) for seed in range(CLIENTS)]
  found = flat(aggregation.first_round(values, [1.0] * CLIENTS).result)
  updates = np.stack([flat(v) for v in values])
  assert np.all(found >= updates.min(axis=0) - aggregation.tolerance)
  assert np.all(found <= updates.max(axis=0) + aggregation.tolerance)


def sent(number: float) -> collections.OrderedDict:
  return collections.OrderedDict(
    matrix=np.full([3, 2], number, np.float32), scalar=np.float32(number)
  )


@pytest.mark.parametrize('aggregation', often(STATISTICS), indirect=True)
@pytest.mark.parametrize(
  'attacks', [(3e38, 3e38), (3e38, -3e38), (np.nan, 3e38), (np.inf, -np.inf)]
)
def test_a_robust_statistic_withstands_a_quarter_of_the_clients(
  aggregation, attacks
):
  values = [value(seed) for seed in range(CLIENTS - 2)]
  values.insert(0, sent(attacks[0]))
  values.insert(4, sent(attacks[1]))
  output = aggregation.first_round(values, [1.0] * CLIENTS)
  # Honest updates have the norm 0.5. Three times that is the bound of the
  # geometric median, 2 (1 - 1/4) / (1 - 2/4) of it, and of zeroing, and more
  # than that of the others; between the honest ones in each of 7 coordinates a
  # norm is at most sqrt(7) of it.
  assert np.linalg.norm(flat(output.result)) <= 3 * 0.5
  broken = sum(not np.isfinite(a) for a in attacks)
  assert output.measurements['non_finite_clients'] == broken


def rounds(aggregation, order) -> list:
  """The results of three rounds of five clients in the given order."""
  state, results = aggregation.process.initialize(), []
  for round_num in range(3):
    values = [value(10 * round_num + c) for c in order]
    output = aggregation.next(state, values, [1.0 + c for c in order])
    state = output.state
    results.append(output.result)
  return results


def test_rounds_are_deterministic(aggregation):
  first, second = (rounds(aggregation, [0, 1, 2, 3, 4]) for _ in range(2))
  for one, other in zip(first, second, strict=True):
    assert_close(one, other, tolerance=0)


def test_the_order_of_the_clients_does_not_matter(aggregation):
  first = rounds(aggregation, [0, 1, 2, 3, 4])
  second = rounds(aggregation, [3, 0, 4, 2, 1])
  for one, other in zip(first, second, strict=True):
    assert_close(one, other)
