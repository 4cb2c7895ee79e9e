"""The final table as data."""

import json

import numpy as np
import pytest

from tff_pipelines.programs import files, results

COLUMNS = (
  results.Column('accuracy', 'accuracy', 'accuracy', 'percent', 'higher'),
  results.Column('recall', 'spam_caught', 'spam caught', 'percent', 'higher'),
  *results.EFFORT,
)
NAN = float('nan')


def test_row_has_a_value_for_each_column_and_none_where_it_lacks_one():
  metrics = {'accuracy': 0.75, 'rounds': 4, 'loss': 1.0}
  assert results.row('central', metrics, COLUMNS) == {
    'system': 'central',
    'accuracy': 0.75,
    'spam_caught': None,
    'rounds': 4,
    'seconds': None,
  }


@pytest.mark.parametrize('value', [NAN, np.float32(NAN), np.float64(NAN)])
def test_undefined_value_is_none(value):
  row = results.row('central', {'recall': value}, COLUMNS)
  assert row['spam_caught'] is None


def test_row_over_people_is_the_median_with_the_range():
  people = [{'accuracy': a, 'recall': 1.0} for a in (0.25, 1.0, 0.5, 0.75)]
  assert results.row_over_people('local', people, COLUMNS) == {
    'system': 'local',
    'accuracy': 0.625,
    'accuracy_min': 0.25,
    'accuracy_max': 1.0,
    'spam_caught': 1.0,
    'spam_caught_min': 1.0,
    'spam_caught_max': 1.0,
    'rounds': None,
    'seconds': None,
  }


def test_people_whose_metric_is_undefined_do_not_count_for_its_column():
  people = [
    {'accuracy': 0.5, 'recall': NAN},
    {'accuracy': 0.75, 'recall': 0.125},
    {'accuracy': 1.0},
  ]
  row = results.row_over_people('local', people, COLUMNS[:2])
  assert (row['accuracy'], row['spam_caught']) == (0.75, 0.125)
  assert (row['spam_caught_min'], row['spam_caught_max']) == (0.125, 0.125)


def test_column_that_is_undefined_for_everyone_has_no_range():
  row = results.row_over_people('local', [{'recall': NAN}], COLUMNS[1:2])
  assert row == {'system': 'local', 'spam_caught': None}


def test_file_holds_columns_rows_and_notes_in_order(tmp_path):
  path = tmp_path / 'results.json'
  rows = [
    results.row('central', {'accuracy': np.float32(0.5)}, COLUMNS[:1]),
    results.row_over_people(
      'local', [{'accuracy': np.float32(0.25)}], COLUMNS[:1]
    ),
    results.row('federated', {'rounds': np.int64(4)}, COLUMNS[2:3]),
  ]
  results.write(
    path,
    title='Spam',
    primary='accuracy',
    columns=COLUMNS[:3],
    rows=rows,
    notes=('central: stopped early',),
  )
  assert json.loads(path.read_text()) == {
    'title': 'Spam',
    'primary': 'accuracy',
    'columns': [
      {
        'key': 'accuracy',
        'title': 'accuracy',
        'format': 'percent',
        'better': 'higher',
      },
      {
        'key': 'spam_caught',
        'title': 'spam caught',
        'format': 'percent',
        'better': 'higher',
      },
      {'key': 'rounds', 'title': 'rounds', 'format': 'count'},
    ],
    'rows': [
      {'system': 'central', 'accuracy': 0.5},
      {
        'system': 'local',
        'accuracy': 0.25,
        'accuracy_min': 0.25,
        'accuracy_max': 0.25,
      },
      {'system': 'federated', 'rounds': 4},
    ],
    'notes': ['central: stopped early'],
  }


def test_place_below_a_file_is_refused(tmp_path):
  (tmp_path / 'blocked').write_text('a file, not a folder')
  with pytest.raises(files.SavingFailedError, match=r'write results\.json at'):
    results.write(
      tmp_path / 'blocked' / 'results.json',
      title='Spam',
      primary='accuracy',
      columns=COLUMNS,
      rows=[],
      notes=[],
    )
