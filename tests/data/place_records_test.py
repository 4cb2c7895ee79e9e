"""Places with values: their split and their clients."""

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import place_records


def records(places, clients=None) -> place_records.PlaceRecords:
  places = np.array(places, np.float32)
  return place_records.PlaceRecords(
    places,
    np.arange(len(places), dtype=np.float32),
    tuple(clients or ['ann'] * len(places)),
  )


def line(count: int) -> list[tuple[float, float]]:
  return [(i / count, 0.5) for i in range(count)]


def test_clients_own_their_places_in_the_order_of_the_source():
  people = records(line(4), ['bob', 'ann', 'bob', 'ann']).population()
  assert people.client_ids == ('bob', 'ann')
  places, values = people.examples(0)
  np.testing.assert_array_equal(places, np.array(line(4), np.float32)[[0, 2]])
  np.testing.assert_array_equal(values, [0.0, 2.0])
  assert (places.dtype, values.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize('fraction', [0.1, 0.25, 0.5, 0.9])
def test_the_split_takes_a_share_and_loses_nothing(fraction):
  train, test = place_records.split_by_distinct_place(
    records(line(40)), fraction, seed=3
  )
  assert len(test) == 40 * fraction
  np.testing.assert_array_equal(
    np.sort(np.concatenate([train.values, test.values])), np.arange(40)
  )
  # Both in the order of the source.
  assert np.all(np.diff(train.values) > 0) and np.all(np.diff(test.values) > 0)


def test_a_place_of_several_clients_is_on_one_side():
  places = line(20) + line(20)
  clients = ['ann'] * 20 + ['bob'] * 20
  train, test = place_records.split_by_distinct_place(
    records(places, clients), 0.3, seed=0
  )
  assert len(test) == 12
  assert not set(map(tuple, train.places)) & set(map(tuple, test.places))


def test_the_split_follows_from_the_seed():
  sides = [
    place_records.split_by_distinct_place(records(line(40)), 0.5, seed)[0]
    for seed in (0, 0, 1)
  ]
  np.testing.assert_array_equal(sides[0].values, sides[1].values)
  assert not np.array_equal(sides[0].values, sides[2].values)


@pytest.mark.parametrize(
  ('places', 'fraction', 'distinct'),
  [
    (line(3), 0.1, 3),
    (line(3), 0.9, 3),
    (line(3), 0.0, 3),
    (line(3), 1.0, 3),
    ([(0, 0)] * 9, 0.5, 1),
  ],
)
def test_a_side_without_places_is_refused(places, fraction, distinct):
  with pytest.raises(place_records.PlaceSplitError) as raised:
    place_records.split_by_distinct_place(records(places), fraction, seed=0)
  assert str(raised.value) == (
    f'Expected places on both sides of the split, found {distinct} distinct '
    f'places at a test fraction of {fraction}; give more places or another '
    'fraction.'
  )
  assert isinstance(raised.value, errors.PipelineError)


def test_as_many_values_as_places():
  with pytest.raises(ValueError, match='one value and one client'):
    place_records.PlaceRecords(np.zeros([2, 2]), np.zeros(1), ('ann', 'bob'))
