"""The heat map task from its command line to its report."""

import functools
import json
import pathlib

import numpy as np
import pytest
import tensorflow_federated  # noqa: F401  (Its flags have to outlive a run.)

from tests.integration import command_lines

run = functools.partial(command_lines.run, 'tasks.heat_map')


# The model world.


@pytest.fixture(scope='module')
def drawn(tmp_path_factory) -> tuple[pathlib.Path, str]:
  """The run directory of a figure, and what was printed."""
  path = tmp_path_factory.mktemp('drawn') / 'run'
  done = run(
    '--figure=outliers', '--users=3', '--points_per_user=4', '--outliers=1',
    '--merge_every=4', '--steps=10', '--seeds=2', '--seed=6',
    f'--output_dir={path}',
  )  # fmt: skip
  assert (done.returncode, done.stderr) == (0, '')
  return path, done.stdout


def test_the_figures_folders_are_there(drawn):
  path, _ = drawn
  manifest = json.loads((path / 'manifest.json').read_text())
  assert manifest['task'] == 'heat_map'
  assert manifest['seed'] == 6
  assert manifest['configuration']['figure'] == ['outliers']
  assert sorted(p.name for p in (path / 'maps').iterdir()) == [
    'excluded', 'outliers',
  ]  # fmt: skip
  for name, num_curves in (('outliers', 2), ('excluded', 4)):
    folder = path / 'maps' / name
    assert sorted(
      str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file()
    ) == [
      'figure.json', 'server.csv', 'server_maps.npz',
      'simulation_only/places.csv', 'simulation_only/truth.npz',
    ]  # fmt: skip
    rows = command_lines.table(folder / 'server.csv')
    assert [
      (r['curve'], r['seed'], r['step'], r['round_num']) for r in rows
    ] == [
      (str(curve), str(seed), str(4 * k), str(k))
      for curve in range(num_curves)
      for seed in (6, 7)
      for k in range(3)
    ]


def test_leaving_the_outlier_out_is_the_same_in_both_figures(drawn):
  folder = drawn[0] / 'maps'
  without, everybody = (
    [r['accuracy'] for r in command_lines.table(folder / name / 'server.csv') if
     r['curve'] == curve]
    for name, curve in (('outliers', '0'), ('excluded', '0'))
  )  # fmt: skip
  assert without != everybody
  last = [
    r['accuracy']
    for r in command_lines.table(folder / 'excluded' / 'server.csv')
    if r['curve'] == '3'
  ]
  assert last == without


def test_results_are_those_of_the_last_merge(drawn):
  path, out = drawn
  results = json.loads((path / 'results.json').read_text())
  rows = command_lines.table(path / 'maps' / 'outliers' / 'server.csv')
  for curve, row in enumerate(results['rows']):
    last = [
      float(r['accuracy'])
      for r in rows
      if (r['curve'], r['step']) == (str(curve), '8')
    ]
    assert row['system'] == f'outliers: {curve} of 1 outliers take part'
    assert row['accuracy'] == pytest.approx(np.mean(last))
    assert row['seeds'] == 2
  assert results['row_title'] == 'setting'
  assert results['sentence'].startswith('With all outliers the shared map is')
  assert f'run directory: {path} (--output_dir={path} resumes it)' in out
  # Of a narrow table the first line of a row.
  assert '\noutliers: 1 of 1 outliers' in out
  assert f'report: {path / "report.html"}' in out


def test_the_report_shows_both_figures(drawn):
  path, _ = drawn
  report = (path / 'report.html').read_text(encoding='utf-8')
  results = json.loads((path / 'results.json').read_text())
  assert results['sentence'] in report
  assert '1 of 3 users report cold everywhere' in report
  assert 'Every user left out in turn' in report


# Places of the user's own.


@pytest.fixture(scope='module')
def compared(tmp_path_factory) -> tuple[pathlib.Path, str]:
  """The run directory of a comparison, and what was printed."""
  folder = tmp_path_factory.mktemp('compared')
  rng = np.random.default_rng(1)
  rows = [
    f'person{i % 6},{x:.4f},{y:.4f},{"hot" if x < y else "cold"}\n'
    for i, (x, y) in enumerate(rng.uniform(0, 10, (120, 2)))
  ]
  places = folder / 'places.csv'
  places.write_text('client,x,y,value\n' + ''.join(rows))
  path = folder / 'run'
  done = run(
    '--dataset=csv', f'--csv_path={places}', '--system=central,federated',
    '--rounds=20', '--central_epochs=20', '--client_epochs=5',
    f'--output_dir={path}',
  )  # fmt: skip
  assert (done.returncode, done.stderr) == (0, '')
  return path, done.stdout


@pytest.mark.slow
def test_own_places_are_learned_by_both_systems(compared):
  path, out = compared
  results = json.loads((path / 'results.json').read_text())
  assert results['title'] == 'Heat map: csv'
  assert results['primary'] == 'accuracy'
  assert [row['system'] for row in results['rows']] == ['central', 'federated']
  for row in results['rows']:
    # Half of the places are hot; by chance 18 of 24 are right with a
    # probability of 1.1 %, and the seed is fixed.
    assert row['accuracy'] >= 0.75
  assert out.startswith('train  6 clients, 96 examples ')
  assert 'federated: round 20/20  test loss ' in out


@pytest.mark.slow
def test_the_map_of_own_places_is_there_to_draw(compared):
  folder = compared[0] / 'maps' / 'stations'
  figure = json.loads((folder / 'figure.json').read_text())
  assert figure['kind'] == 'stations'
  assert figure['settings']['quantity'] == 'probability of hot'
  with np.load(folder / 'server_maps.npz') as maps:
    learned = maps['0/0']
  assert learned.shape == (121, 121)
  # It learned which corner is hot: x low, y high.
  assert learned[-1, 0] > 0.5 > learned[0, -1]
  places = command_lines.table(folder / 'simulation_only' / 'places.csv')
  assert [row['held_out'] for row in places].count('1') == 24
  assert len(places) == 120


@pytest.mark.slow
def test_the_report_shows_the_map_of_own_places(compared):
  report = (compared[0] / 'report.html').read_text(encoding='utf-8')
  assert 'Heat map: csv' in report
  assert 'The map that was learned' in report
  for system in ('central', 'federated'):
    assert system in report


# Flags that do not fit together.


def test_training_flags_of_a_figure_are_one_sentence(tmp_path):
  path = tmp_path / 'run'
  code, out, err = command_lines.run_here(
    'tasks.heat_map', '--attack=sign_flip', f'--output_dir={path}'
  )
  assert (code, out) == (2, '')
  assert err == (
    'Error: Expected --figure=comparison where --attack is given, found '
    '--figure=merge, with which it has no effect; remove one of them.\n'
  )
  assert not path.exists()
