import json

import numpy as np
import pytest

from tests.reports import map_world
from tff_pipelines.reports import map_record, run_files, run_reader

pytestmark = pytest.mark.filterwarnings('error')


@pytest.fixture
def folder(write_run):
  """A run's maps/merge, to be broken."""
  run_dir = write_run()
  map_world.Writer(run_dir).merge({'users': 2, 'points': 2, 'merge': 2,
                                   'steps': 5})  # fmt: skip
  return run_dir / 'maps' / 'merge'


def _read(folder):
  (record,) = map_record.read_all(folder.parents[1])
  return record


def _broken(folder, message):
  with pytest.raises(run_files.BrokenRunFileError, match=message) as raised:
    _read(folder)
  # One sentence.
  assert '\n' not in str(raised.value)
  assert str(raised.value).endswith('.')


def test_a_run_without_maps_has_no_records(write_run):
  assert run_reader.read(write_run()).maps == ()


def test_a_record_holds_what_was_written(folder):
  (record,) = run_reader.read(folder.parents[1]).maps
  assert (record.name, record.kind) == ('merge', 'merge')
  assert record.title == 'Models that meet now and then'
  assert record.curves[0].name == 'merge every 2'
  assert record.curves[0].number('merge') == 2.0
  assert record.setting('users') == 2.0
  assert record.notes == ('Each seed is another world.',)
  assert record.server['step'].tolist() == [0, 2, 4]
  assert record.server['round_num'].tolist() == [0, 1, 2]
  assert record.users['step'].tolist() == [*range(6), *range(6)]
  assert record.users['taking_part'].dtype == bool
  assert record.users['taking_part'].all()
  assert record.users['user'].unique().tolist() == ['user01', 'user02']
  assert record.users['kind'].iloc[-1] == 'outlier'
  assert list(record.server_maps) == [(0, 0), (0, 2), (0, 4)]
  assert record.user_maps[0, 4].shape == (2, 21, 21)
  assert len(record.places) == 4
  assert not record.places['held_out'].any()
  # Hot where x0 < x1: in the upper left corner, not in the lower right one.
  assert record.truth[-1, 0] == 1.0
  assert record.truth[0, -1] == 0.0


def test_all_but_one_file_may_be_missing(folder):
  for path in folder.rglob('*.*'):
    if path.name != 'figure.json':
      path.unlink()
  record = _read(folder)
  assert record.server is None
  assert record.users is None
  assert record.places is None
  assert record.truth is None
  assert record.server_maps == {}


def test_a_folder_without_its_head_is_not_there(folder):
  (folder / 'figure.json').unlink()
  assert map_record.read_all(folder.parents[1]) == ()


def test_a_table_without_rows_is_none(folder):
  (folder / 'server.csv').write_text('curve,seed,step,round_num,accuracy\n')
  assert _read(folder).server is None


def test_records_come_in_the_order_of_the_report(write_run):
  run_dir = write_run(maps='')
  names = [record.name for record in map_record.read_all(run_dir)]
  assert names == [
    'merge', 'drift', 'outliers', 'excluded', 'fairness', 'privacy',
    'sweep_noise', 'sweep_points', 'sweep_users', 'sweep_merge_points',
    'defences', 'stations', 'interpolation',
  ]  # fmt: skip


@pytest.mark.parametrize('value', [True, 'x', None, float('nan'), [1]])
def test_what_is_no_number_is_none(value):
  assert map_record.Curve('', {'a': value}).number('a') is None


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'kind': 'x'}, "kind in .*figure.json to be one of merge, .*, found 'x'"),
    ({'curves': 3}, r'list of curves in .*figure.json, found 3'),
    ({'curves': [{}]}, r'every curve in .* to have a name, found \{\}'),
    ({'notes': 'x'}, "list of notes in .*, found 'x'"),
    ({'settings': [1]}, r'settings in .* to be an object, found \[1\]'),
    ({'curves': []}, r'among the 0 of figure.json, found curve 0'),
  ],
)
def test_a_broken_head(folder, changes, message):
  path = folder / 'figure.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | changes))
  _broken(folder, message)


@pytest.mark.parametrize(
  ('name', 'content', 'message'),
  [
    ('server.csv', 'curve,seed\n0,0\n', 'column step in .*server.csv, line 1'),
    (
      'server.csv',
      'curve,seed,step,round_num,accuracy\n0,0,0,0,x\n',
      "number in .*server.csv, line 2, column accuracy, found 'x'",
    ),
    (
      'server.csv',
      'curve,seed,step,round_num,accuracy\n0,0,0,0\n',
      '5 cells in .*server.csv, line 2, found 4',
    ),
    (
      'server.csv',
      'curve,seed,step,round_num,accuracy\n1,0,0,0,0.5\n',
      'among the 1 of figure.json, found curve 1',
    ),
    (
      'server.csv',
      'curve,seed,step,round_num,accuracy\n0,0,0.5,0,0.5\n',
      'whole numbers in .*server.csv, column step, found 0.5',
    ),
    (
      'simulation_only/users.csv',
      'curve,seed,user,kind,taking_part,step,accuracy\n0,0,a,honest,?,0,1\n',
      r"0 or 1 in .*users.csv, column taking_part, found '\?'",
    ),
    (
      'simulation_only/places.csv',
      'user,kind,x0,x1,label\na,honest,0,0,hot\n',
      "number in .*places.csv, line 2, column label, found 'hot'",
    ),
    ('server_maps.npz', 'x', 'arrays of numbers in .*server_maps.npz'),
  ],
)
def test_a_broken_table(folder, name, content, message):
  (folder / name).write_text(content)
  _broken(folder, message)


@pytest.mark.parametrize(
  ('name', 'arrays', 'message'),
  [
    (
      'server_maps.npz',
      {'a': np.zeros((2, 2))},
      "names such as '0/20' in .*, found 'a'",
    ),
    ('server_maps.npz', {'1/0': np.zeros((2, 2))}, "found '1/0'"),
    (
      'server_maps.npz',
      {'0/0': np.zeros((2, 3))},
      r'square maps of numbers with 2 dimensions .* shape \(2, 3\)',
    ),
    (
      'simulation_only/user_maps.npz',
      {'0/0': np.zeros((2, 2))},
      r'square maps of numbers with 3 dimensions .* shape \(2, 2\)',
    ),
    (
      'server_maps.npz',
      {'0/0': np.array([['a']])},
      r"square maps of numbers .* '0/0' of <U1",
    ),
    (
      'simulation_only/truth.npz',
      {'x': np.zeros((2, 2))},
      "array 'truth' in .*, found x",
    ),
    (
      'simulation_only/truth.npz',
      {'truth': np.zeros(2)},
      r'2 dimensions in .*, found .truth. of float64 with shape \(2,\)',
    ),
  ],
)
def test_broken_arrays(folder, name, arrays, message):
  np.savez(folder / name, **arrays)
  _broken(folder, message)
