import dataclasses
import json

import numpy as np
import pytest

from tests.programs import map_samples
from tff_pipelines.core import errors
from tff_pipelines.data import grid_world
from tff_pipelines.execution import contexts
from tff_pipelines.programs import kept_results, map_runs, map_sweeps

Settings = map_runs.MapSettings
SMALL = Settings(users=4, points=2, merge=3, steps=7)
# Student's t with 9 degrees of freedom is above it with probability 0.005.
SEEDS, CRITICAL_T = 10, 3.25


@pytest.fixture(scope='module', autouse=True)
def _context():
  with contexts.using('xla', threads=2):
    yield


@pytest.fixture(scope='module')
def computations() -> map_runs.MapComputations:
  return map_samples.computations()


def running(computations) -> map_sweeps.RunSettings:
  """`map_runs.run` as it is when it is called: tests watch it."""
  return lambda settings, seeds, **options: map_runs.run(
    computations, settings, seeds, **options
  )


@pytest.fixture
def calls(monkeypatch) -> list:
  """Settings and seeds of all runs that are really computed."""
  seen = []
  run = map_runs.run

  def watched(computations, settings, seeds, **options):
    seen.append((settings, list(seeds)))
    return run(computations, settings, seeds, **options)

  monkeypatch.setattr(map_runs, 'run', watched)
  return seen


@pytest.mark.slow
def test_a_sweep_is_runs_of_all_values_and_seeds(computations, tmp_path):
  sweep = map_sweeps.Sweep({'merge': (3, 2)}, SMALL, num_seeds=2)
  kept = kept_results.KeptResults(tmp_path)
  swept = map_sweeps.run(sweep, running(computations), kept)
  assert [(s.settings.merge, s.seed) for s in swept] == [
    (3, 0), (3, 1), (2, 0), (2, 1),
  ]  # fmt: skip
  for found in swept:
    (run,) = map_runs.run(computations, found.settings, [found.seed])
    own = run.simulation.accuracy[:, -1]
    assert found.accuracy == pytest.approx(run.server.accuracy[-1])
    assert found.mean_local_accuracy == pytest.approx(np.mean(own))
    assert found.median_local_accuracy == pytest.approx(np.median(own))


def test_seeds_start_with_the_first(computations, tmp_path):
  kept = kept_results.KeptResults(tmp_path)
  two, one = (
    map_sweeps.run(
      map_sweeps.Sweep({'merge': (3, 2)}, SMALL, count, first_seed=first),
      running(computations),
      kept,
    )
    for count, first in ((2, 3), (1, 4))
  )
  assert [(s.settings.merge, s.seed) for s in two] == [
    (3, 3), (3, 4), (2, 3), (2, 4),
  ]  # fmt: skip
  assert one == [two[1], two[3]]


def test_a_sweep_that_is_complete_is_read(computations, tmp_path, calls):
  sweep = map_sweeps.Sweep({'noise': (0.0, 2.5)}, SMALL, num_seeds=2)
  kept = kept_results.KeptResults(tmp_path)
  first = map_sweeps.run(sweep, running(computations), kept)
  assert len(calls) == 2
  assert map_sweeps.run(sweep, pytest.fail, kept) == first
  assert len(calls) == 2


def test_a_sweep_that_was_killed_goes_on(
  computations, tmp_path, calls, monkeypatch
):
  sweep = map_sweeps.Sweep({'points': (1, 2, 3)}, SMALL, num_seeds=2)
  whole = map_sweeps.run(
    sweep, running(computations), kept_results.KeptResults(tmp_path / 'whole')
  )
  calls.clear()
  run = map_runs.run

  def interrupted(computations, settings, seeds, **options):
    if settings.points == 2:
      raise KeyboardInterrupt
    return run(computations, settings, seeds, **options)

  kept = kept_results.KeptResults(tmp_path / 'killed')
  with monkeypatch.context() as patch:
    patch.setattr(map_runs, 'run', interrupted)
    with pytest.raises(KeyboardInterrupt):
      map_sweeps.run(sweep, running(computations), kept)
  assert [settings.points for settings, _ in calls] == [1]
  calls.clear()
  assert map_sweeps.run(sweep, running(computations), kept) == whole
  assert [settings.points for settings, _ in calls] == [2, 3]


def test_only_missing_seeds_are_computed(computations, tmp_path, calls):
  kept = kept_results.KeptResults(tmp_path)
  sweep = map_sweeps.Sweep({'merge': (2,)}, SMALL, num_seeds=2)
  two = map_sweeps.run(sweep, running(computations), kept)
  more = dataclasses.replace(sweep, num_seeds=4)
  four = map_sweeps.run(more, running(computations), kept)
  assert [seeds for _, seeds in calls] == [[0, 1], [2, 3]]
  assert four[:2] == two


def test_a_damaged_result_is_computed_again(computations, tmp_path, calls):
  kept = kept_results.KeptResults(tmp_path)
  sweep = map_sweeps.Sweep({'merge': (2,)}, SMALL, num_seeds=2)
  first = map_sweeps.run(sweep, running(computations), kept)
  (path,) = tmp_path.glob('*seed_1.json')
  path.write_text(path.read_text()[:-5])
  assert map_sweeps.run(sweep, running(computations), kept) == first
  assert [seeds for _, seeds in calls] == [[0, 1], [1]]


def test_sweeps_share_the_settings_they_have_in_common(
  computations, tmp_path, calls
):
  kept = kept_results.KeptResults(tmp_path)
  for knobs in ({'merge': (2, 3)}, {'points': (1, 2)}):
    map_sweeps.run(
      map_sweeps.Sweep(knobs, SMALL, num_seeds=1), running(computations), kept
    )
  assert [(s.merge, s.points) for s, _ in calls] == [(2, 2), (3, 2), (3, 1)]


def test_results_of_other_settings_are_not_taken(computations, tmp_path, calls):
  kept = kept_results.KeptResults(tmp_path)
  for base in (SMALL, dataclasses.replace(SMALL, excluded=(0,))):
    map_sweeps.run(
      map_sweeps.Sweep({'merge': (2,)}, base, num_seeds=1),
      running(computations),
      kept,
    )
  assert len(calls) == 2
  for path in tmp_path.iterdir():
    assert set(json.loads(path.read_text())) == {
      'accuracy', 'mean_local_accuracy', 'median_local_accuracy',
    }  # fmt: skip


def test_two_knobs_make_a_table_of_the_worlds_there_are():
  sweep = map_sweeps.Sweep({'users': (2, 8), 'outliers': (0, 4)})
  assert sweep.name == 'sweep_users_outliers'
  assert [(s.users, s.outliers) for s in sweep.settings()] == [
    (2, 0), (8, 0), (8, 4),
  ]  # fmt: skip


@pytest.mark.parametrize('knob', map_sweeps.KNOBS)
def test_usual_sweeps_vary_one_setting_around_the_usual_ones(knob):
  sweep = map_sweeps.default_sweep(knob)
  assert sweep.name == f'sweep_{knob}'
  assert sweep.num_seeds == 20
  usual = Settings(
    users=16, points=4, merge=40, steps=98, outliers=0, noise=0.0
  )
  for settings, value in zip(
    sweep.settings(), map_sweeps.KNOBS[knob], strict=True
  ):
    assert settings == dataclasses.replace(usual, **{knob: value})
  assert usual in sweep.settings()


@pytest.mark.parametrize(
  'options, message',
  [
    (
      {'knobs': {}},
      'Expected one or two knobs, found 0; sweep others one after the other.',
    ),
    (
      {'knobs': {'users': (1,), 'points': (1,), 'merge': (1,)}},
      'Expected one or two knobs, found 3; sweep others one after the other.',
    ),
    (
      {'knobs': {'truth': (1,)}},
      'Expected a knob out of points, merge, outliers, noise, users, steps, '
      "found 'truth'.",
    ),
    (
      {'knobs': {'users': ()}},
      'Expected some values of users, each once, found ().',
    ),
    (
      {'knobs': {'users': (2, 2)}},
      'Expected some values of users, each once, found (2, 2).',
    ),
    (
      {'knobs': {'users': (2,)}, 'num_seeds': 0},
      'Expected num_seeds of at least 1, found 0.',
    ),
    (
      {'knobs': {'users': (2, 3), 'outliers': (4,)}},
      'Expected a world for some values at least, found that there is none '
      'with users of 2, 3 and outliers of 4.',
    ),
  ],
)
def test_sweeps_that_make_no_sense_are_refused(options, message):
  with pytest.raises(map_sweeps.SweepError) as raised:
    map_sweeps.Sweep(**options)
  assert isinstance(raised.value, errors.PipelineError)
  assert str(raised.value) == message


def test_an_unknown_knob_has_no_usual_sweep():
  with pytest.raises(map_sweeps.SweepError, match="found 'depth'"):
    map_sweeps.default_sweep('depth')


def test_a_value_of_a_single_knob_that_makes_no_world_is_refused():
  with pytest.raises(grid_world.GridWorldError, match='found 17'):
    map_sweeps.Sweep({'outliers': (0, 17)})
  with pytest.raises(map_runs.MapSettingsError, match='found 0'):
    map_sweeps.Sweep({'merge': (0,)})


@pytest.fixture(scope='module')
def ended(computations):
  """From settings to accuracies of each seed: of all, and their median."""
  found = {}

  def run(**changes):
    key = tuple(sorted(changes.items()))
    if key not in found:
      runs = map_runs.run(
        computations, Settings(**changes), range(SEEDS), every_merge=False
      )
      found[key] = tuple(
        np.array(values)
        for values in zip(
          *(
            (r.server.accuracy[-1], np.median(r.simulation.last_accuracy))
            for r in runs
          ),
          strict=True,
        )
      )
    return found[key]

  return run


def assert_better(ones, others) -> None:
  """Asserts it of accuracies with the same seeds, by Student's paired t.

  If they were alike, it would say so of one choice of seeds in 200.
  """
  gains = ones - others
  t = gains.mean() / (gains.std(ddof=1) / SEEDS**0.5)
  assert t > CRITICAL_T


@pytest.mark.slow
def test_together_maps_are_better_than_the_median_alone(ended):
  together, _ = ended(merge=10)
  _, alone = ended(merge=99)
  assert_better(together, alone)


def test_maps_get_worse_the_longer_users_are_apart(ended):
  assert_better(ended(merge=10)[0], ended(merge=80)[0])


def test_outliers_cost(ended):
  assert_better(ended()[0], ended(outliers=8)[0])


def test_noise_costs_down_to_a_guess(ended):
  noisy, _ = ended(noise=5.0)
  assert_better(ended()[0], noisy)
  # The labels tell nothing of where they are: the mean of ten worlds is within
  # four standard errors of a half, but for one choice in 300 (t, 9 degrees).
  error = noisy.std(ddof=1) / SEEDS**0.5
  assert abs(noisy.mean() - 0.5) < 4 * error
