"""How heat is drawn: from blue (cold) over white (undecided) to red (hot)."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import matplotlib.axes
import matplotlib.colors
import matplotlib.image
import matplotlib.lines
import matplotlib.patches
import numpy as np

from tff_pipelines.reports import appearance

HOT = '#b2182b'
COLD = '#2166ac'
# Blue and red differ for every kind of colour vision, and in print both are
# darker than what lies between. The ends are left out: marks have to be seen.
HEAT = matplotlib.colors.LinearSegmentedColormap.from_list(
  'heat', matplotlib.colormaps['RdBu_r'](np.linspace(0.1, 0.9, 65))
)
# For tables: the darker, the better.
SHARE = matplotlib.colors.LinearSegmentedColormap.from_list(
  'share', ['#ffffff', '#9ccbe8', '#0072b2']
)
OUTLIER = '#d55e00'

# A model says hot above it.
BORDER = 0.5


def draw_map(
  axes: matplotlib.axes.Axes,
  outputs: np.ndarray,
  *,
  limits: tuple[float, float] = (0.0, 1.0),
  corner: tuple[float, float] = (0.0, 0.0),
  size: tuple[float, float] = (1.0, 1.0),
  zorder: float = 1.0,
) -> matplotlib.image.AxesImage:
  """Draws a model's output over the unit square, or where that is put.

  Args:
    axes: Where to; its limits stay what they are.
    outputs: [resolution, resolution], rows x1 rising, columns x0 rising, the
      first and the last on the edges of the square.
    limits: The outputs that are coldest and hottest.
    corner: Where the square's lower left corner goes.
    size: How wide and high it becomes.
    zorder: Above or below what else is drawn.
  """
  height, width = outputs.shape
  # A pixel's middle is its place, so that half of the outer ones lies outside.
  margin_x = size[0] / max(width - 1, 1) / 2
  margin_y = size[1] / max(height - 1, 1) / 2
  image = axes.imshow(
    outputs,
    cmap=HEAT,
    vmin=limits[0],
    vmax=limits[1],
    origin='lower',
    extent=(
      corner[0] - margin_x,
      corner[0] + size[0] + margin_x,
      corner[1] - margin_y,
      corner[1] + size[1] + margin_y,
    ),
    interpolation='bilinear',
    aspect='auto',
    zorder=zorder,
  )
  image.set_clip_path(
    matplotlib.patches.Rectangle(corner, *size, transform=axes.transData)
  )
  return image


def draw_border(
  axes: matplotlib.axes.Axes,
  outputs: np.ndarray,
  *,
  level: float = BORDER,
  x: np.ndarray | None = None,
  y: np.ndarray | None = None,
  **line: Any,
) -> None:
  """Draws where a model changes from cold to hot, if it does.

  Args:
    axes: Where to.
    outputs: As for `draw_map`; NaN where there is no map.
    level: The output that separates them.
    x: Of the columns, evenly from 0 to 1 if None.
    y: Of the rows, likewise.
    **line: Of `Axes.contour`.
  """
  known = outputs[np.isfinite(outputs)]
  if min(outputs.shape) < 2 or not len(known):
    return
  if not known.min() < level < known.max():
    return
  rows, columns = outputs.shape
  axes.contour(
    np.linspace(0, 1, columns) if x is None else x,
    np.linspace(0, 1, rows) if y is None else y,
    np.ma.masked_invalid(outputs),
    levels=[level],
    **{'colors': appearance.INK, 'linewidths': 1.0, **line},
  )


def draw_places(
  axes: matplotlib.axes.Axes,
  places: np.ndarray,
  hot: np.ndarray,
  *,
  size: float,
) -> None:
  """Marks places as hot (a triangle) or cold (a square).

  Args:
    axes: Where to.
    places: [n, 2].
    hot: bool[n].
    size: Of a mark, in points.
  """
  for is_hot in (True, False):
    chosen = places[hot == is_hot]
    axes.plot(
      chosen[:, 0],
      chosen[:, 1],
      **place_mark(is_hot, size),
      zorder=4,
    )


def place_mark(is_hot: bool, size: float) -> dict[str, Any]:
  """The mark of a hot or a cold place, as arguments of `plot`."""
  return {
    'linestyle': 'none',
    'marker': '^' if is_hot else 's',
    'markersize': size if is_hot else 0.82 * size,
    'markerfacecolor': HOT if is_hot else COLD,
    'markeredgecolor': 'white',
    'markeredgewidth': 0.12 * size,
  }


def place_legend(size: float = 7.0) -> list[matplotlib.lines.Line2D]:
  """Marks for a legend: hot, then cold."""
  return [
    matplotlib.lines.Line2D([], [], **place_mark(is_hot, size))
    for is_hot in (True, False)
  ]


def sequence(count: int) -> list[str]:
  """Colours for things in an order, from the package's blue to its orange.

  The way leads over a dark purple: no colour of it is too pale for a line.
  """
  ramp = matplotlib.colors.LinearSegmentedColormap.from_list(
    'order', ['#0072b2', '#5b4a9c', '#a03a7a', OUTLIER]
  )
  return [
    matplotlib.colors.to_hex(ramp(index / max(count - 1, 1)))
    for index in range(count)
  ]


def ink_on(color: Sequence[float]) -> str:
  """The text colour that can be read on a colour: dark or white."""
  red, green, blue = color[:3]
  # Luma of ITU-R BT.601.
  return (
    appearance.INK
    if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55
    else 'white'
  )
