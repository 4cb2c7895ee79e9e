"""Writes the report of a reproduction: report.html and figures/.

Reads reproduction.json, which holds all that it shows.
"""

import base64
from collections.abc import Mapping
import html
import pathlib
from typing import Any

from tff_pipelines.reports import (
  figures,
  formats,
  page_template,
  reproduction_picture,
  reproduction_tables,
  run_files,
)

FILE_NAME = 'reproduction.json'


def read_record(folder: pathlib.Path) -> dict[str, Any] | None:
  """Returns the content of reproduction.json, None if there is none.

  Raises:
    BrokenRunFileError: If it cannot be read.
  """
  path = folder / FILE_NAME
  return run_files.read_json(path) if path.is_file() else None


def write(folder: pathlib.Path, *, dpi: int = 150) -> pathlib.Path:
  """Draws a reproduction.

  Args:
    folder: Of the paper's reproduction, with a reproduction.json.
    dpi: Pixels an inch; a figure is 6.4 inches wide.

  Returns:
    The path of report.html.

  Raises:
    BrokenRunFileError: If reproduction.json is missing or cannot be read.
  """
  record = run_files.read_json(folder / FILE_NAME)
  (folder / 'figures').mkdir(exist_ok=True)
  sections = []
  for experiment in record['experiments']:
    pictures = []
    for index, figure in enumerate(experiment['figures'], start=1):
      drawn = reproduction_picture.draw(figure, experiment['claims'])
      if drawn is None:
        continue
      png = figures.png(drawn, dpi)
      name = f'{experiment["name"]}_{index}'
      run_files.write_atomically(folder / 'figures' / f'{name}.png', png)
      run_files.write_atomically(
        folder / 'figures' / f'{name}.svg', figures.svg(drawn)
      )
      pictures.append(_figure_html(figure, png))
    sections.append(_section(experiment, pictures, record['machine']))
  paper = record['paper']
  page = page_template.fill(
    title=html.escape(f'{paper["title"]}, reproduced'),
    result=html.escape(reproduction_tables.summary(record['experiments'])),
    sections='\n'.join([_source(paper), *sections]),
  )
  report = folder / 'report.html'
  run_files.write_atomically(report, page.encode())
  return report


def _source(paper: Mapping[str, Any]) -> str:
  year = f', {paper["year"]}' if paper['year'] is not None else ''
  text = f'{paper["authors"]}{year}. {paper["source"]}'
  return f'<p class="context">{html.escape(text)}</p>'


def _figure_html(figure: Mapping[str, Any], png: bytes) -> str:
  data = base64.b64encode(png).decode('ascii')
  caption = reproduction_picture.caption(figure)
  return (
    f'<figure>\n<img alt="{html.escape(figure["title"])}" '
    f'src="data:image/png;base64,{data}">\n'
    f'<figcaption>{html.escape(caption)}</figcaption>\n</figure>'
  )


def _section(
  experiment: Mapping[str, Any],
  pictures: list[str],
  machine: Mapping[str, Any],
) -> str:
  parts = [f'<h2>{html.escape(reproduction_tables.title(experiment))}</h2>']
  table = _cross_table(experiment)
  if table:
    parts.append(table)
  parts += pictures
  parts.append(reproduction_tables.claims_html(experiment))
  if experiment['deviations']:
    items = ''.join(
      f'<li>{html.escape(each)}</li>' for each in experiment['deviations']
    )
    parts.append(
      f'<h3>What differs from the paper</h3>\n<ul class="notes">{items}</ul>'
    )
  parts.append(reproduction_tables.grid_html(experiment))
  effort = reproduction_tables.effort(experiment, machine)
  parts.append(f'<p class="context">{html.escape(effort)}</p>')
  return (
    '<section>\n' + '\n'.join(part for part in parts if part) + '\n</section>'
  )


def _cross_table(experiment: Mapping[str, Any]) -> str:
  """A table as the paper has it: measured, and the paper's number small."""
  placed = [claim for claim in experiment['claims'] if claim['row']]
  if not placed:
    return ''
  rows = list(dict.fromkeys(claim['row'] for claim in placed))
  columns = list(dict.fromkeys(claim['column'] for claim in placed))
  found = {(claim['row'], claim['column']): claim for claim in placed}
  head = ''.join(
    f'<th scope="col">{html.escape(column)}</th>' for column in columns
  )
  lines = []
  for row in rows:
    cells = ''.join(_cross_cell(found.get((row, c))) for c in columns)
    lines.append(f'<tr><th scope="row">{html.escape(row)}</th>{cells}</tr>')
  return (
    '<div class="scroll"><table>\n'
    f'<thead><tr><th scope="col"></th>{head}</tr></thead>\n<tbody>\n'
    f'{chr(10).join(lines)}\n</tbody></table></div>'
  )


def _cross_cell(claim: Mapping[str, Any] | None) -> str:
  if claim is None:
    return f'<td>{formats.MISSING}</td>'
  _, _, paper, measured, *_ = reproduction_tables.cells(claim)
  text = html.escape(measured)
  if claim['verdict'] == 'met':
    text = f'<strong>{text}</strong>'
  elif claim['verdict'] in ('missed', 'undecided', 'failed'):
    text += f' <em>{claim["verdict"]}</em>'
  small = [reproduction_tables.extent_text(claim)]
  if claim['paper'] is not None:
    small.append(f'paper: {paper}')
  text += ''.join(
    f'<small>{html.escape(each)}</small>' for each in small if each
  )
  return f'<td>{text}</td>'
