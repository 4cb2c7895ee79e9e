"""Models that drift apart between merges: the zigzag of accuracy."""

import math

import matplotlib.axes
import matplotlib.figure
import matplotlib.lines
import numpy as np

from tff_pipelines.reports import (
  appearance,
  map_record,
  seed_bands,
)

_SHARED = '#0072b2'
_ALONE = '#6b6b6b'
_COLUMNS = 3


def drift_picture(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws, for each merge period, accuracy between, before and after merges.

  Args:
    record: Of the kind `drift`; its curves have a number `merge`.

  Returns:
    The figure, None if nothing was measured before a merge.
  """
  drawn = [
    curve
    for curve in range(len(record.curves))
    if len(seed_bands.by_step(record, curve)[0])
    and len(seed_bands.local_by_step(record, curve)[0])
  ]
  if not drawn:
    return None
  with_summary = len(drawn) > 1
  rows = math.ceil((len(drawn) + with_summary) / _COLUMNS)
  figure = appearance.figure(0.35 + 1.85 * rows, simulation_only=True)
  axes = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True)
  panels = axes.ravel()
  for panel, curve in zip(panels, drawn, strict=False):
    _draw_zigzag(panel, record, curve)
    _dress(panel, record.curves[curve].name, 'local steps')
  if with_summary:
    _draw_summary(panels[len(drawn)], record, drawn)
  for panel in panels[len(drawn) + with_summary :]:
    panel.set_axis_off()
  for panel in axes[:, 0]:
    panel.set_ylabel('accuracy', fontsize=9)
  appearance.format_axis(axes[0, 0].yaxis, 'percent')
  lowest = min(
    float(line.get_ydata().min()) for p in panels for line in p.get_lines()
  )
  axes[0, 0].set_ylim(lowest - 0.03, 1.005)
  appearance.mark_simulation_only(figure)
  counts = [len(seed_bands.by_step(record, curve)[1]) for curve in drawn]
  appearance.legend(
    figure,
    [
      matplotlib.lines.Line2D([], [], color=_ALONE, linewidth=1.2),
      matplotlib.lines.Line2D([], [], color=_SHARED, linewidth=2),
    ],
    [
      "mean of the users' own models (falls back to the shared one at a merge)",
      f'shared model after the merge; {seed_bands.band_text(counts)}',
    ],
  )
  return figure


def _draw_zigzag(
  axes: matplotlib.axes.Axes, record: map_record.MapRecord, curve: int
) -> None:
  steps, shared = seed_bands.by_step(record, curve)
  local_steps, local = seed_bands.local_by_step(record, curve)
  alone = seed_bands.band(local)
  merged = seed_bands.band(shared)
  after = {
    int(step): float(value)
    for step, value in zip(steps, merged.mean, strict=True)
    if step > 0
  }
  path = []
  for step, value in zip(local_steps, alone.mean, strict=True):
    path.append((step, value))
    if step in after:
      # The users take the shared model over and go on from there.
      path.append((step, after[step]))
  x, y = np.array(path).T
  seed_bands.fill(axes, local_steps, alone, _ALONE)
  axes.plot(x, y, color=_ALONE, linewidth=0.9, zorder=2)
  after_merge = steps > 0
  few = after_merge.sum() <= 30
  axes.plot(
    steps[after_merge], merged.mean[after_merge], color=_SHARED, linewidth=1.6,
    marker='o' if few else None, markersize=3.5, zorder=3,
  )  # fmt: skip
  seed_bands.fill(
    axes,
    steps[after_merge],
    seed_bands.band(shared[:, after_merge]),
    _SHARED,
  )
  axes.set_xlim(0, max(local_steps.max(), steps.max()))
  appearance.whole_ticks(axes.xaxis, 4)


def _draw_summary(
  axes: matplotlib.axes.Axes, record: map_record.MapRecord, drawn: list[int]
) -> None:
  """The last merge of each period: what it found, what it made of it."""
  periods, before, after = [], [], []
  for curve in drawn:
    period = record.curves[curve].number('merge')
    steps, shared = seed_bands.by_step(record, curve)
    local_steps, local = seed_bands.local_by_step(record, curve)
    if period is None or steps[-1] not in local_steps:
      continue
    periods.append(period)
    after.append(shared[:, -1].mean())
    before.append(local[:, local_steps == steps[-1]].mean())
  if periods:
    axes.plot(
      periods, before, color=_ALONE, linewidth=1.2, marker='D', markersize=4
    )
    axes.plot(
      periods, after, color=_SHARED, linewidth=1.6, marker='o', markersize=4.5
    )
    appearance.value_axis(axes, periods)
  _dress(axes, 'last merge', 'local steps between merges')


def _dress(axes: matplotlib.axes.Axes, title: str, x: str) -> None:
  appearance.dress(axes, title='', x=x)
  axes.set_title(
    appearance.label(title, 24), loc='left', fontsize=9.5, color=appearance.INK
  )
  axes.tick_params(labelsize=8)
  axes.xaxis.label.set_fontsize(8.5)
