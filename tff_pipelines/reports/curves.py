"""Learning curves: how test metric and loss of every system went."""

from collections.abc import Mapping
import math

import matplotlib.axes
import matplotlib.figure
import numpy as np

from tff_pipelines.reports import (
  appearance,
  focus,
  formats,
  line_labels,
  ngram_rows,
  results,
  run_reader,
)

# More points than this would be a string of beads.
_MOST_MARKERS = 25

Points = tuple[list[float], list[float]]


def learning_curves(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws the test metric by round; a system without curve as a level line.

  Args:
    run: The run. The metric is its primary one, or the first column of the
      final table that some metrics.csv has.

  Returns:
    The figure, None if no system wrote such a metric.
  """
  column = curve_column(run)
  if column is None:
    return None
  curves = {
    system: points
    for system, points in by_round(run, f'test/{column.key}').items()
    if points[0]
  }
  looks = appearance.looks(run_systems(run))
  figure = appearance.figure(3.6)
  axes = figure.add_subplot()
  for system, (rounds, values) in curves.items():
    final = formats.number(values[-1], column.format)
    name = appearance.label(results.display_name(system))
    _draw_curve(axes, rounds, values, looks[system], f'{name}: {final}')
  levels = _draw_levels(axes, run.results, column, curves, looks)
  # The weaker n-gram models lie so low that they would flatten the rest.
  strongest = run.results.row(ngram_rows.strongest(run.results) or '')
  reference = results.value(strongest, column.key)
  if reference is not None:
    levels.append(reference)
  _limit(axes, [v for _, v in curves.values()], levels, column)
  title = f'{column.title} on the test data'
  appearance.dress(
    axes,
    title=appearance.label(title, 40),
    x=_round_label(curves),
    y=appearance.label(column.title),
  )
  appearance.legend(figure, *axes.get_legend_handles_labels())
  _draw_ngrams(axes, run.results, column, curves, looks)
  return figure


def loss_curves(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws train and test loss by round, None if no system wrote a loss."""
  column = results.Column('loss', 'loss', 'ratio', 'lower')
  by_split = {
    split: {
      system: points
      for system, points in by_round(run, f'{split}/loss').items()
      if points[0]
    }
    for split in ('train', 'test')
  }
  if not any(by_split.values()):
    return None
  looks = appearance.looks(run_systems(run))
  figure = appearance.figure(3.6)
  axes = figure.add_subplot()
  for system in run.metrics:
    for split, curves in by_split.items():
      if system in curves:
        name = appearance.label(results.display_name(system))
        rounds, values = curves[system]
        _draw_curve(
          axes,
          rounds,
          values,
          looks[system],
          f'{name}, {split}',
          faint=split == 'train',
        )
  drawn = [v for curves in by_split.values() for _, v in curves.values()]
  _limit(axes, drawn, [], column)
  systems = [system for curves in by_split.values() for system in curves]
  appearance.dress(
    axes,
    title='Loss on training and test data',
    x=_round_label(systems),
    y='loss',
  )
  appearance.legend(figure, *axes.get_legend_handles_labels())
  return figure


def run_systems(run: run_reader.Run) -> tuple[str, ...]:
  """Every system of the run, in the order that decides their colours."""
  return tuple(dict.fromkeys((*run.results.systems, *run.metrics)))


def curve_column(run: run_reader.Run) -> results.Column | None:
  """The primary column, or the first, that some metrics.csv has."""
  final = run.results
  candidates = (final.primary_column, *final.columns)
  return next(
    (
      column
      for column in candidates
      if any(
        points[0] for points in by_round(run, f'test/{column.key}').values()
      )
    ),
    None,
  )


def by_round(run: run_reader.Run, metric: str) -> dict[str, Points]:
  """For each system the rounds in which the metric is a number, and it."""
  found: dict[str, Points] = {}
  for system, table in run.metrics.items():
    if metric in table:
      rounds = table['round_num'].to_numpy(float)
      values = table[metric].to_numpy(float)
      present = np.isfinite(rounds) & np.isfinite(values)
      found[system] = (rounds[present].tolist(), values[present].tolist())
  return found


def _draw_curve(
  axes: matplotlib.axes.Axes,
  rounds: list[float],
  values: list[float],
  look: appearance.Look,
  label: str,
  *,
  faint: bool = False,
) -> None:
  axes.plot(
    rounds,
    values,
    color=look.color,
    linestyle=look.linestyle,
    linewidth=1.0 if faint else 2.0,
    alpha=0.55 if faint else 1.0,
    marker=None if faint and len(rounds) > 1 else look.marker,
    # The last value always has one: it is the number in the legend.
    markevery=1 if len(rounds) <= _MOST_MARKERS else [len(rounds) - 1],
    markersize=5,
    label=label,
  )


def _draw_levels(
  axes: matplotlib.axes.Axes,
  final: results.Results,
  column: results.Column,
  curves: Mapping[str, Points],
  looks: Mapping[str, appearance.Look],
) -> list[float]:
  """Draws the final values of systems that have no curve; returns them.

  Not those of n-gram models, for which the legend would have no room.
  """
  levels = []
  for row in final.rows:
    value = results.value(row, column.key)
    if row['system'] in (*curves, *ngram_rows.SYSTEMS) or value is None:
      continue
    look = looks[row['system']]
    label = level_label(row, column)
    low = results.value(row, f'{column.key}_min')
    high = results.value(row, f'{column.key}_max')
    if low is not None and high is not None:
      axes.axhspan(
        low, high, color=look.color, alpha=0.12, linewidth=0, zorder=0.5
      )
    axes.axhline(
      value,
      color=look.color,
      linestyle=look.linestyle,
      linewidth=1.6,
      zorder=1.5,  # Behind the curves.
      label=label,
    )
    levels.append(value)
  return levels


def _draw_ngrams(
  axes: matplotlib.axes.Axes,
  final: results.Results,
  column: results.Column,
  curves: Mapping[str, Points],
  looks: Mapping[str, appearance.Look],
) -> None:
  """Draws n-gram models as thin lines with their names at the right.

  Only those that lie within the limits of the axes, which have to be final.
  """
  low, high = axes.get_ylim()
  ends = []
  for row in final.rows:
    value = results.value(row, column.key)
    system = row['system']
    if system not in ngram_rows.SYSTEMS or system in curves or value is None:
      continue
    if low <= value <= high:
      color = looks[system].color
      axes.axhline(value, color=color, linewidth=1.0, zorder=1.5)
      text = f'{system}: {formats.number(value, column.format)}'
      ends.append(line_labels.End(axes.get_xlim()[1], value, text, color))
  line_labels.draw(axes, ends)


def level_label(row: Mapping[str, object], column: results.Column) -> str:
  """Names a final value: 'local: 91.0 % (50.0 to 97.0), simulation only'."""
  system = str(row['system'])
  name = appearance.label(results.display_name(system))
  text = f'{name}: {formats.cell(row, column)}'
  if system == 'local':
    text = f'{text}\n{appearance.SIMULATION_ONLY}'
  return text


def _limit(
  axes: matplotlib.axes.Axes,
  curves: list[list[float]],
  levels: list[float],
  column: results.Column,
) -> None:
  """Shows the part of the y axis that tells systems apart, and says so."""
  limits, cut = focus.focus_limits(
    curves,
    levels,
    better=column.better,
    bounds=(0.0, 1.0) if column.format == 'percent' else (-math.inf, math.inf),
  )
  axes.set_ylim(*limits)
  appearance.format_axis(axes.yaxis, column.format)
  appearance.round_axis(axes)
  if cut:
    side = 'below' if column.better == 'higher' else 'above'
    appearance.remark(axes, f'the first rounds lie {side}')


def _round_label(systems: Mapping[str, object] | list[str]) -> str:
  if 'central' not in systems:
    return 'round'
  if set(systems) == {'central'}:
    return 'epoch over all data'
  return 'round (central: epoch over all data)'
