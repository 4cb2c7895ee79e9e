import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  composition,
  coordinate_median,
  update_matrix,
)
from tff_pipelines.execution import contexts

PAIR = tff.TensorType(np.float32, [2])


@pytest.fixture(scope='module')
def process():
  with contexts.using('xla', threads=2):
    yield coordinate_median.CoordinateMedianFactory(7).create(PAIR)


def aggregate(process, *values):
  return process.next(
    process.initialize(), [np.array(v, np.float32) for v in values]
  )


def test_three_clients_by_hand(process):
  output = aggregate(process, [1.0, 9.0], [2.0, -4.0], [6.0, 1.0])
  assert output.result.tolist() == [2.0, 1.0]
  # The mean is (3, 2).
  assert output.measurements['distance_from_mean'] == pytest.approx(2**0.5)
  assert output.measurements['num_clients'] == 3


def test_four_clients_by_hand(process):
  output = aggregate(process, [1.0, 0.0], [2.0, 0.0], [6.0, 0.0], [90.0, 4.0])
  assert output.result.tolist() == [4.0, 0.0]


def test_attackers_that_are_not_finite_are_absent(process):
  output = aggregate(
    process, [np.nan, 0.0], [1.0, 2.0], [np.inf, np.inf], [3.0, 4.0], [0.0, 9.0]
  )
  assert output.result.tolist() == [1.0, 4.0]
  assert output.measurements['non_finite_clients'] == 2


def test_three_of_seven_attackers_cannot_take_it_away_and_four_can(process):
  honest = [[1.0, 2.0], [2.0, 1.0], [3.0, 0.0]]
  far = [[3e38, -3e38]]
  held = aggregate(process, *far * 3, *honest, [0.0, 3.0]).result
  assert 0.0 <= held[0] <= 3.0 and 0.0 <= held[1] <= 3.0
  taken = aggregate(process, *honest, *far * 4).result
  np.testing.assert_array_equal(taken, np.array(far[0], np.float32))


def test_nobody_gives_zero(process):
  assert aggregate(process).result.tolist() == [0.0, 0.0]


def test_under_a_secure_sum_it_is_refused():
  stack = coordinate_median.CoordinateMedianFactory(7).stack
  composition.check(stack)
  with pytest.raises(composition.CompositionError) as raised:
    composition.check(
      (*stack, composition.QUANTIZE, composition.secure_sum(255, 2**32))
    )
  assert (
    'Expected the median of each coordinate without a secure sum: it compares '
    'single updates, and the server learns their sum only'
  ) in str(raised.value)


def test_capacity_of_nobody_is_refused():
  with pytest.raises(update_matrix.CapacityError, match='found 0'):
    coordinate_median.CoordinateMedianFactory(0)
