import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  composition,
  geometric_median,
  update_matrix,
)
from tff_pipelines.execution import contexts

PAIR = tff.TensorType(np.float32, [2])
# Smoothing, the last step, and float32.
NEAR = 1e-5


@pytest.fixture(scope='module', autouse=True)
def context():
  with contexts.using('xla', threads=2) as installed:
    yield installed


@pytest.fixture(scope='module')
def uniform() -> tff.templates.AggregationProcess:
  return geometric_median.UniformGeometricMedianFactory(7).create(PAIR)


@pytest.fixture(scope='module')
def weighted() -> tff.templates.AggregationProcess:
  return geometric_median.GeometricMedianFactory(7).create(
    PAIR, tff.TensorType(np.float32)
  )


def aggregate(process, values, *weights):
  return process.next(
    process.initialize(), [np.array(v, np.float32) for v in values], *weights
  )


# The diagonals cross at (4/3, 4/3).
CORNERS = [[0, 0], [4, 0], [3, 3], [0, 2]]


def test_four_clients_by_hand(uniform, weighted):
  for output in (
    aggregate(uniform, CORNERS),
    aggregate(weighted, CORNERS, [2.0] * 4),
  ):
    np.testing.assert_allclose(output.result, [4 / 3, 4 / 3], atol=NEAR)
    assert 1 < output.measurements['iterations'] <= 100
    assert 1 < output.measurements['effective_clients'] < 4


def test_weight_of_two_is_a_client_twice(uniform, weighted):
  values = [*CORNERS, [2, 1]]
  once = aggregate(uniform, values).result
  twice = aggregate(uniform, [*values, CORNERS[2]]).result
  assert np.linalg.norm(twice - once) > 0.1
  found = aggregate(weighted, values, [1.0, 1.0, 2.0, 1.0, 1.0]).result
  np.testing.assert_allclose(found, twice, atol=NEAR)


def test_clients_alike_have_equal_shares(uniform):
  output = aggregate(uniform, [[3.0, 4.0]] * 5)
  np.testing.assert_allclose(output.result, [3.0, 4.0])
  assert output.measurements['effective_clients'] == pytest.approx(5.0)


def test_nobody_and_no_weight_give_zero(uniform, weighted):
  for output in (
    aggregate(uniform, []),
    aggregate(weighted, [[1.0, 2.0]] * 2, [0.0, 0.0]),
  ):
    assert output.result.tolist() == [0.0, 0.0]
    assert output.measurements['effective_clients'] == 0.0


def test_attackers_that_are_not_finite_are_absent(uniform, weighted):
  broken = [*CORNERS, [np.nan, 1.0]]
  output = aggregate(uniform, broken)
  np.testing.assert_allclose(output.result, [4 / 3, 4 / 3], atol=NEAR)
  assert output.measurements['non_finite_clients'] == 1
  output = aggregate(weighted, [*CORNERS, [9.0, 9.0]], [1.0] * 4 + [np.inf])
  np.testing.assert_allclose(output.result, [4 / 3, 4 / 3], atol=NEAR)


def test_three_of_seven_attackers_are_held_and_four_are_not(uniform):
  held = aggregate(uniform, [[3e38, 3e38]] * 3 + CORNERS).result
  # theta = 3/7: 8 times the distance of the farthest from the corner (0, 0).
  assert np.linalg.norm(held) <= 8 * np.sqrt(18)
  taken = aggregate(uniform, CORNERS[:3] + [[3e38, 3e38]] * 4).result
  np.testing.assert_allclose(taken, [3e38, 3e38], rtol=1e-6)


def test_who_claims_most_of_the_weight_decides(weighted):
  found = aggregate(weighted, [*CORNERS, [1e30, 0.0]], [1.0] * 4 + [1e9])
  np.testing.assert_allclose(found.result[0], 1e30, rtol=1e-6)


@pytest.mark.parametrize('smoothing', [0.0, -1.0, float('nan'), float('inf')])
@pytest.mark.parametrize(
  'factory',
  [
    geometric_median.GeometricMedianFactory,
    geometric_median.UniformGeometricMedianFactory,
  ],
)
def test_smoothing_that_is_no_distance_is_refused(factory, smoothing):
  with pytest.raises(
    geometric_median.SmoothingError,
    match=f'^Expected a finite smoothing above 0, found {smoothing};',
  ):
    factory(5, smoothing)


def test_capacity_of_nobody_is_refused():
  with pytest.raises(update_matrix.CapacityError, match='found 0'):
    geometric_median.UniformGeometricMedianFactory(0)


def test_layers_say_who_is_weighted():
  uniform = geometric_median.UniformGeometricMedianFactory(5).stack
  weighted = geometric_median.GeometricMedianFactory(5).stack
  assert weighted == (composition.WEIGHT, *uniform)
  for stack in (uniform, weighted):
    composition.check(stack)
