"""Metrics of the rounds: released to files, and read back to resume."""

from collections.abc import Mapping, Sequence
import csv
import io
import pathlib
from typing import Any

import numpy as np
from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.scalar import summary_v2
import tensorflow as tf
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
  """Releases a row of metrics a round: metrics.csv, TensorBoard and the log.

  Never half a row. Releasing a round again replaces it and all that came after,
  so that a resumed run ends with the file of an uninterrupted one.
  """

  def __init__(self, directory: run_directory.RunDirectory):
    """Initializes the log of a run directory.

    Raises:
      MetricsUnreadableError: If its metrics.csv is damaged.
    """
    self._path = directory.metrics_csv
    with files.saving('metrics', directory.path):
      directory.path.mkdir(parents=True, exist_ok=True)
      files.remove_leftovers(directory.path)
      self._table = _Table(self._path)
      self._events = _Events(directory.tensorboard)
      self._log = tff.program.LoggingReleaseManager()

  async def release(self, metrics: dict[str, Any], round_num: int) -> None:
    """Releases a round's metrics, scalars by name.

    Raises:
      SavingFailedError: If they cannot be written.
    """
    with files.saving(f'metrics of round {round_num}', self._path):
      self._table.release(metrics, round_num)
      self._events.release(metrics, round_num)
      await self._log.release(metrics, round_num)

  def cut(self, last_round: int) -> None:
    """Takes the rounds after the one given out of metrics.csv, in one step.

    Raises:
      SavingFailedError: If it cannot be written.
    """
    self._table.cut(last_round)

  def history(self, last_round: int) -> list[dict[str, float]]:
    """Returns the rows up to a round: numbers by name, empty cells left out."""
    return self._table.history(last_round)


class _Events:
  """Files that TensorBoard reads.

  TFF's own manager runs an operation for each metric, ten times as long as one
  for all of them. What is written is the same.
  """

  def __init__(self, folder: pathlib.Path):
    folder.mkdir(parents=True, exist_ok=True)
    self._writer = tf.summary.create_file_writer(str(folder))

  def release(self, metrics: Mapping[str, Any], round_num: int) -> None:
    """Adds a round's metrics."""
    row = summary_pb2.Summary()
    for name, value in metrics.items():
      row.MergeFrom(summary_v2.scalar_pb(name, value))
    with self._writer.as_default():
      tf.summary.experimental.write_raw_pb(row.SerializeToString(), round_num)


class _Table:
  """metrics.csv, kept in memory too, so that a row costs no more the later.

  TFF's own CSV manager reads and writes the whole file for each row, a tenth of
  a second after a thousand rounds. The bytes are the same as its.
  """

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._names = [KEY]
    self._rows: list[dict[str, float]] = []
    self._lines: list[str] = []  # As written, each with its end.
    if path.exists():
      self._rows = read_history(path)
      head, *lines = path.read_bytes().decode().splitlines(keepends=True)
      self._names = next(csv.reader([head]))
      self._lines = lines
    else:
      self._write(self._names, [])

  def release(self, metrics: Mapping[str, Any], round_num: int) -> None:
    kept = self._num_until(round_num - 1)
    whole = kept < len(self._rows)
    names = self._names if kept or not whole else [KEY]
    new = [name for name in metrics if name not in names]
    rows, lines = self._rows, self._lines
    if whole or new:
      rows, lines = rows[:kept], lines[:kept]
    if new:
      # Earlier rows have empty cells for what is new.
      names = [*names, *new]
      lines = [line.rstrip('\r\n') + ',' * len(new) + '\r\n' for line in lines]
    # Plain numbers, which are written with all their digits.
    row = {KEY: round_num} | {
      name: np.array(value).tolist() for name, value in metrics.items()
    }
    line = _csv_line([row.get(name, '') for name in names])
    if whole or new:
      self._write(names, [*lines, line])
      self._names, self._rows, self._lines = names, rows, lines
    else:
      files.append_text(self._path, line)
    self._rows.append({name: float(value) for name, value in row.items()})
    self._lines.append(line)

  def cut(self, last_round: int) -> None:
    kept = self._num_until(last_round)
    if kept < len(self._rows):
      self._write(self._names, self._lines[:kept])
      del self._rows[kept:], self._lines[kept:]

  def history(self, last_round: int) -> list[dict[str, float]]:
    return self._rows[: self._num_until(last_round)]

  def _num_until(self, last_round: int) -> int:
    """Number of rows up to a round, which is most often the last."""
    count = len(self._rows)
    while count and self._rows[count - 1][KEY] > last_round:
      count -= 1
    return count

  def _write(self, names: Sequence[str], lines: Sequence[str]) -> None:
    files.write_text(self._path, _csv_line(names) + ''.join(lines))


def _csv_line(cells: Sequence[Any]) -> str:
  text = io.StringIO()
  csv.writer(text).writerow(cells)
  return text.getvalue()


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
