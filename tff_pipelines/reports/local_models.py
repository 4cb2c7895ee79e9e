"""What a client reaches alone. Only a simulation can see this."""

import matplotlib.axes
import matplotlib.figure
import numpy as np

from tff_pipelines.reports import (
  appearance,
  curves,
  formats,
  ngram_rows,
  results,
  run_reader,
)

# Up to here every client is a point of its own.
_MOST_POINTS = 40


def local_models(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws how good every client's own model is, beside the shared models.

  Args:
    run: The run.

  Returns:
    The figure, None if no client's own model was evaluated.
  """
  table = run.local_models
  if table is None:
    return None
  column = _column(run)
  if column is None:
    return None
  kept = table[np.isfinite(table[column.key].to_numpy(float))]
  values = kept[column.key].to_numpy(float)
  sizes = None
  if 'train_examples' in kept and len(values) > 1:
    sizes = kept['train_examples'].to_numpy(float)
  figure = appearance.figure(
    3.1 if sizes is None else 6.0, simulation_only=True
  )
  axes = figure.subplots(1 if sizes is None else 2, 1, squeeze=False)[:, 0]
  if len(values) <= _MOST_POINTS:
    _draw_points(axes[0], values, column)
  else:
    _draw_histogram(axes[0], values, column)
  _draw_shared_models(axes[0], run, column, vertical=True)
  appearance.format_axis(axes[0].xaxis, column.format)
  _limit_to_bounds(axes[0], column, vertical=True)
  if sizes is not None:
    _draw_by_size(axes[1], sizes, values, column)
    _draw_shared_models(axes[1], run, column, vertical=False)
    appearance.format_axis(axes[1].yaxis, column.format)
    _limit_to_bounds(axes[1], column, vertical=False)
  appearance.legend(figure, *axes[0].get_legend_handles_labels())
  return figure


def _column(run: run_reader.Run) -> results.Column | None:
  table = run.local_models
  assert table is not None
  for column in (run.results.primary_column, *run.results.columns):
    if column.key in table and np.isfinite(table[column.key]).any():
      return column
  return None


def _draw_points(
  axes: matplotlib.axes.Axes, values: np.ndarray, column: results.Column
) -> None:
  axes.plot(
    np.sort(values),
    np.arange(1, len(values) + 1),
    linestyle='none',
    marker='o',
    markersize=6,
    markeredgewidth=0,
    color='#555555',
    label="a client's own model",
  )
  axes.set_ylim(0.5 - 0.02 * len(values), len(values) + 0.5)
  appearance.format_axis(axes.yaxis, 'count')
  appearance.dress(
    axes,
    title=_title(column),
    x=appearance.label(f'{column.title} on the test data', 60),
    y='clients, sorted',
    simulation_only=True,
  )


def _draw_histogram(
  axes: matplotlib.axes.Axes, values: np.ndarray, column: results.Column
) -> None:
  axes.hist(
    values,
    bins=min(40, max(12, round(np.sqrt(len(values))))),
    color='#9a9a9a',
    edgecolor='white',
    linewidth=0.6,
    label="clients' own models",
  )
  median = float(np.median(values))
  axes.axvline(
    median,
    color=appearance.INK,
    linewidth=1.6,
    linestyle=(0, (1.5, 1.5)),
    label=f'their median: {formats.number(median, column.format)}',
  )
  appearance.format_axis(axes.yaxis, 'count')
  appearance.dress(
    axes,
    title=_title(column),
    x=appearance.label(f'{column.title} on the test data', 60),
    y='clients',
    simulation_only=True,
  )


def _draw_by_size(
  axes: matplotlib.axes.Axes,
  sizes: np.ndarray,
  values: np.ndarray,
  column: results.Column,
) -> None:
  axes.plot(
    sizes,
    values,
    linestyle='none',
    marker='o',
    markersize=6 if len(sizes) <= _MOST_POINTS else 4.5,
    markeredgewidth=0,
    color='#555555',
    # Many clients overlap: then darkness shows how many.
    alpha=float(np.clip(100 / len(sizes), 0.12, 1.0)),
  )
  if appearance.spans_decades(sizes):
    axes.set_xscale('log')
    appearance.log_counts(axes.xaxis)
  else:
    appearance.format_axis(axes.xaxis, 'count')
  appearance.dress(
    axes,
    title='does more data of its own help a client?',
    x='training examples of the client',
    y=appearance.label(column.title),
    simulation_only=True,
  )


def _draw_shared_models(
  axes: matplotlib.axes.Axes,
  run: run_reader.Run,
  column: results.Column,
  *,
  vertical: bool,
) -> None:
  looks = appearance.looks(curves.run_systems(run))
  weak = ngram_rows.weaker(run.results)
  for row in run.results.rows:
    value = results.value(row, column.key)
    if row['system'] in ('local', *weak) or value is None:
      continue
    look = looks[row['system']]
    draw = axes.axvline if vertical else axes.axhline
    draw(
      value,
      color=look.color,
      linestyle=look.linestyle,
      linewidth=2,
      label=curves.level_label(row, column),
    )


def _limit_to_bounds(
  axes: matplotlib.axes.Axes, column: results.Column, *, vertical: bool
) -> None:
  """No axis beyond 100 %, but room for a line along it."""
  if column.format != 'percent':
    return
  low, high = axes.get_xlim() if vertical else axes.get_ylim()
  room = 0.015 * (high - low)
  low, high = max(low, -room), min(high, 1 + room)
  if vertical:
    axes.set_xlim(low, high)
  else:
    axes.set_ylim(low, high)


def _title(column: results.Column) -> str:
  return appearance.label(f'{column.title} of a client that learns alone', 44)
