"""The trained map of real places, as its picture reads it."""

import dataclasses

import numpy as np
import pytest

from tff_pipelines.cli import place_maps
from tff_pipelines.data import grid_world, population
from tff_pipelines.models import place_models
from tff_pipelines.programs import files, run_directory
from tff_pipelines.reports import map_record

FRAME = {'west': -10.0, 'east': 30.0, 'south': 0.0, 'north': 20.0}
NET = place_models.FourierMlp(2, hidden_sizes=(3,))
RESOLUTION = 5


def people(
  *known: tuple[str, list[tuple[float, float, float]]],
) -> population.ArrayPopulation:
  """Clients with their places, and what was found there."""
  rows = np.array([place for _, places in known for place in places])
  ends = np.cumsum([len(places) for _, places in known])
  return population.ArrayPopulation(
    (rows[:, :2].astype(np.float32), rows[:, 2].astype(np.float32)),
    {
      name: np.arange(end - len(places), end)
      for (name, places), end in zip(known, ends, strict=True)
    },
  )


def dataset(
  name: str = 'csv', label_names: tuple[str, ...] = ('cold', 'hot')
) -> population.FederatedDataset:
  return population.FederatedDataset(
    name,
    people(('ann', [(0.25, 0.5, 1), (0, 1, 0)]), ('bob', [(1 / 3, 0.75, 1)])),
    people(('ann', [(1, 0, 0)])),
    label_names,
    {'frame': FRAME, 'target': 'whether it is loud'},
  )


def written(path, data, **options) -> map_record.MapRecord:
  place_maps.write(
    run_directory.RunDirectory(path),
    data,
    NET,
    NET.initial_weights(3),
    RESOLUTION,
    **options,
  )
  (record,) = map_record.read_all(path)
  return record


@pytest.fixture(scope='module')
def outputs() -> np.ndarray:
  found = place_models.outputs(
    NET, NET.initial_weights(3), grid_world.grid(RESOLUTION)
  )
  return found.reshape(RESOLUTION, RESOLUTION)


def test_a_class_is_a_probability(tmp_path, outputs):
  record = written(tmp_path, dataset())
  assert (record.name, record.kind) == ('stations', 'stations')
  assert record.settings == {
    **FRAME, 'quantity': 'probability of hot', 'unit': '',
  }  # fmt: skip
  assert [c.name for c in record.curves] == ['federated']
  assert record.notes == ('csv: whether it is loud',)
  assert list(record.server_maps) == [(0, 0)]
  (found,) = record.server_maps.values()
  assert found.dtype == np.float32
  np.testing.assert_allclose(found, 1 / (1 + np.exp(-outputs)), rtol=1e-6)
  # The border of hot is where the model's output changes sign.
  assert 0 < (outputs > 0).sum() < outputs.size
  np.testing.assert_array_equal(found > 0.5, outputs > 0)


@pytest.mark.parametrize(
  ('name', 'unit'), [('csv', ''), ('stations', '\N{DEGREE SIGN}C')]
)
def test_a_value_is_the_output_itself(tmp_path, outputs, name, unit):
  record = written(tmp_path, dataset(name, ()))
  assert record.settings['quantity'] == 'the value'
  assert record.settings['unit'] == unit
  np.testing.assert_array_equal(record.server_maps[0, 0], outputs)


def test_large_outputs_are_certain_and_no_warning(tmp_path):
  weights = NET.initial_weights(3)
  place_maps.write(
    run_directory.RunDirectory(tmp_path),
    dataset(),
    NET,
    (*weights[:-1], np.full_like(weights[-1], -1000)),
    RESOLUTION,
  )
  (record,) = map_record.read_all(tmp_path)
  np.testing.assert_array_equal(record.server_maps[0, 0], 0)


def test_rows_are_rising_x1_and_columns_rising_x0(tmp_path, monkeypatch):
  monkeypatch.setattr(
    place_models, 'outputs', lambda net, weights, places: places[:, 0]
  )
  record = written(tmp_path, dataset('csv', ()))
  for row in record.server_maps[0, 0]:
    np.testing.assert_allclose(row, [0, 0.25, 0.5, 0.75, 1], atol=1e-7)


def test_places_are_those_of_training_and_those_held_out(tmp_path):
  places = written(tmp_path, dataset()).places
  found = places[['user', 'x0', 'x1', 'label', 'held_out']]
  assert found.to_numpy().tolist() == [
    ['ann', 0.25, 0.5, 1, False],
    ['ann', 0, 1, 0, False],
    ['bob', 0.333333, 0.75, 1, False],
    ['ann', 1, 0, 0, True],
  ]
  assert set(places['kind']) == {'honest'}


def test_values_are_written_as_they_are(tmp_path):
  data = dataclasses.replace(
    dataset('csv', ()),
    train=people(('ann', [(0, 0, -3.5), (0, 1, 21)])),
    test=people(('bob', [(1, 1, 0.125)])),
  )
  places = written(tmp_path, data).places
  assert places['label'].tolist() == [-3.5, 21, 0.125]


def test_a_map_is_replaced_by_the_next(tmp_path):
  written(tmp_path, dataset())
  record = written(tmp_path, dataset('csv', ()))
  assert record.settings['quantity'] == 'the value'


def test_a_map_that_cannot_be_written_is_one_sentence(tmp_path):
  (tmp_path / 'maps').write_text('not a folder')
  with pytest.raises(files.SavingFailedError, match=r'^Expected to write'):
    written(tmp_path, dataset())


@pytest.mark.parametrize(
  ('is_class', 'primary', 'better'),
  [(False, 'error', 'lower'), (True, 'accuracy', 'higher')],
)
def test_columns_of_values_and_of_classes(is_class, primary, better):
  columns = place_maps.COLUMNS[is_class]
  assert (columns[0].key, columns[0].better) == (primary, better)
  assert [c.key for c in columns[-2:]] == ['rounds', 'seconds']
