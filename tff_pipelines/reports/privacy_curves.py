"""Pictures of the privacy budget: by round, and against what it buys."""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

import matplotlib.axes
import matplotlib.figure
import matplotlib.ticker
import numpy as np

from tff_pipelines.reports import (
  appearance,
  curves,
  focus,
  formats,
  line_labels,
  privacy_record,
  results,
  run_reader,
)

_NAME_LIMIT = 20
# More points than this would be a string of beads.
_MOST_MARKERS = 25


@dataclasses.dataclass(frozen=True)
class _Path:
  """Test metric against epsilon, of one system, in the order of rounds."""

  epsilons: list[float]
  values: list[float]


def epsilon_by_round(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws the epsilon that was spent by round, beside what was planned.

  Args:
    run: The run.

  Returns:
    The figure, None if no system wrote its epsilon.
  """
  spent = {
    system: points
    for system, points in curves.by_round(run, privacy_record.METRIC).items()
    if points[0]
  }
  if not spent:
    return None
  looks = appearance.looks(curves.run_systems(run))
  figure = appearance.figure(3.4 if len(spent) < 6 else 3.9)
  axes = figure.add_subplot()
  ends = []
  for system, (rounds, values) in spent.items():
    _draw(axes, rounds, values, looks[system], marked=False, steps=True)
    ends.append(_end(system, rounds[-1], values[-1], looks[system].color))
  plans = _plans(run, spent)
  for epsilon, last_round, color in plans:
    ends.append(_draw_plan(axes, epsilon, last_round, color))
  limit = _stop_limit(run)
  if limit is not None:
    ends.append(_draw_stop(axes, limit, max(r[-1] for r, _ in spent.values())))
  values = [v for _, points in spent.values() for v in points if v > 0]
  values += [epsilon for epsilon, _, _ in plans]
  if _is_wide([points[-1] for _, points in spent.values()]):
    axes.set_yscale('log')
    _write_epsilons(axes.yaxis)
    axes.set_ylim(0.8 * min(values), 1.3 * max(*values, limit or 0.0))
  else:
    axes.set_ylim(0.0, 1.08 * max([*values, limit or 0.0, 1e-12]))
  appearance.round_axis(axes)
  appearance.dress(
    axes,
    title='privacy spent so far',
    x='round',
    y='epsilon (lower is safer)',
  )
  line_labels.draw(axes, ends)
  return figure


def metric_by_epsilon(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws the test metric against the epsilon that was spent for it.

  Systems without noise are level lines: they have no epsilon.

  Args:
    run: The run.

  Returns:
    The figure, None if no system has both numbers.
  """
  column = curves.curve_column(run) or run.results.primary_column
  paths = _paths(run, column)
  if not paths:
    return None
  looks = appearance.looks(curves.run_systems(run))
  levels = {
    row['system']: value
    for row in run.results.rows
    if row['system'] not in (*paths, *run.privacy)
    # Over many models; what it is depends on the client.
    and results.value(row, f'{column.key}_min') is None
    and (value := results.value(row, column.key)) is not None
  }
  figure = appearance.figure(3.6 if len(paths) + len(levels) < 7 else 4.2)
  axes = figure.add_subplot()
  for system, path in paths.items():
    _draw(
      axes, path.epsilons, path.values, looks[system], marked=len(paths) < 3
    )
  limits, cut = focus.focus_limits(
    [path.values for path in paths.values()],
    list(levels.values()),
    better=column.better,
    bounds=(0.0, 1.0) if column.format == 'percent' else (-math.inf, math.inf),
  )
  axes.set_ylim(*limits)
  appearance.format_axis(axes.yaxis, column.format)
  _set_epsilon_axis(axes, paths)
  appearance.dress(
    axes,
    title=appearance.label(f'{column.title} by epsilon', 30),
    x='epsilon spent (further left is safer)',
    y=appearance.label(column.title),
  )
  if cut:
    side = 'below' if column.better == 'higher' else 'above'
    appearance.remark(axes, f'first rounds {side}')
  right = axes.get_xlim()[1]
  ends = [
    line_labels.End(
      path.epsilons[-1],
      path.values[-1],
      f'{_name(system)}: {formats.number(path.values[-1], column.format)}',
      looks[system].color,
    )
    for system, path in paths.items()
  ]
  for system, value in levels.items():
    look = looks[system]
    axes.axhline(
      value, color=look.color, linestyle=look.linestyle, linewidth=1.3,
      zorder=1.5,
    )  # fmt: skip
    text = f'{_name(system)}: {formats.number(value, column.format)}'
    ends.append(line_labels.End(right, value, text, look.color))
  line_labels.draw(axes, ends)
  return figure


def _paths(run: run_reader.Run, column: results.Column) -> dict[str, _Path]:
  """Of every private system, the rounds in which both are known.

  A system without such rounds is one point: its final values.
  """
  epsilons = curves.by_round(run, privacy_record.METRIC)
  values = curves.by_round(run, f'test/{column.key}')
  found = {}
  systems = dict.fromkeys((*curves.run_systems(run), *run.privacy))
  for system in systems:
    spent = dict(zip(*epsilons.get(system, ([], [])), strict=True))
    reached = dict(zip(*values.get(system, ([], [])), strict=True))
    rounds = [r for r in spent if r in reached and spent[r] > 0.0]
    path = _Path([spent[r] for r in rounds], [reached[r] for r in rounds])
    record = run.privacy.get(system)
    final = results.value(run.results.row(system), column.key)
    if not rounds and record is not None and record.spent is not None:
      if final is not None:
        path = _Path([record.spent.epsilon], [final])
    if path.epsilons:
      found[system] = path
  return found


def _set_epsilon_axis(
  axes: matplotlib.axes.Axes, paths: dict[str, _Path]
) -> None:
  every = [epsilon for path in paths.values() for epsilon in path.epsilons]
  low, high = min(every), max(every)
  if low > 0.0 and _is_wide([path.epsilons[-1] for path in paths.values()]):
    axes.set_xscale('log')
    _write_epsilons(axes.xaxis)
    axes.set_xlim(0.8 * low, 1.25 * high)
  else:
    bottom, top = axes.get_ylim()
    shown = [
      epsilon
      for path in paths.values()
      for epsilon, value in zip(path.epsilons, path.values, strict=True)
      if bottom <= value <= top
    ]
    # From 0 on, unless half of the picture would be empty.
    left = 0.0 if min(shown) < 0.4 * high else 0.85 * min(shown)
    axes.set_xlim(left, high + 0.04 * (high - left))


def _is_wide(finals: list[float]) -> bool:
  """Whether the systems' epsilons need a logarithmic axis."""
  positive = np.array([value for value in finals if value > 0.0])
  return len(positive) > 1 and appearance.spans_decades(positive)


def _write_epsilons(axis: Any) -> None:
  appearance.log_counts(axis)
  axis.set_major_formatter(
    matplotlib.ticker.FuncFormatter(lambda value, _: formats.epsilon(value))
  )


def _plans(
  run: run_reader.Run, spent: Mapping[str, curves.Points]
) -> list[tuple[float, int, str]]:
  """What was planned: epsilon, last round, colour; grey where it is common.

  Without plans that came out as they were: their label would say it twice.
  """
  looks = appearance.looks(curves.run_systems(run))
  planned: dict[tuple[str, int], list[tuple[float, str]]] = {}
  for system, (rounds, values) in spent.items():
    record = run.privacy.get(system)
    if record is None or record.planned is None:
      continue
    plan = record.planned
    key = (formats.epsilon(plan.epsilon), plan.num_rounds)
    if key != (formats.epsilon(values[-1]), round(rounds[-1])):
      planned.setdefault(key, []).append((plan.epsilon, looks[system].color))
  return [
    (
      plans[0][0],
      last_round,
      plans[0][1] if len(plans) == 1 < len(spent) else appearance.INK,
    )
    for (_, last_round), plans in planned.items()
  ]


def _draw_plan(
  axes: matplotlib.axes.Axes, epsilon: float, last_round: int, color: str
) -> line_labels.End:
  """Rings the point at which the plan ends."""
  axes.plot(
    [last_round],
    [epsilon],
    marker='o',
    markersize=11,
    markerfacecolor='none',
    markeredgecolor=color,
    markeredgewidth=1.4,
    linestyle='none',
    clip_on=False,
    zorder=4,
  )
  text = f'planned: {formats.epsilon(epsilon)} in {last_round:,} rounds'
  return line_labels.End(last_round, epsilon, text, color)


def _draw_stop(
  axes: matplotlib.axes.Axes, limit: float, last_round: float
) -> line_labels.End:
  axes.axhline(
    limit, color=appearance.INK, linestyle=(0, (4, 3)), linewidth=1.2
  )
  text = f'the run stops at {formats.epsilon(limit)}'
  return line_labels.End(last_round, limit, text, appearance.INK)


def _stop_limit(run: run_reader.Run) -> float | None:
  configuration = run.manifest.get('configuration') or {}
  found = results.value(configuration, 'stop_at_epsilon')
  return found if found is not None and found > 0.0 else None


def _draw(
  axes: matplotlib.axes.Axes,
  xs: list[float],
  ys: list[float],
  look: appearance.Look,
  *,
  marked: bool = True,
  steps: bool = False,
) -> None:
  axes.plot(
    xs,
    ys,
    color=look.color,
    linestyle=look.linestyle,
    linewidth=2.0,
    marker=look.marker,
    markevery=1 if marked and len(xs) <= _MOST_MARKERS else [len(xs) - 1],
    markersize=5.5,
    drawstyle='steps-post' if steps else 'default',
  )


def _end(system: str, x: float, y: float, color: str) -> line_labels.End:
  text = f'{_name(system)}: {formats.epsilon(y)}'
  return line_labels.End(x, y, text, color)


def _name(system: str) -> str:
  return appearance.label(results.display_name(system), _NAME_LIMIT)
