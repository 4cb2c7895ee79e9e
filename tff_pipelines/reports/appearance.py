"""What all figures share: size, colours of the systems, marks, axes."""

from collections.abc import Iterable, Sequence
import dataclasses
import itertools
import math
import re
from typing import Any

import matplotlib.axes
import matplotlib.colors
import matplotlib.figure
import matplotlib.ticker
import numpy as np

from tff_pipelines.reports import formats, results

# One column of a page, also of a phone: text stays legible when scaled down.
WIDTH_INCHES = 6.4
GREY = '#7a7a7a'
PALE_GREY = '#d4d4d4'
INK = '#333333'
SIMULATION_ONLY = 'simulation only'

_SIMULATION_BACKGROUND = '#f2f2f2'


@dataclasses.dataclass(frozen=True)
class Look:
  """How a system is drawn in every figure.

  Dashes and marker say the same as the colour, for print in black and white.
  """

  color: str
  linestyle: Any
  marker: str


# Okabe and Ito's colours: told apart by the colour blind. `local` is grey, as
# is everything that only a simulation can see.
_LOOKS = {
  'federated': Look('#0072b2', '-', 'o'),
  'central': Look('#d55e00', (0, (6, 2)), 's'),
  'local': Look(GREY, (0, (1.5, 1.5)), 'D'),
  'secure_federated': Look('#009e73', (0, (6, 2, 1.5, 2)), '^'),
}
_OTHER_LOOKS = (
  Look('#cc79a7', (0, (3, 1)), 'v'),
  Look('#e69f00', (0, (8, 2, 1, 2, 1, 2)), 'P'),
  Look('#56b4e9', (0, (4, 3)), 'X'),
  Look('#222222', (0, (1, 1)), '*'),
  # A comparison of many mechanisms; of Tol's dark colours.
  Look('#882255', (0, (5, 1)), '<'),
  Look('#332288', (0, (2, 1)), '>'),
  Look('#999933', (0, (7, 2)), 'p'),
  Look('#8c510a', (0, (3, 1, 1, 1)), 'h'),
)


def looks(systems: Iterable[str]) -> dict[str, Look]:
  """A look for each system: a fixed one, or the next that is free.

  Args:
    systems: All systems of the run, so that all its figures agree.
  """
  found = {}
  others = 0
  for system in systems:
    if system in _LOOKS:
      found[system] = _LOOKS[system]
    elif system not in found:
      found[system] = _OTHER_LOOKS[others % len(_OTHER_LOOKS)]
      others += 1
  return found


def other_looks(count: int) -> list[Look]:
  """Looks for things that are no systems, such as attacks."""
  return [_OTHER_LOOKS[index % len(_OTHER_LOOKS)] for index in range(count)]


def figure(
  height_inches: float, *, simulation_only: bool = False
) -> matplotlib.figure.Figure:
  """An empty figure; a grey ground marks what only a simulation can see."""
  found = matplotlib.figure.Figure(
    figsize=(WIDTH_INCHES, height_inches),
    facecolor=_SIMULATION_BACKGROUND if simulation_only else 'white',
  )
  found.set_layout_engine('constrained', w_pad=0.08, h_pad=0.1)
  return found


def is_simulation_only(drawn: matplotlib.figure.Figure) -> bool:
  """Whether a figure has the ground of what only a simulation can see."""
  ground = matplotlib.colors.to_rgba(_SIMULATION_BACKGROUND)
  return matplotlib.colors.to_rgba(drawn.get_facecolor()) == ground


def dress(
  axes: matplotlib.axes.Axes,
  *,
  title: str,
  x: str = '',
  y: str = '',
  simulation_only: bool = False,
) -> None:
  """Titles the axes and takes away what is not data.

  Args:
    axes: Where to.
    title: What the picture shows.
    x: Name of the horizontal axis.
    y: Name of the vertical axis.
    simulation_only: Whether only a simulation can see it.
  """
  title = title[:1].upper() + title[1:]
  axes.set_title(title, loc='left', fontsize=11, fontweight='bold', color=INK)
  if simulation_only:
    remark(axes, SIMULATION_ONLY)
  axes.set_xlabel(x)
  axes.set_ylabel(y)
  axes.spines[['top', 'right']].set_visible(False)
  axes.grid(axis='y', color='#e2e2e2', linewidth=0.8)
  axes.set_axisbelow(True)


def remark(axes: matplotlib.axes.Axes, text: str) -> None:
  """Writes a short remark above the right end of the axes, clear of data."""
  axes.set_title(text, loc='right', fontsize=9, style='italic', color=GREY)


def legend(
  owner: matplotlib.figure.Figure,
  handles: Sequence[Any],
  labels: Sequence[str],
  columns: int = 2,
) -> None:
  """Puts the legend below the axes, where it covers no data.

  The figure grows by it, so that the axes keep their size.

  Args:
    owner: The figure.
    handles: What is explained.
    labels: Its explanations.
    columns: The most columns; long labels get fewer.
  """
  if not labels:
    return
  lines = [line for text in labels for line in text.split('\n')]
  width_inches = 0.65 + 0.085 * max(len(line) for line in lines)
  columns = min(columns, len(labels), int(WIDTH_INCHES / width_inches))
  columns = max(columns, 1)
  owner.legend(
    handles,
    labels,
    loc='outside lower center',
    ncols=columns,
    frameon=False,
    fontsize=9.5,
  )
  num_lines = math.ceil(len(lines) / columns)
  owner.set_figheight(owner.get_figheight() + 0.1 + 0.2 * num_lines)


def label(text: str, limit: int = 28) -> str:
  """Makes any text safe and short enough to stand in a figure.

  Matplotlib takes text between two dollar signs for mathematics, and hides
  legend entries that begin with an underscore.

  Args:
    text: What to show.
    limit: Number of characters beyond which it is cut, with an ellipsis.
  """
  text = re.sub(r'[\s\x00-\x1f\x7f]+', ' ', text).strip()
  if len(text) > limit:
    text = text[: limit - 1] + '\N{HORIZONTAL ELLIPSIS}'
  text = text.replace('$', r'\$')
  return f' {text}' if text.startswith('_') else text


def format_axis(axis: Any, value_format: results.Format) -> None:
  """Writes an axis' ticks as the tables write numbers, without empty digits."""

  def text(value: float, _: Any = None) -> str:
    if value_format == 'percent':
      return f'{100 * value:.6g} %'
    if value_format == 'ratio':
      return f'{value:.6g}'
    if value_format == 'bytes':
      size, name = formats.byte_unit(value)
      return f'{value / size:.6g} {name}'
    return formats.number(value, value_format)

  if value_format == 'count':
    whole_ticks(axis)
  axis.set_major_formatter(matplotlib.ticker.FuncFormatter(text))


def whole_ticks(axis: Any, most: int = 7) -> None:
  """Puts ticks at whole round numbers only: there is no round 2.5."""
  axis.set_major_locator(
    matplotlib.ticker.MaxNLocator(
      most, integer=True, steps=(1, 2, 5, 10), min_n_ticks=1
    )
  )


def round_axis(axes: matplotlib.axes.Axes, most: int = 7) -> None:
  """Makes the horizontal axis one of rounds, even of a single one."""
  whole_ticks(axes.xaxis, most)
  low, high = axes.dataLim.intervalx
  if low == high:
    axes.set_xlim(low - 0.9, high + 0.9)


def spans_decades(counts: np.ndarray) -> bool:
  """Whether counts differ so much that they need a logarithmic axis."""
  return bool(counts.min() > 0 and counts.max() >= 30 * counts.min())


def log_counts(axis: Any) -> None:
  """Writes the ticks 1, 2, 5, 10, 20, ... on a logarithmic axis."""
  axis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
  axis.set_minor_locator(matplotlib.ticker.NullLocator())
  axis.set_major_formatter(
    matplotlib.ticker.FuncFormatter(lambda value, _: f'{value:,.0f}')
  )


def value_axis(
  axes: matplotlib.axes.Axes, values: Sequence[float], *, most: int = 8
) -> None:
  """Puts the ticks of the horizontal axis at the values that were tried.

  The axis becomes logarithmic if they double rather than grow evenly.

  Args:
    axes: Whose axis.
    values: In any order; may repeat.
    most: Of more values, only some have a tick.
  """
  ordered = sorted({float(value) for value in values})
  if doubles(ordered):
    axes.set_xscale('log')
  shown = ordered[:: math.ceil(len(ordered) / most)]
  axes.set_xticks(shown, [f'{value:,.6g}' for value in shown])
  axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())


def doubles(values: Sequence[float]) -> bool:
  """Whether rising values grow by a factor rather than by a difference."""
  if len(values) < 3 or values[0] <= 0:
    return False
  ratios = [high / low for low, high in itertools.pairwise(values)]
  return min(ratios) >= 1.4 and values[-1] >= 6 * values[0]


def mark_simulation_only(owner: matplotlib.figure.Figure) -> None:
  """Marks a figure of many panels, none of which has room for the words."""
  owner.suptitle(
    SIMULATION_ONLY, x=0.985, ha='right', fontsize=9, style='italic', color=GREY
  )
