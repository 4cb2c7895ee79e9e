"""Weather stations: a file made by hand in place of the real one, and it."""

import collections
import dataclasses
import hashlib

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import fetching, stations

HEADER = (
  'time,station,latitude[unit="degrees_north"],longitude[unit="degrees_east"],'
  'air_temperature[unit="Celsius"],weather'
)


@pytest.fixture
def write(tmp_path):
  def written(*lines: str):
    path = tmp_path / 'station_data.txt'
    path.write_text('\n'.join([HEADER, *lines]) + '\n')
    return path

  return written


def test_the_first_row_of_a_station_counts(write):
  reports = stations.read(
    write(
      't,BBB,40.5,-100.25,1.5,RA', 't,AAA,30,-90,-2,', 't,BBB,41,-101,9.0,SN'
    )
  )
  assert reports.names == ('BBB', 'AAA')
  np.testing.assert_array_equal(
    reports.coordinates, [[-100.25, 40.5], [-90.0, 30.0]]
  )
  np.testing.assert_array_equal(reports.temperatures, [1.5, -2.0])
  assert reports.temperatures.dtype == np.float32


def test_a_station_whose_first_row_has_no_temperature_is_left_out(write):
  reports = stations.read(
    write('t,AAA,30,-90,NaN,', 't,AAA,30,-90,5.0,', 't,BBB,30,-91,6.0,')
  )
  assert reports.names == ('BBB',)


@pytest.mark.parametrize('line', ['t,AAA,30', 't,AAA,north,-90,5.0,', ''])
def test_a_line_that_is_no_report_is_named(write, line):
  path = write('t,BBB,30,-91,6.0,', line)
  with pytest.raises(stations.MalformedStationError) as raised:
    stations.read(path)
  assert str(raised.value) == (
    'Expected a report with the columns of the header in line 3 of '
    f'{path}, found {line!r}; restore the original file.'
  )
  assert isinstance(raised.value, errors.PipelineError)


@pytest.mark.parametrize('content', ['', 'station,temperature\nAAA,3\n'])
def test_another_header_is_refused(tmp_path, content):
  path = tmp_path / 'other.txt'
  path.write_text(content)
  with pytest.raises(stations.MalformedStationError) as raised:
    stations.read(path)
  assert str(raised.value).startswith('Expected the columns station, longitude')
  assert f'in line 1 of {path}, found ' in str(raised.value)


def test_cells_are_named_by_their_south_west_corner():
  places = [[-105.0, 38.0], [-102.01, 39.99], [-102.0, 38.0], [-105.01, 37.9]]
  assert stations.cells(np.array(places)) == (
    '38N_105W', '38N_105W', '38N_102W', '36N_108W',
  )  # fmt: skip
  assert stations.cells(np.array([[0.5, -0.5]])) == ('02S_000E',)


@pytest.mark.parametrize(
  ('choice', 'message'),
  [
    (
      {'clients': 'state'}, "Expected one of station, cell, found 'state'."
    ),
    (
      {'target': 'rain'}, "Expected one of hot, temperature, found 'rain'."
    ),
  ],
)  # fmt: skip
def test_other_choices_are_refused(tmp_path, choice, message):
  with pytest.raises(stations.StationChoiceError) as raised:
    stations.load(tmp_path, seed=0, **choice)
  assert str(raised.value) == message


def test_a_damaged_file_is_one_sentence(tmp_path):
  folder = tmp_path / 'surface_obs_us'
  folder.mkdir()
  (folder / 'station_data.txt').write_text('weather')
  with pytest.raises(fetching.ChecksumMismatchError) as raised:
    stations.load(tmp_path, seed=0)
  path, sha256 = folder / 'station_data.txt', stations.FILE.sha256
  assert str(raised.value).startswith(
    f'Expected {path} to have sha256 {sha256}'
  )


def test_a_missing_file_is_fetched_once(tmp_path, monkeypatch, real_data_dir):
  content = (real_data_dir / stations.FILE.name).read_bytes()
  (tmp_path / 'published').write_bytes(content)
  monkeypatch.setattr(
    stations,
    'FILE',
    dataclasses.replace(stations.FILE, url=(tmp_path / 'published').as_uri()),
  )
  first = stations.load(tmp_path / 'data', seed=0)
  (tmp_path / 'published').unlink()
  again = stations.load(tmp_path / 'data', seed=0)
  assert first.train.client_ids == again.train.client_ids
  # The folder of the file can be given itself.
  bare = stations.load(tmp_path / 'data' / 'surface_obs_us', seed=0)
  assert bare.train.client_ids == again.train.client_ids


def test_a_file_that_cannot_be_had_is_told_with_where_to_put_it(
  tmp_path, monkeypatch
):
  def refuse(request, timeout):
    raise fetching.urllib.error.HTTPError(
      request.full_url, 404, 'Not Found', {}, None
    )

  monkeypatch.setattr(fetching.urllib.request, 'urlopen', refuse)
  with pytest.raises(fetching.DataUnavailableError) as raised:
    stations.load(tmp_path, seed=0)
  message = str(raised.value)
  assert stations.FILE.url in message
  assert message.endswith(f'at {tmp_path / stations.FILE.name}.')


# The real one.


@pytest.fixture(scope='module')
def reports(real_data_dir) -> stations.StationReports:
  return stations.read(real_data_dir / stations.FILE.name)


@pytest.fixture(scope='module')
def load(real_data_dir):
  return lambda **choices: stations.load(real_data_dir, **choices)


def test_the_checksum_and_size_are_those_of_the_file(real_data_dir):
  content = (real_data_dir / stations.FILE.name).read_bytes()
  assert hashlib.sha256(content).hexdigest() == stations.FILE.sha256
  assert len(content) == stations.FILE.size_bytes


def test_the_real_stations_have_the_known_counts(reports):
  assert len(reports.names) == len(set(reports.names)) == 1485
  assert reports.temperatures.min() == np.float32(-24.1)
  assert reports.temperatures.max() == 27.0
  assert np.all(stations.FRAME.encloses(reports.coordinates))
  lon, lat = reports.coordinates.T
  inside = (lat >= 24) & (lat < 50) & (lon >= -126) & (lon < -66)
  assert inside.sum() == 1419
  named = np.array(stations.cells(reports.coordinates))
  assert len(set(named[inside])) == 182
  assert len(set(named)) == 207


def test_each_station_is_a_client_with_one_report(load, reports):
  dataset = load(seed=0)
  assert dataset.train.num_clients == dataset.train.num_examples == 1200
  assert dataset.test.num_clients == dataset.test.num_examples == 285
  assert set(dataset.train.client_ids) | set(dataset.test.client_ids) == set(
    reports.names
  )
  assert dataset.label_names == ('cold', 'hot')
  station = reports.names.index(dataset.train.client_ids[7])
  place, hot = dataset.train.examples(7)
  lon, lat = reports.coordinates[station]
  np.testing.assert_allclose(
    place, [[(lon + 120) / 60, (lat - 20) / 30]], rtol=2**-23
  )
  threshold = dataset.provenance['threshold_celsius']
  assert hot == [reports.temperatures[station] > threshold]
  assert (place.dtype, hot.dtype) == (np.float32, np.float32)


def test_hot_is_above_the_median_of_the_training_stations(load):
  hot, celsius = (load(seed=1, target=t) for t in ('hot', 'temperature'))
  _, temperatures = celsius.train.pooled().examples(0)
  threshold = hot.provenance['threshold_celsius']
  assert threshold == np.median(temperatures)
  for side in ('train', 'test'):
    _, label = getattr(hot, side).pooled().examples(0)
    _, degrees = getattr(celsius, side).pooled().examples(0)
    np.testing.assert_array_equal(label, (degrees > threshold).astype('f4'))
  # Several stations report the median itself.
  _, label = hot.train.pooled().examples(0)
  assert 0.45 < label.mean() < 0.5


def test_temperatures_are_numbers_without_label_names(load):
  dataset = load(seed=0, target='temperature')
  assert dataset.label_names == ()
  assert 'threshold_celsius' not in dataset.provenance
  _, celsius = dataset.train.pooled().examples(0)
  assert celsius.min() < -20 and celsius.max() > 20


def test_cells_are_uneven_clients_on_both_sides(load, reports):
  dataset = load(seed=0, clients='cell')
  assert (dataset.train.num_examples, dataset.test.num_examples) == (1200, 285)
  cells = stations.cells(reports.coordinates)
  held = collections.Counter(
    dict(zip(dataset.train.client_ids, dataset.train.sizes, strict=True))
  )
  held.update(
    dict(zip(dataset.test.client_ids, dataset.test.sizes, strict=True))
  )
  assert held == collections.Counter(cells)
  assert dataset.train.sizes.max() > 5 * np.median(dataset.train.sizes)
  # Many cells can both train and test.
  assert len(set(dataset.train.client_ids) & set(dataset.test.client_ids)) > 100


@pytest.mark.parametrize('clients', ['station', 'cell'])
def test_the_seed_decides_which_stations_are_held_out(load, clients):
  held_out = [
    sorted(
      map(tuple, load(seed=s, clients=clients).test.pooled().examples(0)[0])
    )
    for s in (0, 0, 1)
  ]
  assert held_out[0] == held_out[1] != held_out[2]


def test_the_same_stations_are_held_out_whoever_the_clients_are(load):
  one, other = (load(seed=0, clients=c) for c in ('station', 'cell'))
  assert sorted(map(tuple, one.test.pooled().examples(0)[0])) == sorted(
    map(tuple, other.test.pooled().examples(0)[0])
  )


def test_provenance_says_what_a_report_has_to_know(load):
  provenance = load(seed=0).provenance
  assert provenance == {
    'source': 'stations',
    'sha256': stations.FILE.sha256,
    'licence': 'public domain (reports), BSD 3-clause (file of MetPy)',
    'clients': 'station',
    'held_out_stations': 285,
    'frame': {'west': -120.0, 'east': -60.0, 'south': 20.0, 'north': 50.0},
    'target': 'hot: above the median temperature of the training stations',
    'threshold_celsius': 3.0,
  }
