"""What the figures of a heat map are drawn from: the folders of maps/.

Of each folder:
  figure.json                    what it is of: kind, title, settings, curves
  server.csv                     the shared model after each merge
  server_maps.npz                its output over the unit square
  simulation_only/users.csv      each user's own model after each local step
  simulation_only/final.csv      the users' models at the end, summed up
  simulation_only/user_maps.npz  their output over the unit square
  simulation_only/places.csv     what each user saw, and where
  simulation_only/truth.npz      where it really is hot
Only the first has to be there.
"""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

import numpy as np
import pandas as pd

from tff_pipelines.reports import run_files

FOLDER = 'maps'

# In the order in which a report shows them.
KINDS = (
  'merge',
  'drift',
  'outliers',
  'excluded',
  'fairness',
  'privacy',
  'sweep',
  'table',
  'defences',
  'stations',
  'interpolation',
)

_SIMULATION_ONLY = 'simulation_only'
_TRUE, _FALSE = ('1', 'true', 'True'), ('0', 'false', 'False')

# Index of the curve, local step.
Moment = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Curve:
  """One of the settings that a figure compares.

  Attributes:
    name: For a reader.
    values: What it was run with, by name.
  """

  name: str
  values: Mapping[str, Any]

  def number(self, name: str) -> float | None:
    """A value as a number, None if it is none."""
    found = self.values.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
      return None
    return float(found) if np.isfinite(found) else None


@dataclasses.dataclass(frozen=True)
class MapRecord:
  """One folder of maps/, read.

  Attributes:
    name: Of the folder.
    kind: One of `KINDS`.
    title: For a headline.
    settings: What all its curves were run with.
    curves: What it compares; `curve` of the tables is an index into them.
    notes: Sentences that belong under the figure.
    server: Columns curve, seed, step, round_num, accuracy: the shared model
      after each merge.
    server_maps: float32[resolution, resolution], the shared model's output;
      rows are x1 rising, columns x0 rising.
    users: Columns curve, seed, user, kind, taking_part, step, accuracy: each
      user's own model after each local step, before the merge if there is one.
      None if it was not written. Only a simulation can see this and the rest.
    final: Columns curve, seed, mean_local_accuracy, median_local_accuracy. None
      if it was not written.
    user_maps: float32[users, resolution, resolution].
    places: Columns user, kind, x0, x1, label, held_out: what the users saw.
      None if it was not written.
    truth: float32[resolution, resolution], 1.0 where it is hot; None if it was
      not written.
  """

  name: str
  kind: str
  title: str
  settings: Mapping[str, Any]
  curves: tuple[Curve, ...]
  notes: tuple[str, ...]
  server: pd.DataFrame | None = None
  server_maps: Mapping[Moment, np.ndarray] = dataclasses.field(
    default_factory=dict
  )
  users: pd.DataFrame | None = None
  final: pd.DataFrame | None = None
  user_maps: Mapping[Moment, np.ndarray] = dataclasses.field(
    default_factory=dict
  )
  places: pd.DataFrame | None = None
  truth: np.ndarray | None = None

  def setting(self, name: str) -> float | None:
    """A setting as a number, None if it is none."""
    return Curve('', self.settings).number(name)


def read_all(run_dir: pathlib.Path) -> tuple[MapRecord, ...]:
  """Reads every folder of a run's maps/, none if it has no such folder.

  Raises:
    BrokenRunFileError: If a file cannot be read as what it should be.
  """
  found = [
    _read(path.parent)
    for path in sorted((run_dir / FOLDER).glob('*/figure.json'))
  ]
  return tuple(sorted(found, key=lambda record: KINDS.index(record.kind)))


def _read(folder: pathlib.Path) -> MapRecord:
  path = folder / 'figure.json'
  content = run_files.read_json(path)
  if content.get('kind') not in KINDS:
    raise run_files.BrokenRunFileError(
      f'Expected the kind in {path} to be one of {", ".join(KINDS)}, found '
      f'{content.get("kind")!r}.'
    )
  curves = _curves(path, content.get('curves'))
  hidden = folder / _SIMULATION_ONLY
  return MapRecord(
    name=folder.name,
    kind=content['kind'],
    title=str(content.get('title') or folder.name),
    settings=_object(path, 'settings', content.get('settings') or {}),
    curves=curves,
    notes=tuple(
      str(note) for note in _list(path, 'notes', content.get('notes') or [])
    ),
    server=_table(
      folder / 'server.csv', curves, 'seed', 'step', 'round_num', 'accuracy'
    ),
    server_maps=_maps(folder / 'server_maps.npz', curves, dimensions=2),
    users=_users(hidden / 'users.csv', curves),
    final=_table(
      hidden / 'final.csv',
      curves,
      'seed',
      'mean_local_accuracy',
      'median_local_accuracy',
    ),
    user_maps=_maps(hidden / 'user_maps.npz', curves, dimensions=3),
    places=_places(hidden / 'places.csv'),
    truth=_truth(hidden / 'truth.npz'),
  )


def _curves(path: pathlib.Path, content: Any) -> tuple[Curve, ...]:
  found = []
  for each in _list(path, 'curves', content):
    if not isinstance(each, Mapping) or not each.get('name'):
      raise run_files.BrokenRunFileError(
        f'Expected every curve in {path} to have a name, found {each!r}.'
      )
    found.append(Curve(str(each['name']), each))
  return tuple(found)


def _list(path: pathlib.Path, name: str, content: Any) -> list[Any]:
  if not isinstance(content, list):
    raise run_files.BrokenRunFileError(
      f'Expected a list of {name} in {path}, found {content!r}.'
    )
  return content


def _object(path: pathlib.Path, name: str, content: Any) -> Mapping[str, Any]:
  if not isinstance(content, Mapping):
    raise run_files.BrokenRunFileError(
      f'Expected the {name} in {path} to be an object, found {content!r}.'
    )
  return content


def _table(
  path: pathlib.Path,
  curves: tuple[Curve, ...],
  *numbers: str,
  text: tuple[str, ...] = (),
) -> pd.DataFrame | None:
  """Reads a table of curves; None without file or without rows."""
  table = run_files.read_table(path, numbers=('curve', *numbers), text=text)
  if table is None or table.empty:
    return None
  for name in ('curve', 'seed', 'step', 'round_num'):
    if name in table:
      _check_whole(path, name, table[name])
      table[name] = table[name].astype(int)
  strange = ~table['curve'].isin(range(len(curves)))
  if strange.any():
    raise run_files.BrokenRunFileError(
      f'Expected the curves in {path} to be among the {len(curves)} of '
      f'figure.json, found curve {table["curve"][strange].iloc[0]}.'
    )
  return table


def _check_whole(path: pathlib.Path, name: str, column: pd.Series) -> None:
  strange = ~(column == np.floor(column)) | np.isinf(column)
  if strange.any():
    raise run_files.BrokenRunFileError(
      f'Expected whole numbers in {path}, column {name}, found '
      f'{column[strange].iloc[0]:g}.'
    )


def _users(
  path: pathlib.Path, curves: tuple[Curve, ...]
) -> pd.DataFrame | None:
  table = _table(
    path,
    curves,
    'seed',
    'step',
    'accuracy',
    text=('user', 'kind', 'taking_part'),
  )
  if table is not None:
    table['taking_part'] = _truths(path, 'taking_part', table['taking_part'])
  return table


def _places(path: pathlib.Path) -> pd.DataFrame | None:
  table = run_files.read_table(
    path,
    numbers=('x0', 'x1', 'label'),
    text=('user', 'kind'),
    optional=('held_out',),
  )
  if table is None or table.empty:
    return None
  if 'held_out' not in table:
    table['held_out'] = 0.0
  table['held_out'] = table['held_out'] > 0.5
  return table


def _truths(path: pathlib.Path, name: str, column: pd.Series) -> pd.Series:
  strange = ~column.isin((*_TRUE, *_FALSE))
  if strange.any():
    raise run_files.BrokenRunFileError(
      f'Expected 0 or 1 in {path}, column {name}, found '
      f'{column[strange].iloc[0]!r}.'
    )
  return column.isin(_TRUE)


def _maps(
  path: pathlib.Path, curves: tuple[Curve, ...], *, dimensions: int
) -> dict[Moment, np.ndarray]:
  found: dict[Moment, np.ndarray] = {}
  for name, values in (run_files.read_arrays(path) or {}).items():
    curve, _, step = name.partition('/')
    if not (curve.isdecimal() and step.isdecimal()) or (
      int(curve) >= len(curves)
    ):
      raise run_files.BrokenRunFileError(
        f"Expected names such as '0/20' in {path}, curve and step, found "
        f'{name!r}.'
      )
    _check_map(path, name, values, dimensions)
    found[int(curve), int(step)] = values
  return dict(sorted(found.items()))


def _truth(path: pathlib.Path) -> np.ndarray | None:
  arrays = run_files.read_arrays(path)
  if arrays is None:
    return None
  if 'truth' not in arrays:
    raise run_files.BrokenRunFileError(
      f"Expected an array 'truth' in {path}, found "
      f'{", ".join(arrays) or "none"}.'
    )
  _check_map(path, 'truth', arrays['truth'], 2)
  return arrays['truth']


def _check_map(
  path: pathlib.Path, name: str, values: np.ndarray, dimensions: int
) -> None:
  if (
    values.ndim != dimensions
    or values.shape[-1] != values.shape[-2]
    or values.size == 0
    or values.dtype.kind not in 'fiub'
  ):
    raise run_files.BrokenRunFileError(
      f'Expected square maps of numbers with {dimensions} dimensions in '
      f'{path}, found {name!r} of {values.dtype} with shape {values.shape}.'
    )
