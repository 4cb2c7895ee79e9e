"""The figures of the model world: what each folder holds."""

from collections.abc import Mapping
import dataclasses
import pathlib

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pandas as pd
import pytest
import tensorflow_federated as tff

from tff_pipelines.cli import (
  heat_map_computations,
  heat_map_figures,
  heat_map_flags,
  heat_map_request,
  place_flags,
)
from tff_pipelines.execution import contexts
from tff_pipelines.models import place_models
from tff_pipelines.privacy import guarantee
from tff_pipelines.programs import map_records, map_runs, run_directory
from tff_pipelines.reports import map_record

SEED = 5
TINY = (
  '--users=3', '--points_per_user=2', '--outliers=1', '--steps=5', '--seeds=2',
)  # fmt: skip
# By figure, the rest of its command line.
FLAGS = {
  'merge': ('--merge_every=2', '--map_steps=0,2,3'),
  # As often as usual, where there are so many steps.
  'drift': (),
  'outliers': ('--merge_every=2',),
  'fairness': ('--merge_every=2', '--personalize_steps=40'),
  'privacy': ('--merge_every=2', '--guarantee_users=3'),
}


def draw(
  computations, path: pathlib.Path, figure: str, *arguments: str
) -> None:
  """Draws the folders of a figure."""
  with flagsaver.flagsaver():
    asked = request(computations, f'--figure={figure}', *arguments)
    for write in heat_map_figures.FIGURES[figure].values():
      write(asked, run_directory.RunDirectory(path))


def request(computations, *arguments: str) -> heat_map_request.Request:
  """Parses a command line into absl's registry."""
  look = heat_map_flags.HeatMapFlags()
  places = place_flags.PlaceFlags()
  flags.FLAGS(['program', *TINY, *arguments])
  look.check()
  return heat_map_request.Request(
    look, places.given_settings(), computations, SEED
  )


@pytest.fixture(scope='module')
def computations():
  with contexts.using('xla', threads=2):
    yield heat_map_computations.HeatMapComputations(
      place_models.TanhNet(),
      lambda _: tff.aggregators.UnweightedMeanFactory(),
      depends_on_users=False,
    )


@pytest.fixture(scope='module')
def run_dir(computations, tmp_path_factory) -> pathlib.Path:
  """Where all figures are drawn."""
  path = tmp_path_factory.mktemp('run')
  for figure, arguments in FLAGS.items():
    draw(computations, path, figure, *arguments)
  return path


@pytest.fixture(scope='module')
def records(run_dir) -> Mapping[str, map_record.MapRecord]:
  """What a report reads, by name."""
  return {r.name: r for r in map_record.read_all(run_dir)}


def values(record: map_record.MapRecord, *names: str) -> list[tuple]:
  return [tuple(c.values.get(n) for n in names) for c in record.curves]


def ends(record: map_record.MapRecord) -> dict[tuple[int, int], list[float]]:
  """The accuracies that the server saw, by curve and seed."""
  return {
    key: rows['accuracy'].tolist()
    for key, rows in record.server.groupby(['curve', 'seed'])
  }


def simulated(
  computations, seed: int, **changes
) -> tuple[map_runs.MapSettings, map_runs.MapRun]:
  """A run of the tiny world, computed for itself."""
  settings = map_runs.MapSettings(
    **{
      'users': 3, 'points': 2, 'outliers': 1, 'steps': 5, 'merge': 2, **changes
    }
  )  # fmt: skip
  (run,) = map_runs.run(computations.of(3), settings, [seed])
  return settings, run


def test_every_choice_has_figures():
  assert tuple(heat_map_figures.FIGURES) == heat_map_flags.FIGURES


def test_every_figure_is_a_folder_of_its_name(records):
  assert {name: record.kind for name, record in records.items()} == {
    name: name
    for name in (
      'merge', 'drift', 'outliers', 'excluded', 'fairness', 'privacy',
    )
  }  # fmt: skip


@pytest.mark.parametrize(
  'name', ['merge', 'drift', 'outliers', 'excluded', 'privacy']
)
def test_every_curve_has_the_seeds_of_the_run(records, name):
  record = records[name]
  assert set(ends(record)) == {
    (curve, seed)
    for curve in range(len(record.curves))
    for seed in (SEED, SEED + 1)
  }


@pytest.mark.parametrize('name', ['merge', 'drift', 'outliers', 'privacy'])
def test_notes_say_what_accuracy_is_of(records, name):
  assert records[name].notes[-1] == (
    'accuracy: share of a 21 x 21 grid, without the border, whose truth the '
    'model tells (truth: diagonal)'
  )


# Merge.


def test_merge_compares_with_those_who_never_merge(records, computations):
  record = records['merge']
  assert record.title == '3 users who learn one map together'
  assert values(record, 'name', 'merge') == [
    ('merged every 2 steps', 2), ('never merged', None),
  ]  # fmt: skip
  assert record.setting('steps') == 5
  _, run = simulated(computations, SEED)
  assert ends(record)[0, SEED] == pytest.approx(run.server.accuracy, abs=1e-9)
  assert len(ends(record)[1, SEED]) == 1
  assert record.server['step'].tolist() == [0, 2, 4, 0, 2, 4, 0, 0]


def test_merge_follows_all_users_step_by_step(records, computations):
  users = records['merge'].users
  assert len(users) == 2 * 2 * 3 * 6
  _, run = simulated(computations, SEED)
  chosen = users[(users['curve'] == 0) & (users['seed'] == SEED)]
  found = chosen.pivot_table('accuracy', 'user', 'step').to_numpy()
  # Written to six digits.
  np.testing.assert_allclose(found, run.users.accuracy, atol=1e-6)
  assert set(users['kind']) == {'honest', 'outlier'}


def test_merge_has_maps_of_the_steps_asked_for(records):
  record = records['merge']
  assert set(record.user_maps) == {
    (curve, step) for curve in (0, 1) for step in (0, 2, 3)
  }
  assert set(record.server_maps) == {(0, 0), (0, 2), (0, 4), (1, 0)}
  # All start from one model, which is the server's.
  for found in record.user_maps[0, 0]:
    np.testing.assert_array_equal(found, record.server_maps[0, 0])
  assert record.truth.shape == (map_records.RESOLUTION,) * 2
  assert len(record.places) == 6


@pytest.mark.parametrize(
  ('arguments', 'steps'),
  [
    # The first merge, the one in the middle and the end.
    (('--merge_every=1',), {1, 2, 5}),
    # None, for animation, is of those merges.
    (('--merge_every=2', '--animate'), {0, 2, 4, 5}),
    # There is no merge.
    (('--merge_every=9',), {5}),
  ],
)
def test_steps_that_are_drawn_unless_it_is_said(
  computations, tmp_path, arguments, steps
):
  draw(computations, tmp_path, 'merge', *arguments)
  (record,) = map_record.read_all(tmp_path)
  assert {step for curve, step in record.user_maps if curve == 0} == steps


def test_a_map_after_the_last_step_is_refused(computations, tmp_path):
  with pytest.raises(map_runs.MapSettingsError) as raised:
    draw(computations, tmp_path, 'merge', '--map_steps=2,6')
  assert str(raised.value) == (
    'Expected models of steps from 0 to 5 to be kept, found 6.'
  )
  assert not (tmp_path / 'maps').exists()


# Drift.


def test_drift_has_the_usual_periods_up_to_the_last_step(records, computations):
  record = records['drift']
  assert values(record, 'name', 'merge') == [
    ('merge every 2 steps', 2), ('merge every 4 steps', 4),
  ]  # fmt: skip
  _, run = simulated(computations, SEED, merge=4)
  assert ends(record)[1, SEED] == pytest.approx(run.server.accuracy, abs=1e-9)
  users = record.users
  assert set(users['user']) == {'mean'}
  chosen = users[(users['curve'] == 1) & (users['seed'] == SEED)]
  np.testing.assert_allclose(
    chosen['accuracy'], run.users.accuracy.mean(axis=0), atol=1e-6
  )


def test_drift_has_the_periods_that_were_given(computations, tmp_path):
  draw(computations, tmp_path, 'drift', '--merge_every=3,5,6')
  (record,) = map_record.read_all(tmp_path)
  assert values(record, 'merge') == [(3,), (5,)]


def test_drift_without_a_period_that_fits_is_refused(computations, tmp_path):
  with pytest.raises(map_records.MapRecordError, match=r'^Expected curves'):
    draw(computations, tmp_path, 'drift', '--merge_every=6')


# Outliers, and every user.


def test_outliers_come_one_by_one(records, computations):
  record = records['outliers']
  assert record.title == '1 of 3 users report cold everywhere'
  assert values(record, 'name', 'included') == [
    ('0 of 1 outliers take part', 0), ('1 of 1 outliers take part', 1),
  ]  # fmt: skip
  for curve, excluded in enumerate([(2,), ()]):
    for seed in (SEED, SEED + 1):
      _, run = simulated(computations, seed, excluded=excluded)
      assert ends(record)[curve, seed] == pytest.approx(run.server.accuracy)
  assert record.final is None and record.users is None


def test_every_user_is_left_out_in_turn(records, computations):
  record = records['excluded']
  assert values(record, 'name', 'excluded', 'kind') == [
    ('everybody takes part', None, None),
    ('without user01', 'user01', 'honest'),
    ('without user02', 'user02', 'honest'),
    ('without user03', 'user03', 'outlier'),
  ]
  for curve, excluded in enumerate([(), (0,), (1,), (2,)]):
    _, run = simulated(computations, SEED, excluded=excluded)
    assert ends(record)[curve, SEED] == pytest.approx(run.server.accuracy)
  assert ends(record)[3, SEED] == ends(records['outliers'])[0, SEED]


# Fairness.


def test_fairness_has_users_before_and_after_training_at_home(records):
  record = records['fairness']
  assert [c.name for c in record.curves] == [
    'outliers included', 'outliers included, then 40 steps at home',
    'outliers excluded', 'outliers excluded, then 40 steps at home',
  ]  # fmt: skip
  assert record.setting('personalize_steps') == 40
  users = record.users
  assert len(users) == 4 * 2 * 3
  assert [
    users[users['curve'] == curve]['step'].unique().tolist()
    for curve in range(4)
  ] == [[0], [40], [0], [40]]
  alone = users[~users['taking_part']]
  assert set(alone['curve']) == {2, 3}
  assert set(alone['kind']) == {'outlier'}
  assert len(alone) == 4
  assert 'cold everywhere for an outlier' in record.notes[0]


def test_users_of_fairness_judge_by_their_own_worlds(records, computations):
  users = records['fairness'].users
  for curve, excluded in ((0, ()), (2, (2,))):
    settings, run = simulated(computations, SEED, excluded=excluded)
    chosen = users[(users['curve'] == curve) & (users['seed'] == SEED)]
    found = dict(zip(chosen['user'], chosen['accuracy'], strict=True))
    # The honest ones see what the server sees.
    for name in ('user01', 'user02'):
      assert found[name] == pytest.approx(run.server.accuracy[-1], abs=1e-6)
    places, labels = settings.world.own_maps().examples(2)
    assert not labels.any()
    hot = computations.output([w[-1] for w in run.server.weights], places) > 0.5
    assert found['user03'] == pytest.approx(1 - hot.mean(), abs=1e-6)


def test_training_at_home_is_full_batch_descent(records, computations):
  settings, run = simulated(computations, SEED)
  weights = tuple(w[-1] for w in run.server.weights)
  world = settings.world.dataset(SEED)
  alone = dataclasses.replace(settings, merge=41, steps=40)
  # The same steps, from that start: a run in which nobody merges.
  made = dataclasses.replace(
    computations.of(3), initial_weights=lambda _: weights
  )
  (followed,) = map_runs.run(made, alone, [SEED])
  users = records['fairness'].users
  chosen = users[(users['curve'] == 1) & (users['seed'] == SEED)]
  found = dict(zip(chosen['user'], chosen['accuracy'], strict=True))
  for user in (0, 1):
    assert found[world.train.client_ids[user]] == pytest.approx(
      float(followed.users.last_accuracy[user]), abs=1e-6
    )
    # Or this would show nothing.
    assert followed.users.accuracy[user, 0] != followed.users.accuracy[user, -1]


def test_fairness_leaves_a_row_a_user_and_a_summary(records, run_dir):
  hidden = run_dir / 'simulation_only'
  people = pd.read_csv(hidden / 'personalization.csv')
  assert people['client_id'].tolist() == [
    f'user0{user}, seed {seed}'
    for seed in (SEED, SEED + 1)
    for user in (1, 2, 3)
  ]
  users = records['fairness'].users
  for curve, column in ((0, 'before_accuracy'), (1, 'after_accuracy')):
    np.testing.assert_allclose(
      people[column], users[users['curve'] == curve]['accuracy'], atol=1e-6
    )
  summary = pd.read_csv(hidden / 'personalization_summary.csv')
  assert summary[['group', 'users']].to_numpy().tolist() == [
    ['everyone', 6], ['honest', 4], ['outlier', 2],
  ]  # fmt: skip


# Privacy.


def test_privacy_has_every_level_with_the_outlier_and_without(records):
  record = records['privacy']
  assert values(record, 'mechanism', 'noise', 'included')[:-2] == [
    ('location noise', level, included)
    for level in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    for included in (1, 0)
  ]
  assert record.curves[3].name == 'noise level 1, outlier out'
  # Without noise it is the world of the other figures.
  of_outliers = ends(records['outliers'])
  for seed in (SEED, SEED + 1):
    assert ends(record)[0, seed] == of_outliers[1, seed]
    assert ends(record)[1, seed] == of_outliers[0, seed]


def test_privacy_promises_at_most_what_was_asked(records):
  record = records['privacy']
  assert values(record, 'name', 'mechanism', 'included', 'users', 'delta')[
    -2:
  ] == [
    ('3 users, outlier in', 'clipping and noise', 1, 3, 1e-5),
    ('3 users, outlier out', 'clipping and noise', 0, 3, 1e-5),
  ]
  guaranteed = record.server[record.server['curve'] >= 12]
  # The last merge is what is drawn.
  assert guaranteed['step'].tolist() == 4 * [0, 4]
  for curve in record.curves[-2:]:
    # Written to three digits.
    assert 3.9 < curve.number('epsilon') <= 4.0
  assert record.notes[:2] == (
    'noise on places carries no guarantee: nobody has bounded what a map tells '
    'of a user',
    'clipping and noise: every user has epsilon 4 at delta 1e-05 against '
    'whoever sees all maps after all 2 merges; the server, which adds the '
    'noise, is trusted; continuous noise in floating point is taken for real '
    'numbers',
  )


@pytest.fixture
def promised(computations, monkeypatch) -> list:
  """What guarantees were asked for; there is none."""
  asked = []

  def with_guarantee(self, *arguments):
    asked.append(arguments)
    return self.of(arguments[0]), guarantee.Guarantee(
      epsilon=1.23456,
      delta=1e-5,
      relation=guarantee.Relation.REPLACE,
      trust=guarantee.Trust.SERVER,
      method='gaussian',
      num_rounds=arguments[1],
      assumptions=(),
    )

  monkeypatch.setattr(
    heat_map_computations.HeatMapComputations, 'with_guarantee', with_guarantee
  )
  return asked


def test_privacy_compares_one_outlier_with_none(
  computations, promised, tmp_path
):
  draw(
    computations, tmp_path, 'privacy', '--merge_every=2', '--outliers=2',
    '--seeds=1', '--guarantee_users=3,4', '--guarantee_epsilon=1.5',
    '--guarantee_delta=1e-3',
  )  # fmt: skip
  # Of two outliers the other one takes part nowhere.
  assert promised == [
    (2, 2, 1.5, 1e-3), (1, 2, 1.5, 1e-3), (3, 2, 1.5, 1e-3), (2, 2, 1.5, 1e-3),
  ]  # fmt: skip
  (record,) = map_record.read_all(tmp_path)
  assert values(record, 'users', 'included', 'epsilon')[-4:] == [
    (3, 1, 1.235), (3, 0, 1.235), (4, 1, 1.235), (4, 0, 1.235),
  ]  # fmt: skip
  for curve, excluded in ((0, (2,)), (1, (1, 2))):
    _, run = simulated(computations, SEED, outliers=2, excluded=excluded)
    assert ends(record)[curve, SEED] == pytest.approx(run.server.accuracy)


def test_privacy_without_an_outlier_is_refused(computations, tmp_path):
  with pytest.raises(map_runs.MapSettingsError) as raised:
    draw(computations, tmp_path, 'privacy', '--outliers=0')
  assert str(raised.value) == (
    'Expected from 0 to 0 outliers that take part, found 1.'
  )
