"""Reads a run directory: everything a finished run wrote, checked."""

from collections.abc import Mapping
import dataclasses
import os
import pathlib
from typing import Any

import pandas as pd

from tff_pipelines.core import errors
from tff_pipelines.reports import (
  audit_record,
  map_record,
  memorization_record,
  privacy_record,
  results,
  run_files,
)
from tff_pipelines.reports import leak as leak_lib
from tff_pipelines.reports import suggestions as suggestions_lib

MAIN_SYSTEM = 'federated'

_MANIFEST = 'manifest.json'
_RESULTS = 'results.json'
_METRICS = 'metrics.csv'
_SIMULATION_ONLY = 'simulation_only'


class NotARunDirectoryError(errors.PipelineError):
  """A directory without the files that every finished run has."""


# What every reader of these files raises, under the name of its callers.
BrokenRunFileError = run_files.BrokenRunFileError


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
    label_mixes: One row a round of a day: `round_num`, shares `awake:<label>`
      of the examples of all who could take part, `cohort:<label>` of those who
      did. None if the run did not write it. Only a simulation can see this.
    local_models: One row a client: `client_id`, `train_examples` and the
      metrics of the model it trains alone. None if the run did not write it.
      Only a simulation can see this.
    leak: What the systems' servers can read out of what they see. None if it
      was not measured. Only a simulation can see this.
    privacy: For each system that has a privacy.json, the main one first, what
      it promises.
    audit: How attacks on the run went. None if there were none. Only a
      simulation can see this.
    personalization: One row a client: `client_id`, `group` and the metrics of
      a model that it received, `before_*`, and trained further, `after_*`, on
      its own test examples. None if it was not measured. Only a simulation can
      see this.
    suggestions: What a keyboard would suggest, by what was typed. Empty if
      nothing was asked.
    people: A row a held-out person and system: `client_id`, `system`,
      `test_examples`, and metrics of the final table on that person's examples.
      None if it was not measured. Only a simulation can see this.
    memorization: What the models tell of secrets that people typed. None if
      there were none. Only a simulation can see this.
    maps: What the figures of heat maps are drawn from, in the order in which a
      report shows them.
  """

  run_dir: pathlib.Path
  manifest: Mapping[str, Any]
  results: results.Results
  metrics: Mapping[str, pd.DataFrame]
  clients: pd.DataFrame | None = None
  label_mixes: pd.DataFrame | None = None
  local_models: pd.DataFrame | None = None
  leak: leak_lib.Leak | None = None
  privacy: Mapping[str, privacy_record.PrivacyRecord] = dataclasses.field(
    default_factory=dict
  )
  audit: audit_record.Audit | None = None
  personalization: pd.DataFrame | None = None
  suggestions: tuple[suggestions_lib.Prompt, ...] = ()
  people: pd.DataFrame | None = None
  memorization: memorization_record.Memorization | None = None
  maps: tuple[map_record.MapRecord, ...] = ()


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
    final_table = results.parse(run_files.read_json(directory / _RESULTS))
  except results.MalformedResultsError as error:
    raise BrokenRunFileError(f'{directory / _RESULTS}: {error}') from error
  only_simulated = directory / _SIMULATION_ONLY
  return Run(
    run_dir=directory,
    manifest=run_files.read_json(directory / _MANIFEST),
    results=final_table,
    metrics=_read_metrics(directory),
    clients=run_files.read_csv(only_simulated / 'clients.csv', key='client_id'),
    label_mixes=run_files.read_csv(
      only_simulated / 'label_mixes.csv', key='round_num'
    ),
    local_models=run_files.read_csv(
      only_simulated / 'local_models.csv', key='client_id'
    ),
    leak=_read_leak(only_simulated / 'leak.json'),
    privacy=_read_privacy(directory),
    audit=_read_audit(directory / audit_record.FILE_NAME),
    personalization=run_files.read_csv(
      only_simulated / 'personalization.csv', key='client_id'
    ),
    suggestions=_read_suggestions(directory / suggestions_lib.FILE_NAME),
    people=_read_people(only_simulated / 'people.csv', final_table),
    memorization=_read_memorization(
      only_simulated / memorization_record.FILE_NAME
    ),
    maps=map_record.read_all(directory),
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
    system: run_files.read_csv(path, key='round_num')
    for system, path in _paths(directory, _METRICS).items()
  }
  return {
    system: table for system, table in tables.items() if table is not None
  }


def _read_leak(path: pathlib.Path) -> leak_lib.Leak | None:
  if not path.is_file():
    return None
  try:
    return leak_lib.parse(run_files.read_json(path))
  except leak_lib.MalformedLeakError as error:
    raise BrokenRunFileError(f'{path}: {error}') from error


def _read_privacy(
  directory: pathlib.Path,
) -> dict[str, privacy_record.PrivacyRecord]:
  found = {}
  for system, path in _paths(directory, privacy_record.FILE_NAME).items():
    if path.is_file():
      try:
        found[system] = privacy_record.parse(run_files.read_json(path))
      except privacy_record.MalformedPrivacyError as error:
        raise BrokenRunFileError(f'{path}: {error}') from error
  return found


def _read_audit(path: pathlib.Path) -> audit_record.Audit | None:
  if not path.is_file():
    return None
  try:
    return audit_record.parse(run_files.read_json(path))
  except audit_record.MalformedAuditError as error:
    raise BrokenRunFileError(f'{path}: {error}') from error


def _read_suggestions(path: pathlib.Path) -> tuple[suggestions_lib.Prompt, ...]:
  if not path.is_file():
    return ()
  try:
    return suggestions_lib.parse(run_files.read_json(path))
  except suggestions_lib.MalformedSuggestionsError as error:
    raise BrokenRunFileError(f'{path}: {error}') from error


def _read_memorization(
  path: pathlib.Path,
) -> memorization_record.Memorization | None:
  if not path.is_file():
    return None
  try:
    return memorization_record.parse(run_files.read_json(path))
  except memorization_record.MalformedMemorizationError as error:
    raise BrokenRunFileError(f'{path}: {error}') from error


def _read_people(
  path: pathlib.Path, final_table: results.Results
) -> pd.DataFrame | None:
  table = run_files.read_table(
    path,
    numbers=('test_examples',),
    text=('client_id', 'system'),
    optional={column.key for column in final_table.columns},
  )
  if table is None:
    return None
  twice = table.duplicated(['client_id', 'system'])
  if twice.any():
    row = table[twice].iloc[0]
    raise BrokenRunFileError(
      f'Expected one row a person and system in {path}, found two of '
      f'{row["client_id"]!r} with {row["system"]}.'
    )
  return table
