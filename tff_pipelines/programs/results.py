"""The final table of a task, as data: results.json."""

from collections.abc import Mapping, Sequence
import dataclasses
import math
import pathlib
from typing import Any, Literal

import numpy as np

from tff_pipelines.programs import files


@dataclasses.dataclass(frozen=True)
class Column:
  """A column of the final table.

  Attributes:
    metric: The metric's name where it is measured.
    key: Its name in results.json.
    title: Its heading.
    format: How a value is shown.
    better: Which direction is better, if any.
  """

  metric: str
  key: str
  title: str
  format: Literal['percent', 'ratio', 'count', 'seconds', 'bytes'] = 'ratio'
  better: Literal['higher', 'lower'] | None = None


# What every system that is trained in rounds can tell.
EFFORT = (
  Column('rounds', 'rounds', 'rounds', 'count'),
  Column('seconds', 'seconds', 'time', 'seconds'),
)


def row(
  system: str, metrics: Mapping[str, Any], columns: Sequence[Column]
) -> dict[str, Any]:
  """Returns one system's row; metrics that it lacks are None."""
  return {
    'system': system,
    **{c.key: _plain(metrics.get(c.metric)) for c in columns},
  }


def row_over_people(
  system: str,
  metrics: Sequence[Mapping[str, float]],
  columns: Sequence[Column],
) -> dict[str, Any]:
  """Returns the row of a system that has a model a person.

  Each column is the median, with `_min` and `_max` beside it. People whose
  metric is undefined do not count for that column.
  """
  values: dict[str, Any] = {'system': system}
  for column in columns:
    known = [
      float(m[column.metric])
      for m in metrics
      if column.metric in m and not math.isnan(m[column.metric])
    ]
    values[column.key] = float(np.median(known)) if known else None
    if known:
      values[f'{column.key}_min'] = min(known)
      values[f'{column.key}_max'] = max(known)
  return values


def write(
  path: pathlib.Path,
  *,
  title: str,
  primary: str,
  columns: Sequence[Column],
  rows: Sequence[Mapping[str, Any]],
  notes: Sequence[str],
  sentence: str | None = None,
  row_title: str | None = None,
) -> None:
  """Writes results.json.

  Args:
    path: Where to.
    title: What was compared.
    primary: The key of the column that matters most.
    columns: The columns.
    rows: One mapping a system.
    notes: Sentences below the table.
    sentence: The result in one sentence; None lets a report compare the rows.
    row_title: What a row is, where it is no system.
  """
  described = [
    {
      name: value
      for name, value in dataclasses.asdict(column).items()
      if name != 'metric' and value is not None
    }
    for column in columns
  ]
  files.write_json(
    path,
    {
      'title': title,
      'primary': primary,
      'columns': described,
      'rows': [dict(r) for r in rows],
      'notes': list(notes),
      **({} if sentence is None else {'sentence': sentence}),
      **({} if row_title is None else {'row_title': row_title}),
    },
  )


def _plain(value: Any) -> Any:
  if isinstance(value, np.generic):
    value = value.item()
  if value is None or (isinstance(value, float) and math.isnan(value)):
    return None
  return value
