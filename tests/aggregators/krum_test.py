import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import attackers, composition, krum
from tff_pipelines.execution import contexts

FLOAT = tff.TensorType(np.float32)


@pytest.fixture(scope='module', autouse=True)
def context():
  with contexts.using('xla', threads=2) as installed:
    yield installed


@pytest.fixture(scope='module')
def one() -> tff.templates.AggregationProcess:
  return krum.KrumFactory(7, 1).create(FLOAT)


@pytest.fixture(scope='module')
def several() -> tff.templates.AggregationProcess:
  return krum.MultiKrumFactory(7, 1).create(FLOAT)


def aggregate(process, *values):
  return process.next(process.initialize(), list(values))


def test_five_clients_by_hand(one, several):
  # Scores 5, 2, 5, 85 and that of the far one; see the test of the scores.
  values = [0.0, 100.0, 1.0, 2.0, 8.0]
  output = aggregate(one, *values)
  assert output.result == 1.0
  assert output.measurements['left_out_clients'] == 4
  assert output.measurements['fell_back'] == 0
  output = aggregate(several, *values)
  assert output.result == (0.0 + 1.0 + 2.0 + 8.0) / 4
  assert output.measurements['left_out_clients'] == 1


def test_measurements_do_not_tell_who_was_chosen(one):
  measured = one.next.type_signature.result.measurements.member
  assert set(dir(measured)) == {
    'num_clients',
    'non_finite_clients',
    'distance_from_mean',
    'left_out_clients',
    'fell_back',
  }


@pytest.mark.parametrize(
  'values, expected',
  [
    ([], 0.0),
    ([5.0], 5.0),
    ([5.0, 7.0], 6.0),
    ([5.0, 7.0, 99.0], 7.0),
    ([5.0, 7.0, 9.0, 99.0], 8.0),
    ([np.nan, 5.0, 7.0, 9.0, 99.0], 8.0),
  ],
)
def test_cohorts_too_small_for_it_give_the_median(
  one, several, values, expected
):
  for process in (one, several):
    output = aggregate(process, *values)
    assert output.result == expected
    assert output.measurements['fell_back'] == 1
    assert output.measurements['left_out_clients'] == 0


def test_attacker_that_is_not_finite_is_absent(one):
  output = aggregate(one, 0.0, np.inf, 100.0, 1.0, 2.0, 8.0)
  assert output.result == 1.0
  assert output.measurements['non_finite_clients'] == 1


@pytest.mark.parametrize('position', range(6))
@pytest.mark.parametrize('far', [3e38, -3e38, 1e5])
def test_one_attacker_of_six_is_left_out(one, several, position, far):
  values = [1.0, 2.0, 3.0, 4.0, 5.0]
  values.insert(position, far)
  assert 1.0 <= aggregate(one, *values).result <= 5.0
  assert aggregate(several, *values).result == 3.0


def test_one_attacker_more_takes_multi_krum_anywhere(several):
  found = aggregate(several, 1.0, 2.0, 3.0, 4.0, 3e38, -1e38).result
  assert abs(found) > 1e37


def test_majority_at_one_place_takes_krum_anywhere(one):
  assert aggregate(one, 3e38, 1.0, 3e38, 2.0, 3e38, 3.0, 3e38).result == (
    np.float32(3e38)
  )


@pytest.mark.parametrize(
  'factory, name',
  [(krum.KrumFactory, 'Krum'), (krum.MultiKrumFactory, 'Multi-Krum')],
)
def test_too_many_attackers_for_the_largest_cohort_are_refused(factory, name):
  factory(7, 2)
  with pytest.raises(attackers.TooManyAttackersError) as raised:
    factory(6, 2)
  assert str(raised.value).startswith(
    f'Expected a cohort of at least 7 clients for {name} that tolerates 2 '
    'attackers, found 6;'
  )


def test_layers_are_robust_statistics_by_name():
  for factory in (krum.KrumFactory(3, 0), krum.MultiKrumFactory(3, 0)):
    (layer,) = factory.stack
    assert layer.kind is composition.Kind.ROBUST_STATISTIC
    assert str(layer) == factory.name
