"""Noise on the places against noise in the aggregator: what each costs."""

from collections.abc import Mapping, Sequence
import dataclasses

import matplotlib.axes
import matplotlib.figure
import matplotlib.lines
import numpy as np

from tff_pipelines.reports import (
  appearance,
  formats,
  heat_colours,
  line_labels,
  map_record,
  seed_bands,
)

LOCATION_NOISE = 'location noise'
CLIPPING = 'clipping and noise'
NO_GUARANTEE = 'this noise carries no guarantee'

IN = appearance.Look('#0072b2', '-', 'o')
OUT = appearance.Look('#0072b2', (0, (4, 2)), 'o')

# Of the larger of two epsilons that are shown as one.
_ALIKE = 0.95


@dataclasses.dataclass(frozen=True)
class Pair:
  """The same setting with the outlier and without; either may be missing.

  Attributes:
    inside: Index of the curve with the outlier.
    outside: Index of that without.
    values: What both were run with.
  """

  inside: int | None
  outside: int | None
  values: map_record.Curve

  @property
  def curves(self) -> tuple[tuple[int, appearance.Look], ...]:
    """What is there, and how it is drawn."""
    both = ((self.inside, IN), (self.outside, OUT))
    return tuple((curve, look) for curve, look in both if curve is not None)


def privacy_picture(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws accuracy under both kinds of noise, with the outlier and without.

  Args:
    record: Of the kind `privacy`; its curves have `mechanism`, `included` (1
      or 0) and `noise`, those with clipping also `epsilon` and `users`.

  Returns:
    The figure, None if the record has no accuracy.
  """
  noisy, clipped = pairs(record, LOCATION_NOISE), pairs(record, CLIPPING)
  if not noisy and not clipped:
    return None
  figure = appearance.figure((3.1 if noisy else 0.0) + 3.0)
  ends: list[tuple[matplotlib.axes.Axes, list[line_labels.End]]] = []
  rows = figure.add_gridspec(2, 2, height_ratios=(3.1 if noisy else 1e-6, 3.0))
  if noisy:
    curves = figure.add_subplot(rows[0, :])
    ends.append((curves, _draw_curves(curves, record, noisy)))
  panels: list[matplotlib.axes.Axes] = []
  for column in range(2):
    if (noisy, clipped)[column]:
      place = rows[1, column] if noisy and clipped else rows[1, :]
      panels.append(
        figure.add_subplot(place, sharey=panels[0] if panels else None)
      )
  if noisy:
    _draw_levels(panels[0], record, noisy)
  if clipped:
    ends.append((panels[-1], _draw_guaranteed(panels[-1], record, clipped)))
  appearance.format_axis(panels[0].yaxis, 'percent')
  panels[0].set_ylabel('accuracy at the end')
  for axes, lines in ends:
    line_labels.draw(axes, lines)
  counts = [
    len(seed_bands.last(record, curve))
    for pair in noisy + clipped
    for curve, _ in pair.curves
  ]
  appearance.legend(
    figure,
    [
      matplotlib.lines.Line2D(
        [], [], color=appearance.INK, linewidth=1.8, linestyle=look.linestyle
      )
      for look in (IN, OUT)
    ],
    [
      'the outlier takes part',
      f'the outlier does not; {seed_bands.band_text(counts)}',
    ],
  )
  return figure


def pairs(record: map_record.MapRecord, mechanism: str) -> list[Pair]:
  """The settings of a mechanism that have accuracy, in the record's order."""
  chosen = [
    (index, curve)
    for index, curve in enumerate(record.curves)
    if curve.values.get('mechanism') == mechanism
    and not seed_bands.last(record, index).empty
  ]
  alike = _alike([curve.number('epsilon') for _, curve in chosen])
  found: dict[tuple[object, ...], dict[int, int]] = {}
  for index, curve in chosen:
    key = (
      curve.number('noise'),
      curve.number('users'),
      alike[curve.number('epsilon')],
    )
    included = int(curve.number('included') or 0)
    found.setdefault(key, {})[min(included, 1)] = index
  pairs_found = []
  for (_, _, epsilon), each in found.items():
    curve = record.curves[next(iter(each.values()))]
    shown = map_record.Curve(curve.name, {**curve.values, 'epsilon': epsilon})
    pairs_found.append(Pair(each.get(1), each.get(0), shown))
  return pairs_found


def _alike(
  epsilons: Sequence[float | None],
) -> dict[float | None, float | None]:
  """For each epsilon the largest of those that were meant to be the same.

  Noise is chosen for an epsilon and gives a little less: with one user more or
  less, the same promise is another number.

  Args:
    epsilons: Of all settings.
  """
  found: dict[float | None, float | None] = {None: None}
  largest = 0.0
  for value in sorted({e for e in epsilons if e is not None}, reverse=True):
    if value < _ALIKE * largest or largest == 0.0:
      largest = value
    found[value] = largest
  return found


def knob(settings: Sequence[Pair]) -> str:
  """What tells the settings of a mechanism apart on an axis.

  The number of users if it varies, else the noise or epsilon.
  """
  for name in ('users', 'noise', 'epsilon'):
    if len({pair.values.number(name) for pair in settings}) > 1:
      return name
  return 'noise'


KNOB_NAMES: Mapping[str, str] = {
  'users': 'users',
  'noise': 'noise level',
  'epsilon': 'epsilon (lower is safer)',
}


def by_epsilon(settings: Sequence[Pair]) -> dict[float | None, list[Pair]]:
  """Lines to draw over the users: one an epsilon, or all in one line.

  Args:
    settings: Of clipping and noise.
  """
  found: dict[float | None, list[Pair]] = {}
  for pair in settings:
    found.setdefault(pair.values.number('epsilon'), []).append(pair)
  if any(len(line) < 2 for line in found.values()):
    return {None: list(settings)}
  return found


def _draw_curves(
  axes: matplotlib.axes.Axes,
  record: map_record.MapRecord,
  noisy: Sequence[Pair],
) -> list[line_labels.End]:
  ends = []
  for pair, color in zip(noisy, heat_colours.sequence(len(noisy)), strict=True):
    finals = []
    for curve, look in pair.curves:
      steps, values = seed_bands.by_step(record, curve)
      if not len(steps):
        continue
      mean = seed_bands.band(values).mean
      axes.plot(
        steps, mean, color=color, linewidth=1.8, linestyle=look.linestyle
      )
      finals.append((float(steps[-1]), float(mean[-1])))
    if finals:
      x, y = np.mean(finals, axis=0)
      text = f'noise level {pair.values.number("noise") or 0.0:g}'
      ends.append(line_labels.End(float(x), float(y), text, color))
  axes.set_xlim(left=0)
  appearance.whole_ticks(axes.xaxis)
  appearance.format_axis(axes.yaxis, 'percent')
  appearance.dress(
    axes, title='noise on the places', x='local steps', y='accuracy'
  )
  _warn(axes)
  return ends


def _warn(axes: matplotlib.axes.Axes) -> None:
  axes.set_title(
    NO_GUARANTEE, loc='right', fontsize=10, fontweight='bold',
    color=heat_colours.OUTLIER,
  )  # fmt: skip


def _draw_levels(
  axes: matplotlib.axes.Axes,
  record: map_record.MapRecord,
  noisy: Sequence[Pair],
) -> None:
  _draw_line(axes, record, noisy, 'noise', '#0072b2')
  _small_title(axes, 'noise on the places', 'no guarantee')
  axes.set_xlabel('noise level')
  appearance.whole_ticks(axes.xaxis)


def _draw_guaranteed(
  axes: matplotlib.axes.Axes,
  record: map_record.MapRecord,
  clipped: Sequence[Pair],
) -> list[line_labels.End]:
  name = knob(clipped)
  ends = []
  lines = by_epsilon(clipped) if name == 'users' else {None: list(clipped)}
  colors = (
    ['#009e73'] if len(lines) == 1 else heat_colours.sequence(len(lines))[::-1]
  )
  for (epsilon, line), color in zip(lines.items(), colors, strict=True):
    points = _draw_line(axes, record, line, name, color)
    if epsilon is not None:
      ends.append(line_labels.End(*points[-1], _epsilon(epsilon), color))
    elif name != 'epsilon':
      for pair, (x, y) in zip(line, points, strict=True):
        value = pair.values.number('epsilon')
        if value is not None:
          _write(axes, x, y, value, color)
  appearance.value_axis(
    axes, [pair.values.number(name) or 0.0 for pair in clipped], most=6
  )
  axes.margins(x=0.12)
  _small_title(axes, 'clipping, noise in the sum', 'guaranteed')
  axes.set_xlabel(KNOB_NAMES[name])
  return ends


def _epsilon(value: float) -> str:
  return f'\N{GREEK SMALL LETTER EPSILON} = {formats.epsilon(value)}'


def _write(
  axes: matplotlib.axes.Axes, x: float, y: float, epsilon: float, color: str
) -> None:
  axes.annotate(
    _epsilon(epsilon), xy=(x, y), xytext=(0, -9), ha='center', va='top',
    textcoords='offset points', fontsize=9, color=color,
  )  # fmt: skip


def _draw_line(
  axes: matplotlib.axes.Axes,
  record: map_record.MapRecord,
  settings: Sequence[Pair],
  name: str,
  color: str,
) -> list[tuple[float, float]]:
  """Draws final accuracy over a knob; returns the middle of each pair."""
  means: dict[float, list[float]] = {}
  for side, look in (('inside', IN), ('outside', OUT)):
    points = []
    for pair in settings:
      curve, x = getattr(pair, side), pair.values.number(name)
      if curve is None or x is None:
        continue
      found = seed_bands.band(seed_bands.last(record, curve).to_numpy(float))
      points.append((x, float(found.mean), float(found.low), float(found.high)))
      means.setdefault(x, []).append(float(found.mean))
    if points:
      x, mean, low, high = np.array(points).T
      axes.plot(
        x, mean, color=color, linewidth=1.6, linestyle=look.linestyle,
        marker=look.marker, markersize=4.5,
        markerfacecolor=color if side == 'inside' else 'white',
      )  # fmt: skip
      axes.fill_between(x, low, high, color=color, alpha=0.12, linewidth=0)
  return [(x, float(np.mean(means[x]))) for x in sorted(means)]


def _small_title(axes: matplotlib.axes.Axes, title: str, remark: str) -> None:
  appearance.dress(axes, title='')
  guaranteed = remark == 'guaranteed'
  axes.set_title(
    title, loc='left', fontsize=9.5, fontweight='bold', color=appearance.INK,
    pad=18,
  )  # fmt: skip
  axes.text(
    0, 1.02, remark, transform=axes.transAxes, fontsize=9, va='bottom',
    color='#00734f' if guaranteed else heat_colours.OUTLIER,
    fontweight='bold',
  )  # fmt: skip
