import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import attackers, composition, trimmed_mean
from tff_pipelines.execution import contexts

FLOAT = tff.TensorType(np.float32)


@pytest.fixture(scope='module')
def process():
  with contexts.using('xla', threads=2):
    yield trimmed_mean.TrimmedMeanFactory(7, 2).create(FLOAT)


def aggregate(process, *values):
  return process.next(process.initialize(), list(values))


def test_five_clients_without_their_extremes_by_hand(process):
  output = aggregate(process, 1.0, 50.0, -9.0, 3.0, 4.0)
  # The median: two at either end leave one.
  assert output.result == 3.0
  assert output.measurements['trimmed_values'] == 4


def test_seven_clients_without_their_extremes_by_hand(process):
  output = aggregate(process, 1.0, 50.0, -9.0, 3.0, 4.0, 60.0, 2.0)
  assert output.result == 3.0
  assert output.measurements['distance_from_mean'] == pytest.approx(
    111 / 7 - 3, rel=1e-6
  )


@pytest.mark.parametrize(
  'values, expected, trimmed',
  [
    ([], 0.0, 0),
    ([5.0], 5.0, 0),
    ([5.0, 7.0], 6.0, 0),
    ([5.0, 7.0, 99.0], 7.0, 2),
    ([5.0, 7.0, 9.0, 99.0], 8.0, 2),
  ],
)
def test_smaller_cohorts_trim_fewer_down_to_the_median(
  process, values, expected, trimmed
):
  output = aggregate(process, *values)
  assert output.result == expected
  assert output.measurements['trimmed_values'] == trimmed


def test_broken_clients_make_a_cohort_smaller(process):
  output = aggregate(process, np.nan, 5.0, 7.0, np.inf, 99.0)
  assert output.result == 7.0
  assert output.measurements['num_clients'] == 3
  assert output.measurements['non_finite_clients'] == 2


def test_two_attackers_of_seven_are_held_and_three_are_not(process):
  honest = [1.0, 2.0, 3.0, 4.0]
  held = aggregate(process, 3e38, *honest, 5.0, 3e38).result
  assert 1.0 <= held <= 5.0
  taken = aggregate(process, 3e38, *honest, 3e38, 3e38).result
  assert taken > 9e37


def test_too_many_attackers_for_the_largest_cohort_are_refused():
  trimmed_mean.TrimmedMeanFactory(5, 2)
  with pytest.raises(attackers.TooManyAttackersError) as raised:
    trimmed_mean.TrimmedMeanFactory(4, 2)
  assert str(raised.value).startswith(
    'Expected a cohort of at least 5 clients for a trimmed mean that tolerates '
    '2 attackers, found 4;'
  )


def test_layers_are_a_robust_statistic():
  (layer,) = trimmed_mean.TrimmedMeanFactory(5, 2).stack
  assert layer.kind is composition.Kind.ROBUST_STATISTIC
