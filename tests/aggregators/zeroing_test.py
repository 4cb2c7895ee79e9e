import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import composition, update_matrix, zeroing
from tff_pipelines.execution import contexts

PAIR = tff.TensorType(np.float32, [2])


@pytest.fixture(scope='module', autouse=True)
def context():
  with contexts.using('xla', threads=2) as installed:
    yield installed


@pytest.fixture(scope='module')
def fixed() -> tff.templates.AggregationProcess:
  return zeroing.ZeroingFactory(5.0).create(PAIR)


@pytest.fixture(scope='module')
def median() -> tff.templates.AggregationProcess:
  return zeroing.MedianZeroingFactory(7, multiple=2.0).create(PAIR)


def aggregate(process, *values):
  return process.next(
    process.initialize(), [np.array(v, np.float32) for v in values]
  )


def test_fixed_limit_by_hand(fixed):
  # Norms 10, 5 and 1: the first is left out, and not counted.
  output = aggregate(fixed, [6.0, 8.0], [3.0, 4.0], [0.0, 1.0])
  np.testing.assert_allclose(output.result, [1.5, 2.5])
  assert output.measurements['zeroed_clients'] == pytest.approx(1 / 3)


def test_median_limit_by_hand(median):
  # Norms 1, 5, 2, 3 and 100: the median is 3, the limit 6.
  output = aggregate(median, [0, 1], [3, 4], [2, 0], [0, 3], [60, 80])
  np.testing.assert_allclose(output.result, [1.25, 2.0])
  assert output.measurements['zeroing_limit'] == 6.0
  assert output.measurements['zeroed_clients'] == pytest.approx(0.2)


def test_update_at_the_limit_is_kept(fixed, median):
  assert aggregate(fixed, [3.0, 4.0]).result.tolist() == [3.0, 4.0]
  # Norms 1, 1 and 2.
  output = aggregate(median, [0, 1], [0, -1], [2, 0])
  assert output.measurements['zeroed_clients'] == 0.0


def test_attackers_that_are_not_finite_are_absent(fixed, median):
  for process in (fixed, median):
    output = aggregate(process, [np.nan, 0.0], [1.0, 2.0], [0.0, np.inf])
    assert output.result.tolist() == [1.0, 2.0]
    assert output.measurements['non_finite_clients'] == 2
    assert output.measurements['zeroed_clients'] == 0.0


def test_nobody_gives_zero(fixed, median):
  for process in (fixed, median):
    output = aggregate(process)
    assert output.result.tolist() == [0.0, 0.0]
    assert output.measurements['zeroed_clients'] == 0.0


def test_nobody_kept_gives_zero(fixed):
  output = aggregate(fixed, [30.0, 40.0], [3e38, 3e38])
  assert output.result.tolist() == [0.0, 0.0]
  assert output.measurements['zeroed_clients'] == 1.0


HONEST = [[1.0, 0.0], [0.0, 2.0], [2.0, 1.0], [-1.0, -1.0]]


@pytest.mark.parametrize('far', [[3e38, 3e38], [-3e38, 0.0], [50.0, 50.0]])
def test_three_of_seven_far_attackers_are_left_out(fixed, median, far):
  for process in (fixed, median):
    found = aggregate(process, far, *HONEST[:2], far, *HONEST[2:], far).result
    np.testing.assert_allclose(found, np.mean(HONEST, axis=0), rtol=1e-6)


def test_half_of_the_clients_set_the_limit(median):
  found = aggregate(median, *HONEST[:3], *[[3e38, 0.0]] * 4).result
  assert found[0] > 1e38


@pytest.mark.parametrize('limit', [0.0, -1.0, float('nan'), float('inf')])
def test_limit_that_is_none_is_refused(limit):
  with pytest.raises(zeroing.ZeroingError) as raised:
    zeroing.ZeroingFactory(limit)
  assert str(raised.value) == (
    f'Expected a finite limit of the norm above 0, found {limit}.'
  )


@pytest.mark.parametrize('multiple', [0.9, float('nan'), float('inf')])
def test_multiple_that_leaves_most_out_is_refused(multiple):
  with pytest.raises(
    zeroing.ZeroingError,
    match=f'of the median norm of at least 1, found {multiple};',
  ):
    zeroing.MedianZeroingFactory(5, multiple)


def test_capacity_of_nobody_is_refused():
  with pytest.raises(update_matrix.CapacityError, match='found 0'):
    zeroing.MedianZeroingFactory(0)


def test_only_the_median_compares_single_updates():
  assert zeroing.ZeroingFactory(1.0).stack == (
    composition.ZERO,
    composition.PLAIN_SUM,
  )
  (layer,) = zeroing.MedianZeroingFactory(3).stack
  assert layer.kind is composition.Kind.ROBUST_STATISTIC
