"""A user's own file, in either format, read row by row."""

from collections.abc import Callable
import pathlib
from typing import Literal, Protocol, TypeVar

from tff_pipelines.data import json_records, row_files

Kept = TypeVar('Kept')

# Comma-separated values (.tsv: tab-separated) with a header, or one JSON object
# a line with the columns as keys.
Format = Literal['csv', 'jsonl']

_ROWS: dict[str, Callable[..., row_files.Rows]] = {
  'csv': row_files.csv_rows,
  'jsonl': json_records.rows,
}


class Source(Protocol):
  """A file, and how to read it."""

  @property
  def path(self) -> pathlib.Path:
    """The file."""

  @property
  def encoding(self) -> str:
    """Its encoding. A byte order mark is accepted."""

  @property
  def skip_bad_rows(self) -> bool:
    """Whether bad rows are left out; otherwise the first one is an error."""

  @property
  def columns(self) -> tuple[str, ...]:
    """The columns that are read."""


def collect(
  source: Source,
  file_format: Format,
  interpret: Callable[[row_files.Row], Kept],
  what: str,
) -> row_files.Collected[Kept]:
  """Reads a file and interprets its rows; counts or raises what is wrong.

  Args:
    source: The file and how to read it.
    file_format: Its format.
    interpret: Returns what a row means, or raises MalformedRowError.
    what: What to add to a file that has none.

  Raises:
    MalformedRowError: If a row is bad, unless `source.skip_bad_rows`.
    ColumnError: If a column of a CSV file is missing, or there twice.
    NoRowsError: If there is no row, or none that is not bad.
    UnreadableFileError: If the file cannot be read or decoded at all.
  """
  contents = row_files.read(source.path, source.encoding)
  return row_files.collect(
    source.path,
    file_format,
    contents,
    _ROWS[file_format](source.path, contents, source.columns),
    interpret,
    skip_bad_rows=source.skip_bad_rows,
    what=what,
  )
