"""Metrics of the rounds: released to files, and read back to resume."""

from collections.abc import Mapping
import csv
import io
import pathlib
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.core import errors
from tff_pipelines.programs import files, run_directory

KEY = 'round_num'


class MetricsUnreadableError(errors.PipelineError):
  """A metrics.csv that is not a table of numbers by round."""


def flatten(prefix: str, metrics: Any) -> dict[str, Any]:
  """Returns the leaves of nested mappings under names like `prefix/a/b`.

  A leaf that is an array of several values is left out: a row holds scalars.
  """
  if isinstance(metrics, Mapping):
    flat = {}
    for name, value in metrics.items():
      flat.update(flatten(f'{prefix}/{name}' if prefix else name, value))
    return flat
  if isinstance(metrics, tuple | list) or np.ndim(metrics):
    return {}
  return {prefix: metrics}


class MetricsLog:
  """Releases a row of metrics a round through TFF's release managers.

  To metrics.csv (rewritten whole each time, so never half a row), TensorBoard
  and the log. Releasing a round again replaces it and all that came after, so
  that a resumed run ends with the file of an uninterrupted one.
  """

  def __init__(self, directory: run_directory.RunDirectory):
    """Initializes the log of a run directory.

    Raises:
      MetricsUnreadableError: If its metrics.csv is damaged.
    """
    self._path = directory.metrics_csv
    if self._path.exists():
      read_history(self._path)
    with files.saving('metrics', directory.path):
      directory.path.mkdir(parents=True, exist_ok=True)
      files.remove_leftovers(directory.path)
      self._managers: list[tff.program.ReleaseManager] = [
        tff.program.CSVFileReleaseManager(
          self._path,
          save_mode=tff.program.CSVSaveMode.WRITE,
          key_fieldname=KEY,
        ),
        tff.program.TensorBoardReleaseManager(directory.tensorboard),
        tff.program.LoggingReleaseManager(),
      ]

  async def release(self, metrics: dict[str, Any], round_num: int) -> None:
    """Releases a round's metrics, scalars by name.

    Raises:
      SavingFailedError: If they cannot be written.
    """
    with files.saving(f'metrics of round {round_num}', self._path):
      for manager in self._managers:
        await manager.release(metrics, round_num)

  def cut(self, last_round: int) -> None:
    """Takes the rounds after the one given out of metrics.csv, in one step.

    Raises:
      SavingFailedError: If it cannot be written.
    """
    with open(self._path, encoding='utf-8', newline='') as file:
      reader = csv.DictReader(file)
      head, rows = list(reader.fieldnames or ()), list(reader)
    kept = [row for row in rows if int(row[KEY]) <= last_round]
    if len(kept) == len(rows):
      return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=head)
    writer.writeheader()
    writer.writerows(kept)
    files.write_text(self._path, text.getvalue())

  def history(self, last_round: int) -> list[dict[str, float]]:
    """Returns the rows up to a round: numbers by name, empty cells left out."""
    return [row for row in read_history(self._path) if row[KEY] <= last_round]


def read_history(path: pathlib.Path) -> list[dict[str, float]]:
  """Returns the rows of a metrics.csv, numbers by name.

  Raises:
    MetricsUnreadableError: If a cell is not a number, or a row has no round.
  """
  try:
    with open(path, encoding='utf-8', newline='') as file:
      reader = csv.DictReader(file)
      if KEY not in (reader.fieldnames or ()):
        raise ValueError(f'no column {KEY}')
      rows = [
        {name: float(cell) for name, cell in row.items() if cell != ''}
        for row in reader
      ]
    if not all(row[KEY].is_integer() for row in rows):
      raise ValueError(f'a {KEY} that is not an integer')
  except (csv.Error, KeyError, TypeError, ValueError) as error:
    raise MetricsUnreadableError(
      f'Expected a table of numbers by round in {path}, found that it cannot '
      f'be read ({error}); choose another --output_dir.'
    ) from error
  return rows
