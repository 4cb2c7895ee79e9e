"""How every held-out person is served by every system."""

import matplotlib.axes
import matplotlib.figure
import numpy as np
import pandas as pd

from tff_pipelines.core import wording
from tff_pipelines.reports import (
  appearance,
  curves,
  formats,
  ngram_rows,
  results,
  run_reader,
  strips,
)

_BETTER = '#0072b2'
_WORSE = '#d55e00'


def people_picture(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws a strip of people for each system, and what each of them gains.

  Args:
    run: The run. The metric is its primary one, or the first of the final
      table that was measured of single people.

  Returns:
    The figure, None if it was not measured.
  """
  table = run.people
  if table is None:
    return None
  column = _column(run, table)
  if column is None:
    return None
  # A person of whom nothing could be predicted has no value.
  table = table[np.isfinite(table[column.key].to_numpy(float))]
  systems = [
    system
    for system in curves.run_systems(run)
    if (table['system'] == system).any()
  ]
  gains = _gains(run, table, column, systems)
  heights = [1.05 + 0.42 * len(systems)]
  if gains is not None:
    heights.append(2.7)
  figure = appearance.figure(sum(heights), simulation_only=True)
  axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[
    :, 0
  ]
  _draw_strips(axes[0], run, table, column, systems)
  if gains is not None:
    _draw_gains(axes[1], gains[1], gains[0], column)
  return figure


def _column(run: run_reader.Run, table: pd.DataFrame) -> results.Column | None:
  known = table[table['system'].isin(curves.run_systems(run))]
  for column in (run.results.primary_column, *run.results.columns):
    if column.key in known and np.isfinite(known[column.key]).any():
      return column
  return None


def _gains(
  run: run_reader.Run,
  table: pd.DataFrame,
  column: results.Column,
  systems: list[str],
) -> tuple[str, np.ndarray] | None:
  """What the main system is compared with, and each person's gain, rising."""
  baseline = ngram_rows.strongest(run.results, systems) or 'central'
  if not {run_reader.MAIN_SYSTEM, baseline} <= set(systems):
    return None
  wide = table.pivot(index='client_id', columns='system', values=column.key)
  gains = (wide[run_reader.MAIN_SYSTEM] - wide[baseline]).dropna()
  if column.better == 'lower':
    gains = -gains
  if gains.empty:
    return None
  return baseline, np.sort(gains.to_numpy(float))


def _draw_strips(
  axes: matplotlib.axes.Axes,
  run: run_reader.Run,
  table: pd.DataFrame,
  column: results.Column,
  systems: list[str],
) -> None:
  looks = appearance.looks(curves.run_systems(run))
  found = [
    strips.Strip(
      results.display_name(system),
      table.loc[table['system'] == system, column.key].to_numpy(float),
      looks[system].color,
    )
    for system in systems
  ]
  strips.draw(axes, range(len(found)), found, column.format)
  count = formats.number(table['client_id'].nunique(), 'count')
  strips.dress(
    axes,
    title=appearance.label(f'{column.title} for each person', 30),
    quantity=f'{appearance.label(column.title)} on the own text of {count} '
    'held-out people',
  )


def _draw_gains(
  axes: matplotlib.axes.Axes,
  gains: np.ndarray,
  baseline: str,
  column: results.Column,
) -> None:
  unit = ''
  if column.format == 'percent':
    gains, unit = 100 * gains, ' points'
  edges = np.arange(len(gains) + 1) + 0.5
  for part, color in (
    (np.maximum(gains, 0.0), _BETTER),
    (np.minimum(gains, 0.0), _WORSE),
  ):
    axes.stairs(part, edges, fill=True, color=color, linewidth=0, alpha=0.8)
  axes.axhline(0.0, color=appearance.INK, linewidth=1.0)
  median = float(np.median(gains))
  axes.axhline(
    median, color=appearance.INK, linewidth=1.2, linestyle=(0, (4, 3))
  )
  axes.annotate(
    f'median: {_signed(median)}{unit}',
    xy=(edges[0], max(median, 0.0)),
    xytext=(4, 4),
    textcoords='offset points',
    fontsize=9.5,
    color=appearance.INK,
  )
  axes.set_xlim(edges[0], edges[-1])
  low, high = min(gains[0], 0.0), max(gains[-1], 0.0)
  margin = 0.08 * (high - low) or 1.0
  # Room for the words above the median, however flat the picture is.
  high = max(high + margin, max(median, 0.0) + 0.22 * (high - low))
  axes.set_ylim(low - margin, high)
  appearance.format_axis(axes.xaxis, 'count')
  share = formats.number(float(np.mean(gains > 0)), 'percent')
  names = ['federated', results.display_name(baseline)]
  if column.better == 'lower':
    names.reverse()
  appearance.dress(
    axes,
    title=f'{share} of the people are better off',
    x=f'{wording.people(len(gains))}, sorted: blue gain by federated, '
    'orange lose',
    y=f'{" minus ".join(names)}{f",{chr(10)}points" if unit else ""}',
    simulation_only=True,
  )


def _signed(value: float) -> str:
  return f'{value:+,.1f}' if abs(value) >= 0.95 else f'{value:+.2g}'
