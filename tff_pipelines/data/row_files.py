"""Files of rows that a user brings: read line by line, errors name the line.

What the values of a row mean is for the caller to say. Nothing is dropped that
is not counted.
"""

import codecs
from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import hashlib
import pathlib
import re
from typing import Any, Generic, TypeVar

from tff_pipelines.core import errors
from tff_pipelines.data import csv_records

# Strings can hold these, texts in UTF-8 cannot, or only by mistake.
_NO_TEXT = re.compile('[\0\ud800-\udfff]')

Kept = TypeVar('Kept')


class InvalidSourceError(errors.PipelineError):
  """A description of a file that contradicts itself."""


class UnreadableFileError(errors.PipelineError):
  """A file that cannot be read at all."""


class ColumnError(errors.PipelineError):
  """A header that does not name each needed column once."""


class NoRowsError(errors.PipelineError):
  """A file without a single usable row."""


class MalformedRowError(errors.PipelineError):
  """A row that is not what the file is to hold.

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
class Row:
  """A row as it was read, before anyone asks what the values mean.

  Attributes:
    line: Number of the line where it starts, from 1.
    values: Those of the columns that were asked for.
  """

  line: int
  values: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Contents:
  """A file's lines, with their ends, and why some could not be decoded.

  Attributes:
    lines: The lines; no byte order mark.
    undecodable: By number of line, from 1, what is wrong with it.
    sha256: Checksum of the file.
  """

  lines: list[str]
  undecodable: Mapping[int, str]
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


@dataclasses.dataclass(frozen=True)
class Collected(Generic[Kept]):
  """What was made of a file's rows.

  Attributes:
    rows: What `interpret` returned, in the order of the file.
    provenance: source (the format), file (its name), sha256, rows_read (bad
      ones included) and skipped_rows: for each reason its count and the
      first_line where it occurred.
  """

  rows: list[Kept]
  provenance: Mapping[str, Any]


# Either a row or what is wrong with it.
Rows = Iterator[Row | MalformedRowError]


def shown(value: Any) -> str:
  """Returns a value for an error's sentence, cut short."""
  written = repr(value)
  return written if len(written) <= 60 else f'{written[:57]}...'


def listed(names: Sequence[Any]) -> str:
  """Returns values for an error's sentence."""
  return ', '.join(map(shown, names))


def check_encoding(encoding: str) -> None:
  """Refuses what is no encoding of texts.

  Raises:
    InvalidSourceError: With the encoding.
  """
  try:
    ''.encode(encoding)
  except (LookupError, ValueError) as error:
    raise InvalidSourceError(
      'Expected the name of a text encoding such as utf-8 or latin-1 in '
      f'--csv_encoding, found {encoding!r}.'
    ) from error


def check_text(path: pathlib.Path, line: int, what: str, text: str) -> None:
  """Refuses a value that is blank or holds what no text holds.

  Args:
    path: The file.
    line: The row's line.
    what: `person in 'name'`, for the error: what is found where.
    text: The value.

  Raises:
    MalformedRowError: If it is blank, or holds NUL or a lone surrogate.
  """
  if not text.strip():
    raise MalformedRowError(
      path,
      line,
      f'empty {what.split()[0]}',
      f'expected a {what}, found none; fill it in, or remove the row',
    )
  if _NO_TEXT.search(text):
    raise MalformedRowError(
      path,
      line,
      'not a text',
      f'expected a {what} without NUL characters and lone surrogates, found '
      f"{shown(text)}; pass the file's real encoding as --csv_encoding, or "
      'correct the row',
    )


def check_name(path: pathlib.Path, line: int, what: str, name: str) -> str:
  """Returns the name of a client, stripped, if `check_text` accepts it.

  Stripped, so that no one is two clients, each with a privacy of their own.
  """
  stripped = name.strip()
  check_text(path, line, what, stripped)
  return stripped


def read(path: pathlib.Path, encoding: str) -> Contents:
  """Reads and decodes a file line by line.

  Args:
    path: The file.
    encoding: Its encoding. A byte order mark is accepted.

  Raises:
    UnreadableFileError: If the file cannot be read or decoded at all.
  """
  data = _bytes(path)
  sha256 = hashlib.sha256(data).hexdigest()
  codec = codecs.lookup(encoding).name
  if codec == 'utf-8-sig':  # The mark is taken off below, if there is one.
    codec = 'utf-8'
  if '\n'.encode(codec) != b'\n':
    # Bytes of such an encoding (UTF-16, say) cannot be cut into lines.
    data, codec = _transcoded(path, encoding, data), 'utf-8'
  lines: list[str] = []
  undecodable: dict[int, str] = {}
  for number, raw in enumerate(data.splitlines(keepends=True), start=1):
    try:
      lines.append(raw.decode(codec))
    except UnicodeDecodeError as error:
      # Quotes and delimiters survive, so the other rows stay what they are.
      lines.append(raw.decode(codec, 'replace'))
      undecodable[number] = (
        f'expected {encoding} text, found byte '
        f'0x{raw[error.start]:02x} at offset {error.start} of line {number}; '
        f'pass --csv_encoding={_likely_encoding(data)}'
      )
  if lines:
    lines[0] = lines[0].removeprefix('\ufeff')
  return Contents(lines, undecodable, sha256)


def csv_rows(
  path: pathlib.Path, contents: Contents, columns: Sequence[str]
) -> Rows:
  """Yields the rows of comma-separated (.tsv: tab-separated) values.

  The header is the first record. Fields are quoted as in RFC 4180: a quoted
  field may hold delimiters, line ends and doubled quotes; a quote inside an
  unquoted field is a character. After a broken quote reading goes on at the
  line after the row's first.

  Args:
    path: The file.
    contents: What is in it.
    columns: Those whose values to yield.

  Raises:
    ColumnError: If a column is missing, or there twice.
    MalformedRowError: If the header is malformed.
  """
  delimiter = '\t' if path.suffix.lower() == '.tsv' else ','
  records = _records(path, contents, delimiter)
  header = next(records, None)
  if header is None:
    return
  if isinstance(header, MalformedRowError):
    raise header
  names = [str(name).strip() for name in header.values]
  positions = _positions(path, header.line, columns, names)
  for record in records:
    if isinstance(record, MalformedRowError):
      yield record
    elif len(record.values) != len(names):
      yield MalformedRowError(
        path,
        record.line,
        'wrong number of columns',
        f'expected {len(names)} columns as in the header, found '
        f'{len(record.values)}; complete the row, or put fields that hold '
        f'{delimiter!r} or a line end into double quotes',
      )
    else:
      yield Row(record.line, tuple(record.values[p] for p in positions))


def collect(
  path: pathlib.Path,
  source: str,
  contents: Contents,
  rows: Rows,
  interpret: Callable[[Row], Kept],
  *,
  skip_bad_rows: bool,
  what: str,
) -> Collected[Kept]:
  """Interprets rows; counts or raises what is wrong.

  Args:
    path: The file.
    source: Its format, for the provenance.
    contents: What is in it.
    rows: Its rows.
    interpret: Returns what a row means, or raises MalformedRowError.
    skip_bad_rows: Whether bad rows are counted and left out; otherwise the
      first one is an error.
    what: What to add to a file that has none.

  Raises:
    MalformedRowError: If a row is bad, unless `skip_bad_rows`.
    NoRowsError: If there is no row, or none that is not bad.
  """
  kept: list[Kept] = []
  skipped: dict[str, dict[str, int]] = {}
  num_skipped = 0
  first_error = None
  for row in rows:
    try:
      if isinstance(row, MalformedRowError):
        raise row
      kept.append(interpret(row))
    except MalformedRowError as error:
      if not skip_bad_rows:
        raise
      num_skipped += 1
      first_error = first_error or error
      entry = skipped.setdefault(
        error.reason, {'count': 0, 'first_line': error.line}
      )
      entry['count'] += 1
  if first_error and not kept:
    raise NoRowsError(
      f'Expected usable rows in {path}, found {num_skipped} rows which '
      f'are all bad, the first of them: {first_error}'
    ) from first_error
  if not kept:
    found = (
      'only a header' if any(map(str.strip, contents.lines)) else 'nothing'
    )
    raise NoRowsError(f'Expected rows in {path}, found {found}; add {what}.')
  return Collected(
    kept,
    {
      'source': source,
      'file': path.name,
      'sha256': contents.sha256,
      'rows_read': len(kept) + num_skipped,
      'skipped_rows': skipped,
    },
  )


def _bytes(path: pathlib.Path) -> bytes:
  try:
    return path.read_bytes()
  except FileNotFoundError as error:
    raise UnreadableFileError(
      f'Expected a file at {path}, found none; correct the path.'
    ) from error
  except IsADirectoryError as error:
    raise UnreadableFileError(
      f'Expected a file at {path}, found a directory; give the path of '
      'a file in it.'
    ) from error
  except OSError as error:
    raise UnreadableFileError(
      f'Could not read {path} ({error.strerror}); make it readable.'
    ) from error


def _likely_encoding(data: bytes) -> str:
  if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
    return 'utf-16'
  return "latin-1, or the file's real encoding"


def _transcoded(path: pathlib.Path, encoding: str, data: bytes) -> bytes:
  """Returns the same text in UTF-8."""
  try:
    # Lone surrogates, which some codecs produce, fail later in their own row.
    return data.decode(encoding).encode('utf-8', 'surrogatepass')
  except UnicodeError as error:
    at = f' at offset {error.start}' if hasattr(error, 'start') else ''
    raise UnreadableFileError(
      f'Expected {encoding} text in {path}, found something '
      f"else{at}; pass the file's real encoding as --csv_encoding."
    ) from error


def _records(path: pathlib.Path, contents: Contents, delimiter: str) -> Rows:
  """Yields all fields of each record that is not a blank line."""
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
      yield Row(start + 1, tuple(fields))
    else:
      yield MalformedRowError(path, start + 1, 'undecodable bytes', why)
    start = end


def _positions(
  path: pathlib.Path, line: int, columns: Sequence[str], header: Sequence[str]
) -> list[int]:
  """Returns where the wanted columns stand in a record."""
  for column in columns:
    count = header.count(column)
    if count != 1:
      raise ColumnError(
        f'{path}, line {line}: expected one column {column!r}, found '
        f'{count or "none"} among the columns {listed(header)}; correct '
        'the header or the name of the column.'
      )
  return [header.index(column) for column in columns]
