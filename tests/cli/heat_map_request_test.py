"""What is asked of the model world: settings, seeds and how they are run."""

import dataclasses
import types

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import (
  flag_groups,
  heat_map_flags,
  heat_map_request,
  place_flags,
)
from tff_pipelines.data import grid_world
from tff_pipelines.programs import map_runs

Settings = map_runs.MapSettings


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


@dataclasses.dataclass(frozen=True)
class Computations:
  """Stands for computations: tells how many take part."""

  def of(self, participants: int) -> str:
    return f'of {participants}'


def requested(*arguments: str, seed: int = 0) -> heat_map_request.Request:
  look = heat_map_flags.HeatMapFlags()
  places = place_flags.PlaceFlags()
  flags.FLAGS(['program', *arguments])
  look.check()
  return heat_map_request.Request(
    look, places.given_settings(), Computations(), seed
  )


@pytest.fixture
def calls(monkeypatch) -> list:
  """What would have been run; the last accuracy is that of the seed."""
  seen = []

  def run(computations, settings, seeds, **options):
    seen.append((computations, settings, list(seeds), options))
    return [
      types.SimpleNamespace(
        server=types.SimpleNamespace(accuracy=np.array([0.0, seed]))
      )
      for seed in seeds
    ]

  monkeypatch.setattr(map_runs, 'run', run)
  return seen


# Settings.


@pytest.mark.parametrize(
  ('figure', 'settings'),
  [
    ('merge', Settings(points=4, merge=20, steps=400)),
    ('drift', Settings(points=4, steps=250)),
    ('outliers', Settings(points=8, outliers=4, merge=20, steps=98)),
    ('fairness', Settings(points=8, outliers=4, merge=20, steps=200)),
    ('privacy', Settings(points=8, outliers=1, merge=20, steps=198)),
    ('sweep', Settings()),
  ],
)
def test_settings_are_as_published(figure, settings):
  assert requested().settings(figure) == settings


def test_settings_that_were_given_go_first():
  request = requested(
    '--steps=30', '--merge_every=7', '--users=5', '--outliers=2',
    '--points_per_user=3', '--truth=ring', '--noise=1',
  )  # fmt: skip
  expected = Settings(
    users=5, points=3, merge=7, steps=30, outliers=2, noise=1.0, truth='ring'
  )
  for figure in ('merge', 'outliers', 'fairness', 'sweep'):
    assert request.settings(figure) == expected


def test_a_setting_that_is_given_with_its_default_counts():
  assert requested('--points_per_user=4').settings('outliers').points == 4


def test_merge_periods_of_drift_are_no_setting():
  request = requested('--figure=drift', '--merge_every=2,3')
  # The figure replaces the merge period by each of them.
  assert request.settings('drift') == Settings(points=4, steps=250)


def test_several_merge_periods_are_of_drift_alone():
  request = requested('--figure=drift,merge', '--merge_every=2,30')
  with pytest.raises(flag_groups.FlagError) as raised:
    request.settings('merge')
  assert str(raised.value) == (
    'Expected one number in --merge_every for figures other than drift, found '
    '2,30.'
  )


@pytest.mark.parametrize(
  ('arguments', 'figure', 'swept', 'name', 'found'),
  [
    (['--noise=2'], 'privacy', [], 'noise', '2.0'),
    (['--points_per_user=4'], 'sweep', ['merge', 'points'], 'points', '4'),
    (['--merge_every=9'], 'sweep', ['merge'], 'merge', '9'),
    (['--steps=5'], 'sweep', ['steps'], 'steps', '5'),
  ],
)
def test_what_a_figure_varies_is_not_given(
  arguments, figure, swept, name, found
):
  request = requested(*arguments)
  with pytest.raises(flag_groups.FlagError) as raised:
    request.settings(figure, *swept)
  assert str(raised.value) == (
    f'Expected no {name} among the flags where the figure varies it, found '
    f'{found}; remove that flag.'
  )


def test_a_world_that_cannot_be_is_refused():
  with pytest.raises(grid_world.GridWorldError, match='from 0 to 3 outliers'):
    requested('--users=3').settings('outliers')


# Seeds.


@pytest.mark.parametrize(
  ('figure', 'count'), [('merge', 1), ('drift', 20), ('privacy', 200)]
)
def test_seeds_start_with_that_of_the_run(figure, count):
  assert requested(seed=5).seeds(figure) == range(5, 5 + count)


@pytest.mark.parametrize('figure', ['merge', 'drift', 'privacy'])
def test_as_many_seeds_as_were_given(figure):
  assert requested('--seeds=3', seed=5).seeds(figure) == range(5, 8)


# Sweeps.


def test_a_sweep_has_the_usual_values_and_the_seeds_of_the_run():
  swept = requested('--sweep=noise', '--users=3', '--seeds=2', seed=4).sweep(
    ('noise',)
  )
  assert swept.name == 'sweep_noise'
  assert swept.base == Settings(users=3)
  assert [s.noise for s in swept.settings()] == [0, 1, 2, 3, 4, 5]
  assert swept.seeds == range(4, 6)


def test_a_sweep_has_twenty_seeds_unless_it_is_said():
  assert requested(seed=1).sweep(('users', 'merge')).seeds == range(1, 21)


# Runs.


def test_computations_are_of_those_who_take_part(calls):
  request = requested()
  settings = Settings(users=5, excluded=(1, 4))
  request.run(settings, [3, 8], follow_users=False)
  assert calls == [('of 3', settings, [3, 8], {'follow_users': False})]


def test_every_setting_is_run_with_every_seed(calls, capsys):
  request = requested('--seeds=2', seed=3)
  one, two = Settings(users=4), Settings(users=5)
  curves = request.curves(
    'drift', {'one': (one, {'users': 4}), 'two': (two, {})}, every_merge=True
  )
  assert calls == [
    ('of 4', one, [3, 4], {'every_merge': True}),
    ('of 5', two, [3, 4], {'every_merge': True}),
  ]
  assert [(c.name, len(c.runs), c.values) for c in curves] == [
    ('one', 2, {'users': 4}), ('two', 2, {}),
  ]  # fmt: skip
  # The mean of both seeds, whose accuracies are 3 and 4.
  assert '3.5' in capsys.readouterr().out
