"""None, some or all of the outliers take part: what it does to the model."""

import matplotlib.axes
import matplotlib.figure
import numpy as np

from tff_pipelines.reports import (
  appearance,
  focus,
  formats,
  heat_colours,
  line_labels,
  map_record,
  seed_bands,
)


def outliers_picture(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws the shared model's accuracy by step, and its final values.

  Args:
    record: Of the kind `outliers`; its curves have a number `included`.

  Returns:
    The figure, None if the record has no accuracy.
  """
  drawn = [
    curve
    for curve in range(len(record.curves))
    if len(seed_bands.by_step(record, curve)[0])
  ]
  if not drawn:
    return None
  colors = dict(zip(drawn, heat_colours.sequence(len(drawn)), strict=True))
  figure = appearance.figure(3.3 + 0.75 + 0.32 * len(drawn))
  curves, dots = figure.subplots(
    2, 1, height_ratios=(3.3, 0.75 + 0.32 * len(drawn))
  )
  ends, means = [], []
  for curve in drawn:
    steps, values = seed_bands.by_step(record, curve)
    mean = seed_bands.band(values)
    seed_bands.fill(curves, steps, mean, colors[curve], alpha=0.07)
    curves.plot(steps, mean.mean, color=colors[curve], linewidth=2)
    means.append(mean.mean.tolist())
    ends.append(
      line_labels.End(
        float(steps[-1]),
        float(mean.mean[-1]),
        _name(record.curves[curve]),
        colors[curve],
      )
    )
  counts = [len(seed_bands.by_step(record, curve)[1]) for curve in drawn]
  appearance.format_axis(curves.yaxis, 'percent')
  appearance.whole_ticks(curves.xaxis)
  curves.set_xlim(left=0)
  limits, cut = focus.focus_limits(
    means, [], better='higher', bounds=(0.0, 1.0)
  )
  curves.set_ylim(limits)
  appearance.dress(
    curves,
    title='outliers who take part',
    x=f'local steps ({seed_bands.band_text(counts)})',
    y='accuracy of the shared model',
  )
  if cut:
    appearance.remark(curves, 'the first merges lie below')
  for row, curve in enumerate(drawn):
    _draw_dots(dots, record, curve, row, colors[curve])
  dots.set_yticks(
    range(len(drawn)), [_name(record.curves[curve]) for curve in drawn]
  )
  dots.set_ylim(len(drawn) - 0.5, -0.6)
  appearance.format_axis(dots.xaxis, 'percent')
  appearance.dress(dots, title='at the end', x='accuracy of the shared model')
  dots.grid(visible=False, axis='y')
  dots.grid(axis='x', color='#e2e2e2', linewidth=0.8)
  dots.tick_params(axis='y', length=0)
  line_labels.draw(curves, ends)
  return figure


def _name(curve: map_record.Curve) -> str:
  included = curve.number('included')
  if included is None:
    return appearance.label(curve.name, 22)
  if not included:
    return 'no outlier'
  return f'{included:,.0f} outlier{"s" if included > 1 else ""}'


def _draw_dots(
  axes: matplotlib.axes.Axes,
  record: map_record.MapRecord,
  curve: int,
  row: int,
  color: str,
) -> None:
  """Single seeds as faint dots, their mean as a strong one with its number."""
  values = seed_bands.last(record, curve).to_numpy(float)
  # In a fixed pattern, so that no seed hides another.
  heights = row + 0.3 * ((np.arange(len(values)) * 0.618) % 1.0 - 0.5)
  axes.plot(
    values, heights, linestyle='none', marker='o', markersize=3.5, color=color,
    alpha=0.35, markeredgewidth=0,
  )  # fmt: skip
  found = seed_bands.band(values)
  axes.plot(
    [found.low, found.high], [row, row], color=color, linewidth=2.2, zorder=3
  )
  axes.plot(found.mean, row, marker='o', markersize=7, color=color, zorder=4)
  axes.text(
    1.02,
    row,
    formats.number(float(found.mean), 'percent'),
    transform=axes.get_yaxis_transform(),
    va='center',
    fontsize=9.5,
    color=color,
    fontweight='bold',
  )
