"""The figures of a reproduction: the paper's points beside what was measured.

Coloured: measured here. Seeds that were measured at the same places are their
median and a band, others a thin line or dot each. Hollow black marks: the
paper.
"""

from collections.abc import Mapping, Sequence
import itertools
import math
from typing import Any

import matplotlib.axes
import matplotlib.figure
import matplotlib.lines
import numpy as np

from tff_pipelines.reports import appearance

# Told apart by the colour blind; the first that systems have elsewhere.
_LOOKS = tuple(
  appearance.looks(('federated', 'central', 'secure_federated')).values()
)
_PAPER_MARKERS = 'sD^vo*'
_SEED_ALPHA = 0.45

_Points = Sequence[Sequence[float]]  # Pairs (x, y).


def looks(count: int) -> list[appearance.Look]:
  """A look for each of so many curves."""
  every = [*_LOOKS, *appearance.other_looks(8)]
  return list(itertools.islice(itertools.cycle(every), count))


def draw(
  figure: Mapping[str, Any], claims: Sequence[Mapping[str, Any]]
) -> matplotlib.figure.Figure | None:
  """Draws a figure of reproduction.json; None if nothing was measured."""
  if figure['kind'] == 'claims':
    return _draw_claims(figure, claims)
  return _draw_curves(figure)


def _draw_curves(
  figure: Mapping[str, Any],
) -> matplotlib.figure.Figure | None:
  curves = [curve for curve in figure['curves'] if curve['lines']]
  if not curves:
    return None
  found = appearance.figure(3.6)
  axes = found.add_subplot()
  handles = []
  for curve, look in zip(curves, looks(len(curves)), strict=True):
    # A logarithmic axis has no 0, at which the bytes of round 0 are.
    lines = [
      [p for p in line['points'] if p[0] > 0 or not figure['log']]
      for line in curve['lines']
    ]
    if _is_band(curve):
      _draw_band(axes, lines, look)
    else:
      _draw_lines(axes, lines, look)
    handles.append(
      matplotlib.lines.Line2D(
        [], [], color=look.color, linestyle=look.linestyle, linewidth=1.8,
        label=appearance.label(curve['label'], 40),
      )
    )  # fmt: skip
  for points, marker in zip(
    figure['paper'], itertools.cycle(_PAPER_MARKERS), strict=False
  ):
    x, y = zip(*points['points'], strict=True) if points['points'] else ((), ())
    (drawn,) = axes.plot(
      x,
      y,
      color='black',
      linestyle=':' if points['line'] else 'none',
      linewidth=1.2,
      marker=marker,
      markersize=7,
      markerfacecolor='none',
      label=appearance.label(points['label'], 40),
      zorder=4,
    )
    handles.append(drawn)
  _dress(axes, figure, _usual_title(figure['x']), _usual_title(figure['y']))
  if figure['y_limits']:
    axes.set_ylim(*figure['y_limits'])
  if figure['log']:
    axes.set_xscale('log')
  if figure['x'].endswith('bytes'):
    appearance.format_axis(axes.xaxis, 'bytes')
  elif figure['x'] == 'round_num' and not figure['log']:
    appearance.round_axis(axes)
  if 'accuracy' in figure['y'] or 'recall' in figure['y']:
    appearance.format_axis(axes.yaxis, 'percent')
  labels = [str(handle.get_label()) for handle in handles]
  appearance.legend(found, handles, labels)
  return found


def _is_band(curve: Mapping[str, Any]) -> bool:
  """Whether there are several seeds, all measured at the same places."""
  places = [[x for x, _ in line['points']] for line in curve['lines']]
  return len(places) > 1 and all(each == places[0] for each in places)


def _draw_band(
  axes: matplotlib.axes.Axes, lines: Sequence[_Points], look: appearance.Look
) -> None:
  x = [each for each, _ in lines[0]]
  values = np.array([[y for _, y in points] for points in lines])
  axes.fill_between(
    x, values.min(axis=0), values.max(axis=0), color=look.color, alpha=0.18,
    linewidth=0,
  )  # fmt: skip
  axes.plot(
    x, np.median(values, axis=0), color=look.color, linestyle=look.linestyle,
    linewidth=1.8,
  )  # fmt: skip


def _draw_lines(
  axes: matplotlib.axes.Axes, lines: Sequence[_Points], look: appearance.Look
) -> None:
  several = len(lines) > 1
  for points in lines:
    x, y = zip(*points, strict=True) if points else ((), ())
    axes.plot(
      x,
      y,
      color=look.color,
      linestyle=look.linestyle,
      linewidth=1.2 if several else 1.8,
      alpha=0.75 if several else 1.0,
    )


def _draw_claims(
  figure: Mapping[str, Any], claims: Sequence[Mapping[str, Any]]
) -> matplotlib.figure.Figure | None:
  placed = [claim for claim in claims if claim['row']]
  if not any(claim['numbers'] for claim in placed):
    return None
  rows = list(dict.fromkeys(claim['row'] for claim in placed))
  columns = list(dict.fromkeys(claim['column'] for claim in placed))
  found = appearance.figure(3.6)
  axes = found.add_subplot()
  handles = []
  for index, (column, look) in enumerate(
    zip(columns, looks(len(columns)), strict=True)
  ):
    shift = 0.22 * (index - (len(columns) - 1) / 2)
    for claim in placed:
      if claim['column'] != column:
        continue
      x = rows.index(claim['row']) + shift
      if claim['paper'] is not None:
        axes.plot(
          x, claim['paper'], color='black', marker='_', markersize=16,
          markeredgewidth=2, zorder=2,
        )  # fmt: skip
      for low, high in claim['numbers']:
        _dot(axes, x, low, high, look, faint=True)
      if claim['median'] is not None:
        low, high = claim['median']
        _dot(axes, x, low, high, look, faint=False)
    handles.append(
      matplotlib.lines.Line2D(
        [], [], color=look.color, marker=look.marker, linestyle='none',
        label=appearance.label(column),
      )
    )  # fmt: skip
  handles.append(
    matplotlib.lines.Line2D(
      [], [], color='black', marker='_', markersize=12, markeredgewidth=2,
      linestyle='none', label='the paper',
    )
  )  # fmt: skip
  axes.set_xticks(range(len(rows)), [appearance.label(row) for row in rows])
  axes.set_xlim(-0.6, len(rows) - 0.4)
  _dress(axes, figure, '', '')
  if figure['log']:
    axes.set_yscale('log')
    appearance.log_counts(axes.yaxis)
  else:
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
  if any(math.isinf(high) for c in placed for _, high in c['numbers']):
    appearance.remark(axes, 'arrow: more than that')
  labels = [str(handle.get_label()) for handle in handles]
  appearance.legend(found, handles, labels, columns=3)
  return found


def _dot(
  axes: matplotlib.axes.Axes,
  x: float,
  low: float,
  high: float,
  look: appearance.Look,
  *,
  faint: bool,
) -> None:
  known = not math.isinf(high)
  axes.plot(
    x,
    low,
    color=look.color,
    marker=look.marker if known else '$\N{UPWARDS ARROW}$',
    markersize=4.5 if faint else 8,
    alpha=_SEED_ALPHA if faint else 1.0,
    zorder=3,
  )


def _dress(
  axes: matplotlib.axes.Axes, figure: Mapping[str, Any], x: str, y: str
) -> None:
  appearance.dress(
    axes,
    title=appearance.label(figure['title'], 60),
    x=appearance.label(figure['x_title'] or x, 50),
    y=appearance.label(figure['y_title'] or y, 40),
  )


def _usual_title(column: str) -> str:
  if column == 'round_num':
    return 'round'
  return column.replace('test/', 'test ').replace('_', ' ')


def caption(figure: Mapping[str, Any]) -> str:
  """Says how to read a figure."""
  seeds = max((len(c['lines']) for c in figure['curves']), default=0)
  if figure['kind'] == 'claims':
    return (
      'Large: the median of the seeds measured here, small: each seed. Black '
      'bars: the paper.'
    )
  text = 'Coloured: measured here'
  if any(map(_is_band, figure['curves'])):
    text += (
      f', the median of {seeds} seeds in a band from the lowest to the highest'
    )
  elif seeds > 1:
    text += f', a line for each of {seeds} seeds'
  if figure['paper']:
    text += '. Black: the paper'
  return f'{text}.'
