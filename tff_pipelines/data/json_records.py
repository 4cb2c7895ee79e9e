"""Rows of JSON Lines files: one object a line, errors that name the line."""

from collections.abc import Sequence
import json
import pathlib
from typing import Any

from tff_pipelines.data import row_files

_TYPE_NAMES: dict[type, str] = {
  str: 'a string',
  int: 'an integer',
  float: 'a number',
  bool: 'true or false',
  list: 'a list',
  dict: 'an object',
  type(None): 'null',
}


def rows(
  path: pathlib.Path, contents: row_files.Contents, columns: Sequence[str]
) -> row_files.Rows:
  """Yields the values of the wanted keys of each line that is not blank.

  Args:
    path: The file.
    contents: What is in it.
    columns: The keys whose values to yield.
  """
  for number, line in enumerate(contents.lines, start=1):
    if not line.strip():
      continue
    why = contents.why_undecodable(number, number)
    if why is not None:
      yield row_files.MalformedRowError(path, number, 'undecodable bytes', why)
      continue
    try:
      row = json.loads(line)
    # ValueError also for an integer of more digits than Python converts.
    except (ValueError, RecursionError) as error:
      why = str(error)
      if isinstance(error, json.JSONDecodeError):
        why = f'{error.msg}, column {error.colno}'
      yield row_files.MalformedRowError(
        path,
        number,
        'invalid JSON',
        'expected a JSON object on one line, found '
        f'{row_files.shown(line.strip())} ({why}); correct the line',
      )
      continue
    yield _row(path, number, row, columns)


def check_types(
  path: pathlib.Path,
  line: int,
  columns: Sequence[str],
  values: Sequence[Any],
  accepted: Sequence[tuple[type, ...]],
) -> None:
  """Refuses a row whose values are of other types.

  Args:
    path: The file.
    line: The row's line.
    columns: The names of the values.
    values: What was read.
    accepted: For each value the types that are accepted. Exactly these: a
      bool is an int otherwise, and no person is called true.

  Raises:
    MalformedRowError: With the first such column.
  """
  for column, value, types in zip(columns, values, accepted, strict=True):
    if type(value) not in types:
      raise row_files.MalformedRowError(
        path,
        line,
        'wrong type',
        f'expected {column!r} to be '
        f'{" or ".join(_TYPE_NAMES[kind] for kind in types)}, found '
        f'{_TYPE_NAMES[type(value)]} ({row_files.shown(value)}); correct it',
      )


def _row(
  path: pathlib.Path, line: int, row: Any, columns: Sequence[str]
) -> row_files.Row | row_files.MalformedRowError:
  keys = row_files.listed(columns)
  if not isinstance(row, dict):
    return row_files.MalformedRowError(
      path,
      line,
      'wrong type',
      f'expected a JSON object, found {row_files.shown(row)}; write one object '
      f'with the keys {keys} on each line',
    )
  missing = [key for key in columns if key not in row]
  if missing:
    return row_files.MalformedRowError(
      path,
      line,
      'missing key',
      f'expected the keys {keys}, found no {row_files.listed(missing)} '
      f'among {row_files.listed(list(row)) or "no keys"}; complete the object '
      'or correct the name of the column',
    )
  return row_files.Row(line, tuple(row[key] for key in columns))
