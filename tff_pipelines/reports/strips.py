"""Strips: a row of dots, one a person, with its median and middle half."""

from collections.abc import Sequence
import dataclasses

import matplotlib.axes
import numpy as np

from tff_pipelines.reports import appearance, formats, results


@dataclasses.dataclass(frozen=True)
class Strip:
  """Values that belong together.

  Attributes:
    name: What stands at the left; may be ''.
    values: One a person, at least one, all finite.
    color: Of everything in it.
  """

  name: str
  values: np.ndarray
  color: str


def draw(
  axes: matplotlib.axes.Axes,
  places: Sequence[float],
  strips: Sequence[Strip],
  value_format: results.Format,
) -> None:
  """Draws strips, the first at the top, and names them.

  Args:
    axes: Where to; what is horizontal are the values.
    places: The height of each strip, one apart or more, growing downwards.
    strips: What to draw, at least one.
    value_format: How the medians and the ticks are written.
  """
  for place, strip in zip(places, strips, strict=True):
    _draw_strip(axes, place, strip, value_format)
  axes.set_yticks(
    places, [appearance.label(strip.name, 22) for strip in strips]
  )
  axes.set_ylim(places[-1] + 0.55, -0.45)
  appearance.format_axis(axes.xaxis, value_format)


def dress(axes: matplotlib.axes.Axes, *, title: str, quantity: str) -> None:
  """Titles the axes of strips and says how to read them.

  They are marked as seen in simulation only: each dot is a person.

  Args:
    axes: Where to.
    title: What the picture shows.
    quantity: What the values are.
  """
  appearance.dress(
    axes,
    title=title,
    x=f'{quantity}\nthin: all, thick: the middle half, stroke: the median, '
    'at the right',
    simulation_only=True,
  )
  axes.grid(visible=False, axis='y')
  axes.grid(axis='x', color='#e2e2e2', linewidth=0.8)
  axes.tick_params(axis='y', length=0)


def _draw_strip(
  axes: matplotlib.axes.Axes,
  position: float,
  strip: Strip,
  value_format: results.Format,
) -> None:
  values, color = strip.values, strip.color
  low, quarter, median, three, high = np.quantile(
    values, [0, 0.25, 0.5, 0.75, 1]
  )
  level = [position, position]
  axes.plot([low, high], level, color=color, linewidth=1.3, alpha=0.6)
  axes.plot(
    [quarter, three], level, color=color, linewidth=9, alpha=0.4,
    solid_capstyle='butt',
  )  # fmt: skip
  heights = position + 0.34 * ((np.arange(len(values)) * 0.618) % 1.0 - 0.5)
  axes.plot(
    values, heights, linestyle='none', marker='o', color=color,
    markersize=3 if len(values) < 200 else 2, markeredgewidth=0,
    alpha=float(np.clip(40 / len(values), 0.12, 0.6)),
  )  # fmt: skip
  axes.plot(
    [median, median], [position - 0.3, position + 0.3], color=color,
    linewidth=2.6,
  )  # fmt: skip
  axes.text(
    1.02, position, formats.number(float(median), value_format), va='center',
    transform=axes.get_yaxis_transform(), fontsize=9.5, color=color,
    fontweight='bold',
  )  # fmt: skip
