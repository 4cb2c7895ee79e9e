"""Reads a run directory: everything a finished run wrote, checked."""

from collections.abc import Mapping
import csv
import dataclasses
import io
import json
import math
import os
import pathlib
from typing import Any

import pandas as pd

from tff_pipelines.core import errors
from tff_pipelines.reports import audit_record, privacy_record, results
from tff_pipelines.reports import leak as leak_lib

MAIN_SYSTEM = 'federated'

_MANIFEST = 'manifest.json'
_RESULTS = 'results.json'
_METRICS = 'metrics.csv'
_SIMULATION_ONLY = 'simulation_only'


class NotARunDirectoryError(errors.PipelineError):
  """A directory without the files that every finished run has."""


class BrokenRunFileError(errors.PipelineError):
  """A file of a run directory that cannot be read as what it should be."""


@dataclasses.dataclass(frozen=True)
class Run:
  """A run directory, read.

  Attributes:
    run_dir: Where it was read from.
    manifest: What was run: task, command, configuration, versions, data.
    results: The final table.
    metrics: For each system that wrote metrics.csv, the main one first, its
      rows: `round_num`, then columns `group/name` that are NaN in rounds
      without a value.
    clients: One row a client: `client_id`, `train_examples`, `test_examples`,
      label counts `train:<label>`. None if the run did not write it. Only a
      simulation can see this.
    local_models: One row a client: `client_id`, `train_examples` and the
      metrics of the model it trains alone. None if the run did not write it.
      Only a simulation can see this.
    leak: What the systems' servers can read out of what they see. None if it
      was not measured. Only a simulation can see this.
    privacy: For each system that has a privacy.json, the main one first, what
      it promises.
    audit: How attacks on the run went. None if there were none. Only a
      simulation can see this.
  """

  run_dir: pathlib.Path
  manifest: Mapping[str, Any]
  results: results.Results
  metrics: Mapping[str, pd.DataFrame]
  clients: pd.DataFrame | None = None
  local_models: pd.DataFrame | None = None
  leak: leak_lib.Leak | None = None
  privacy: Mapping[str, privacy_record.PrivacyRecord] = dataclasses.field(
    default_factory=dict
  )
  audit: audit_record.Audit | None = None


def read(run_dir: str | os.PathLike[str]) -> Run:
  """Reads a run directory; every file but two may be missing.

  Args:
    run_dir: A directory with manifest.json and results.json.

  Raises:
    NotARunDirectoryError: If the directory or one of these two is missing.
    BrokenRunFileError: If a file cannot be read; the message has the line.
  """
  directory = pathlib.Path(run_dir)
  _check_is_run(directory)
  try:
    final_table = results.parse(_read_json(directory / _RESULTS))
  except results.MalformedResultsError as error:
    raise BrokenRunFileError(f'{directory / _RESULTS}: {error}') from error
  only_simulated = directory / _SIMULATION_ONLY
  return Run(
    run_dir=directory,
    manifest=_read_json(directory / _MANIFEST),
    results=final_table,
    metrics=_read_metrics(directory),
    clients=_read_csv(only_simulated / 'clients.csv', key='client_id'),
    local_models=_read_csv(
      only_simulated / 'local_models.csv', key='client_id'
    ),
    leak=_read_leak(only_simulated / 'leak.json'),
    privacy=_read_privacy(directory),
    audit=_read_audit(directory / audit_record.FILE_NAME),
  )


def _check_is_run(directory: pathlib.Path) -> None:
  if not directory.is_dir():
    raise NotARunDirectoryError(
      f'Expected {directory} to be the directory of a run, found no such '
      'directory.'
    )
  needed = (_MANIFEST, _RESULTS)
  present = [name for name in needed if (directory / name).is_file()]
  if len(present) < len(needed):
    hint = (
      'a run writes results.json when it ends.'
      if _MANIFEST in present
      else 'give the directory that a task wrote.'
    )
    raise NotARunDirectoryError(
      f'Expected {" and ".join(needed)} in {directory}, found '
      f'{"only " + present[0] if present else "neither"}; {hint}'
    )


def _paths(directory: pathlib.Path, name: str) -> dict[str, pathlib.Path]:
  """Where the systems would keep a file of that name, the main one first."""
  return {MAIN_SYSTEM: directory / name} | {
    path.parent.name: path
    for path in sorted(directory.glob(f'*/{name}'))
    if path.parent.name != _SIMULATION_ONLY
  }


def _read_metrics(directory: pathlib.Path) -> dict[str, pd.DataFrame]:
  tables = {
    system: _read_csv(path, key='round_num')
    for system, path in _paths(directory, _METRICS).items()
  }
  return {
    system: table for system, table in tables.items() if table is not None
  }


def _read_leak(path: pathlib.Path) -> leak_lib.Leak | None:
  if not path.is_file():
    return None
  try:
    return leak_lib.parse(_read_json(path))
  except leak_lib.MalformedLeakError as error:
    raise BrokenRunFileError(f'{path}: {error}') from error


def _read_privacy(
  directory: pathlib.Path,
) -> dict[str, privacy_record.PrivacyRecord]:
  found = {}
  for system, path in _paths(directory, privacy_record.FILE_NAME).items():
    if path.is_file():
      try:
        found[system] = privacy_record.parse(_read_json(path))
      except privacy_record.MalformedPrivacyError as error:
        raise BrokenRunFileError(f'{path}: {error}') from error
  return found


def _read_audit(path: pathlib.Path) -> audit_record.Audit | None:
  if not path.is_file():
    return None
  try:
    return audit_record.parse(_read_json(path))
  except audit_record.MalformedAuditError as error:
    raise BrokenRunFileError(f'{path}: {error}') from error


def _read_json(path: pathlib.Path) -> dict[str, Any]:
  try:
    content = json.loads(_read_text(path))
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


def _read_csv(path: pathlib.Path, *, key: str) -> pd.DataFrame | None:
  """Reads a table whose column `key` identifies the row, None without file.

  All other columns become numbers. A column of text alone is left out: nothing
  here draws it. Text in a column of numbers is a broken file.
  """
  if not path.is_file():
    return None
  header, rows = _read_rows(path)
  if key not in header:
    raise BrokenRunFileError(
      f'Expected a column {key} in {path}, line 1, found '
      f'{", ".join(header) or "an empty line"}.'
    )
  columns: dict[str, Any] = {}
  for index, name in enumerate(header):
    cells = [(line, row[index].strip()) for line, row in rows]
    if name == 'client_id':
      columns[name] = [cell for _, cell in cells]  # '007' stays as it is.
    elif (values := _numbers(path, name, cells)) is not None:
      columns[name] = values
  return pd.DataFrame(columns)


def _read_rows(
  path: pathlib.Path,
) -> tuple[list[str], list[tuple[int, list[str]]]]:
  """The header, and the other rows with the lines on which they end."""
  reader = csv.reader(io.StringIO(_read_text(path)))
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
  path: pathlib.Path, name: str, cells: list[tuple[int, str]]
) -> list[float] | None:
  """The cells of a column as numbers, None if none of them is one."""
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
  if name != 'round_num' and all(math.isnan(value) for value in values):
    return None
  line, cell = text
  raise BrokenRunFileError(
    f'Expected a number in {path}, line {line}, column {name}, found {cell!r}.'
  )


def _read_text(path: pathlib.Path) -> str:
  try:
    return path.read_text(encoding='utf-8')
  except UnicodeDecodeError as error:
    raise BrokenRunFileError(
      f'Expected UTF-8 text in {path}, found byte '
      f'{error.object[error.start]:#04x} at position {error.start}.'
    ) from error
