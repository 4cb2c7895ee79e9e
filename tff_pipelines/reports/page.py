"""Writes the report of a run: report.html and the figures beside it."""

import base64
from collections.abc import Mapping
import html
import os
import pathlib

from tff_pipelines.reports import (
  appearance,
  audit_section,
  client_table,
  curves,
  figures,
  leak,
  map_record,
  memorization_section,
  page_template,
  privacy_section,
  provenance,
  result_sentence,
  run_files,
  run_reader,
  suggestions,
  tables,
)

_MARK = '<p class="mark">Only a simulation can see this</p>\n'


def write(run_dir: str | os.PathLike[str], *, dpi: int = 150) -> pathlib.Path:
  """Draws a run into figures/*.png and *.svg and into a page, report.html.

  The page holds all that it shows.

  Every file appears whole or not at all; drawing twice replaces them.

  Args:
    run_dir: The directory of a run that has ended.
    dpi: Pixels an inch; a figure is 6.4 inches wide.

  Returns:
    The path of report.html.

  Raises:
    NotARunDirectoryError: If it is not the directory of a run.
    BrokenRunFileError: If one of its files cannot be read.
  """
  run = run_reader.read(run_dir)
  pictures = figures.draw_all(run, dpi=dpi)
  folder = run.run_dir / 'figures'
  folder.mkdir(exist_ok=True)
  for path in folder.iterdir():
    # A picture of an earlier drawing would contradict the page.
    if (
      path.suffix in ('.png', '.svg')
      and path.stem not in pictures
      and any(kind.owns(path.stem) for kind in figures.KINDS)
    ):
      path.unlink()
  for picture in pictures.values():
    run_files.write_atomically(folder / f'{picture.name}.png', picture.png)
    run_files.write_atomically(folder / f'{picture.name}.svg', picture.svg)
  report = run.run_dir / 'report.html'
  run_files.write_atomically(report, page(run, pictures).encode())
  return report


def page(run: run_reader.Run, pictures: Mapping[str, figures.Picture]) -> str:
  """Builds the HTML of a report.

  Args:
    run: The run.
    pictures: Its figures by name, as `figures.draw_all` returns them.
  """
  sections = (
    _section('The idea', _pictures(pictures, 'masking_picture')),
    _section('Result', _result(run, pictures)),
    _section('What the keyboard suggests', _suggestions(run)),
    *_maps(run, pictures),
    _section(
      'Learning',
      _pictures(pictures, 'learning_curves', 'loss_curves', 'metric_by_bytes'),
    ),
    _section('Privacy', _privacy(run, pictures)),
    _section('Privacy under attack', _audit(run, pictures), apart=True),
    _section('Memorization', _memorization(run, pictures), apart=True),
    _section('What the server can tell', _leak(run, pictures), apart=True),
    _section('Clients one by one', _clients(run, pictures), apart=True),
    _section('Other measurements', _pictures(pictures, 'other_metrics')),
    _section('How it was made', provenance.provenance_html(run.manifest)),
  )
  return page_template.fill(
    title=html.escape(run.results.title),
    result=html.escape(result_sentence.result_sentence(run.results)),
    sections='\n'.join(section for section in sections if section),
  )


def _section(title: str, content: str, *, apart: bool = False) -> str:
  """A section of the page, '' if it would be empty."""
  if not content:
    return ''
  mark = _MARK if apart else ''
  attribute = ' class="apart"' if apart else ''
  return f'<section{attribute}>\n<h2>{title}</h2>\n{mark}{content}\n</section>'


def _result(
  run: run_reader.Run, pictures: Mapping[str, figures.Picture]
) -> str:
  parts = [tables.html_table(run.results)]
  if run.results.notes:
    items = ''.join(
      f'<li>{html.escape(note)}</li>' for note in run.results.notes
    )
    parts.append(f'<ul class="notes">{items}</ul>')
  parts.append(_pictures(pictures, 'system_comparison', 'phase_costs'))
  return '\n'.join(part for part in parts if part)


def _suggestions(run: run_reader.Run) -> str:
  if not run.suggestions:
    return ''
  return suggestions.suggestions_html(
    run.suggestions, appearance.looks(curves.run_systems(run))
  )


def _maps(
  run: run_reader.Run, pictures: Mapping[str, figures.Picture]
) -> list[str]:
  """A section for each map record, before the first sweep that of all."""
  sections = []
  overview = pictures.get('sweep_overview')
  for record in run.maps:
    if record.kind == 'sweep' and overview is not None:
      sections.append(
        _section(
          'All knobs', _picture(overview), apart=overview.simulation_only
        )
      )
      overview = None
    sections.append(_map(record, pictures))
  return sections


def _map(
  record: map_record.MapRecord, pictures: Mapping[str, figures.Picture]
) -> str:
  own = [each for each in pictures.values() if each.record == record.name]
  if not own:
    return ''
  seen = '\n'.join(_picture(each) for each in own if not each.simulation_only)
  hidden = '\n'.join(_picture(each) for each in own if each.simulation_only)
  parts = [seen or hidden]
  if seen and hidden:
    parts.append(f'<div class="apart">\n{_MARK}{hidden}\n</div>')
  if record.notes:
    items = ''.join(f'<li>{html.escape(note)}</li>' for note in record.notes)
    parts.append(f'<ul class="notes">{items}</ul>')
  parts.append(provenance.settings_html(record.settings))
  return _section(
    html.escape(record.title),
    '\n'.join(part for part in parts if part),
    apart=not seen,
  )


def _privacy(
  run: run_reader.Run, pictures: Mapping[str, figures.Picture]
) -> str:
  parts = (
    privacy_section.privacy_html(run),
    _pictures(pictures, 'epsilon_by_round', 'metric_by_epsilon'),
    privacy_section.settings_html(run),
  )
  return '\n'.join(part for part in parts if part)


def _audit(run: run_reader.Run, pictures: Mapping[str, figures.Picture]) -> str:
  if run.audit is None:
    return ''
  parts = []
  if run.audit.one_shot is not None:
    parts += [
      '<h3>Canaries</h3>',
      audit_section.canaries_html(run.audit.one_shot),
      _pictures(pictures, 'canary_picture'),
    ]
  if run.audit.membership:
    parts += [
      '<h3>Who took part?</h3>',
      audit_section.attacks_html(run),
      _pictures(pictures, 'attack_curves'),
    ]
  if run.audit.outlier:
    parts += [
      '<h3>One unusual client</h3>',
      audit_section.outlier_html(run.audit.outlier),
      _pictures(pictures, 'outlier_picture'),
    ]
  return '\n'.join(parts)


def _memorization(
  run: run_reader.Run, pictures: Mapping[str, figures.Picture]
) -> str:
  if run.memorization is None:
    return ''
  return '\n'.join(
    (
      memorization_section.memorization_html(run.memorization),
      _pictures(pictures, 'memorization_picture'),
      memorization_section.table_html(run.memorization),
    )
  )


def _leak(run: run_reader.Run, pictures: Mapping[str, figures.Picture]) -> str:
  if run.leak is None:
    return ''
  return f'{leak.leak_html(run.leak)}\n{_pictures(pictures, "server_view")}'


def _clients(
  run: run_reader.Run, pictures: Mapping[str, figures.Picture]
) -> str:
  parts = [
    _pictures(
      pictures,
      'people_picture',
      'local_models',
      'personalization_picture',
      'client_data',
      'label_drift',
    )
  ]
  if run.clients is not None and not run.clients.empty:
    parts.append(client_table.client_table(run.clients))
  return '\n'.join(part for part in parts if part)


def _pictures(pictures: Mapping[str, figures.Picture], *names: str) -> str:
  return '\n'.join(
    _picture(pictures[name]) for name in names if name in pictures
  )


def _picture(picture: figures.Picture) -> str:
  data = base64.b64encode(picture.png).decode('ascii')
  return (
    f'<figure>\n<img alt="{html.escape(picture.alt)}" '
    f'src="data:image/png;base64,{data}">\n'
    f'<figcaption>{html.escape(picture.caption)}</figcaption>\n</figure>'
  )
