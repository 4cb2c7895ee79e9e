"""What users and the shared model take for hot, at chosen steps."""

from collections.abc import Sequence
import math
from typing import Any

import matplotlib.axes
import matplotlib.figure
import matplotlib.patches
import numpy as np
import pandas as pd

from tff_pipelines.reports import (
  appearance,
  formats,
  heat_colours,
  map_record,
)

_MOST_STEPS = 3
_MOST_USERS = 36
_GAP = 0.12  # Between two users, in units of a map's side.
_NO_MODEL = '#e6e6e6'


def merge_maps(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws the shared map and the map of every user, a column a step.

  Args:
    record: Of the kind `merge`. Of several curves the first with maps is drawn.

  Returns:
    The figure, None if the record has no maps of users.
  """
  if not record.user_maps:
    return None
  curve = min(curve for curve, _ in record.user_maps)
  steps = _choose([s for c, s in record.user_maps if c == curve])
  width = (appearance.WIDTH_INCHES - 0.6) / max(len(steps), 2)
  figure = appearance.figure(2 * width + 1.35, simulation_only=True)
  axes = figure.subplots(2, len(steps), squeeze=False)
  for column, step in enumerate(steps):
    shared, users = axes[:, column]
    _draw_shared(shared, record, curve, step)
    draw_users(users, record, curve, step)
  axes[0, 0].set_ylabel('shared model', fontsize=11)
  axes[1, 0].set_ylabel("users' own models", fontsize=11)
  add_scale(figure, axes)
  appearance.mark_simulation_only(figure)
  handles, names = legend_of(record)
  appearance.legend(figure, handles, names, columns=3)
  return figure


def legend_of(
  record: map_record.MapRecord,
) -> tuple[list[matplotlib.artist.Artist], list[str]]:
  """What the marks on the maps are: handles and their explanations."""
  handles: list[matplotlib.artist.Artist] = []
  names: list[str] = []
  if record.places is not None:
    handles += heat_colours.place_legend()
    names += ['a place seen as hot', 'as cold']
  handles.append(
    matplotlib.lines.Line2D([], [], color=appearance.INK, linewidth=1.2)
  )
  names.append('where the model changes')
  if record.truth is not None:
    handles.append(
      matplotlib.lines.Line2D([], [], linewidth=1.2, **_TRUTH_LEGEND)
    )
    names.append('where it really changes')
  if 'outlier' in _kinds(record):
    handles.append(
      matplotlib.patches.Patch(
        facecolor='none', edgecolor=heat_colours.OUTLIER, linewidth=2
      )
    )
    names.append('an outlier')
  return handles, names


_TRUTH_LEGEND: dict[str, Any] = {
  'color': appearance.INK,
  'linestyle': (0, (2, 2)),
}
_TRUTH: dict[str, Any] = {'colors': appearance.INK, 'linestyles': [(0, (2, 2))]}


def _choose(steps: Sequence[int]) -> list[int]:
  """The first, the last, and what lies evenly between them in number."""
  ordered = sorted(steps)
  chosen = np.linspace(0, len(ordered) - 1, min(_MOST_STEPS, len(ordered)))
  return [ordered[round(index)] for index in chosen]


def _draw_shared(
  axes: matplotlib.axes.Axes,
  record: map_record.MapRecord,
  curve: int,
  step: int,
) -> None:
  accuracy = accuracy_at(record, curve, step)
  title = f'step {step:,}' if step else 'start'
  if accuracy is not None:
    title += f': {formats.number(accuracy, "percent")}'
  axes.set_title(title, fontsize=10.5, fontweight='bold', color=appearance.INK)
  draw_shared(axes, record, curve, step)


def draw_shared(
  axes: matplotlib.axes.Axes,
  record: map_record.MapRecord,
  curve: int,
  step: int,
) -> None:
  """Draws the newest shared map at a step, or that there is none yet."""
  merged = [s for c, s in record.server_maps if c == curve and s <= step]
  if merged:
    outputs = record.server_maps[curve, max(merged)]
    heat_colours.draw_map(axes, outputs)
    heat_colours.draw_border(axes, outputs, linewidths=1.4, zorder=3)
  else:
    axes.set_facecolor(_NO_MODEL)
    axes.text(
      0.5, 0.5, 'none yet', ha='center', va='center', color=appearance.INK
    )
  if record.truth is not None:
    heat_colours.draw_border(axes, record.truth, zorder=2.5, **_TRUTH)
  _frame(axes)


def draw_users(
  axes: matplotlib.axes.Axes,
  record: map_record.MapRecord,
  curve: int,
  step: int,
) -> None:
  """Draws the maps of all users in rows, the first on top at the left."""
  maps = record.user_maps[curve, step][:_MOST_USERS]
  side = math.ceil(math.sqrt(len(maps)))
  names = _users(record)
  kinds = _kinds(record)
  mark = 18.0 / (side + 1)
  for index, outputs in enumerate(maps):
    corner = (
      (1 + _GAP) * (index % side),
      (1 + _GAP) * (side - 1 - index // side),
    )
    heat_colours.draw_map(axes, outputs, corner=corner)
    outlier = index < len(kinds) and kinds[index] == 'outlier'
    axes.add_patch(
      matplotlib.patches.Rectangle(
        corner, 1, 1, facecolor='none', zorder=5, clip_on=False,
        edgecolor=heat_colours.OUTLIER if outlier else appearance.GREY,
        linewidth=2.0 if outlier else 0.5,
      )
    )  # fmt: skip
    if record.places is not None and index < len(names):
      own = record.places[record.places['user'] == names[index]]
      heat_colours.draw_places(
        axes,
        own[['x0', 'x1']].to_numpy(float) + corner,
        own['label'].to_numpy(float) > heat_colours.BORDER,
        size=mark,
      )
  _draw_borders(axes, maps, side)
  length = (1 + _GAP) * side - _GAP
  _frame(axes, length)
  axes.spines[:].set_visible(False)
  total = len(record.user_maps[curve, step])
  if total > len(maps):
    axes.set_xlabel(f'{len(maps)} of {total:,} users', fontsize=9)


def _draw_borders(
  axes: matplotlib.axes.Axes, maps: np.ndarray, side: int
) -> None:
  """Draws all users' borders at once, which takes a tenth of the time."""
  resolution = maps.shape[-1]
  if resolution < 2:
    return
  # Behind each map one more column and row, without values.
  whole = np.full((side, resolution + 1, side, resolution + 1), np.nan)
  for index, outputs in enumerate(maps):
    row = side - 1 - index // side
    whole[row, :resolution, index % side, :resolution] = outputs
  line = np.append(np.linspace(0, 1, resolution), 1 + _GAP / 2)
  places = ((1 + _GAP) * np.arange(side)[:, np.newaxis] + line).ravel()
  heat_colours.draw_border(
    axes, whole.reshape(len(places), -1), x=places, y=places, linewidths=0.7,
    zorder=3,
  )  # fmt: skip


def accuracy_at(
  record: map_record.MapRecord, curve: int, step: int
) -> float | None:
  """The newest shared model's accuracy at a step, in the first seed."""
  if record.server is None:
    return None
  table = record.server
  kept = table[(table['curve'] == curve) & (table['step'] <= step)]
  kept = kept[kept['seed'] == kept['seed'].min()]
  if kept.empty:
    return None
  return float(kept.sort_values('step')['accuracy'].iloc[-1])


def _frame(axes: matplotlib.axes.Axes, length: float = 1.0) -> None:
  axes.set_xlim(0, length)
  axes.set_ylim(0, length)
  axes.set_aspect('equal')
  axes.set_xticks([])
  axes.set_yticks([])


def _users(record: map_record.MapRecord) -> list[str]:
  table = record.places
  return [] if table is None else list(pd.unique(table['user']))


def _kinds(record: map_record.MapRecord) -> list[str]:
  table = record.places
  if table is None:
    return []
  return list(table.drop_duplicates('user')['kind'])


def add_scale(
  figure: matplotlib.figure.Figure | matplotlib.figure.SubFigure,
  axes: np.ndarray,
) -> None:
  """Says below the axes which colour is hot."""
  image = next(
    (image for panel in axes.ravel() for image in panel.get_images()), None
  )
  if image is None:
    return
  scale = figure.colorbar(
    image,
    ax=axes.ravel().tolist(),
    location='bottom',
    shrink=0.5,
    aspect=32,
    pad=0.03,
  )
  scale.set_ticks([0.0, 0.5, 1.0], labels=['cold', 'undecided', 'hot'])
  scale.ax.tick_params(length=0, labelsize=9)
  scale.ax.spines[:].set_visible(False)
