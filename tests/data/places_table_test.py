"""Places from a user's own file."""

import hashlib

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import (
  map_frames,
  place_records,
  places_table,
  population,
  row_files,
)

HEADER = 'client,x,y,value\n'
# Four places of two clients, at the corners of 10..20 by 40..44.
CORNERS = 'ann,10,40,hot\nbob,20,40,cold\nann,10,44,Cold\nbob,20,44, HOT\n'


@pytest.fixture
def source(tmp_path):
  def made(
    content: str | bytes, name='places.csv', **options
  ) -> places_table.PlacesSource:
    path = tmp_path / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(data)
    return places_table.PlacesSource(path, **options)

  return made


def load(source, test_fraction=0.25, seed=0) -> population.FederatedDataset:
  return places_table.load(source, test_fraction=test_fraction, seed=seed)


def everything(dataset) -> dict[tuple, float]:
  """The label of each place, of both sides."""
  found = {}
  for side in (dataset.train, dataset.test):
    places, values = side.pooled().examples(0)
    for place, value in zip(places, values, strict=True):
      found[tuple(place.tolist())] = float(value)
  return found


def error_of(source, kind=row_files.MalformedRowError) -> str:
  """Returns the message after the path, which has to be one sentence."""
  with pytest.raises(kind) as raised:
    load(source)
  message = str(raised.value)
  assert isinstance(raised.value, errors.PipelineError)
  assert '\n' not in message and message.endswith('.')
  return message.replace(str(source.path), source.path.name)


# What is read.


def test_places_are_stretched_to_the_unit_square(source):
  dataset = load(source(HEADER + CORNERS))
  assert everything(dataset) == {
    (0.0, 0.0): 1.0, (1.0, 0.0): 0.0, (0.0, 1.0): 0.0, (1.0, 1.0): 1.0,
  }  # fmt: skip
  assert dataset.name == 'csv'
  assert dataset.label_names == ('cold', 'hot')
  place, label = dataset.train.examples(0)
  assert (place.dtype, label.dtype) == (np.float32, np.float32)


def test_provenance_says_how_to_get_back_to_the_map(source):
  content = HEADER + CORNERS
  provenance = load(source(content)).provenance
  assert provenance == {
    'source': 'csv',
    'file': 'places.csv',
    'sha256': hashlib.sha256(content.encode()).hexdigest(),
    'rows_read': 4,
    'skipped_rows': {},
    'target': 'hot',
    'hot_above': None,
    'split': 'by distinct place',
    'test_fraction': 0.25,
    'frame': {'west': 10.0, 'east': 20.0, 'south': 40.0, 'north': 44.0},
    'frame_given': False,
  }


def test_a_given_area_is_the_unit_square(source):
  area = map_frames.MapFrame(0.0, 40.0, 40.0, 48.0)
  dataset = load(source(HEADER + CORNERS, area=area))
  assert set(everything(dataset)) == {
    (0.25, 0.0), (0.5, 0.0), (0.25, 0.5), (0.5, 0.5),
  }  # fmt: skip
  assert map_frames.MapFrame(**dataset.provenance['frame']) == area
  assert dataset.provenance['frame_given']


def test_numbers_are_hot_above_a_threshold(source):
  rows = 'ann,0,0,20\nann,0,1,20.5\nbob,1,0,-3\nbob,1,1,1e3\n'
  dataset = load(source(HEADER + rows, hot_above=20.0))
  assert everything(dataset) == {
    (0.0, 0.0): 0.0, (0.0, 1.0): 1.0, (1.0, 0.0): 0.0, (1.0, 1.0): 1.0,
  }  # fmt: skip


def test_a_number_is_learned_as_it_is(source):
  rows = 'ann,0,0,20\nann,0,1,-0.5\n'
  dataset = load(source(HEADER + rows, target='temperature'), 0.5)
  assert everything(dataset) == {(0.5, 0.0): 20.0, (0.5, 1.0): -0.5}
  assert dataset.label_names == ()


def test_columns_words_and_names_are_the_users(source):
  content = 'lat,who,level,lon\n1,bob,LOUD,5\n2,bob,quiet,6\n'
  dataset = load(
    source(
      content,
      client_column='who',
      x_column='lon',
      y_column='lat',
      value_column='level',
      hot_values=('loud',),
      cold_values=('Quiet',),
      label_names=('quiet', 'loud'),
    ),
    0.5,
  )
  assert everything(dataset) == {(0.0, 0.0): 1.0, (1.0, 1.0): 0.0}
  assert dataset.label_names == ('quiet', 'loud')


def test_a_tsv_in_another_encoding(source):
  content = 'client\tx\ty\tvalue\nJosé\t0\t0\t1\nJosé\t1\t1\t0\n'
  dataset = load(
    source(content.encode('latin-1'), 'places.tsv', encoding='latin-1'), 0.5
  )
  assert dataset.train.client_ids == dataset.test.client_ids == ('José',)


def test_a_client_whose_places_are_all_held_out_only_tests(source):
  rows = ''.join(f'user{i},{i},{i},1\n' for i in range(10))
  dataset = load(source(HEADER + rows), 0.3)
  assert dataset.train.num_clients == 7
  assert dataset.test.num_clients == 3
  assert not set(dataset.train.client_ids) & set(dataset.test.client_ids)


def test_the_seed_decides_what_is_held_out(source):
  rows = ''.join(f'user{i},{i},{i},1\n' for i in range(40))
  held = [
    load(source(HEADER + rows), 0.5, s).test.client_ids for s in (0, 0, 1)
  ]
  assert held[0] == held[1] != held[2]


# What is wrong.


@pytest.mark.parametrize(
  ('row', 'message'),
  [
    (
      'ann,10',
      'expected 4 columns as in the header, found 2; complete the row, or put '
      "fields that hold ',' or a line end into double quotes.",
    ),
    (
      ' ,10,40,hot',
      "expected a client in 'client', found none; fill it in, or remove the "
      'row.',
    ),
    (
      'ann,east,40,hot',
      "expected a coordinate in 'x', a finite number such as 48.25, found "
      "'east'; correct the row.",
    ),
    (
      'ann,10,nan,hot',
      "expected a coordinate in 'y', a finite number such as 48.25, found "
      "'nan'; correct the row.",
    ),
    (
      'ann,10,"40,5",hot',
      "expected a coordinate in 'y', a finite number such as 48.25, found "
      "'40,5'; correct the row.",
    ),
    (
      'ann,10,40,warm',
      "expected 'value' to be one of 'cold', '0', 'false', 'no' or one of "
      "'hot', '1', 'true', 'yes', found 'warm'; correct it, or pass "
      '--cold_values and --hot_values, or for numbers --hot_above.',
    ),
  ],
)
def test_a_bad_row_is_named_by_its_line(source, row, message):
  content = f'{HEADER}ann,10,40,hot\n{row}\n'
  assert error_of(source(content)) == f'places.csv, line 3: {message}'


@pytest.mark.parametrize('value', ['hot', '', 'inf', '1e39'])
@pytest.mark.parametrize(
  'options', [{'hot_above': 1.0}, {'target': 'temperature'}]
)
def test_a_value_that_is_no_number(source, value, options):
  content = f'{HEADER}ann,10,40,{value}\n'
  assert error_of(source(content, **options)) == (
    "places.csv, line 2: expected a value in 'value', a finite number such as "
    f'48.25, found {value!r}; correct the row.'
  )


def test_a_place_outside_the_area(source):
  area = map_frames.MapFrame(0.0, 15.0, 40.0, 50.0)
  assert error_of(source(HEADER + CORNERS, area=area)) == (
    'places.csv, line 3: expected a place in 0.0 to 15.0 by 40.0 to 50.0, '
    'found (20.0, 40.0); correct the row, or pass a larger --area.'
  )


def test_a_missing_column(source):
  content = 'client,lon,y,value\nann,1,1,1\n'
  assert error_of(source(content), row_files.ColumnError) == (
    "places.csv, line 1: expected one column 'x', found none among the columns "
    "'client', 'lon', 'y', 'value'; correct the header or the name of the "
    'column.'
  )


def test_no_rows(source):
  assert error_of(source(HEADER), row_files.NoRowsError) == (
    'Expected rows in places.csv, found only a header; add places.'
  )


def test_no_file(source):
  there = source(HEADER)
  there.path.unlink()
  assert error_of(there, row_files.UnreadableFileError) == (
    'Expected a file at places.csv, found none; correct the path.'
  )


def test_too_few_places_for_both_sides(source):
  message = error_of(
    source(HEADER + 'ann,1,1,1\n'), place_records.PlaceSplitError
  )
  assert message.startswith('Expected places on both sides of the split, found')


def test_skipped_rows_are_counted_by_reason(source):
  content = (
    HEADER
    + CORNERS
    + (
      'ann,east,40,hot\nann,1,north,hot\nann,10,42,warm\n,10,42,hot\nann\n'
      'ann,99,42,hot\n'
    )
  )
  area = map_frames.MapFrame(10.0, 20.0, 40.0, 44.0)
  dataset = load(source(content, skip_bad_rows=True, area=area))
  assert len(everything(dataset)) == 4
  assert dataset.provenance['rows_read'] == 10
  assert dataset.provenance['skipped_rows'] == {
    'not a number': {'count': 2, 'first_line': 6},
    'unknown label': {'count': 1, 'first_line': 8},
    'empty client': {'count': 1, 'first_line': 9},
    'wrong number of columns': {'count': 1, 'first_line': 10},
    'outside the area': {'count': 1, 'first_line': 11},
  }


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    (
      {'y_column': 'x'},
      'Expected four different columns for client, first and second coordinate '
      "and value, found 'client', 'x', 'x', 'value'.",
    ),
    (
      {'target': 'rain'},
      "Expected a target out of hot, temperature, found 'rain'.",
    ),
    (
      {'hot_above': float('nan')},
      'Expected a finite number in --hot_above, found nan.',
    ),
    (
      {'hot_above': 1.0, 'target': 'temperature'},
      'Expected the target hot where --hot_above is given, found temperature; '
      'remove one of them.',
    ),
    (
      {'hot_values': ('no',)},
      "Expected no label in both --hot_values and --cold_values, found 'no' in "
      'both.',
    ),
    (
      {'encoding': 'utf-9'},
      'Expected the name of a text encoding such as utf-8 or latin-1 in '
      "--csv_encoding, found 'utf-9'.",
    ),
  ],
)
def test_a_source_that_contradicts_itself_is_refused(source, options, message):
  with pytest.raises(row_files.InvalidSourceError) as raised:
    source(HEADER, **options)
  assert str(raised.value) == message
