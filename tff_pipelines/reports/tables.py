"""The final table, for a terminal and for a page: the same cells in both."""

from collections.abc import Mapping, Sequence
import html
from typing import Any

import rich.box
import rich.table
import rich.text

from tff_pipelines.reports import formats, results


def console_table(
  content: results.Results | Mapping[str, Any],
) -> rich.table.Table:
  """Builds the final table for the terminal.

  Args:
    content: The results, or the mapping that results.json holds.

  Raises:
    MalformedResultsError: If the mapping has another form.
  """
  final = results.parse(content)
  table = rich.table.Table(
    # Text, not str: brackets in a name are no markup.
    title=rich.text.Text(final.title, style='bold'),
    title_justify='left',
    box=rich.box.SIMPLE_HEAD,
    show_edge=False,
    pad_edge=False,
    collapse_padding=True,
  )
  names = [results.display_name(system) for system in final.systems]
  table.add_column(
    rich.text.Text(final.row_title),
    min_width=_longest_word(final.row_title, *names),
  )
  for column in final.columns:
    extents = [formats.extent_text(row, column) for row in final.rows]
    table.add_column(
      rich.text.Text(column.title),
      justify='right',
      # Room for 'to 97.0)', or the range would take three lines.
      min_width=_longest_word(
        column.title, *(f'to_{text.split()[-1]})' for text in extents if text)
      ),
    )
  for row in final.rows:
    cells = [formats.cell(row, column) for column in final.columns]
    table.add_row(
      rich.text.Text(results.display_name(row['system'])),
      # The range stands on a line of its own, or no table with a local row
      # would fit in 80 columns.
      *(rich.text.Text(cell.replace(' (', '\n(')) for cell in cells),
    )
  return table


def html_table(content: results.Results | Mapping[str, Any]) -> str:
  """Builds the final table as HTML; the best value of a column is bold.

  Args:
    content: The results, or the mapping that results.json holds.

  Raises:
    MalformedResultsError: If the mapping has another form.
  """
  final = results.parse(content)
  heads = ''.join(_head(column) for column in final.columns)
  best = {column.key: _best(final, column) for column in final.columns}
  rows = []
  for row in final.rows:
    name = html.escape(results.display_name(row['system']))
    cells = ''.join(
      _cell(row, column, best[column.key]) for column in final.columns
    )
    rows.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
  return (
    '<div class="scroll"><table>\n'
    f'<thead><tr><th scope="col">{html.escape(final.row_title)}</th>{heads}'
    '</tr></thead>\n'
    f'<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>'
  )


def plain_html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """Builds an HTML table of plain text; the first cell of a row names it.

  Args:
    head: Column titles, none for a table without a head.
    rows: Cells as text; they are escaped here.
  """
  parts = ['<div class="scroll"><table>']
  if head:
    cells = ''.join(
      f'<th scope="col">{html.escape(title)}</th>' for title in head
    )
    parts.append(f'<thead><tr>{cells}</tr></thead>')
  parts.append('<tbody>')
  for name, *others in rows:
    cells = ''.join(f'<td>{html.escape(cell)}</td>' for cell in others)
    parts.append(f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>')
  parts.append('</tbody></table></div>')
  return '\n'.join(parts)


def _longest_word(*texts: str) -> int:
  words = [word for text in texts for word in text.split()]
  # A terminal has no room for words without end.
  return min(16, max((len(word) for word in words), default=0))


def _head(column: results.Column) -> str:
  direction = (
    f'<small>{column.better} is better</small>' if column.better else ''
  )
  return f'<th scope="col">{html.escape(column.title)}{direction}</th>'


def _cell(
  row: Mapping[str, Any], column: results.Column, best: str | None
) -> str:
  text = formats.cell(row, column)
  value, _, extent = text.partition(' (')
  # Both parts break as a whole, never inside.
  shown = html.escape(value)
  if value == best:
    shown = f'<strong>{shown}</strong>'
  if extent:
    shown += f' <small>({html.escape(extent)}</small>'
  return f'<td>{shown}</td>'


def _best(final: results.Results, column: results.Column) -> str | None:
  """The best value of a column as it is written, so that ties are all bold."""
  values = [results.value(row, column.key) for row in final.rows]
  numbers = [value for value in values if value is not None]
  if column.better is None or len(numbers) < 2:
    return None
  best = max(numbers) if column.better == 'higher' else min(numbers)
  return formats.number(best, column.format)
