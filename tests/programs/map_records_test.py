import csv
import functools
import json

import numpy as np
import pytest

from tests.programs import map_samples
from tff_pipelines.core import errors
from tff_pipelines.execution import contexts
from tff_pipelines.models import place_models
from tff_pipelines.programs import (
  files,
  kept_results,
  map_records,
  map_runs,
  map_sweeps,
)
from tff_pipelines.reports import map_record

BASE = map_runs.MapSettings(users=3, points=2, merge=2, steps=5, outliers=1)
OTHER = map_runs.MapSettings(
  users=3, points=2, merge=4, steps=5, outliers=1, excluded=(2,)
)


@pytest.fixture(scope='module', autouse=True)
def _context():
  with contexts.using('xla', threads=2):
    yield


@pytest.fixture(scope='module')
def computations():
  return map_samples.computations()


@pytest.fixture(scope='module')
def curves(computations):
  return [
    map_records.Curve(
      name,
      map_runs.run(computations, settings, (0, 7), weights_at=(0, 4)),
      {'merge': settings.merge},
    )
    for name, settings in (('often', BASE), ('seldom', OTHER))
  ]


def output(weights, places):
  return place_models.outputs(map_samples.NET, weights, places)


def figure(curves, **options):
  return map_records.Figure(
    'merging', 'merge', 'How often', curves, ['Mind the step.'], **options
  )


def rows_of(path) -> list[dict[str, str]]:
  with open(path, encoding='utf-8', newline='') as file:
    return list(csv.DictReader(file))


def files_in(folder) -> list[str]:
  return sorted(
    str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file()
  )


def test_the_head_tells_what_is_compared(curves, tmp_path):
  map_records.write(tmp_path, figure(curves))
  head = json.loads((tmp_path / 'merging/figure.json').read_text())
  assert head == {
    'figure': 'merging',
    'kind': 'merge',
    'title': 'How often',
    'settings': {
      'users': 3,
      'points': 2,
      'steps': 5,
      'outliers': 1,
      'noise': 0.0,
      'truth': 'diagonal',
      'avoid_middle': False,
      'force_pair': False,
    },
    'curves': [
      {'name': 'often', 'merge': 2},
      {'name': 'seldom', 'merge': 4},
    ],
    'notes': ['Mind the step.'],
  }
  assert files_in(tmp_path / 'merging') == [
    'figure.json',
    'server.csv',
    'simulation_only/final.csv',
    'simulation_only/places.csv',
    'simulation_only/truth.npz',
  ]


def test_the_servers_table_has_every_merge_of_every_run(curves, tmp_path):
  map_records.write(tmp_path, figure(curves))
  rows = rows_of(tmp_path / 'merging/server.csv')
  found = [
    tuple(r[k] for k in ('curve', 'seed', 'step', 'round_num')) for r in rows
  ]
  assert found == [
    (curve, seed, step, number)
    for curve, steps in (('0', '024'), ('1', '04'))
    for seed in '07'
    for number, step in zip('012', steps, strict=False)
  ]
  assert float(rows[2]['accuracy']) == curves[0].runs[0].server.accuracy[2]


@pytest.mark.parametrize('which, steps', [('all', range(6)), ('last', [5])])
def test_the_users_table_has_the_steps_asked_for(
  curves, tmp_path, which, steps
):
  map_records.write(tmp_path, figure(curves, user_steps=which))
  rows = rows_of(tmp_path / 'merging/simulation_only/users.csv')
  assert [
    (r['curve'], r['seed'], r['user'], r['kind'], r['taking_part'], r['step'])
    for r in rows
  ] == [
    (str(c), str(seed), user, kind, part, str(step))
    for c, parts in enumerate(('111', '110'))
    for seed in (0, 7)
    for user, kind, part in zip(
      ('user01', 'user02', 'user03'),
      ('honest', 'honest', 'outlier'),
      parts,
      strict=True,
    )
    for step in steps
  ]
  last = curves[0].runs[0].simulation.accuracy[0, 5]
  assert float(rows[len(steps) - 1]['accuracy']) == pytest.approx(
    last, abs=1e-6
  )


def test_the_users_table_can_have_the_mean_of_those_who_take_part(
  curves, tmp_path
):
  map_records.write(tmp_path, figure(curves, user_steps='mean'))
  rows = rows_of(tmp_path / 'merging/simulation_only/users.csv')
  assert [(r['curve'], r['seed'], r['user'], r['step']) for r in rows] == [
    (curve, seed, 'mean', str(step))
    for curve in '01'
    for seed in '07'
    for step in range(6)
  ]
  assert {r['taking_part'] for r in rows} == {'1'}
  of_two = curves[1].runs[1].simulation.accuracy[:2, 5]
  assert float(rows[-1]['accuracy']) == pytest.approx(of_two.mean(), abs=1e-6)


@pytest.fixture(scope='module')
def unfollowed(computations):
  runs = map_runs.run(computations, BASE, [0], follow_users=False)
  return [map_records.Curve('unseen', runs)]


def test_users_that_were_not_followed_are_left_out(unfollowed, tmp_path):
  map_records.write(tmp_path, figure(unfollowed), output, resolution=3)
  assert files_in(tmp_path / 'merging') == [
    'figure.json',
    'server.csv',
    'server_maps.npz',
    'simulation_only/places.csv',
    'simulation_only/truth.npz',
  ]


def test_steps_of_users_that_were_not_followed_are_refused(unfollowed):
  with pytest.raises(map_records.MapRecordError) as raised:
    figure(unfollowed, user_steps='last')
  assert str(raised.value) == (
    'Expected runs whose users were followed for the figure merging, found '
    "some of 'unseen' that were not."
  )


def test_a_figure_can_be_of_users_alone(tmp_path):
  map_records.write_users(
    tmp_path / 'maps',
    'fairness',
    'Whom it serves',
    settings={'users': 2},
    curves=['before', 'after'],
    notes=[],
    rows=[
      (0, 0, 'user01', 'honest', 1, 0, 0.5),
      (1, 0, 'user02', 'outlier', 0, 9, 1.0),
    ],
  )
  (record,) = map_record.read_all(tmp_path)
  assert (record.name, record.kind) == ('fairness', 'fairness')
  assert [c.name for c in record.curves] == ['before', 'after']
  assert record.users is not None
  assert record.users['accuracy'].tolist() == [0.5, 1.0]
  assert record.users['taking_part'].tolist() == [True, False]


def test_maps_are_of_the_first_runs_and_start_at_the_lower_left(
  curves, tmp_path
):
  map_records.write(tmp_path, figure(curves), output, resolution=5)
  folder = tmp_path / 'merging'
  of_server = np.load(folder / 'server_maps.npz')
  of_users = np.load(folder / 'simulation_only/user_maps.npz')
  assert set(of_server) == {'0/0', '0/2', '0/4', '1/0', '1/4'}
  assert set(of_users) == {'0/0', '0/4', '1/0', '1/4'}
  run = curves[1].runs[0]
  weights = [w[1] for w in run.server.weights]
  at = np.array([[0.75, 0.25]], np.float32)
  assert of_server['1/4'].shape == (5, 5)
  assert of_server['1/4'][1, 3] == pytest.approx(
    float(output(weights, at)[0]), abs=1e-6
  )
  own = [w[2] for w in run.simulation.weights[4]]
  assert of_users['1/4'].shape == (3, 5, 5)
  assert of_users['1/4'][2, 1, 3] == pytest.approx(
    float(output(own, at)[0]), abs=1e-6
  )
  truth = np.load(folder / 'simulation_only/truth.npz')['truth']
  np.testing.assert_array_equal(truth, np.tril(np.ones([5, 5]), -1))


def test_places_are_what_the_users_reported(curves, tmp_path):
  map_records.write(tmp_path, figure(curves))
  rows = rows_of(tmp_path / 'merging/simulation_only/places.csv')
  assert [(r['user'], r['kind']) for r in rows] == [
    (f'user0{user + 1}', 'outlier' if user == 2 else 'honest')
    for user in range(3)
    for _ in range(2)
  ]
  for r in rows:
    is_hot = float(r['x0']) < float(r['x1'])
    assert int(r['label']) == (is_hot and r['kind'] == 'honest')


def test_a_report_reads_what_is_written(curves, tmp_path):
  map_records.write(
    tmp_path / 'maps', figure(curves, user_steps='all'), output, resolution=4
  )
  (record,) = map_record.read_all(tmp_path)
  assert (record.name, record.kind) == ('merging', 'merge')
  assert [c.name for c in record.curves] == ['often', 'seldom']
  assert record.server is not None and len(record.server) == 10
  assert record.users is not None and len(record.users) == 2 * 2 * 3 * 6
  assert record.final is not None and len(record.final) == 4
  assert record.places is not None and record.truth is not None
  assert set(record.server_maps) == {(0, 0), (0, 2), (0, 4), (1, 0), (1, 4)}
  assert set(record.user_maps) == {(0, 0), (0, 4), (1, 0), (1, 4)}


def test_a_report_reads_sweeps_and_tables(computations, tmp_path):
  kept = kept_results.KeptResults(tmp_path / 'kept')
  for knobs in ({'merge': (2, 4)}, {'merge': (2, 9), 'noise': (0.0, 2.5)}):
    sweep = map_sweeps.Sweep(knobs, BASE, num_seeds=2)
    swept = map_sweeps.run(
      sweep, functools.partial(map_runs.run, computations), kept
    )
    map_records.write_sweep(tmp_path / 'maps', sweep, swept, 'More or less')
  single, table = map_record.read_all(tmp_path)
  assert (single.name, single.kind) == ('sweep_merge', 'sweep')
  assert [dict(c.values) for c in single.curves] == [
    {'name': 'merge 2', 'value': 2},
    {'name': 'merge 4', 'value': 4},
  ]
  assert single.settings['knob'] == 'merge'
  assert 'merge' not in single.settings and single.settings['users'] == 3
  assert single.server is not None and single.final is not None
  assert single.server['step'].tolist() == [4, 4, 4, 4]
  assert single.server['round_num'].tolist() == [2, 2, 1, 1]
  assert (table.name, table.kind) == ('sweep_merge_noise', 'table')
  assert [c.values['value2'] for c in table.curves] == [0.0, 2.5, 0.0, 2.5]
  assert [c.name for c in table.curves][1] == 'merge 2, noise 2.5'
  assert table.server is not None
  # Nine steps are more than there are: nobody has merged.
  assert table.server['step'].tolist() == [4] * 4 + [0] * 4
  assert table.final is not None
  assert table.final['curve'].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_folder_is_replaced_as_a_whole(curves, tmp_path):
  map_records.write(tmp_path, figure(curves, user_steps='all'))
  map_records.write(tmp_path, figure(curves[:1]))
  assert 'simulation_only/users.csv' not in files_in(tmp_path / 'merging')
  assert {r['curve'] for r in rows_of(tmp_path / 'merging/server.csv')} == {'0'}
  assert [p.name for p in tmp_path.iterdir()] == ['merging']


@pytest.mark.parametrize(
  'empty, message',
  [
    ([], 'Expected curves of the figure merging, found none.'),
    (
      [map_records.Curve('seldom', [])],
      'Expected runs of every curve of the figure merging, found none of '
      "'seldom'.",
    ),
  ],
)
def test_a_figure_without_runs_is_refused(empty, message):
  with pytest.raises(map_records.MapRecordError) as raised:
    figure(empty)
  assert isinstance(raised.value, errors.PipelineError)
  assert str(raised.value) == message


def test_where_nothing_can_be_written_it_says_so(curves, tmp_path):
  (tmp_path / 'file').write_text('in the way')
  with pytest.raises(files.SavingFailedError, match='merging'):
    map_records.write(tmp_path / 'file', figure(curves))
