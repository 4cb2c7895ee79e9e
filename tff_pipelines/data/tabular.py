"""Labelled texts of the user's own, from a CSV, TSV or JSON Lines file.

A row is a person, a text and a label. Whatever is wrong with a row is told with
its line number, and nothing is dropped that is not counted.
"""

import codecs
from collections.abc import Iterator, Sequence
import dataclasses
import hashlib
import json
import pathlib
import re
from typing import Any

import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.data import csv_records, text_records

_JSON_TYPES: dict[type, str] = {
  str: 'a string',
  int: 'an integer',
  float: 'a number',
  bool: 'true or false',
  list: 'a list',
  dict: 'an object',
  type(None): 'null',
}

# Strings can hold these, texts in UTF-8 cannot, or only by mistake.
_NO_TEXT = re.compile('[\0\ud800-\udfff]')


class InvalidSourceError(errors.PipelineError):
  """A description of a file that contradicts itself."""


class UnreadableFileError(errors.PipelineError):
  """A file that cannot be read at all."""


class ColumnError(errors.PipelineError):
  """A header that does not name each needed column once."""


class NoRowsError(errors.PipelineError):
  """A file without a single usable row."""


class MalformedRowError(errors.PipelineError):
  """A row that is not a person, a text and a label.

  Attributes:
    line: Number of the line where the row starts, from 1; if a quote is
      broken, of the line where that quote opens.
    reason: What is wrong, in the words that are counted in `skipped_rows`.
  """

  def __init__(
    self, path: pathlib.Path, line: int, reason: str, explanation: str
  ):
    super().__init__(f'{path}, line {line}: {explanation}.')
    self.line = line
    self.reason = reason


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
      raise InvalidSourceError(
        'Expected three different columns for person, text and label, found '
        f'{_listed(self.columns)}.'
      )
    positive = {_folded(label) for label in self.positive_labels}
    negative = {_folded(label) for label in self.negative_labels}
    if not positive or not negative:
      raise InvalidSourceError(
        'Expected at least one label each in --positive_labels and '
        f'--negative_labels, found {len(positive)} and {len(negative)}.'
      )
    if positive & negative:
      raise InvalidSourceError(
        'Expected no label in both --positive_labels and --negative_labels, '
        f'found {_listed(sorted(positive & negative))} in both.'
      )
    if len(self.label_names) != 2 or len(set(self.label_names)) != 2:
      raise InvalidSourceError(
        'Expected two different names for the labels 0 and 1, found '
        f'{_listed(self.label_names)}.'
      )
    try:
      ''.encode(self.encoding)
    except (LookupError, ValueError) as error:
      raise InvalidSourceError(
        'Expected the name of a text encoding such as utf-8 or latin-1 in '
        f'--csv_encoding, found {self.encoding!r}.'
      ) from error

  @property
  def columns(self) -> tuple[str, str, str]:
    """The columns of the person, the text and the label."""
    return self.client_column, self.text_column, self.label_column


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
  contents = _read(source)
  delimiter = '\t' if source.path.suffix.lower() == '.tsv' else ','
  return _collect(
    source, 'csv', contents, _csv_rows(source, contents, delimiter)
  )


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
  contents = _read(source)
  return _collect(source, 'jsonl', contents, _json_rows(source, contents))


@dataclasses.dataclass(frozen=True)
class _Row:
  """A row as it was read, before anyone asks what the values mean."""

  line: int
  client: Any
  text: Any
  label: Any


@dataclasses.dataclass(frozen=True)
class _Contents:
  """A file's lines, with their ends, and why some could not be decoded."""

  lines: list[str]
  undecodable: dict[int, str]  # By line number.
  sha256: str

  def why_undecodable(self, first: int, last: int) -> str | None:
    """Returns what is wrong with the first bad line of those, if one is."""
    return next(
      (
        self.undecodable[line]
        for line in range(first, last + 1)
        if line in self.undecodable
      ),
      None,
    )


# Either a row or what is wrong with it.
_Rows = Iterator[_Row | MalformedRowError]


def _folded(label: str) -> str:
  return label.strip().casefold()


def _listed(names: Sequence[str]) -> str:
  return ', '.join(map(_shown, names))


def _shown(value: Any) -> str:
  shown = repr(value)
  return shown if len(shown) <= 60 else f'{shown[:57]}...'


def _read(source: TabularSource) -> _Contents:
  """Reads and decodes a file line by line."""
  try:
    data = source.path.read_bytes()
  except FileNotFoundError as error:
    raise UnreadableFileError(
      f'Expected a file at {source.path}, found none; correct the path.'
    ) from error
  except IsADirectoryError as error:
    raise UnreadableFileError(
      f'Expected a file at {source.path}, found a directory; give the path of '
      'a file in it.'
    ) from error
  except OSError as error:
    raise UnreadableFileError(
      f'Could not read {source.path} ({error.strerror}); make it readable.'
    ) from error
  sha256 = hashlib.sha256(data).hexdigest()
  encoding = codecs.lookup(source.encoding).name
  if encoding == 'utf-8-sig':  # The mark is taken off below, if there is one.
    encoding = 'utf-8'
  if '\n'.encode(encoding) != b'\n':
    # Bytes of such an encoding (UTF-16, say) cannot be cut into lines.
    data, encoding = _transcoded(source, data), 'utf-8'
  lines: list[str] = []
  undecodable: dict[int, str] = {}
  for number, raw in enumerate(data.splitlines(keepends=True), start=1):
    try:
      lines.append(raw.decode(encoding))
    except UnicodeDecodeError as error:
      # Quotes and delimiters survive, so the other rows stay what they are.
      lines.append(raw.decode(encoding, 'replace'))
      undecodable[number] = (
        f'expected {source.encoding} text, found byte '
        f'0x{raw[error.start]:02x} at offset {error.start} of line {number}; '
        f'pass --csv_encoding={_likely_encoding(data)}'
      )
  if lines:
    lines[0] = lines[0].removeprefix('\ufeff')
  return _Contents(lines, undecodable, sha256)


def _likely_encoding(data: bytes) -> str:
  if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
    return 'utf-16'
  return "latin-1, or the file's real encoding"


def _transcoded(source: TabularSource, data: bytes) -> bytes:
  """Returns the same text in UTF-8."""
  try:
    # Lone surrogates, which some codecs produce, fail later in their own row.
    return data.decode(source.encoding).encode('utf-8', 'surrogatepass')
  except UnicodeError as error:
    at = f' at offset {error.start}' if hasattr(error, 'start') else ''
    raise UnreadableFileError(
      f'Expected {source.encoding} text in {source.path}, found something '
      f"else{at}; pass the file's real encoding as --csv_encoding."
    ) from error


def _csv_rows(
  source: TabularSource, contents: _Contents, delimiter: str
) -> _Rows:
  records = _csv_records(source.path, contents, delimiter)
  header = next(records, None)
  if header is None:
    return
  if isinstance(header, MalformedRowError):
    raise header
  positions = _positions(source, header[0], [n.strip() for n in header[1]])
  for record in records:
    if isinstance(record, MalformedRowError):
      yield record
      continue
    line, fields = record
    if len(fields) != len(header[1]):
      yield MalformedRowError(
        source.path,
        line,
        'wrong number of columns',
        f'expected {len(header[1])} columns as in the header, found '
        f'{len(fields)}; complete the row, or put fields that hold '
        f'{delimiter!r} or a line end into double quotes',
      )
    else:
      yield _Row(line, *(fields[p] for p in positions))


def _positions(
  source: TabularSource, line: int, header: list[str]
) -> list[int]:
  """Returns where the person, the text and the label stand in a record."""
  for column in source.columns:
    count = header.count(column)
    if count != 1:
      raise ColumnError(
        f'{source.path}, line {line}: expected one column {column!r}, found '
        f'{count or "none"} among the columns {_listed(header)}; correct '
        'the header or the name of the column.'
      )
  return [header.index(column) for column in source.columns]


def _csv_records(
  path: pathlib.Path, contents: _Contents, delimiter: str
) -> Iterator[tuple[int, list[str]] | MalformedRowError]:
  """Yields line number and fields of each record that is not a blank line."""
  start = 0
  while start < len(contents.lines):
    if not contents.lines[start].rstrip('\r\n'):
      start += 1
      continue
    try:
      fields, end = csv_records.split_record(contents.lines, start, delimiter)
    except csv_records.BrokenQuoteError as error:
      yield MalformedRowError(path, error.line, 'broken quote', str(error))
      # Rows that an open quote swallowed are given a chance of their own.
      start += 1
      continue
    why = contents.why_undecodable(start + 1, end)
    if why is None:
      yield start + 1, fields
    else:
      yield MalformedRowError(path, start + 1, 'undecodable bytes', why)
    start = end


def _json_rows(source: TabularSource, contents: _Contents) -> _Rows:
  for number, line in enumerate(contents.lines, start=1):
    if not line.strip():
      continue
    why = contents.why_undecodable(number, number)
    if why is not None:
      yield MalformedRowError(source.path, number, 'undecodable bytes', why)
      continue
    try:
      row = json.loads(line)
    # ValueError also for an integer of more digits than Python converts.
    except (ValueError, RecursionError) as error:
      why = str(error)
      if isinstance(error, json.JSONDecodeError):
        why = f'{error.msg}, column {error.colno}'
      yield MalformedRowError(
        source.path,
        number,
        'invalid JSON',
        f'expected a JSON object on one line, found {_shown(line.strip())} '
        f'({why}); correct the line',
      )
      continue
    yield _json_row(source, number, row)


def _json_row(
  source: TabularSource, line: int, row: Any
) -> _Row | MalformedRowError:
  if not isinstance(row, dict):
    return MalformedRowError(
      source.path,
      line,
      'wrong type',
      f'expected a JSON object, found {_shown(row)}; write one object with the '
      f'keys {_listed(source.columns)} on each line',
    )
  missing = [key for key in source.columns if key not in row]
  if missing:
    return MalformedRowError(
      source.path,
      line,
      'missing key',
      f'expected the keys {_listed(source.columns)}, found no '
      f'{_listed(missing)} among {_listed(list(row)) or "no keys"}; complete '
      'the object or correct the name of the column',
    )
  return _Row(line, *(row[key] for key in source.columns))


def _collect(
  source: TabularSource, kind: str, contents: _Contents, rows: _Rows
) -> text_records.TextRecords:
  """Interprets rows of either format; counts or raises what is wrong."""
  meanings = {_folded(label): 0 for label in source.negative_labels}
  meanings |= {_folded(label): 1 for label in source.positive_labels}
  clients: list[str] = []
  texts: list[str] = []
  labels: list[int] = []
  skipped: dict[str, dict[str, int]] = {}
  num_skipped = 0
  first_error = None
  for row in rows:
    try:
      if isinstance(row, MalformedRowError):
        raise row
      client, text, label = _interpret(source, row, meanings)
    except MalformedRowError as error:
      if not source.skip_bad_rows:
        raise
      num_skipped += 1
      first_error = first_error or error
      entry = skipped.setdefault(
        error.reason, {'count': 0, 'first_line': error.line}
      )
      entry['count'] += 1
      continue
    clients.append(client)
    texts.append(text)
    labels.append(label)
  if first_error and not texts:
    raise NoRowsError(
      f'Expected usable rows in {source.path}, found {num_skipped} rows which '
      f'are all bad, the first of them: {first_error}'
    ) from first_error
  if not texts:
    what = 'only a header' if any(map(str.strip, contents.lines)) else 'nothing'
    raise NoRowsError(
      f'Expected rows in {source.path}, found {what}; add labelled texts.'
    )
  return text_records.TextRecords(
    texts=tuple(texts),
    labels=np.array(labels, np.int32),
    clients=tuple(clients),
    label_names=source.label_names,
    provenance={
      'source': kind,
      'file': source.path.name,
      'sha256': contents.sha256,
      'rows_read': len(texts) + num_skipped,
      'skipped_rows': skipped,
    },
  )


def _interpret(
  source: TabularSource, row: _Row, meanings: dict[str, int]
) -> tuple[str, str, int]:
  """Returns the person (stripped), the text (as it is) and the label."""

  def malformed(reason: str, explanation: str) -> MalformedRowError:
    return MalformedRowError(source.path, row.line, reason, explanation)

  for column, value, accepted in zip(
    source.columns,
    (row.client, row.text, row.label),
    # bool is a subclass of int: no person is called true.
    ((str, int), (str,), (str, int, float, bool)),
    strict=True,
  ):
    if type(value) not in accepted:
      raise malformed(
        'wrong type',
        f'expected {column!r} to be '
        f'{" or ".join(_JSON_TYPES[kind] for kind in accepted)}, found '
        f'{_JSON_TYPES[type(value)]} ({_shown(value)}); correct it',
      )
  # Stripped, so that no one is two clients, each with a privacy of their own.
  client, text = str(row.client).strip(), row.text
  for what, column, value in (
    ('person', source.client_column, client),
    ('text', source.text_column, text),
  ):
    if not value.strip():
      raise malformed(
        f'empty {what}',
        f'expected a {what} in {column!r}, found none; fill it in, or remove '
        'the row',
      )
    if _NO_TEXT.search(value):
      raise malformed(
        'not a text',
        f'expected a {what} in {column!r} without NUL characters and lone '
        f"surrogates, found {_shown(value)}; pass the file's real encoding as "
        '--csv_encoding, or correct the row',
      )
  label = _label_key(row.label)
  if label not in meanings:
    raise malformed(
      'unknown label',
      f'expected {source.label_column!r} to be one of '
      f'{_listed(source.negative_labels)} or one of '
      f'{_listed(source.positive_labels)}, found {_shown(row.label)}; correct '
      'it, or pass --negative_labels and --positive_labels',
    )
  return client, text, meanings[label]


def _label_key(value: str | int | float | bool) -> str:
  """Returns what is compared with the accepted labels."""
  if isinstance(value, float) and value.is_integer():
    value = int(value)
  return _folded(str(value))
