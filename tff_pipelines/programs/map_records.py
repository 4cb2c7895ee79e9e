"""Writes what the figures of maps are drawn from: a folder a figure.

Of each figure:
  figure.json                    what it is of: kind, title, settings, curves
  server.csv                     the model of all after each merge
  server_maps.npz                its output over the unit square
  simulation_only/users.csv      each user's own model after each of its steps
  simulation_only/final.csv      their accuracy after the last step, summed up
  simulation_only/user_maps.npz  their output over the unit square
  simulation_only/places.csv     what each user reported
  simulation_only/truth.npz      where it really is hot
Maps have rows of rising x1 and columns of rising x0, and are of a curve's first
run. A folder is whole or not there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import csv
import dataclasses
import pathlib
from typing import Any, Literal

import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.data import grid_world, truths
from tff_pipelines.programs import files, map_runs, map_sweeps

RESOLUTION = 41
_SIMULATION_ONLY = 'simulation_only'
_OF_USERS = (
  'curve', 'seed', 'user', 'kind', 'taking_part', 'step', 'accuracy',
)  # fmt: skip

# From weights and places float32[n, 2] to outputs float32[n].
Output = Callable[[map_runs.Weights, np.ndarray], np.ndarray]
_Rows = Iterable[Sequence[Any]]


class MapRecordError(errors.PipelineError):
  """A figure that there is nothing to draw of."""


@dataclasses.dataclass(frozen=True)
class Curve:
  """One of the settings that a figure compares.

  Attributes:
    name: For a reader.
    runs: Of this setting, one a seed.
    values: What tells it from the others, plain values by name.
  """

  name: str
  runs: Sequence[map_runs.MapRun]
  values: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Figure:
  """What a figure compares.

  Attributes:
    name: Of its folder.
    kind: What is drawn, as reports know it.
    title: For a headline.
    curves: What it compares.
    notes: Sentences that belong under it.
    user_steps: Which steps of the users' own models are written: `all`, the
      `last`, `none`, or of all the `mean` of those who take part.
  """

  name: str
  kind: str
  title: str
  curves: Sequence[Curve]
  notes: Sequence[str] = ()
  user_steps: Literal['all', 'last', 'mean', 'none'] = 'none'

  def __post_init__(self) -> None:
    if not self.curves:
      raise MapRecordError(
        f'Expected curves of the figure {self.name}, found none.'
      )
    for curve in self.curves:
      if not curve.runs:
        raise MapRecordError(
          f'Expected runs of every curve of the figure {self.name}, found none '
          f'of {curve.name!r}.'
        )
      if self.user_steps != 'none' and not _are_followed([curve]):
        raise MapRecordError(
          'Expected runs whose users were followed for the figure '
          f'{self.name}, found some of {curve.name!r} that were not.'
        )


def write(
  folder: pathlib.Path,
  figure: Figure,
  output: Output | None = None,
  resolution: int = RESOLUTION,
) -> None:
  """Writes a figure's folder; one that is there is replaced.

  Args:
    folder: Where the figures' folders are.
    figure: What is written.
    output: The model's, for maps; without it there are none.
    resolution: Of the maps, places an edge.

  Raises:
    SavingFailedError: If it cannot be written.
  """
  first = figure.curves[0].runs[0]
  with files.writing_folder(folder / figure.name) as path:
    hidden = path / _SIMULATION_ONLY
    hidden.mkdir()
    write_head(
      path,
      figure.name,
      figure.kind,
      figure.title,
      settings=_common([run.settings for c in figure.curves for run in c.runs]),
      curves=[{'name': c.name, **c.values} for c in figure.curves],
      notes=figure.notes,
    )
    _write_server(path, _server_rows(figure.curves))
    if figure.user_steps != 'none':
      _write_csv(
        hidden / 'users.csv',
        _OF_USERS,
        _mean_rows(figure.curves)
        if figure.user_steps == 'mean'
        else _user_rows(figure.curves, only_last=figure.user_steps == 'last'),
      )
    if _are_followed(figure.curves):
      _write_final(hidden, _final_rows(figure.curves))
    _write_csv(
      hidden / 'places.csv',
      ('user', 'kind', 'x0', 'x1', 'label'),
      _place_rows(first),
    )
    _write_truth(hidden, first.settings, resolution)
    if output is not None:
      _write_maps(path, figure.curves, output, resolution)


def write_sweep(
  folder: pathlib.Path,
  sweep: map_sweeps.Sweep,
  swept: Sequence[map_sweeps.SweptRun],
  title: str,
  notes: Sequence[str] = (),
  resolution: int = RESOLUTION,
) -> None:
  """Writes a sweep's folder; one that is there is replaced.

  Args:
    folder: Where the figures' folders are.
    sweep: What was varied.
    swept: Its runs.
    title: For a headline.
    notes: Sentences that belong under it.
    resolution: Of the map of the truth.

  Raises:
    SavingFailedError: If it cannot be written.
  """
  settings = sweep.settings()
  position = {chosen: k for k, chosen in enumerate(settings)}
  knobs = list(sweep.knobs)
  curves = []
  for chosen in settings:
    values = [getattr(chosen, knob) for knob in knobs]
    name = ', '.join(f'{k} {v:g}' for k, v in zip(knobs, values, strict=True))
    numbered = dict(zip(('value', 'value2'), values, strict=False))
    curves.append({'name': name, **numbered})
  with files.writing_folder(folder / sweep.name) as path:
    hidden = path / _SIMULATION_ONLY
    hidden.mkdir()
    write_head(
      path,
      sweep.name,
      'sweep' if len(knobs) == 1 else 'table',
      title,
      settings={
        **_common(settings),
        **dict(zip(('knob', 'knob2'), knobs, strict=False)),
      },
      curves=curves,
      notes=notes,
    )
    _write_server(
      path,
      (
        (
          position[run.settings],
          run.seed,
          run.settings.num_merges * run.settings.merge,
          run.settings.num_merges,
          run.accuracy,
        )
        for run in swept
      ),
    )
    _write_final(
      hidden,
      (
        (
          position[run.settings],
          run.seed,
          run.mean_local_accuracy,
          run.median_local_accuracy,
        )
        for run in swept
      ),
    )
    _write_truth(hidden, sweep.base, resolution)


def write_users(
  folder: pathlib.Path,
  name: str,
  title: str,
  *,
  settings: Mapping[str, Any],
  curves: Sequence[str],
  notes: Sequence[str],
  rows: Iterable[Sequence[Any]],
) -> None:
  """Writes the folder of a figure of users alone, of the kind `name`.

  Args:
    folder: Where the figures' folders are.
    name: Of the figure, and its kind.
    title: For a headline.
    settings: What all its curves have in common.
    curves: Their names.
    notes: Sentences that belong under it.
    rows: curve, seed, user, kind, taking_part, step, accuracy.

  Raises:
    SavingFailedError: If it cannot be written.
  """
  with files.writing_folder(folder / name) as path:
    hidden = path / _SIMULATION_ONLY
    hidden.mkdir()
    write_head(
      path,
      name,
      name,
      title,
      settings=settings,
      curves=[{'name': curve} for curve in curves],
      notes=notes,
    )
    _write_csv(hidden / 'users.csv', _OF_USERS, rows)


def write_head(
  path: pathlib.Path,
  name: str,
  kind: str,
  title: str,
  *,
  settings: Mapping[str, Any],
  curves: Sequence[Mapping[str, Any]],
  notes: Sequence[str],
) -> None:
  """Writes a figure.json.

  Args:
    path: The figure's folder.
    name: Of the figure.
    kind: What is drawn, as reports know it.
    title: For a headline.
    settings: What all its curves have in common, plain values by name.
    curves: What it compares, plain values by name; each has a `name`.
    notes: Sentences that belong under it.

  Raises:
    SavingFailedError: If it cannot be written.
  """
  files.write_json(
    path / 'figure.json',
    {
      'figure': name,
      'kind': kind,
      'title': title,
      'settings': settings,
      'curves': curves,
      'notes': list(notes),
    },
  )


def _common(settings: Sequence[map_runs.MapSettings]) -> dict[str, Any]:
  """Returns the settings that are the same everywhere, by name."""
  first, *others = [s.plain() for s in settings]
  return {
    name: value
    for name, value in first.items()
    if all(other[name] == value for other in others)
  }


def _server_rows(curves: Sequence[Curve]) -> _Rows:
  for k, curve in enumerate(curves):
    for run in curve.runs:
      seen = run.server
      for step, round_num, accuracy in zip(
        seen.steps, seen.round_nums, seen.accuracy.tolist(), strict=True
      ):
        yield k, run.seed, step, round_num, accuracy


def _user_rows(curves: Sequence[Curve], *, only_last: bool) -> _Rows:
  for k, curve in enumerate(curves):
    for run in curve.runs:
      names = run.settings.world.user_names
      seen = run.users
      last = run.settings.steps
      steps = [last] if only_last else range(last + 1)
      for user, name in enumerate(names):
        who = (name, seen.kinds[user].text, int(seen.taking_part[user]))
        accuracy = seen.accuracy[user].tolist()
        for step in steps:
          yield k, run.seed, *who, step, round(accuracy[step], 6)


def _mean_rows(curves: Sequence[Curve]) -> _Rows:
  for k, curve in enumerate(curves):
    for run in curve.runs:
      seen = run.users
      means = seen.accuracy[seen.taking_part].mean(axis=0, dtype=float)
      for step, mean in enumerate(means.tolist()):
        yield k, run.seed, 'mean', 'honest', 1, step, round(mean, 6)


def _are_followed(curves: Sequence[Curve]) -> bool:
  return all(run.simulation is not None for c in curves for run in c.runs)


def _final_rows(curves: Sequence[Curve]) -> _Rows:
  for k, curve in enumerate(curves):
    for run in curve.runs:
      ending = map_sweeps.ending(run)
      yield (
        k,
        run.seed,
        ending['mean_local_accuracy'],
        ending['median_local_accuracy'],
      )


def _place_rows(run: map_runs.MapRun) -> _Rows:
  people = run.settings.world.dataset(run.seed).train
  kinds = run.settings.world.kinds()
  for user, name in enumerate(people.client_ids):
    kind = kinds[user].text
    for place, label in zip(*people.examples(user), strict=True):
      x0, x1 = place.tolist()
      yield name, kind, round(x0, 6), round(x1, 6), int(label)


def _write_server(path: pathlib.Path, rows: _Rows) -> None:
  names = ('curve', 'seed', 'step', 'round_num', 'accuracy')
  _write_csv(path / 'server.csv', names, rows)


def _write_final(hidden: pathlib.Path, rows: _Rows) -> None:
  names = ('curve', 'seed', 'mean_local_accuracy', 'median_local_accuracy')
  _write_csv(hidden / 'final.csv', names, rows)


def _write_csv(path: pathlib.Path, names: Sequence[str], rows: _Rows) -> None:
  with open(path, 'w', encoding='utf-8', newline='') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(names)
    writer.writerows(rows)


def _write_truth(
  hidden: pathlib.Path, settings: map_runs.MapSettings, resolution: int
) -> None:
  places = grid_world.grid(resolution).astype(np.float64)
  is_hot = truths.by_name(settings.truth)(places)
  square = is_hot.astype(np.float32).reshape(resolution, resolution)
  np.savez_compressed(hidden / 'truth.npz', truth=square)


def _write_maps(
  path: pathlib.Path,
  curves: Sequence[Curve],
  output: Output,
  resolution: int,
) -> None:
  places = grid_world.grid(resolution)

  def drawn(weights: map_runs.Weights) -> np.ndarray:
    """Returns float32[n, resolution, resolution] of n models."""
    maps = [output(one, places) for one in zip(*weights, strict=True)]
    return np.asarray(maps, np.float32).reshape(-1, resolution, resolution)

  of_server: dict[str, np.ndarray] = {}
  of_users: dict[str, np.ndarray] = {}
  for k, curve in enumerate(curves):
    first = curve.runs[0]
    for step, square in zip(
      first.server.steps, drawn(first.server.weights), strict=True
    ):
      of_server[f'{k}/{step}'] = square
    if first.simulation is not None:
      for step, weights in first.simulation.weights.items():
        of_users[f'{k}/{step}'] = drawn(weights)
  np.savez_compressed(path / 'server_maps.npz', **of_server)
  if of_users:
    np.savez_compressed(path / _SIMULATION_ONLY / 'user_maps.npz', **of_users)
