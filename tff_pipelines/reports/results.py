"""The final table of a run: what results.json says."""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any, Literal, cast, get_args

from tff_pipelines.core import errors

Format = Literal[
  'percent', 'ratio', 'count', 'seconds', 'milliseconds', 'bytes'
]
Better = Literal['higher', 'lower']


class MalformedResultsError(errors.PipelineError):
  """Results that do not have the form of results.json."""


@dataclasses.dataclass(frozen=True)
class Column:
  """One quantity of the final table.

  Attributes:
    key: Its name in the rows, and after `test/` in metrics.csv.
    title: Its name for a reader.
    format: How its values are written.
    better: Which direction is an improvement; None if neither is.
  """

  key: str
  title: str
  format: Format = 'ratio'
  better: Better | None = None


@dataclasses.dataclass(frozen=True)
class Results:
  """The final table: one row a system, one column a quantity.

  Attributes:
    title: What was run, for a headline.
    primary: Key of the column that decides.
    columns: The columns, in the order in which they are shown.
    rows: Each has `system` and values by column key. A row over many models
      (`local`) holds the median under the plain key and the range under
      `<key>_min` and `<key>_max`.
    notes: Sentences that belong under the table.
    row_title: What a row is, where it is not a system.
    sentence: The result in one sentence; None if the table has to tell it.
    details: What figures of a single task need, by name.
  """

  title: str
  primary: str
  columns: tuple[Column, ...]
  rows: tuple[Mapping[str, Any], ...]
  notes: tuple[str, ...] = ()
  row_title: str = 'system'
  sentence: str | None = None
  details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def systems(self) -> tuple[str, ...]:
    return tuple(row['system'] for row in self.rows)

  @property
  def primary_column(self) -> Column:
    return self.column(self.primary)

  def row(self, system: str) -> Mapping[str, Any] | None:
    """The row of a system, None if it has none."""
    return next((row for row in self.rows if row['system'] == system), None)

  def column(self, key: str) -> Column:
    """The column of a key; a plain one if the table does not list the key."""
    listed = (column for column in self.columns if column.key == key)
    return next(listed, Column(key, key.replace('_', ' ')))


def value(row: Mapping[str, Any] | None, key: str) -> float | None:
  """The finite number under `key`; None if there is no such number."""
  found = None if row is None else row.get(key)
  if isinstance(found, bool) or not isinstance(found, int | float):
    return None
  return float(found) if math.isfinite(found) else None


def display_name(system: str) -> str:
  """A system's name as it is shown to a reader."""
  return system.replace('_', ' ')


def parse(content: Results | Mapping[str, Any]) -> Results:
  """Reads what results.json holds (`Results` pass unchanged).

  Raises:
    MalformedResultsError: If something that every table needs is missing or has
      the wrong form.
  """
  if isinstance(content, Results):
    return content
  if not isinstance(content, Mapping):
    raise MalformedResultsError(
      'Expected the results to be an object with columns and rows, found '
      f'{type(content).__name__}.'
    )
  columns = tuple(_column(each) for each in _list(content, 'columns'))
  return Results(
    title=str(content.get('title') or 'Results'),
    primary=str(content.get('primary') or (columns[0].key if columns else '')),
    columns=columns,
    rows=tuple(_row(each) for each in _list(content, 'rows')),
    notes=tuple(str(note) for note in content.get('notes') or ()),
    row_title=str(content.get('row_title') or 'system'),
    sentence=str(content['sentence']) if content.get('sentence') else None,
    details=_details(content.get('details')),
  )


def _details(content: Any) -> Mapping[str, Any]:
  if content is not None and not isinstance(content, Mapping):
    raise MalformedResultsError(
      f'Expected the details of the results to be an object, found {content!r}.'
    )
  return content or {}


def _list(content: Mapping[str, Any], key: str) -> list[Any]:
  found = content.get(key)
  if not isinstance(found, list | tuple):
    raise MalformedResultsError(
      f'Expected the results to hold a list of {key}, found {found!r}.'
    )
  return list(found)


def _column(content: Any) -> Column:
  if not isinstance(content, Mapping) or not content.get('key'):
    raise MalformedResultsError(
      f'Expected every column of the results to have a key, found {content!r}.'
    )
  key = str(content['key'])
  value_format = content.get('format', 'ratio')
  if value_format not in get_args(Format):
    raise MalformedResultsError(
      f'Expected the format of column {key!r} to be one of '
      f'{", ".join(get_args(Format))}, found {value_format!r}.'
    )
  better = content.get('better')
  if better is not None and better not in get_args(Better):
    raise MalformedResultsError(
      f'Expected column {key!r} to be better when higher or lower, found '
      f'{better!r}.'
    )
  return Column(
    key=key,
    title=str(content.get('title') or key.replace('_', ' ')),
    format=cast(Format, value_format),
    better=cast(Better | None, better),
  )


def _row(content: Any) -> Mapping[str, Any]:
  if not isinstance(content, Mapping) or not content.get('system'):
    raise MalformedResultsError(
      f'Expected every row of the results to name its system, found '
      f'{content!r}.'
    )
  return {**content, 'system': str(content['system'])}
