"""Flags that name a map, who knows which places, and the model."""

import pathlib

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import flag_groups, place_flags
from tff_pipelines.data import (
  fetching,
  grid_world,
  map_frames,
  row_files,
  truths,
)
from tff_pipelines.models import place_models

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def parsed(*arguments: str) -> place_flags.PlaceFlags:
  group = place_flags.PlaceFlags()
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def load(*arguments: str, seed: int = 0):
  return parsed(*arguments).load(seed)


@pytest.fixture
def csv_file(tmp_path):
  path = tmp_path / 'noise.csv'
  rows = [f'user{i % 3},{i},{i % 4},{30 + i}\n' for i in range(20)]
  path.write_text('who,lon,lat,decibel\n' + ''.join(rows))
  return [
    '--dataset=csv', f'--csv_path={path}', '--client_column=who',
    '--x_column=lon', '--y_column=lat', '--value_column=decibel',
  ]  # fmt: skip


# The grid.


def test_the_grid_needs_no_flags():
  dataset = load()
  assert dataset.name == 'grid'
  assert (dataset.train.num_clients, dataset.train.num_examples) == (16, 64)
  assert dataset.label_names == ('cold', 'hot')


def test_the_knobs_of_the_grid_arrive():
  group = parsed(
    '--users=5', '--points_per_user=7', '--truth=ring', '--avoid_middle',
    '--force_pair', '--outliers=2', '--noise=1.5',
  )  # fmt: skip
  assert group.world() == grid_world.GridWorld(
    users=5, points=7, truth='ring', avoid_middle=True, force_pair=True,
    outliers=2, noise=1.5,
  )  # fmt: skip
  assert group.load(0).train.sizes.tolist() == [7] * 5


def test_given_settings_are_those_that_were_given():
  # Also where the value is the default.
  given = parsed('--users=16', '--noavoid_middle', '--noise=2')
  assert given.given_settings() == {
    'users': 16, 'avoid_middle': False, 'noise': 2.0,
  }  # fmt: skip


def test_without_flags_no_setting_is_given():
  assert parsed().given_settings() == {}


def test_an_image_is_a_truth(tmp_path):
  path = tmp_path / 'bright.png'
  group = parsed('--truth=image', f'--truth_image={path}')
  assert group.given_settings() == {'truth': f'image:{path}'}
  with pytest.raises(truths.TruthError, match=f'JPEG image at {path}, found'):
    group.world()


def test_an_image_that_is_not_given_is_told():
  group = parsed('--truth=image')
  with pytest.raises(flag_groups.FlagError) as raised:
    group.world()
  assert str(raised.value) == (
    'Expected --truth_image with --truth=image, found none; give the path of '
    'the file.'
  )


def test_real_places_are_no_world():
  with pytest.raises(flag_groups.FlagError) as raised:
    parsed('--dataset=stations').world()
  assert str(raised.value) == (
    'Expected --dataset=grid, whose users can be drawn anew, found '
    '--dataset=stations.'
  )


def test_the_seed_decides_the_places():
  drawn = []
  for seed in (0, 0, 1):
    with flagsaver.flagsaver():
      drawn.append(load(seed=seed).train.examples(0)[0])
  np.testing.assert_array_equal(drawn[0], drawn[1])
  assert not np.array_equal(drawn[0], drawn[2])


# Stations.


def test_stations_by_themselves(real_data_dir):
  dataset = load('--dataset=stations', f'--data_dir={real_data_dir}')
  assert (dataset.train.num_clients, dataset.test.num_clients) == (1200, 285)
  assert dataset.label_names == ('cold', 'hot')


def test_stations_by_cell_and_their_temperatures(real_data_dir):
  dataset = load(
    '--dataset=stations', f'--data_dir={real_data_dir}',
    '--station_clients=cell', '--target=temperature',
  )  # fmt: skip
  assert dataset.provenance['clients'] == 'cell'
  assert dataset.train.num_clients < 210
  assert dataset.label_names == ()


def test_stations_that_are_damaged_are_one_sentence(tmp_path):
  path = tmp_path / 'station_data.txt'
  path.write_bytes(b'')
  with pytest.raises(
    fetching.ChecksumMismatchError, match=f'^Expected {path} to have sha256'
  ):
    load('--dataset=stations', f'--data_dir={tmp_path}')


# The user's own places.


def test_own_places_hot_above_a_number(csv_file):
  dataset = load(*csv_file, '--hot_above=39.5', '--test_fraction=0.5')
  assert (dataset.train.num_examples, dataset.test.num_examples) == (10, 10)
  labels = [s.pooled().examples(0)[1] for s in (dataset.train, dataset.test)]
  assert np.concatenate(labels).sum() == 10
  assert dataset.provenance['frame'] == {
    'west': 0.0, 'east': 19.0, 'south': 0.0, 'north': 3.0,
  }  # fmt: skip


def test_own_places_with_words_of_their_own(csv_file):
  with pytest.raises(row_files.MalformedRowError, match="found '31'"):
    load(*csv_file, '--hot_values=30', '--cold_values=0')


def test_own_values_in_an_area(csv_file):
  dataset = load(
    *csv_file, '--target=temperature', '--area=-1,9.5,0,4', '--skip_bad_rows'
  )
  frame = map_frames.MapFrame(-1.0, 9.5, 0.0, 4.0)
  assert map_frames.MapFrame(**dataset.provenance['frame']) == frame
  assert dataset.provenance['frame_given']
  assert dataset.provenance['skipped_rows'] == {
    'outside the area': {'count': 10, 'first_line': 12}
  }
  assert dataset.train.pooled().examples(0)[1].max() > 30


@pytest.mark.parametrize('area', ['1,2,3', '1,2,3,north', '1,2,3,4,5'])
def test_an_area_that_is_no_four_numbers_is_refused(csv_file, area):
  with pytest.raises(flag_groups.FlagError) as raised:
    load(*csv_file, f'--area={area}')
  assert str(raised.value) == (
    'Expected four numbers west,east,south,north in --area, such as '
    f'-120,-60,20,50, found {area}.'
  )


def test_an_area_without_extent_is_refused(csv_file):
  with pytest.raises(map_frames.MapFrameError, match='west below east'):
    load(*csv_file, '--area=5,5,0,4')


def test_a_file_that_is_not_given_is_told():
  with pytest.raises(flag_groups.FlagError) as raised:
    load('--dataset=csv')
  assert str(raised.value) == (
    'Expected --csv_path with --dataset=csv, found none; give the path of the '
    'file.'
  )


# Flags without an effect.


@pytest.mark.parametrize(
  ('arguments', 'wanted'),
  [
    (['--dataset=csv', '--users=3'], '--dataset=grid where --users'),
    (['--dataset=stations', '--noise=1'], '--dataset=grid where --noise'),
    (['--truth_image=x.png'], '--truth=image where --truth_image'),
    (
      ['--dataset=csv', '--truth=image', '--truth_image=x'],
      '--dataset=grid where --truth',
    ),
    (['--data_dir=x'], '--dataset=stations where --data_dir'),
    (['--station_clients=cell'], '--dataset=stations where --station_clients'),
    (
      ['--target=hot'], '--dataset=stations or --dataset=csv where --target'
    ),
    (['--csv_path=x'], '--dataset=csv where --csv_path'),
    (['--x_column=x'], '--dataset=csv where --x_column'),
    (['--hot_above=1'], '--dataset=csv where --hot_above'),
    (['--area=1,2,3,4'], '--dataset=csv where --area'),
    (
      ['--dataset=csv', '--target=temperature', '--hot_above=3'],
      '--target=hot where --hot_above',
    ),
    (
      ['--dataset=csv', '--target=temperature', '--cold_values=3'],
      '--target=hot where --cold_values',
    ),
    (
      ['--dataset=csv', '--hot_values=3', '--hot_above=3'],
      '--hot_values or --hot_above, for words or for numbers, found both',
    ),
  ],
)  # fmt: skip
def test_flag_without_an_effect_is_refused_by_name(arguments, wanted):
  with pytest.raises(flag_groups.FlagError, match=f'^Expected {wanted}'):
    load(*arguments)


# The model.


def net(*arguments: str):
  model = place_flags.PlaceModelFlags()
  dataset = load(*arguments)
  model.check()
  return model.net(dataset), model.build(dataset, 0)


def test_the_grid_has_the_published_network():
  found, model = net()
  assert found == place_models.TanhNet(4)
  assert sum(w.size for w in model.initial_weights[0]) == 17


def test_units_of_the_grid_arrive():
  assert net('--tanh_units=9')[0] == place_models.TanhNet(9)


def test_own_places_have_waves(csv_file):
  found, model = net(*csv_file, '--hot_above=40')
  assert found == place_models.FourierMlp(
    num_frequencies=16, waves_across=1.0, hidden_sizes=(16,), activation='tanh'
  )
  metrics = model.finalize_metrics(model.initialize_metrics_state())
  assert 'accuracy' in metrics


def test_the_sizes_of_waves_arrive(csv_file):
  found, model = net(
    *csv_file, '--target=temperature', '--fourier_features=8',
    '--waves_across=2.5', '--hidden_sizes=7,5', '--activation=relu',
  )  # fmt: skip
  assert found == place_models.FourierMlp(4, 2.5, (7, 5), 'relu')
  metrics = model.finalize_metrics(model.initialize_metrics_state())
  assert 'root_mean_squared_error' in metrics


@pytest.mark.parametrize('features', [7, 0, -2])
def test_an_odd_number_of_features_is_refused(csv_file, features):
  with pytest.raises(flag_groups.FlagError) as raised:
    net(*csv_file, '--hot_above=40', f'--fourier_features={features}')
  assert str(raised.value) == (
    'Expected an even number from 2 in --fourier_features, a sine and a cosine '
    f'a wave, found {features}.'
  )


@pytest.mark.parametrize(
  ('arguments', 'wanted'),
  [
    (['--hidden_sizes=3'], '--dataset=stations or --dataset=csv where --hidd'),
    (['--waves_across=3'], '--dataset=stations or --dataset=csv where --wave'),
  ],
)
def test_a_flag_of_the_other_model_is_refused(arguments, wanted):
  with pytest.raises(flag_groups.FlagError, match=f'^Expected {wanted}'):
    net(*arguments)


# The preset.


def test_the_preset_is_made_of_these_flags():
  place_flags.PlaceFlags()
  model = place_flags.PlaceModelFlags()
  preset = _ROOT / 'tasks/flagfiles/heat_map/stations.flags'
  # Those of other groups are not defined here.
  flags.FLAGS(['program', f'--flagfile={preset}'], known_only=True)
  model.check()
  dataset = flags.FLAGS['dataset'].value
  assert (dataset, flags.FLAGS['fourier_features'].value) == ('stations', 32)
