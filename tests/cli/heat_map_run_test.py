"""A run of figures and sweeps: what it leaves, and how it goes on."""

import json
import pathlib

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import (
  aggregator_flags,
  app,
  flag_groups,
  heat_map_computations,
  heat_map_figures,
  heat_map_flags,
  heat_map_run,
  place_flags,
  run_flags,
)
from tff_pipelines.data import grid_world
from tff_pipelines.models import place_models
from tff_pipelines.programs import map_runs, run_directory
from tff_pipelines.reports import animation, map_record

TINY = (
  '--users=3', '--points_per_user=2', '--outliers=1', '--seeds=2',
)  # fmt: skip
MERGES = ('--steps=4', '--merge_every=2')


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def pretended(
  settings: map_runs.MapSettings, seed: int, weights_at
) -> map_runs.MapRun:
  """A run whose accuracies follow from its settings; nobody learns."""
  initial = place_models.TanhNet().initial_weights(seed)
  steps = [settings.merge * k for k in range(settings.num_merges + 1)]
  accuracy = np.array([1 / (2 + seed + k) for k in range(len(steps))])
  return map_runs.MapRun(
    settings,
    seed,
    map_runs.ServerView(
      tuple(steps),
      tuple(range(len(steps))),
      accuracy,
      tuple(np.stack([w] * len(steps)) for w in initial),
    ),
    map_runs.SimulationView(
      settings.world.kinds(),
      np.isin(range(settings.users), settings.participants),
      np.full((settings.users, settings.steps + 1), 0.5, np.float32),
      {s: tuple(np.stack([w] * settings.users) for w in initial)
       for s in weights_at},
    ),
  )  # fmt: skip


@pytest.fixture(autouse=True)
def computed(monkeypatch) -> list:
  """Settings and seeds of what is computed, which nothing really is."""
  seen = []

  def run(computations, settings, seeds, *, weights_at=(), **options):
    seen.append((settings, list(seeds)))
    return [pretended(settings, seed, weights_at) for seed in seeds]

  monkeypatch.setattr(map_runs, 'run', run)
  monkeypatch.setattr(
    heat_map_computations.HeatMapComputations, 'of', lambda self, _: None
  )
  return seen


@pytest.fixture
def unreported(monkeypatch):
  """Without report.html, whose pictures take seconds."""
  monkeypatch.setattr(run_flags.RunFlags, 'report', lambda *_: None)


def run(path: pathlib.Path, *arguments: str, seed: int = 0) -> None:
  """Runs what a command line asks for."""
  with flagsaver.flagsaver():
    look = heat_map_flags.HeatMapFlags()
    places = place_flags.PlaceFlags()
    model = place_flags.PlaceModelFlags()
    aggregator = aggregator_flags.AggregatorFlags('uniform_mean')
    output = run_flags.RunFlags()
    groups = [look, places, model, aggregator, output]
    application = app.Application('heat_map', '', groups)
    flags.FLAGS(['program', *TINY, *arguments, f'--output_dir={path}'])
    for group in groups:
      group.check()
    heat_map_run.run(
      application, output, look, places, model, aggregator, seed=seed
    )


def results(path: pathlib.Path) -> dict:
  return json.loads((path / 'results.json').read_text())


def names(path: pathlib.Path) -> list[str]:
  return sorted(p.name for p in (path / 'maps').iterdir())


def test_figures_leave_folders_a_table_and_a_report(tmp_path, capsys):
  run(tmp_path, *MERGES, '--figure=outliers,merge', seed=3)
  assert names(tmp_path) == ['excluded', 'merge', 'outliers']
  found = results(tmp_path)
  assert (found['title'], found['primary'], found['row_title']) == (
    'Heat map', 'accuracy', 'setting',
  )  # fmt: skip
  assert [row['system'] for row in found['rows']] == [
    'merge: merged every 2 steps', 'merge: never merged',
    'outliers: 0 of 1 outliers take part',
    'outliers: 1 of 1 outliers take part',
  ]  # fmt: skip
  # After two merges, of seeds 3 and 4.
  assert found['rows'][0]['accuracy'] == pytest.approx((1 / 7 + 1 / 8) / 2)
  assert found['sentence'].startswith('Merging now and then, the shared map')
  report = (tmp_path / 'report.html').read_text(encoding='utf-8')
  assert found['sentence'] in report
  out = capsys.readouterr().out
  assert f'run directory: {tmp_path} (--output_dir={tmp_path} resumes' in out
  assert 'merge: never merged' in out
  manifest = json.loads((tmp_path / 'manifest.json').read_text())
  assert manifest['data'] == {'name': 'grid'}
  assert manifest['seed'] == 3


@pytest.mark.usefixtures('unreported')
def test_a_run_that_is_complete_computes_nothing_and_ends_alike(
  tmp_path, computed
):
  arguments = (*MERGES, '--figure=outliers,merge')
  run(tmp_path, *arguments)
  first = results(tmp_path)
  assert computed
  computed.clear()
  run(tmp_path, *arguments)
  assert computed == []
  assert results(tmp_path) == first


@pytest.mark.usefixtures('unreported')
def test_a_run_that_was_killed_goes_on_with_what_is_missing(
  tmp_path, computed, monkeypatch
):
  arguments = (*MERGES, '--figure=merge,outliers')
  run(tmp_path / 'whole', *arguments)
  computed.clear()

  # In the middle of the last folder.
  write_truth = heat_map_figures.map_records._write_truth

  def interrupted(hidden, settings, resolution):
    if hidden.parent.name.find('excluded') >= 0:
      raise KeyboardInterrupt
    write_truth(hidden, settings, resolution)

  with monkeypatch.context() as patch:
    patch.setattr(heat_map_figures.map_records, '_write_truth', interrupted)
    with pytest.raises(KeyboardInterrupt):
      run(tmp_path / 'killed', *arguments)
  complete = [p.parent.name for p in (tmp_path / 'killed').glob('maps/*/figu*')]
  assert 'excluded' not in complete
  computed.clear()
  run(tmp_path / 'killed', *arguments)
  # Everybody, and each of three users left out.
  assert [settings.excluded for settings, _ in computed] == [
    (), (0,), (1,), (2,),
  ]  # fmt: skip
  assert results(tmp_path / 'killed') == results(tmp_path / 'whole')
  assert names(tmp_path / 'killed') == names(tmp_path / 'whole')


@pytest.mark.usefixtures('unreported')
def test_a_run_of_other_flags_is_refused(tmp_path):
  run(tmp_path, *MERGES, '--figure=outliers')
  with pytest.raises(run_directory.RunDirectoryMismatchError, match='figure'):
    run(tmp_path, *MERGES, '--figure=outliers,merge')


# Sweeps.


@pytest.mark.usefixtures('unreported')
def test_a_sweep_leaves_its_folder_and_the_seeds_of_the_run(tmp_path, computed):
  run(tmp_path, '--sweep=merge', '--steps=30', seed=3)
  assert names(tmp_path) == ['sweep_merge']
  assert [(s.merge, seeds) for s, seeds in computed] == [
    (merge, [3, 4]) for merge in (80, 40, 20, 10, 4, 2)
  ]
  (record,) = map_record.read_all(tmp_path)
  assert record.title == 'Merge: what they are worth'
  assert set(record.server['seed']) == {3, 4}
  found = results(tmp_path)
  assert found['sentence'].startswith('Merge 20: ')
  assert [row['accuracy'] is None for row in found['rows']] == [
    True, True, False, False, False, False,
  ]  # fmt: skip


@pytest.mark.usefixtures('unreported')
def test_a_sweep_that_was_killed_goes_on_with_the_next_value(
  tmp_path, computed, monkeypatch
):
  arguments = ('--sweep=noise', *MERGES)
  pretend = map_runs.run

  def interrupted(computations, settings, seeds, **options):
    if settings.noise == 4:
      raise KeyboardInterrupt
    return pretend(computations, settings, seeds, **options)

  with monkeypatch.context() as patch:
    patch.setattr(map_runs, 'run', interrupted)
    with pytest.raises(KeyboardInterrupt):
      run(tmp_path, *arguments)
  assert not (tmp_path / 'maps').exists()
  computed.clear()
  run(tmp_path, *arguments)
  assert [settings.noise for settings, _ in computed] == [4, 5]
  computed.clear()
  run(tmp_path, *arguments)
  assert computed == []


@pytest.mark.usefixtures('unreported')
def test_two_knobs_are_a_table(tmp_path):
  run(tmp_path, '--sweep=merge,steps')
  (record,) = map_record.read_all(tmp_path)
  assert (record.name, record.kind) == ('sweep_merge_steps', 'table')
  assert record.title == 'Merge and steps: what they are worth'
  assert len(record.curves) == 30


# What cannot be is told before anything is computed.


@pytest.mark.parametrize(
  ('arguments', 'error', 'message'),
  [
    (
      ('--figure=merge,privacy', '--noise=1'),
      flag_groups.FlagError,
      'Expected no noise among the flags where the figure varies it, found '
      '1.0; remove that flag.',
    ),
    (
      ('--figure=all', '--merge_every=2'),
      flag_groups.FlagError,
      'Expected no merge among the flags where the figure varies it, found 2; '
      'remove that flag.',
    ),
    (
      ('--figure=drift,outliers', '--merge_every=2,4'),
      flag_groups.FlagError,
      'Expected one number in --merge_every for figures other than drift, '
      'found 2,4.',
    ),
    (
      ('--sweep=outliers', '--outliers=0'),
      flag_groups.FlagError,
      'Expected no outliers among the flags where the figure varies it, found '
      '0; remove that flag.',
    ),
    (
      ('--sweep=noise', '--aggregator=mean,median'),
      aggregator_flags.AggregatorError,
      'Expected one aggregator without a promise of privacy here, found '
      '--aggregator=mean,median.',
    ),
    (
      ('--figure=merge', '--outliers=4'),
      grid_world.GridWorldError,
      'Expected from 0 to 3 outliers among as many users, found 4.',
    ),
  ],
)
def test_what_cannot_be_is_refused_at_once(
  tmp_path, computed, arguments, error, message
):
  with pytest.raises(error) as raised:
    run(tmp_path, *arguments)
  assert str(raised.value) == message
  assert computed == []
  # Or the same folder would be refused with better flags.
  assert list(tmp_path.iterdir()) == []


# Animation.


@pytest.mark.usefixtures('unreported')
def test_an_animation_is_noted_and_a_film_where_there_is_an_encoder(
  tmp_path, monkeypatch
):
  def no_encoder(path):
    raise animation.NoEncoderError('Expected an encoder, found none.')

  monkeypatch.setattr(animation, 'write_mp4', no_encoder)
  run(tmp_path, *MERGES, '--animate')
  gif = tmp_path / 'figures' / 'merge_animation.gif'
  assert gif.read_bytes().startswith(b'GIF89a')
  assert results(tmp_path)['notes'][-2:] == [
    f'animation: {gif}', 'no film: Expected an encoder, found none.',
  ]  # fmt: skip
  (record,) = map_record.read_all(tmp_path)
  # A picture a merge, and the start.
  assert {step for curve, step in record.user_maps if curve == 0} == {0, 2, 4}
  monkeypatch.setattr(animation, 'write_mp4', lambda path: path / 'film.mp4')
  run(tmp_path, *MERGES, '--animate')
  assert results(tmp_path)['notes'][-1] == f'film: {tmp_path / "film.mp4"}'
