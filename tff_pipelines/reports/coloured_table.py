"""A table whose cells are coloured by their numbers."""

from collections.abc import Sequence

import matplotlib.axes
import matplotlib.patches
import numpy as np

from tff_pipelines.reports import appearance, heat_colours


def draw(
  axes: matplotlib.axes.Axes,
  values: np.ndarray,
  texts: Sequence[Sequence[str]],
  *,
  rows: Sequence[str],
  columns: Sequence[str],
  font_size: float = 10.0,
) -> list[list[str]]:
  """Draws cells, the first row on top, with their numbers in them.

  Args:
    axes: Where to.
    values: [num_rows, num_columns]; fractions, darker if higher. NaN is a cell
      without colour.
    texts: What stands in the cells; a second line is smaller.
    rows: Their names.
    columns: Their names.
    font_size: Of the first line.

  Returns:
    The colours of the cells' texts, for further marks.
  """
  known = values[np.isfinite(values)]
  # From the lowest, unless all are alike: then a small difference stays small.
  low = min(float(known.min()), float(known.max()) - 0.1) if len(known) else 0
  high = float(known.max()) if len(known) else 1.0
  shades = 0.05 + 0.9 * (values - low) / (high - low)
  inks = [[''] * len(columns) for _ in rows]
  for row, column in np.ndindex(*values.shape):
    shade = shades[row, column]
    color = heat_colours.SHARE(shade) if np.isfinite(shade) else (1, 1, 1, 1)
    axes.add_patch(
      matplotlib.patches.Rectangle(
        (column - 0.5, row - 0.5), 1, 1, facecolor=color, edgecolor='white',
        linewidth=1.5,
      )
    )  # fmt: skip
    first, _, second = texts[row][column].partition('\n')
    ink = inks[row][column] = heat_colours.ink_on(color)
    axes.text(
      column, row - 0.14 * bool(second), first, ha='center', va='center',
      fontsize=font_size, color=ink,
    )  # fmt: skip
    if second:
      axes.text(
        column, row + 0.22, second, ha='center', va='center',
        fontsize=0.78 * font_size, color=ink,
      )  # fmt: skip
  axes.set_xlim(-0.5, len(columns) - 0.5)
  axes.set_ylim(len(rows) - 0.5, -0.5)
  axes.set_xticks(range(len(columns)), columns)
  axes.set_yticks(range(len(rows)), rows)
  axes.tick_params(length=0, colors=appearance.INK)
  axes.spines[:].set_visible(False)
  axes.grid(visible=False)
  return inks
