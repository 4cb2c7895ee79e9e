"""Every update of a cohort becomes a row, whoever trains it, in what order."""

import collections
import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import update_matrix, value_types
from tff_pipelines.execution import contexts

CAPACITY = 6
# Names that are not in alphabetical order.
VALUE_TYPE = tff.types.to_type(
  collections.OrderedDict(
    w=tff.TensorType(np.float32, [2, 2]), b=tff.TensorType(np.float32)
  )
)
FLOAT = tff.TensorType(np.float32)


def update(client: float) -> collections.OrderedDict:
  return collections.OrderedDict(
    w=client + np.array([[0.0, 0.1], [0.2, 0.3]], np.float32),
    b=np.float32(-client),
  )


def broken(number: float) -> collections.OrderedDict:
  return collections.OrderedDict(
    w=np.array([[0.0, number], [0.0, 0.0]], np.float32), b=np.float32(1.0)
  )


def told(rows, weights, count):
  """A statistic that tells all; what is summed is the weighted sum."""
  vector = tf.linalg.matvec(rows, weights, transpose_a=True)
  return vector, update_matrix.Measurements(
    rows=rows, weights=weights, count=count
  )


@pytest.fixture(scope='module', autouse=True)
def context():
  # Two threads: two matrices are merged.
  with contexts.using('xla', threads=2) as installed:
    yield installed


@pytest.fixture(scope='module')
def weighted() -> tff.templates.AggregationProcess:
  return update_matrix.process(VALUE_TYPE, CAPACITY, told, FLOAT)


@pytest.fixture(scope='module')
def uniform() -> tff.templates.AggregationProcess:
  return update_matrix.process(VALUE_TYPE, CAPACITY, told)


def aggregate(process, values, *weights):
  return process.next(process.initialize(), values, *weights)


def held(output) -> list[float]:
  """The clients whose rows are there, by what they sent for b."""
  count = output.measurements['num_clients']
  rows = output.measurements['rows']
  # Nothing is left of those that are absent.
  assert np.all(rows[count:] == 0.0)
  # Rows are in the order of `tf.nest.flatten`: b first.
  return sorted(-rows[:count, 0])


def test_types(weighted):
  assert weighted.is_weighted
  result = weighted.next.type_signature.result
  assert result.result.member.is_equivalent_to(VALUE_TYPE)
  measured = result.measurements.member
  assert measured['rows'].shape == (CAPACITY, 5)
  assert measured['num_clients'].dtype == np.int32


def test_training_stays_compiled(context, weighted, uniform):
  for process in (weighted, uniform):
    assert context.explain(process.next).way == 'xla'


@pytest.mark.parametrize('count', range(CAPACITY + 1))
def test_every_client_is_a_row(uniform, count):
  output = aggregate(uniform, [update(c + 1) for c in range(count)])
  assert held(output) == [c + 1 for c in range(count)]
  assert output.measurements['num_clients'] == count
  assert output.measurements['count'] == count
  assert output.measurements['non_finite_clients'] == 0
  assert output.measurements['weights'].tolist() == [1.0] * count + [0.0] * (
    CAPACITY - count
  )


def test_vector_becomes_a_value_again(weighted):
  output = aggregate(weighted, [update(1.0), update(10.0)], [1.0, 0.5])
  expected = [u + 0.5 * v for u, v in zip(*_leaves(1.0, 10.0), strict=True)]
  assert list(output.result) == ['w', 'b']
  for found, leaf in zip(output.result.values(), expected, strict=True):
    np.testing.assert_allclose(found, leaf, rtol=1e-6)


def _leaves(*clients: float) -> list[list[np.ndarray]]:
  return [list(update(c).values()) for c in clients]


def test_weights_are_beside_their_rows(weighted):
  output = aggregate(
    weighted, [update(c) for c in range(1, 6)], [c / 8 for c in range(1, 6)]
  )
  np.testing.assert_array_equal(
    output.measurements['weights'][:5],
    -output.measurements['rows'][:5, 0] / 8,
  )


@pytest.mark.parametrize('number', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('position', range(3))
def test_client_with_a_number_that_is_not_finite_is_absent(
  uniform, number, position
):
  values = [update(1.0), update(2.0)]
  values.insert(position, broken(number))
  output = aggregate(uniform, values)
  assert held(output) == [1.0, 2.0]
  assert output.measurements['non_finite_clients'] == 1
  assert all(np.all(np.isfinite(v)) for v in output.result.values())


@pytest.mark.parametrize('weight', [np.nan, np.inf, -1.0])
def test_client_with_no_possible_weight_is_absent(weighted, weight):
  output = aggregate(
    weighted, [update(1.0), update(2.0), update(3.0)], [1.0, weight, 2.0]
  )
  assert held(output) == [1.0, 3.0]
  assert output.measurements['non_finite_clients'] == 1


def test_cohort_of_broken_clients_only_gives_zero(uniform):
  output = aggregate(uniform, [broken(np.nan)] * CAPACITY)
  assert held(output) == []
  assert output.measurements['non_finite_clients'] == CAPACITY
  assert all(np.all(v == 0.0) for v in output.result.values())


def test_broken_clients_take_no_room(uniform):
  values = [update(c) for c in range(1, CAPACITY + 1)]
  output = aggregate(uniform, [*values[:3], *[broken(np.inf)] * 4, *values[3:]])
  assert held(output) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
  assert output.measurements['non_finite_clients'] == 4


def test_distance_is_from_the_mean_of_all(uniform):
  output = aggregate(uniform, [update(1.0), update(3.0)])
  # The sum is twice the mean, so it is as far from it as that is from zero.
  mean = np.concatenate([leaf.ravel() for leaf in _leaves(2.0)[0]])
  assert output.measurements['distance_from_mean'] == pytest.approx(
    np.linalg.norm(mean), rel=1e-6
  )


@pytest.mark.parametrize('count', [CAPACITY + 1, 3 * CAPACITY])
def test_larger_cohort_than_planned_fails(uniform, count):
  with pytest.raises(
    tf.errors.InvalidArgumentError, match='at most 6 clients in a round'
  ):
    aggregate(uniform, [update(c) for c in range(count)])


def test_capacity_of_nobody_is_refused():
  with pytest.raises(update_matrix.CapacityError) as raised:
    update_matrix.process(VALUE_TYPE, 0, told)
  assert str(raised.value) == (
    'Expected room for at least 1 client a round, found 0; give the largest '
    'cohort.'
  )


def test_integers_are_refused():
  with pytest.raises(value_types.ValueTypeError):
    update_matrix.process(tff.TensorType(np.int32), 2, told)


def test_numbers_too_large_for_the_matrix_are_not_finite():
  process = update_matrix.process(tff.TensorType(np.float64), 3, told)
  output = aggregate(process, [1.0, 1e300, 2.0])
  assert output.measurements['num_clients'] == 2
  assert output.measurements['non_finite_clients'] == 1
  assert output.result == 3.0
  assert output.result.dtype == np.float64


# Partial matrices, as several threads make them.


def partial(matrix, clients) -> update_matrix.Updates:
  updates = matrix.empty()
  for client in clients:
    value = broken(np.nan) if client is None else update(client)
    updates = matrix.with_row(
      updates, update_matrix._row(value, tf.constant(1.0))
    )
  return updates


def contents(updates: update_matrix.Updates) -> tuple:
  count = int(updates.count)
  rows = updates.rows.numpy()
  assert np.all(rows[count:] == 0.0)
  return sorted(map(tuple, rows[:count])), count, int(updates.non_finite)


CLIENTS = (1.0, None, 2.0, 3.0, None, 4.0)


@pytest.mark.parametrize('cut', range(len(CLIENTS) + 1))
def test_merging_in_either_order_gives_the_same_rows(cut):
  matrix = update_matrix._Matrix(VALUE_TYPE, CAPACITY)
  whole = contents(partial(matrix, CLIENTS))
  first = partial(matrix, CLIENTS[:cut])
  second = partial(matrix, CLIENTS[cut:])
  assert contents(matrix.merged(first, second)) == whole
  assert contents(matrix.merged(second, first)) == whole


def test_merging_three_in_any_order_gives_the_same_rows():
  matrix = update_matrix._Matrix(VALUE_TYPE, CAPACITY)
  parts = [partial(matrix, c) for c in ((1.0, 2.0), (None,), (3.0, 4.0))]
  expected = contents(partial(matrix, (1.0, 2.0, None, 3.0, 4.0)))
  for one, two, three in itertools.permutations(parts):
    left = matrix.merged(matrix.merged(one, two), three)
    right = matrix.merged(one, matrix.merged(two, three))
    assert contents(left) == contents(right) == expected


def test_merged_cohort_that_is_too_large_keeps_its_count():
  matrix = update_matrix._Matrix(VALUE_TYPE, 3)
  merged = matrix.merged(
    partial(matrix, (1.0, 2.0)), partial(matrix, (3.0, 4.0))
  )
  assert int(merged.count) == 4
