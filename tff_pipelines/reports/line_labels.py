"""Names beside the ends of lines, moved apart so that none covers another."""

from collections.abc import Sequence
import dataclasses

import matplotlib.axes
import matplotlib.figure
import numpy as np

_FONT_SIZE = 9
# A line of that font with a little air.
_GAP_INCHES = 0.165


@dataclasses.dataclass(frozen=True)
class End:
  """The end of a line.

  Attributes:
    x: Where it is, in the axes' units.
    y: Likewise.
    text: What stands beside it, one line, safe to draw.
    color: Of the text.
  """

  x: float
  y: float
  text: str
  color: str


def draw(axes: matplotlib.axes.Axes, ends: Sequence[End]) -> None:
  """Writes the texts in a column right of the axes, tied to their ends.

  Scales and limits of the axes have to be final.

  Args:
    axes: Where to.
    ends: What to name.
  """
  if not ends:
    return
  figure = axes.get_figure()
  assert isinstance(figure, matplotlib.figure.Figure)
  figure.draw_without_rendering()  # Only now it is known how high the axes are.
  height = axes.get_window_extent().height
  to_axes = axes.transAxes.inverted()
  wanted = [
    to_axes.transform(axes.transData.transform((end.x, end.y)))[1]
    for end in ends
  ]
  gap = _GAP_INCHES * figure.dpi / height
  for end, place in zip(ends, spread(wanted, gap), strict=True):
    axes.annotate(
      end.text,
      xy=(end.x, end.y),
      xytext=(1.035, place),
      textcoords='axes fraction',
      va='center',
      ha='left',
      fontsize=_FONT_SIZE,
      color=end.color,
      annotation_clip=False,
      arrowprops={
        'arrowstyle': '-',
        'color': end.color,
        'linewidth': 0.7,
        'alpha': 0.6,
        'shrinkA': 1,
        'relpos': (0.0, 0.5),  # From the text's left edge, not across it.
        'shrinkB': 3,
      },
    )


def spread(wanted: Sequence[float], gap: float) -> list[float]:
  """Moves places apart: at least `gap` between any two, none moved in vain.

  The sum of squared moves is the least possible (isotonic regression of the
  places without their gaps), then all are pushed into [0, 1] if they fit.

  Args:
    wanted: Where they would like to be.
    gap: Between neighbours; made smaller if they do not fit otherwise.

  Returns:
    The places, in the order of `wanted`.
  """
  count = len(wanted)
  gap = min(gap, 1.0 / max(count - 1, 1))
  order = np.argsort(wanted, kind='stable')
  blocks: list[tuple[float, int]] = []  # Mean of the block, its length.
  for rank, index in enumerate(order):
    mean, length = wanted[index] - rank * gap, 1
    while blocks and blocks[-1][0] > mean:
      before, others = blocks.pop()
      mean = (mean * length + before * others) / (length + others)
      length += others
    blocks.append((mean, length))
  places = np.repeat([mean for mean, _ in blocks], [n for _, n in blocks])
  # Without the gaps the last may be at most at 1 - (count - 1) gap.
  places = np.clip(places, 0.0, 1.0 - (count - 1) * gap)
  found = np.empty(count)
  found[order] = places + gap * np.arange(count)
  return found.tolist()
