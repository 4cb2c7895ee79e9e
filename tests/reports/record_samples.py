"""Map records with numbers small enough to compute by hand."""

from typing import Any

import pandas as pd

from tff_pipelines.reports import map_record

_SERVER = ('curve', 'seed', 'step', 'round_num', 'accuracy')
_USERS = ('curve', 'seed', 'user', 'kind', 'taking_part', 'step', 'accuracy')
_FINAL = ('curve', 'seed', 'mean_local_accuracy', 'median_local_accuracy')
_PLACES = ('user', 'kind', 'x0', 'x1', 'label', 'held_out')


def record(
  kind: str,
  curves: list[dict[str, Any]],
  *,
  name: str | None = None,
  server: list[tuple] | None = None,
  users: list[tuple] | None = None,
  final: list[tuple] | None = None,
  places: list[tuple] | None = None,
  settings: dict[str, Any] | None = None,
  **others: Any,
) -> map_record.MapRecord:
  """A record of these rows; curves without a name are called c0, c1, ..."""
  return map_record.MapRecord(
    name=name or kind,
    kind=kind,
    title='a title',
    settings=settings or {},
    curves=tuple(
      map_record.Curve(values.get('name', f'c{index}'), values)
      for index, values in enumerate(curves)
    ),
    notes=(),
    server=_table(_SERVER, server),
    users=_table(_USERS, users),
    final=_table(_FINAL, final),
    places=_table(_PLACES, places),
    **others,
  )


def ends(*of_curves: tuple[float, ...]) -> list[tuple]:
  """Rows of `server`: of each curve, the last accuracy with seeds 0, 1, ..."""
  return [
    (curve, seed, 10, 1, value)
    for curve, values in enumerate(of_curves)
    for seed, value in enumerate(values)
  ]


def texts(axes) -> list[str]:
  """All that is written inside the axes."""
  return [text.get_text() for text in axes.texts]


def _table(names, rows):
  return None if rows is None else pd.DataFrame(rows, columns=list(names))
