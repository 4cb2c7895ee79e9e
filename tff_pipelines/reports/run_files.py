"""Files of a run directory: read with checks, written whole or not at all."""

from collections.abc import Collection, Sequence
import csv
import io
import json
import math
import os
import pathlib
import tempfile
from typing import Any
import zipfile

import numpy as np
import pandas as pd

from tff_pipelines.core import errors


class BrokenRunFileError(errors.PipelineError):
  """A file of a run directory that cannot be read as what it should be."""


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """Reads a file that holds a JSON object.

  Raises:
    BrokenRunFileError: If it holds anything else.
  """
  try:
    content = json.loads(read_text(path))
  except json.JSONDecodeError as error:
    raise BrokenRunFileError(
      f'Expected JSON in {path}, found a mistake in line {error.lineno}, '
      f'column {error.colno}: {error.msg}.'
    ) from error
  if not isinstance(content, dict):
    raise BrokenRunFileError(
      f'Expected a JSON object in {path}, found {type(content).__name__}.'
    )
  return content


def read_csv(path: pathlib.Path, *, key: str) -> pd.DataFrame | None:
  """Reads a table whose column `key` identifies the row, None without file.

  All columns but `client_id` and `group` become numbers. Another column of text
  alone is left out: nothing here draws it. Text in a column of numbers is a
  broken file.

  Raises:
    BrokenRunFileError: If it is no such table; the message has the line.
  """
  if not path.is_file():
    return None
  header, rows = _rows(path)
  _check_column(path, header, key)
  columns: dict[str, Any] = {}
  for index, name in enumerate(header):
    cells = [(line, row[index].strip()) for line, row in rows]
    if name in ('client_id', 'group'):
      columns[name] = [cell for _, cell in cells]  # '007' stays as it is.
    elif (
      values := _numbers(path, name, cells, required=name == 'round_num')
    ) is not None:
      columns[name] = values
  return pd.DataFrame(columns)


def read_table(
  path: pathlib.Path,
  *,
  numbers: Sequence[str],
  text: Sequence[str] = (),
  optional: Collection[str] = (),
) -> pd.DataFrame | None:
  """Reads the named columns of a table that may be long, None without file.

  Args:
    path: The file.
    numbers: Columns of numbers that it has to have.
    text: Columns of text that it has to have.
    optional: Columns of numbers that it may have.

  Raises:
    BrokenRunFileError: If it is no such table; the message has the line.
  """
  if not path.is_file():
    return None
  try:
    # A million rows in a second. What it cannot take is read again below, by
    # a reader that can say what is wrong in which line.
    table = pd.read_csv(
      path,
      usecols=lambda name: name in {*numbers, *text, *optional},
      dtype=dict.fromkeys((*numbers, *optional), float)
      | dict.fromkeys(text, str),
      keep_default_na=False,
      encoding='utf-8',
    )
    if set(table.columns) >= {*numbers, *text} and not table.isna().any(
      axis=None
    ):
      return table
  except (ValueError, pd.errors.ParserError):
    pass
  return _explained_table(path, numbers=numbers, text=text, optional=optional)


def _explained_table(
  path: pathlib.Path,
  *,
  numbers: Sequence[str],
  text: Sequence[str],
  optional: Collection[str],
) -> pd.DataFrame:
  header, rows = _rows(path)
  for name in (*numbers, *text):
    _check_column(path, header, name)
  columns: dict[str, Any] = {}
  for index, name in enumerate(header):
    cells = [(line, row[index].strip()) for line, row in rows]
    if name in text:
      columns[name] = [cell for _, cell in cells]
    elif name in numbers or name in optional:
      columns[name] = _numbers(path, name, cells, required=True)
  return pd.DataFrame(columns)


def read_arrays(path: pathlib.Path) -> dict[str, np.ndarray] | None:
  """Reads the arrays of an .npz file by name, None without file.

  Raises:
    BrokenRunFileError: If it is no such file, or holds anything but numbers.
  """
  if not path.is_file():
    return None
  try:
    # Opened here: NumPy leaves a file open that it cannot read.
    with open(path, 'rb') as file, np.load(file, allow_pickle=False) as content:
      return {name: content[name] for name in content.files}
  # What NumPy raises depends on where in the file the damage is.
  except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
    raise BrokenRunFileError(
      f'Expected arrays of numbers in {path}, found a file that NumPy cannot '
      f'read ({error}); write it again.'
    ) from error


def write_atomically(path: pathlib.Path, content: bytes) -> None:
  """Writes a file that appears whole or not at all."""
  # In the same folder: os.replace is atomic only within a file system.
  descriptor, name = tempfile.mkstemp(
    dir=path.parent, prefix=f'.{path.name}.', suffix='.partial'
  )
  try:
    with os.fdopen(descriptor, 'wb') as file:
      file.write(content)
      # mkstemp makes it private; a report is as public as its directory.
      umask = os.umask(0)
      os.umask(umask)
      os.fchmod(file.fileno(), 0o666 & ~umask)
    os.replace(name, path)
  except BaseException:
    pathlib.Path(name).unlink(missing_ok=True)
    raise


def _check_column(path: pathlib.Path, header: Sequence[str], name: str) -> None:
  if name not in header:
    raise BrokenRunFileError(
      f'Expected a column {name} in {path}, line 1, found '
      f'{", ".join(header) or "an empty line"}.'
    )


def _rows(
  path: pathlib.Path,
) -> tuple[list[str], list[tuple[int, list[str]]]]:
  """The header, and the other rows with the lines on which they end."""
  reader = csv.reader(io.StringIO(read_text(path)))
  header: list[str] = []
  rows: list[tuple[int, list[str]]] = []
  try:
    header = [name.strip() for name in next(reader, [])]
    rows = [(reader.line_num, row) for row in reader if row]
  except csv.Error as error:
    raise BrokenRunFileError(
      f'Expected CSV in {path}, found a mistake in line {reader.line_num}: '
      f'{error}.'
    ) from error
  if len(set(header)) < len(header):
    raise BrokenRunFileError(
      f'Expected every column of {path} to have a name of its own, found '
      f'in line 1: {", ".join(header)}.'
    )
  for line, row in rows:
    if len(row) != len(header):
      raise BrokenRunFileError(
        f'Expected {len(header)} cells in {path}, line {line}, found '
        f'{len(row)}.'
      )
  return header, rows


def _numbers(
  path: pathlib.Path,
  name: str,
  cells: list[tuple[int, str]],
  *,
  required: bool,
) -> list[float] | None:
  """The cells of a column as numbers; None if none is and none is required."""
  values: list[float] = []
  text: tuple[int, str] | None = None
  for line, cell in cells:
    try:
      values.append(float(cell) if cell else math.nan)
    except ValueError:
      text = text or (line, cell)
      values.append(math.nan)
  if text is None:
    return values
  if not required and all(math.isnan(value) for value in values):
    return None
  line, cell = text
  raise BrokenRunFileError(
    f'Expected a number in {path}, line {line}, column {name}, found {cell!r}.'
  )


def read_text(path: pathlib.Path) -> str:
  """Reads a file of UTF-8 text.

  Raises:
    BrokenRunFileError: If it holds other bytes.
  """
  try:
    return path.read_text(encoding='utf-8')
  except UnicodeDecodeError as error:
    raise BrokenRunFileError(
      f'Expected UTF-8 text in {path}, found byte '
      f'{error.object[error.start]:#04x} at position {error.start}.'
    ) from error
