"""Texts that people typed, each with its writer, in the order of time.

The form that text takes on its way to a language model, and the readers of
files of a user's own: a row is a person and a text. Whatever is wrong with a
row is told with its line number, and nothing is dropped that is not counted.
"""

from collections.abc import Mapping
import dataclasses
import functools
import pathlib
from typing import Any

from tff_pipelines.data import json_records, own_files, row_files


@dataclasses.dataclass(frozen=True)
class TypedText:
  """Texts and who typed them.

  Attributes:
    texts: One string a message, line or speech. The order of the source is
      the order of time for each person.
    clients: The person of each text.
    provenance: Plain values for manifest.json: source, checksums, licence,
      and what was left out.
  """

  texts: tuple[str, ...]
  clients: tuple[str, ...]
  provenance: Mapping[str, Any]

  def __post_init__(self) -> None:
    if len(self.texts) != len(self.clients):
      raise ValueError('Expected one client for each text.')

  def __len__(self) -> int:
    return len(self.texts)


@dataclasses.dataclass(frozen=True)
class TextSource:
  """A file of texts, in the order in which they were typed.

  Attributes:
    path: The file. A name that ends in .tsv has tabs between the columns.
    client_column: Column (or key) with the person who typed the text.
    text_column: Column with the text.
    encoding: The file's encoding. A byte order mark is accepted.
    skip_bad_rows: Whether bad rows are counted and left out; otherwise the
      first one is an error.
  """

  path: pathlib.Path
  client_column: str
  text_column: str
  encoding: str = 'utf-8'
  skip_bad_rows: bool = False

  def __post_init__(self) -> None:
    if len(set(self.columns)) != 2 or not all(self.columns):
      raise row_files.InvalidSourceError(
        'Expected two different columns for person and text, found '
        f'{row_files.listed(self.columns)}.'
      )
    row_files.check_encoding(self.encoding)

  @property
  def columns(self) -> tuple[str, str]:
    """The columns of the person and the text."""
    return self.client_column, self.text_column


def load_csv(source: TextSource) -> TypedText:
  """Loads comma-separated (.tsv: tab-separated) values with a header.

  Args:
    source: The file and how to read it.

  Returns:
    The rows in the order of the file. `provenance` holds source, file (its
    name), sha256, rows_read (bad ones included) and skipped_rows: for each
    reason its count and the first_line where it occurred.

  Raises:
    MalformedRowError: If a row is bad, unless `source.skip_bad_rows`.
    ColumnError: If a column is missing, or there twice.
    NoRowsError: If there is no row, or none that is not bad.
    UnreadableFileError: If the file cannot be read or decoded at all.
  """
  return _load(source, 'csv')


def load_jsonl(source: TextSource) -> TypedText:
  """Loads one JSON object a line, with the columns as keys.

  The text is a string, the person a string or an integer.

  Args:
    source: The file and how to read it.

  Returns:
    As `load_csv`.

  Raises:
    MalformedRowError: If a row is bad, unless `source.skip_bad_rows`.
    NoRowsError: If there is no row, or none that is not bad.
    UnreadableFileError: If the file cannot be read or decoded at all.
  """
  return _load(source, 'jsonl')


def _load(source: TextSource, file_format: own_files.Format) -> TypedText:
  collected = own_files.collect(
    source, file_format, functools.partial(_interpret, source), 'texts'
  )
  clients, texts = zip(*collected.rows, strict=True)
  return TypedText(
    texts=texts,
    clients=clients,
    provenance=collected.provenance,
  )


def _interpret(source: TextSource, row: row_files.Row) -> tuple[str, str]:
  """Returns the person (stripped) and the text (as it is)."""
  path, line = source.path, row.line
  json_records.check_types(
    path, line, source.columns, row.values, ((str, int), (str,))
  )
  person, text = row.values
  person = row_files.check_name(
    path, line, f'person in {source.client_column!r}', str(person)
  )
  row_files.check_text(path, line, f'text in {source.text_column!r}', text)
  return person, text
