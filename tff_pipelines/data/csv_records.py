"""Splitting lines into comma-separated records, with errors that name lines."""

from collections.abc import Sequence
import re

# What may follow an opening quote: anything, with quotes doubled. Possessive,
# so that it ends at a lone quote or at the end of the line.
_QUOTED = re.compile(r'(?:[^"]++|"")*+')


class BrokenQuoteError(Exception):
  """A quoted field without a proper end; `line` is where its quote opened."""

  def __init__(self, line: int, explanation: str):
    super().__init__(explanation)
    self.line = line


def split_record(
  lines: Sequence[str], start: int, delimiter: str
) -> tuple[list[str], int]:
  """Splits the record that starts at `lines[start]` into fields.

  Accepts what `csv.reader(strict=True)` accepts. That one is of no use here: it
  does not tell where an open quote opened, limits the length of a field in a
  global variable, and cannot go back to the lines that a bad row swallowed.

  Args:
    lines: The file's lines with their ends.
    start: Index of the record's first line.
    delimiter: What separates fields.

  Returns:
    The fields, and the index of the line after the record.

  Raises:
    BrokenQuoteError: If a quoted field does not end, or goes on after its end.
  """
  fields: list[str] = []
  row, at = start, 0
  while True:
    line = lines[row].rstrip('\r\n')
    if line.startswith('"', at):
      opened = row
      field, row, at = _split_quoted(lines, row, at + 1)
      line = lines[row].rstrip('\r\n')
      if at < len(line) and line[at] != delimiter:
        raise BrokenQuoteError(
          opened + 1,
          f'expected {delimiter!r} or the end of the line after the quoted '
          f'field that opens here, found {line[at : at + 20]!r} in line '
          f'{row + 1}; close the field before that, or double the quotes that '
          'belong to its text',
        )
    else:
      end = line.find(delimiter, at)
      end = len(line) if end < 0 else end
      field, at = line[at:end], end
    fields.append(field)
    if at == len(line):
      return fields, row + 1
    at += 1


def _split_quoted(
  lines: Sequence[str], row: int, at: int
) -> tuple[str, int, int]:
  """Returns the quoted field that starts there, and where it has ended."""
  opened = row
  pieces: list[str] = []
  while row < len(lines):
    end = _QUOTED.match(lines[row], at).end()  # type: ignore[union-attr]
    pieces.append(lines[row][at:end])
    if end < len(lines[row]):
      return ''.join(pieces).replace('""', '"'), row, end + 1
    row, at = row + 1, 0
  raise BrokenQuoteError(
    opened + 1,
    'expected the quote that opens here to be closed, found the end of the '
    'file; close it, or double the quotes that belong to a text',
  )
