"""The figures of the model world: what is run for each of them."""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

from tff_pipelines.cli import heat_map_fairness, heat_map_request
from tff_pipelines.programs import (
  map_records,
  map_runs,
  progress,
  run_directory,
)
from tff_pipelines.reports import map_record

_Request = heat_map_request.Request
_Settings = dict[str, tuple[map_runs.MapSettings, Mapping[str, Any]]]

LOCATION_NOISE = 'location noise'
CLIPPING = 'clipping and noise'

_DRIFT_PERIODS = (2, 4, 10, 20, 40, 80, 250)
_LEVELS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)


def _merge(request: _Request) -> map_records.Figure:
  settings = request.settings('merge')
  period = settings.merge
  merges = settings.num_merges
  usual = {period, max(1, merges // 2) * period, settings.steps}
  kept = {*request.flags.map_steps} or {s for s in usual if s <= settings.steps}
  if request.flags.animate:
    kept |= {period * k for k in range(merges + 1)}
  never = dataclasses.replace(settings, merge=settings.steps + 1)
  return map_records.Figure(
    'merge',
    'merge',
    f'{settings.users} users who learn one map together',
    request.curves(
      'merge',
      {
        f'merged every {period} steps': (settings, {'merge': period}),
        'never merged': (never, {}),
      },
      weights_at=sorted(kept),
    ),
    world_notes(settings),
    user_steps='all',
  )


def _drift(request: _Request) -> map_records.Figure:
  periods = request.flags.merge_periods or _DRIFT_PERIODS
  base = request.settings('drift')
  return map_records.Figure(
    'drift',
    'drift',
    'Users drift apart between merges',
    request.curves(
      'drift',
      {
        f'merge every {period} steps': (
          dataclasses.replace(base, merge=period),
          {'merge': period},
        )
        for period in periods
        if period <= base.steps
      },
    ),
    world_notes(base),
    user_steps='mean',
  )


def _outliers(request: _Request) -> map_records.Figure:
  base = request.settings('outliers')
  return map_records.Figure(
    'outliers',
    'outliers',
    f'{base.outliers} of {base.users} users report cold everywhere',
    request.curves(
      'outliers',
      {
        f'{included} of {base.outliers} outliers take part': (
          base.including(included),
          {'included': included},
        )
        for included in range(base.outliers + 1)
      },
      follow_users=False,
    ),
    world_notes(base),
  )


def _excluded(request: _Request) -> map_records.Figure:
  base = request.settings('outliers')
  names = base.world.user_names
  settings: _Settings = {'everybody takes part': (base, {})}
  for user, (name, kind) in enumerate(
    zip(names, base.world.kinds(), strict=True)
  ):
    settings[f'without {name}'] = (
      dataclasses.replace(base, excluded=(user,)),
      {'excluded': name, 'kind': kind.text},
    )
  return map_records.Figure(
    'excluded',
    'excluded',
    'Every user left out in turn',
    request.curves('outliers', settings, follow_users=False),
    world_notes(base),
  )


def _privacy(request: _Request) -> map_records.Figure:
  base = request.settings('privacy')
  sides = {included: base.including(included) for included in (1, 0)}
  settings = {
    f'noise level {level:g}, outlier {"in" if included else "out"}': (
      dataclasses.replace(side, noise=level),
      {'mechanism': LOCATION_NOISE, 'noise': level, 'included': included},
    )
    for level in _LEVELS
    for included, side in sides.items()
  }
  curves = request.curves('privacy', settings, follow_users=False)
  return map_records.Figure(
    'privacy',
    'privacy',
    'Does noise hide an outlier?',
    [*curves, *_guaranteed(request, base)],
    [
      'noise on places carries no guarantee: nobody has bounded what a map '
      'tells of a user',
      *_guarantee_notes(request, base),
      *world_notes(base),
    ],
  )


def _guaranteed(
  request: _Request, base: map_runs.MapSettings
) -> list[map_records.Curve]:
  """Returns the curves of clipping and noise, with more and more users."""
  epsilon, delta = request.flags.guarantee
  seeds = request.seeds('privacy')
  numbers = request.flags.guarantee_users
  curves = []
  with progress.Progress('guarantee', len(numbers), unit='setting') as display:
    for users in numbers:
      settings = dataclasses.replace(base, users=users)
      for included in (1, 0):
        side = settings.including(included)
        computations, promised = request.computations.with_guarantee(
          len(side.participants), side.num_merges, epsilon, delta
        )
        runs = map_runs.run(
          computations, side, seeds, every_merge=False, follow_users=False
        )
        curves.append(
          map_records.Curve(
            f'{users} users, outlier {"in" if included else "out"}',
            runs,
            {
              'mechanism': CLIPPING,
              'noise': 0.0,
              'included': included,
              'users': users,
              'epsilon': round(promised.epsilon, 3),
              'delta': delta,
            },
          )
        )
      display.update(len(curves) // 2)
  return curves


def _guarantee_notes(
  request: _Request, base: map_runs.MapSettings
) -> list[str]:
  epsilon, delta = request.flags.guarantee
  return [
    f'clipping and noise: every user has epsilon {epsilon:g} at delta '
    f'{delta:g} against whoever sees all maps after all {base.num_merges} '
    'merges; the server, which adds the noise, is trusted; continuous noise in '
    'floating point is taken for real numbers'
  ]


def world_notes(settings: map_runs.MapSettings) -> list[str]:
  """Returns what every figure of a world has to say of its numbers."""
  return [
    'accuracy: share of a 21 x 21 grid, without the border, whose truth the '
    f'model tells (truth: {settings.truth})'
  ]


def _fairness(request: _Request, directory: run_directory.RunDirectory) -> None:
  heat_map_fairness.write(
    directory,
    directory.path / map_record.FOLDER,
    request.computations,
    request.settings('fairness'),
    request.seeds('fairness'),
    request.flags.personalize_steps,
  )


_Write = Callable[[_Request, run_directory.RunDirectory], None]


def _writing(build: Callable[[_Request], map_records.Figure]) -> _Write:
  return lambda request, directory: map_records.write(
    directory.path / map_record.FOLDER,
    build(request),
    request.computations.output,
  )


# By the name of the choice, then by that of the folder.
FIGURES: Mapping[str, Mapping[str, _Write]] = {
  'merge': {'merge': _writing(_merge)},
  'drift': {'drift': _writing(_drift)},
  'outliers': {
    'outliers': _writing(_outliers),
    'excluded': _writing(_excluded),
  },
  'fairness': {'fairness': _fairness},
  'privacy': {'privacy': _writing(_privacy)},
}
