"""Labelled texts of the user's own, from a CSV, TSV or JSON Lines file.

A row is a person, a text and a label. Whatever is wrong with a row is told with
its line number, and nothing is dropped that is not counted.
"""

import dataclasses
import functools
import pathlib

import numpy as np

from tff_pipelines.data import (
  json_records,
  label_words,
  own_files,
  row_files,
  text_records,
)


@dataclasses.dataclass(frozen=True)
class TabularSource:
  """A file of labelled texts and how to read it.

  Attributes:
    path: The file. A name that ends in .tsv has tabs between the columns.
    client_column: Column (or key) with the person who wrote the text.
    text_column: Column with the text.
    label_column: Column with the label.
    positive_labels: What stands for label 1, in upper or lower case.
    negative_labels: What stands for label 0.
    label_names: Names of the labels 0 and 1 in reports.
    encoding: The file's encoding. A byte order mark is accepted.
    skip_bad_rows: Whether bad rows are counted and left out; otherwise the
      first one is an error.
  """

  path: pathlib.Path
  client_column: str
  text_column: str
  label_column: str
  positive_labels: tuple[str, ...] = ('spam', '1', 'true', 'yes')
  negative_labels: tuple[str, ...] = ('ham', '0', 'false', 'no')
  label_names: tuple[str, str] = ('ham', 'spam')
  encoding: str = 'utf-8'
  skip_bad_rows: bool = False

  def __post_init__(self) -> None:
    if len(set(self.columns)) != 3 or not all(self.columns):
      raise row_files.InvalidSourceError(
        'Expected three different columns for person, text and label, found '
        f'{row_files.listed(self.columns)}.'
      )
    _ = self.words  # Refuses labels that contradict each other.
    if len(self.label_names) != 2 or len(set(self.label_names)) != 2:
      raise row_files.InvalidSourceError(
        'Expected two different names for the labels 0 and 1, found '
        f'{row_files.listed(self.label_names)}.'
      )
    row_files.check_encoding(self.encoding)

  @property
  def columns(self) -> tuple[str, str, str]:
    """The columns of the person, the text and the label."""
    return self.client_column, self.text_column, self.label_column

  @functools.cached_property
  def words(self) -> label_words.LabelWords:
    """What the labels mean."""
    return label_words.LabelWords(self.positive_labels, self.negative_labels)


def load_csv(source: TabularSource) -> text_records.TextRecords:
  """Loads comma-separated (.tsv: tab-separated) values with a header.

  Fields are quoted as in RFC 4180: a quoted field may hold delimiters, line
  ends and doubled quotes; a quote inside an unquoted field is a character.
  After a broken quote reading goes on at the line after the row's first.

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


def load_jsonl(source: TabularSource) -> text_records.TextRecords:
  """Loads one JSON object a line, with the columns as keys.

  The text is a string, the person a string or an integer, the label a string,
  a number or a boolean.

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


def _load(
  source: TabularSource, file_format: own_files.Format
) -> text_records.TextRecords:
  collected = own_files.collect(
    source, file_format, functools.partial(_interpret, source), 'labelled texts'
  )
  clients, texts, labels = zip(*collected.rows, strict=True)
  return text_records.TextRecords(
    texts=texts,
    labels=np.array(labels, np.int32),
    clients=clients,
    label_names=source.label_names,
    provenance=collected.provenance,
  )


def _interpret(
  source: TabularSource, row: row_files.Row
) -> tuple[str, str, int]:
  """Returns the person (stripped), the text (as it is) and the label."""
  path, line = source.path, row.line
  json_records.check_types(
    path,
    line,
    source.columns,
    row.values,
    ((str, int), (str,), (str, int, float, bool)),
  )
  person, text, label = row.values
  person = row_files.check_name(
    path, line, f'person in {source.client_column!r}', str(person)
  )
  row_files.check_text(path, line, f'text in {source.text_column!r}', text)
  meaning = source.words.meaning(label)
  if meaning is None:
    raise row_files.MalformedRowError(
      path,
      line,
      'unknown label',
      source.words.complaint(source.label_column, label),
    )
  return person, text, meaning
