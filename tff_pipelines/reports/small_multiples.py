"""Every other metric of a run, one small picture each."""

import math

import matplotlib.axes
import matplotlib.figure
import matplotlib.lines
import matplotlib.ticker
import numpy as np
import pandas as pd

from tff_pipelines.reports import (
  appearance,
  byte_curves,
  curves,
  privacy_record,
  results,
  run_reader,
)

# From here on single rounds would fill the picture like a carpet.
_LONG = 200

_UNITS: dict[str, tuple[str, results.Format]] = {
  '_seconds': ('seconds', 'ratio'),
  '_bytes': ('', 'bytes'),  # The ticks say kB or MB.
  '_examples': ('examples', 'count'),
}


def other_metrics(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws the metrics that are in neither group `train` nor group `test`.

  Args:
    run: The run.

  Returns:
    The figure, None if there are no such metrics.
  """
  names = _names(run)
  if not names:
    return None
  looks = appearance.looks(curves.run_systems(run))
  num_rows = math.ceil(len(names) / 2)
  figure = appearance.figure(0.4 + 1.75 * num_rows)
  axes = figure.subplots(num_rows, 2, squeeze=False).ravel()
  drawn = {}
  for panel, name in zip(axes, names, strict=False):
    for system, table in run.metrics.items():
      if name not in table:
        continue
      rounds = table['round_num'].to_numpy(float)
      values = table[name].to_numpy(float)
      present = np.isfinite(rounds) & np.isfinite(values)
      if present.any():
        drawn[system] = _draw_series(
          panel, rounds[present], values[present], looks[system]
        )
    _dress(panel, name)
  for panel in axes[len(names) :]:
    panel.set_axis_off()
  if len(drawn) > 1:
    names = [results.display_name(system) for system in drawn]
    appearance.legend(
      figure,
      list(drawn.values()),
      [appearance.label(name) for name in names],
      columns=3,
    )
  return figure


def _draw_series(
  panel: matplotlib.axes.Axes,
  rounds: np.ndarray,
  values: np.ndarray,
  look: appearance.Look,
) -> matplotlib.lines.Line2D:
  if len(values) > _LONG:
    panel.plot(rounds, values, color=look.color, linewidth=0.5, alpha=0.3)
    values = (
      pd.Series(values)
      .rolling(len(values) // 40, center=True, min_periods=1)
      .mean()
      .to_numpy()
    )
  (line,) = panel.plot(
    rounds,
    values,
    color=look.color,
    linestyle=look.linestyle,
    linewidth=1.4,
    marker=look.marker if len(values) == 1 else None,
  )
  return line


def _names(run: run_reader.Run) -> list[str]:
  found: dict[str, None] = {}
  for table in run.metrics.values():
    for name in table.columns:
      group = name.partition('/')[0]
      if name == 'round_num' or group in ('train', 'test'):
        continue
      if name == privacy_record.METRIC or name in byte_curves.METRICS:
        continue  # They have pictures of their own.
      if np.isfinite(table[name].to_numpy(float)).any():
        found[name] = None
  return list(found)


def _dress(panel: matplotlib.axes.Axes, name: str) -> None:
  group, _, metric = name.rpartition('/')
  unit, value_format = '', None
  for suffix, (suffix_unit, suffix_format) in _UNITS.items():
    if metric.endswith(suffix):
      unit, value_format = suffix_unit, suffix_format
  title = metric.replace('_', ' ')
  if group:
    title = f'{group.replace("_", " ")}: {title}'
  appearance.dress(panel, title='', x='round', y=unit)
  panel.set_title(
    appearance.label(title, 38), loc='left', fontsize=9, color=appearance.INK
  )
  panel.tick_params(labelsize=8)
  panel.xaxis.label.set_fontsize(8)
  panel.yaxis.label.set_fontsize(8)
  appearance.round_axis(panel, 5)
  values = np.concatenate([line.get_ydata() for line in panel.get_lines()])
  if np.ptp(values) == 0:
    # A constant shows how large it is, not a range around it.
    low, high = sorted((0.0, 1.25 * values[0] or 1.0))
    margin = 0.05 * (high - low)
    panel.set_ylim(low - margin, high + margin)
  if value_format is not None:
    appearance.format_axis(panel.yaxis, value_format)
  else:
    # Matplotlib's '1e6' in a corner of the picture is overlooked.
    panel.yaxis.set_major_formatter(
      matplotlib.ticker.FuncFormatter(lambda value, _: f'{value:,.10g}')
    )
    panel.yaxis.set_major_locator(
      matplotlib.ticker.MaxNLocator(4, steps=(1, 2, 2.5, 5, 10))
    )
