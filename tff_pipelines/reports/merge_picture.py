"""Users who learn alone and meet now and then: the course of accuracy."""

import matplotlib.axes
import matplotlib.figure
import numpy as np
import pandas as pd

from tff_pipelines.reports import (
  appearance,
  formats,
  line_labels,
  map_record,
)

SHARED = '#0072b2'
_ALONE = '#9a9a9a'
_MEAN = '#4d4d4d'
# More merges than this would be a wall: then they are ticks at the top.
_MOST_MERGES = 60
_MOST_PANELS = 4


def merge_picture(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws every user's accuracy, their mean, and the shared model's.

  Args:
    record: Of the kind `merge`. Of several seeds the first is drawn.

  Returns:
    The figure, None if the record has no users.
  """
  courses = [
    (curve.name, found)
    for index, curve in enumerate(record.curves)
    if (found := course(record, index)) is not None
  ]
  drawn = courses[:_MOST_PANELS]
  if not drawn:
    return None
  heights = [height for _ in drawn for height in (0.62, 2.75)]
  figure = appearance.figure(sum(heights), simulation_only=True)
  axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)
  ends: list[tuple[matplotlib.axes.Axes, list[line_labels.End]]] = []
  for row, (name, (alone, shared)) in enumerate(drawn):
    counters, panel = axes[2 * row : 2 * row + 2, 0]
    _write_counters(counters, alone, shared)
    ends.append((panel, draw_course(panel, alone, shared)))
    appearance.dress(
      panel,
      title=appearance.label(name, 24),
      x='local steps',
      y='accuracy',
      simulation_only=True,
    )
    appearance.format_axis(panel.yaxis, 'percent')
  for panel, lines in ends:
    line_labels.draw(panel, lines)
  return figure


def course(
  record: map_record.MapRecord, curve: int
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
  """The first seed of a curve: rows of `users`, rows of `server`."""
  users, server = record.users, record.server
  if users is None or server is None:
    return None
  alone = users[users['curve'] == curve]
  if alone.empty:
    return None
  seed = alone['seed'].iloc[0]
  shared = server[(server['curve'] == curve) & (server['seed'] == seed)]
  if shared.empty:
    return None
  return alone[alone['seed'] == seed], shared.sort_values('step')


def _write_counters(
  axes: matplotlib.axes.Axes, alone: pd.DataFrame, shared: pd.DataFrame
) -> None:
  """A row of large numbers: how long, how often, how good."""
  axes.set_axis_off()
  axes.set_xlim(0, 1)
  axes.set_ylim(0, 1)
  last = shared.iloc[-1]
  merged = last['round_num'] > 0
  # Who never merge have no shared model.
  accuracy = formats.number(
    float(last['accuracy']) if merged else None, 'percent'
  )
  numbers = (
    (f'{alone["step"].max():,}', 'local steps'),
    (f'{last["round_num"]:,.0f}', 'rounds: merges'),
    (accuracy, 'accuracy of the shared model'),
  )
  for x, (number, name) in zip((0.0, 0.25, 0.58), numbers, strict=True):
    axes.text(
      x, 0.95, number, fontsize=16, fontweight='bold', va='top',
      color=SHARED if number == accuracy else appearance.INK,
    )  # fmt: skip
    axes.text(x, 0.0, name, fontsize=9, va='bottom', color=appearance.INK)


def draw_course(
  axes: matplotlib.axes.Axes, alone: pd.DataFrame, shared: pd.DataFrame
) -> list[line_labels.End]:
  """Draws one seed; returns what to write beside the lines.

  Args:
    axes: Where to.
    alone: The users, as `course` gives them.
    shared: The shared model, by step.
  """
  steps = shared['step'].to_numpy(int)
  values = shared['accuracy'].to_numpy(float)
  merges, merged = steps[steps > 0], values[steps > 0]
  end = int(max(alone['step'].max(), steps.max()))
  many = len(merges) > _MOST_MERGES
  for step in merges:
    axes.axvline(
      step, ymin=0.97 if many else 0.0, color=SHARED, linewidth=0.8,
      alpha=0.35 if not many else 0.8, zorder=0.8,
    )  # fmt: skip
  wide = alone.pivot_table('accuracy', 'step', 'user', aggfunc='last')
  part = alone.groupby('user')['taking_part'].any()
  for user in wide:
    axes.plot(
      wide.index,
      wide[user],
      color=_ALONE,
      linewidth=0.7,
      alpha=0.6,
      linestyle='-' if part[user] else (0, (4, 2)),
      zorder=1.5,
    )
  mean = wide[[user for user in wide if part[user]]].mean(axis=1)
  axes.plot(
    mean.index, mean, color=_MEAN, linewidth=1.6, linestyle=(0, (1.5, 1.0)),
    zorder=2.5,
  )  # fmt: skip
  found = [_end(end, float(mean.iloc[-1]), "mean of users' own", _MEAN)]
  if len(merges):
    # The server has no model to show before the first merge.
    axes.step(
      [*merges, end], [*merged, merged[-1]], where='post', color=SHARED,
      linewidth=2.2, zorder=3,
    )  # fmt: skip
    axes.plot(
      merges[:1], merged[:1], marker='o', markersize=6, color=SHARED, zorder=3
    )
    found.append(_end(end, float(merged[-1]), 'shared', SHARED))
  axes.set_xlim(0, max(end, 1))
  low = float(np.nanmin(wide.to_numpy(float)))
  low = min([low, *merged])
  high = max(float(np.nanmax(wide.to_numpy(float))), *merged, 0.0)
  axes.set_ylim(low - 0.04 * (1 - low), min(high + 0.04, 1.005))
  appearance.whole_ticks(axes.xaxis, 9)
  return found


def _end(x: float, y: float, name: str, color: str) -> line_labels.End:
  text = name.replace('\n', ' ')
  return line_labels.End(x, y, f'{text}: {formats.number(y, "percent")}', color)
