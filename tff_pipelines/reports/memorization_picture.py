"""How far the secrets that people typed stand out to each model."""

from collections.abc import Sequence
import math
from typing import Any

import matplotlib.axes
import matplotlib.colors
import matplotlib.figure
import matplotlib.lines
import matplotlib.patches
import numpy as np

from tff_pipelines.reports import (
  appearance,
  formats,
  memorization_record,
  results,
  run_reader,
)

# From few to many times typed: of one hue, told apart by size too.
_SHADES = matplotlib.colors.LinearSegmentedColormap.from_list(
  'typed', ['#e8a06b', '#d55e00', '#6b2900']
)
_SIZES = (5.0, 11.0)
_CHANCE = '#d9d9d9'
_MOST_NAMED = 8
# A lane of dots, and the least height of a system's row.
_LANE_INCHES = 0.26
_ROW_INCHES = 0.62

# People who typed it, and how often each did.
_Kind = tuple[int, int]


def memorization_picture(
  run: run_reader.Run,
) -> matplotlib.figure.Figure | None:
  """Draws the exposure of every secret, a row a system.

  Args:
    run: The run.

  Returns:
    The figure, None if no secrets were planted.
  """
  found = run.memorization
  if found is None:
    return None
  kinds = sorted(
    {(s.clients, s.copies) for each in found.systems for s in _secrets(each)},
    key=lambda kind: (kind[0] * kind[1], kind),
  )
  row = max(_ROW_INCHES, _LANE_INCHES * (len(kinds) + 1))
  figure = appearance.figure(
    1.5 + row * len(found.systems), simulation_only=True
  )
  axes = figure.add_subplot()
  _draw_chance(axes, found)
  for index, system in enumerate(found.systems):
    _draw_system(axes, index, system, kinds)
  axes.set_yticks(
    range(len(found.systems)), [_name(system) for system in found.systems]
  )
  axes.set_ylim(len(found.systems) - 0.5, -0.5)
  for index in range(1, len(found.systems)):
    axes.axhline(index - 0.5, color='white', linewidth=2)
  axes.set_xlim(-0.02 * found.most, 1.03 * found.most)
  _name_ranks(axes, found)
  appearance.dress(
    axes,
    title='how soon a secret is found',
    x='exposure in bits: each one more halves the search',
    simulation_only=True,
  )
  axes.grid(visible=False, axis='y')
  axes.tick_params(axis='y', length=0)
  _explain(figure, kinds)
  return figure


def chance(candidates: int) -> tuple[float, float, float]:
  """The exposure of a secret whose rank is any, each as likely.

  Args:
    candidates: Number of ranks.

  Returns:
    The ends of the interval that holds the middle 90 %, and the mean, which
    tends to log2(e) = 1.44 with the number of candidates.
  """
  exposures = np.log2(candidates / np.arange(1.0, candidates + 1))
  low, high = np.quantile(exposures, [0.05, 0.95])
  return float(low), float(high), float(exposures.mean())


def _draw_chance(
  axes: matplotlib.axes.Axes, found: memorization_record.Memorization
) -> None:
  low, high, mean = chance(found.candidates)
  axes.axvspan(low, high, color=_CHANCE, linewidth=0, zorder=0.5)
  axes.axvline(
    mean, color=appearance.GREY, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1
  )


def _draw_system(
  axes: matplotlib.axes.Axes,
  index: int,
  system: memorization_record.System,
  kinds: Sequence[_Kind],
) -> None:
  for lane, kind in enumerate(kinds):
    values = np.sort(
      [s.exposure for s in _secrets(system) if (s.clients, s.copies) == kind]
    )
    # The controls lie lowest; within a lane dots make way for each other.
    middle = index + 0.4 - 0.8 * (lane + 0.5) / len(kinds)
    spread = (np.arange(len(values)) * 0.618) % 1.0 - 0.5
    heights = middle + 0.5 / len(kinds) * spread
    axes.plot(
      values, heights, linestyle='none', clip_on=False, zorder=3,
      **_look(kind, kinds),
    )  # fmt: skip
  axes.annotate(
    f'{system.first} of {len(system.inserted)}\ncome first',
    xy=(1.02, index),
    xycoords=axes.get_yaxis_transform(),
    va='center',
    fontsize=9.5,
    color=appearance.INK,
  )


def _look(kind: _Kind, kinds: Sequence[_Kind]) -> dict[str, Any]:
  if not kind[0]:
    return {
      'marker': 'o', 'markersize': 5.0, 'markerfacecolor': 'none',
      'markeredgecolor': '#444444', 'markeredgewidth': 1.0,
    }  # fmt: skip
  typed = [each for each in kinds if each[0]]
  share = typed.index(kind) / (len(typed) - 1) if len(typed) > 1 else 0.5
  return {
    'marker': 'o', 'markersize': float(np.interp(share, [0, 1], _SIZES)),
    'alpha': 0.85, 'markerfacecolor': _SHADES(share),
    'markeredgecolor': 'white', 'markeredgewidth': 0.6,
  }  # fmt: skip


def _name_ranks(
  axes: matplotlib.axes.Axes, found: memorization_record.Memorization
) -> None:
  """Writes at the top what place an exposure is."""
  top = axes.secondary_xaxis('top')
  ranks = [1]
  while 10 * ranks[-1] <= found.candidates:
    ranks.append(10 * ranks[-1])
  ranks = ranks[:: math.ceil(len(ranks) / 5)]
  top.set_xticks(
    [math.log2(found.candidates / rank) for rank in ranks],
    ['1st' if rank == 1 else f'{rank:,}th' for rank in ranks],
  )
  top.tick_params(length=3, labelsize=9, colors=appearance.GREY)
  top.spines['top'].set_visible(False)
  top.set_xlabel(
    f'place in a search of {found.candidates:,} candidates',
    fontsize=9,
    color=appearance.GREY,
  )


def _explain(figure: matplotlib.figure.Figure, kinds: Sequence[_Kind]) -> None:
  handles: list[Any] = []
  labels = []
  for kind in kinds[:_MOST_NAMED]:
    handles.append(
      matplotlib.lines.Line2D([], [], linestyle='none', **_look(kind, kinds))
    )
    labels.append(_typed(kind))
  handles.append(matplotlib.patches.Patch(color=_CHANCE))
  labels.append('chance: 9 of 10 lie here (dashed: mean)')
  appearance.legend(figure, handles, labels)


def _typed(kind: _Kind) -> str:
  clients, copies = kind
  if not clients:
    return 'control: typed by nobody'
  who = 'one person' if clients == 1 else f'each of {clients:,} people'
  often = {1: 'once', 2: 'twice'}.get(copies, f'{copies:,} times')
  return f'typed {often} by {who}'


def _secrets(
  system: memorization_record.System,
) -> tuple[memorization_record.Secret, ...]:
  return system.inserted + system.controls


def _name(system: memorization_record.System) -> str:
  name = appearance.label(results.display_name(system.system), 18)
  if system.epsilon is None:
    return f'{name}\n(no promise)'
  return f'{name}\n(epsilon {formats.epsilon(system.epsilon)})'
