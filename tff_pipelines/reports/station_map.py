"""The shared model's map over longitude and latitude, with the stations."""

import math
from typing import Any

import matplotlib.axes
import matplotlib.figure
import matplotlib.image
import matplotlib.lines
import matplotlib.ticker
import numpy as np

from tff_pipelines.reports import (
  appearance,
  formats,
  heat_colours,
  map_record,
)


def station_map(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws the newest shared map, and what the stations observed.

  Args:
    record: Of the kind `stations`. Its settings have the edges of the map in
      degrees, `west`, `east`, `south` and `north`, and may have `quantity`,
      `unit` and `threshold`, above which a place is hot.

  Returns:
    The figure, None if the record has no map or no edges.
  """
  edges = [record.setting(name) for name in ('west', 'east', 'south', 'north')]
  if not record.server_maps or None in edges:
    return None
  west, east, south, north = (float(edge or 0.0) for edge in edges)
  if not (west < east and south < north):
    return None
  outputs = record.server_maps[max(record.server_maps, key=lambda key: key[1])]
  observed = (
    np.empty(0)
    if record.places is None
    else record.places['label'].to_numpy(float)
  )
  threshold = record.setting('threshold')
  classes = (
    set(np.unique(observed)) <= {0.0, 1.0}
    if len(observed)
    else threshold is None
  )
  if threshold is None:
    threshold = heat_colours.BORDER if classes else float(np.median(observed))
  limits = (0.0, 1.0) if classes else _limits(observed, outputs, threshold)
  # A degree of longitude is shorter the further north it is.
  stretch = 1 / math.cos(math.radians((south + north) / 2))
  shape = stretch * (north - south) / (east - west)
  figure = appearance.figure(
    float(np.clip(5.2 * shape, 2.0, 8.0)) + 1.35, simulation_only=True
  )
  axes = figure.add_subplot()
  corner, size = (west, south), (east - west, north - south)
  image = heat_colours.draw_map(
    axes, outputs, limits=limits, corner=corner, size=size
  )
  rows, columns = outputs.shape
  heat_colours.draw_border(
    axes,
    outputs,
    level=threshold,
    x=np.linspace(west, east, columns),
    y=np.linspace(south, north, rows),
    linewidths=1.3,
    zorder=3,
  )
  handles: list[matplotlib.lines.Line2D] = []
  names: list[str] = []
  if record.places is not None:
    handles, names = _draw_stations(
      axes, record, outputs, threshold, limits, corner, size
    )
  axes.set_xlim(west, east)
  axes.set_ylim(south, north)
  axes.set_aspect(stretch)
  _dress(axes, record)
  _add_scale(figure, axes, image, record, classes)
  handles.insert(
    0, matplotlib.lines.Line2D([], [], color=appearance.INK, linewidth=1.3)
  )
  level = '' if classes else f': {_with_unit(threshold, record)}'
  names.insert(0, f'where the model changes{level}')
  appearance.legend(figure, handles, names, columns=3)
  return figure


def _draw_stations(
  axes: matplotlib.axes.Axes,
  record: map_record.MapRecord,
  outputs: np.ndarray,
  threshold: float,
  limits: tuple[float, float],
  corner: tuple[float, float],
  size: tuple[float, float],
) -> tuple[list[matplotlib.lines.Line2D], list[str]]:
  """Draws the stations; returns handles and texts for the legend."""
  table = record.places
  assert table is not None
  unit = table[['x0', 'x1']].to_numpy(float)
  where = np.array(corner) + unit * np.array(size)
  observed = table['label'].to_numpy(float)
  held_out = table['held_out'].to_numpy(bool)
  dot = float(np.clip(130 / math.sqrt(len(where)), 3.2, 7.0))
  axes.scatter(
    where[:, 0], where[:, 1], s=dot**2, c=observed, cmap=heat_colours.HEAT,
    vmin=limits[0], vmax=limits[1], edgecolors='white', linewidths=0.5,
    zorder=4,
  )  # fmt: skip
  plain: dict[str, Any] = {
    'linestyle': 'none',
    'marker': 'o',
    'markersize': 6.5,
  }
  handles = [
    matplotlib.lines.Line2D(
      [], [], markerfacecolor='#c9c9c9', markeredgecolor='white', **plain
    )
  ]
  names = [f'a station, as it observed ({len(where):,})']
  if held_out.any():
    says = interpolate(outputs, unit)
    wrong = held_out & ((says > threshold) != (observed > threshold))
    axes.plot(
      where[wrong, 0], where[wrong, 1], linestyle='none', marker='o',
      markersize=dot + 2.5, markerfacecolor='none',
      markeredgecolor=appearance.INK, markeredgewidth=1.3, zorder=5,
    )  # fmt: skip
    share = formats.number(1 - wrong.sum() / held_out.sum(), 'percent')
    handles.append(
      matplotlib.lines.Line2D(
        [], [], markerfacecolor='none', markeredgecolor=appearance.INK,
        markeredgewidth=1.3, **{**plain, 'markersize': 8.5},
      )
    )  # fmt: skip
    names.append(
      f'held out and wrong: {wrong.sum():,} of {held_out.sum():,} '
      f'({share} right)'
    )
  return handles, names


def interpolate(outputs: np.ndarray, places: np.ndarray) -> np.ndarray:
  """The map's values at places[n, 2] of the unit square, bilinearly."""
  rows, columns = outputs.shape
  x = np.clip(places[:, 0], 0, 1) * (columns - 1)
  y = np.clip(places[:, 1], 0, 1) * (rows - 1)
  left = np.minimum(x.astype(int), max(columns - 2, 0))
  low = np.minimum(y.astype(int), max(rows - 2, 0))
  right, high = np.minimum(left + 1, columns - 1), np.minimum(low + 1, rows - 1)
  across, up = x - left, y - low
  return (
    outputs[low, left] * (1 - across) * (1 - up)
    + outputs[low, right] * across * (1 - up)
    + outputs[high, left] * (1 - across) * up
    + outputs[high, right] * across * up
  )


def _limits(
  observed: np.ndarray, outputs: np.ndarray, threshold: float
) -> tuple[float, float]:
  """As far to both sides of the threshold, for white to be undecided."""
  values = observed if len(observed) else outputs.ravel()
  reach = float(np.quantile(np.abs(values - threshold), 0.98)) or 1.0
  return threshold - reach, threshold + reach


def _dress(axes: matplotlib.axes.Axes, record: map_record.MapRecord) -> None:
  quantity = str(record.settings.get('quantity') or 'what the model says')
  appearance.dress(
    axes, title=appearance.label(quantity, 40), simulation_only=True
  )
  axes.grid(visible=False)
  for axis, names in ((axes.xaxis, 'EW'), (axes.yaxis, 'NS')):
    axis.set_major_locator(
      matplotlib.ticker.MaxNLocator(6, steps=(1, 2, 2.5, 5, 10))
    )
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(_degrees(names)))


def _degrees(names: str):  # type: ignore[no-untyped-def]
  """Writes degrees as a map does: 90° W."""

  def text(value: float, _: object = None) -> str:
    side = '' if value == 0 else f' {names[int(value < 0)]}'
    return f'{abs(value):.6g}\N{DEGREE SIGN}{side}'

  return text


def _with_unit(value: float, record: map_record.MapRecord) -> str:
  number = f'{value:.4g}'.replace('-', '\N{MINUS SIGN}')
  unit = appearance.label(str(record.settings.get('unit') or ''), 12)
  return f'{number} {unit}'.rstrip()


def _add_scale(
  figure: matplotlib.figure.Figure,
  axes: matplotlib.axes.Axes,
  image: matplotlib.image.AxesImage,
  record: map_record.MapRecord,
  classes: bool,
) -> None:
  scale = figure.colorbar(
    image, ax=axes, location='bottom', shrink=0.6, aspect=36, pad=0.02,
    extend='neither' if classes else 'both',
  )  # fmt: skip
  if classes:
    scale.set_ticks([0.0, 0.5, 1.0], labels=['cold', 'undecided', 'hot'])
  else:
    scale.ax.xaxis.set_major_formatter(
      matplotlib.ticker.FuncFormatter(
        lambda value, _: _with_unit(value, record)
      )
    )
  scale.ax.tick_params(length=0, labelsize=9)
