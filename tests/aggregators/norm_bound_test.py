import collections

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  composition,
  norm_bound,
  update_matrix,
  value_types,
)
from tff_pipelines.execution import contexts

PAIR = tff.TensorType(np.float32, [2])
# Clipping aims at 1 - 2^-20 of a bound.
CLOSE = 2e-6


@pytest.fixture(scope='module', autouse=True)
def context():
  with contexts.using('xla', threads=2) as installed:
    yield installed


@pytest.fixture(scope='module')
def fixed() -> tff.templates.AggregationProcess:
  return norm_bound.NormBoundFactory(5.0).create(PAIR)


@pytest.fixture(scope='module')
def median() -> tff.templates.AggregationProcess:
  return norm_bound.MedianNormBoundFactory(7).create(PAIR)


def aggregate(process, *values):
  return process.next(
    process.initialize(), [np.array(v, np.float32) for v in values]
  )


def test_fixed_bound_by_hand(fixed):
  # (6, 8) has twice the bound.
  output = aggregate(fixed, [6.0, 8.0], [0.0, 1.0], [0.0, 0.0])
  np.testing.assert_allclose(output.result, [1.0, 5 / 3], rtol=CLOSE)
  assert output.measurements['clipped_clients'] == pytest.approx(1 / 3)


def test_median_bound_by_hand(median):
  # Norms 10, 1 and 5: the median is 5.
  output = aggregate(median, [6.0, 8.0], [0.0, 1.0], [3.0, -4.0])
  np.testing.assert_allclose(output.result, [2.0, 1 / 3], rtol=CLOSE)
  assert output.measurements['norm_bound'] == 5.0
  assert output.measurements['clipped_clients'] == pytest.approx(1 / 3)
  # Of norms 10 and 0 it is 5.
  output = aggregate(median, [6.0, 8.0], [0.0, 0.0])
  np.testing.assert_allclose(output.result, [1.5, 2.0], rtol=CLOSE)


def test_attackers_that_are_not_finite_are_absent(fixed, median):
  for process in (fixed, median):
    output = aggregate(process, [np.nan, 0.0], [3.0, 4.0], [0.0, -np.inf])
    np.testing.assert_allclose(output.result, [3.0, 4.0], rtol=CLOSE)
    assert output.measurements['non_finite_clients'] == 2


def test_nobody_gives_zero(fixed, median):
  for process in (fixed, median):
    output = aggregate(process)
    assert output.result.tolist() == [0.0, 0.0]
    assert output.measurements['clipped_clients'] == 0.0


def test_most_updates_of_zero_give_zero(median):
  assert aggregate(median, [0, 0], [0, 0], [3e38, 3e38]).result.tolist() == [
    0.0,
    0.0,
  ]


HONEST = [[1.0, 0.0], [0.0, 2.0], [2.0, 1.0], [-1.0, -1.0]]


@pytest.mark.parametrize('far', [[3e38, 3e38], [-3e38, 0.0], [50.0, 50.0]])
def test_attackers_move_a_mean_by_their_share_of_the_bound(fixed, median, far):
  mean = np.mean(HONEST, axis=0)
  values = [far, *HONEST[:2], far, *HONEST[2:], far]
  for process, bound in ((fixed, 5.0), (median, np.sqrt(5))):
    moved = aggregate(process, *values).result
    # As much as if they had sent zero, and at most 3/7 of the bound more.
    without = (4 / 7) * mean
    if process is median:
      # Honest clients can be clipped to it, too.
      assert np.linalg.norm(moved) <= bound * (1 + CLOSE)
    else:
      assert np.linalg.norm(moved - without) <= 3 / 7 * bound * (1 + CLOSE)


def test_half_of_the_clients_set_the_median(median):
  found = aggregate(median, *HONEST[:3], *[[3e38, 0.0]] * 4).result
  assert found[0] > 1e38


@pytest.mark.parametrize('bound', [0.0, -1.0, float('nan'), float('inf')])
def test_bound_that_bounds_nothing_is_refused(bound):
  with pytest.raises(norm_bound.NormBoundError) as raised:
    norm_bound.NormBoundFactory(bound)
  assert str(raised.value) == (
    f'Expected a finite norm bound above 0, found {bound}; none at all takes '
    "the median of the updates' norms."
  )


def test_integers_are_refused():
  with pytest.raises(value_types.ValueTypeError):
    norm_bound.NormBoundFactory(1.0).create(tff.TensorType(np.int32))


def test_capacity_of_nobody_is_refused():
  with pytest.raises(update_matrix.CapacityError, match='found 0'):
    norm_bound.MedianNormBoundFactory(0)


def test_only_the_median_compares_single_updates():
  assert norm_bound.NormBoundFactory(1.0).stack == (
    composition.CLIP_NORM,
    composition.PLAIN_SUM,
  )
  (layer,) = norm_bound.MedianNormBoundFactory(3).stack
  assert layer.kind is composition.Kind.ROBUST_STATISTIC


def test_dtypes_and_names_are_those_of_the_values():
  value_type = tff.types.to_type(
    collections.OrderedDict(
      z=tff.TensorType(np.float64, [1]), a=tff.TensorType(np.float32)
    )
  )
  process = norm_bound.NormBoundFactory(5.0).create(value_type)
  result = process.next.type_signature.result.result.member
  assert result.is_equivalent_to(value_type)
