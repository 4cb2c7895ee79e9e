"""What a reproduction found, as tables: for a terminal and for a page."""

from collections.abc import Mapping, Sequence
import html
import math
import re
from typing import Any

import rich.box
import rich.table
import rich.text

from tff_pipelines.reports import formats, results

_SHOWN = {
  'met': 'met',
  'missed': 'MISSED',
  'undecided': 'undecided',
  'shown': '',
  'failed': 'FAILED',
}
_STYLES = {
  'met': 'green',
  'missed': 'bold red',
  'undecided': 'yellow',
  'failed': 'bold red',
}
_COLORS = {'met': '#00734f', 'missed': '#b03a00', 'failed': '#b03a00'}


def number_text(
  number: Sequence[float] | None, kind: results.Format, *, sign: bool = False
) -> str:
  """Writes a number, or what is known of it: '> 480'.

  Args:
    number: [low, high], the same twice if it is known.
    kind: How it is written.
    sign: Whether it is a difference, with its sign; of fractions in points.
  """
  if number is None:
    return formats.MISSING
  low, high = number
  if low == high:
    return _written(low, kind, sign)
  if math.isinf(high):
    return f'> {_written(low, kind, sign)}'
  if math.isinf(low) or low == 0:
    return f'< {_written(high, kind, sign)}'
  return f'{_written(low, kind, sign)} to {_written(high, kind, sign)}'


def _written(value: float, kind: results.Format, sign: bool) -> str:
  if sign and kind == 'percent':
    text = f'{100 * value:+.2f} points'
  elif kind == 'count':
    text = f'{value:,.0f}' if abs(value) >= 100 else f'{value:.1f}'
    text = text.removesuffix('.0')
  elif kind == 'percent':
    text = f'{100 * value:.4g} %'
  elif kind == 'ratio':
    text = f'{value:,.4g}'
  else:
    text = formats.number(value, kind)
  if sign and kind != 'percent' and value > 0:
    text = f'+{text}'
  return text.replace('-', '\N{MINUS SIGN}') if sign else text


def bound_text(claim: Mapping[str, Any]) -> str:
  """Writes what was asked of a claim: 'at most 87', '' if nothing."""
  low, high = claim['low'], claim['high']

  def text(value: float) -> str:
    return number_text([value, value], claim['format'], sign=claim['sign'])

  if math.isinf(low) and math.isinf(high):
    return ''
  if math.isinf(low):
    return f'at most {text(high)}'
  if math.isinf(high):
    return f'at least {text(low)}'
  return f'{text(low)} to {text(high)}'


def cells(claim: Mapping[str, Any]) -> list[str]:
  """The cells of a claim: label, where, paper, measured, seeds, asked, verdict.

  Args:
    claim: As in reproduction.json.
  """
  kind, sign = claim['format'], claim['sign']
  paper = claim['paper']
  seeds = [number_text(n, kind, sign=sign) for n in claim['numbers']]
  return [
    claim['label'],
    claim['where'],
    number_text(None if paper is None else [paper, paper], kind, sign=sign),
    number_text(claim['median'], kind, sign=sign),
    _listed(seeds) if len(seeds) > 1 else '',
    bound_text(claim),
    _SHOWN[claim['verdict']],
  ]


def _listed(numbers: Sequence[str]) -> str:
  """Writes numbers one after the other, a unit that all have once."""
  units = {re.sub(r'.*\d', '', number) for number in numbers}
  if len(units) == 1:
    (unit,) = units
    numbers = [number.removesuffix(unit) for number in numbers]
    return ', '.join(numbers) + unit
  return ', '.join(numbers)


def extent_text(claim: Mapping[str, Any]) -> str:
  """Writes from where to where the seeds' numbers are; '' if not known."""
  ends = [end for number in claim['numbers'] for end in number]
  if len(claim['numbers']) < 2 or not all(map(math.isfinite, ends)):
    return ''
  return number_text(
    [min(ends), max(ends)], claim['format'], sign=claim['sign']
  )


_HEAD = (
  'claim', 'where', 'paper', 'measured', 'each seed', 'asked', 'verdict',
)  # fmt: skip


def title(experiment: Mapping[str, Any]) -> str:
  """The experiment's title, and where it is in the paper."""
  where = experiment['where']
  return experiment['title'] + (f' ({where})' if where else '')


def _used(experiment: Mapping[str, Any]) -> list[int]:
  """The columns that have something to tell; the title tells one place."""
  found = [cells(claim) for claim in experiment['claims']]
  told = ('', formats.MISSING, experiment['where'])
  return [
    index
    for index in range(len(_HEAD))
    if index in (0, 3) or any(row[index] not in told for row in found)
  ]


def claims(experiment: Mapping[str, Any]) -> rich.table.Table:
  """Builds the table of an experiment's claims for a terminal."""
  table = rich.table.Table(
    title=rich.text.Text(title(experiment), style='bold'),
    title_justify='left',
    box=rich.box.SIMPLE_HEAD,
    show_edge=False,
    pad_edge=False,
    collapse_padding=True,
  )
  used = _used(experiment)
  for name in (_HEAD[index] for index in used):
    left = name in ('claim', 'where', 'asked', 'verdict')
    table.add_column(name, justify='left' if left else 'right')
  for claim in experiment['claims']:
    row = [rich.text.Text(cells(claim)[index]) for index in used]
    row[-1].stylize(_STYLES.get(claim['verdict'], ''))
    table.add_row(*row)
  return table


def failures(experiment: Mapping[str, Any]) -> list[str]:
  """Says why claims have failed, each reason once."""
  failed = [c for c in experiment['claims'] if c['verdict'] == 'failed']
  return list(dict.fromkeys(f'FAILED: {claim["reason"]}' for claim in failed))


def effort(experiment: Mapping[str, Any], machine: Mapping[str, Any]) -> str:
  """Says how long it took, and where."""
  return (
    f'{formats.number(experiment["seconds"], "seconds")} on {machine["cores"]} '
    f'cores of {machine["processor"]} (expected '
    f'{experiment["minutes"]:g} min)'
  )


def summary(experiments: Sequence[Mapping[str, Any]]) -> str:
  """Says in a sentence how many claims were met."""
  verdicts = [c['verdict'] for each in experiments for c in each['claims']]
  asked = [v for v in verdicts if v != 'shown']
  if not asked:
    return 'Numbers of which nothing was claimed.'
  parts = [f'{asked.count("met")} of {len(asked)} claims met']
  parts += [
    f'{asked.count(name)} {name}'
    for name in ('missed', 'undecided', 'failed')
    if asked.count(name)
  ]
  return ', '.join(parts) + '.'


def overview(rows: Sequence[Sequence[str]]) -> rich.table.Table:
  """Builds the list of all experiments: paper, name, title, minutes."""
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_edge=False)
  for name in ('paper', 'experiment', 'what', 'runs', 'minutes'):
    numeric = name in ('runs', 'minutes')
    table.add_column(name, justify='right' if numeric else 'left')
  for row in rows:
    table.add_row(*(rich.text.Text(cell) for cell in row))
  return table


def claims_html(experiment: Mapping[str, Any]) -> str:
  """Builds the table of an experiment's claims for a page."""
  used = _used(experiment)
  heads = ''.join(f'<th scope="col">{_HEAD[index]}</th>' for index in used)
  rows = []
  for claim in experiment['claims']:
    found = [html.escape(cell) for cell in cells(claim)]
    # A number stays with its unit.
    found = [re.sub(r'(?<=\d) (?=\S+$)', '&nbsp;', cell) for cell in found]
    color = _COLORS.get(claim['verdict'])
    if color:
      found[6] = f'<strong style="color: {color}">{found[6]}</strong>'
    if claim['why']:
      found[5] += f'<small>{html.escape(claim["why"])}</small>'
    first, *others = (found[index] for index in used)
    shown = ''.join(f'<td>{cell}</td>' for cell in others)
    rows.append(f'<tr><th scope="row">{first}</th>{shown}</tr>')
  failed = ''.join(
    f'<p>{html.escape(sentence)}</p>\n' for sentence in failures(experiment)
  )
  return (
    '<div class="scroll wrap"><table>\n'
    f'<thead><tr>{heads}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n'
    f'</tbody></table></div>\n{failed}'
  )


def grid_html(experiment: Mapping[str, Any]) -> str:
  """Builds the table of the best grid values, '' if there was no grid."""
  from_grid = [run for run in experiment['runs'] if len(run['tried']) > 1]
  if not from_grid:
    return ''
  rows = []
  for run in from_grid:
    tried = [
      f'{_values(each["values"])}: '
      + (
        'failed'
        if each['standing'] == 'failed'
        else number_text(each['score'], 'count' if _large(each) else 'ratio')
      )
      for each in run['tried']
    ]
    best = 'none' if run['best'] is None else _values(run['best'])
    cells_ = [run['label'], best, '; '.join(tried)]
    first, *others = map(html.escape, cells_)
    shown = ''.join(f'<td>{cell}</td>' for cell in others)
    rows.append(f'<tr><th scope="row">{first}</th>{shown}</tr>')
  return (
    '<details><summary>The grid, with the first seed</summary>\n'
    '<div class="scroll wrap"><table><thead><tr><th scope="col">run</th>'
    '<th scope="col">best</th><th scope="col">tried</th></tr></thead><tbody>'
    f'{"".join(rows)}</tbody></table></div></details>'
  )


def _large(tried: Mapping[str, Any]) -> bool:
  score = tried['score']
  return score is not None and score[0] >= 2


def _values(values: Mapping[str, Any]) -> str:
  return ', '.join(
    f'{name.replace("_", " ")} {value}' for name, value in values.items()
  )
