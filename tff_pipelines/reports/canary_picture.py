"""What the canaries of a one-shot audit show, beside the accountant's bound."""

import math

import matplotlib.axes
import matplotlib.figure
import matplotlib.ticker
import numpy as np

from tff_pipelines.reports import (
  appearance,
  audit_record,
  formats,
  run_reader,
)

_CANARIES = '#d55e00'
_ACCOUNTANT = '#0072b2'


def canary_picture(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws the canaries' cosines, and the epsilon that they amount to.

  Args:
    run: The run.

  Returns:
    The figure, None if no canaries were in the run.
  """
  if run.audit is None or run.audit.one_shot is None:
    return None
  found = run.audit.one_shot
  heights = [2.7, 1.35]
  if any(math.isfinite(estimate) for _, estimate in found.by_round):
    heights.append(2.1)
  figure = appearance.figure(sum(heights), simulation_only=True)
  axes = figure.subplots(len(heights), 1, height_ratios=heights)
  _draw_cosines(axes[0], found)
  _draw_epsilons(axes[1], found)
  if len(axes) > 2:
    _draw_rounds(axes[2], found)
  return figure


def _draw_cosines(
  axes: matplotlib.axes.Axes, found: audit_record.OneShot
) -> None:
  cosines, stddev = np.array(found.cosines), found.null_stddev
  low = min(cosines.min(), -3.6 * stddev)
  high = max(cosines.max(), 3.6 * stddev)
  # As many bins as the spread of the cosines themselves asks for.
  width = 3.5 * max(cosines.std(), 0.2 * stddev) * len(cosines) ** (-1 / 3)
  count = int(np.clip(math.ceil((high - low) / width), 12, 80))
  bins = np.linspace(low, high, count + 1)
  heights, _, _ = axes.hist(
    cosines, bins=bins.tolist(), color=_CANARIES, alpha=0.75,
    edgecolor='white', linewidth=0.5,
  )  # fmt: skip
  grid = np.linspace(low, high, 400)
  density = np.exp(-0.5 * (grid / stddev) ** 2) / math.sqrt(2 * math.pi)
  null = len(cosines) * (bins[1] - bins[0]) / stddev * density
  axes.plot(grid, null, color=appearance.INK, linewidth=1.8)
  axes.fill_between(grid, null, color=appearance.INK, alpha=0.10, linewidth=0)
  mean = float(cosines.mean())
  axes.axvline(mean, color=_CANARIES, linewidth=1.6)
  top = 1.3 * max(float(np.max(heights)), float(null.max()))
  axes.set_ylim(0.0, top)
  axes.set_xlim(low, high)
  # Each name beside its line: where the two are far apart, between them.
  canaries_right = (mean >= 0.0) == (abs(mean) < 6.5 * stddev)
  for x, text, color, right in (
    (
      0.0,
      'without canaries:\nchance alone',
      appearance.INK,
      not canaries_right,
    ),
    (
      mean,
      f'{found.canaries:,} canaries\n(line: their mean)',
      _CANARIES,
      canaries_right,
    ),
  ):
    axes.annotate(
      text,
      xy=(x, 0.985 * top),
      xytext=(5 if right else -5, 0),
      textcoords='offset points',
      ha='left' if right else 'right',
      va='top',
      fontsize=9,
      color=color,
    )
  appearance.format_axis(axes.yaxis, 'count')
  axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6))
  appearance.dress(
    axes,
    title='what is left of the canaries',
    x="cosine between what was released and the canary's direction",
    y='canaries',
    simulation_only=True,
  )


def _draw_epsilons(
  axes: matplotlib.axes.Axes, found: audit_record.OneShot
) -> None:
  known = [
    value
    for value in (found.estimate, found.lower_bound, found.accountant)
    if value is not None and math.isfinite(value)
  ]
  right = 1.15 * max(*known, 0.1)
  end = min(found.estimate, right)
  axes.plot(
    [found.lower_bound, end], [1, 1], color=_CANARIES, linewidth=4,
    solid_capstyle='butt', alpha=0.45,
  )  # fmt: skip
  axes.plot(
    [found.lower_bound], [1], marker='|', markersize=16, markeredgewidth=2.2,
    color=_CANARIES, linestyle='none', clip_on=False,
  )  # fmt: skip
  axes.plot(
    [end], [1], marker='o' if math.isfinite(found.estimate) else '>',
    markersize=8, color=_CANARIES, linestyle='none', clip_on=False,
  )  # fmt: skip
  percent = f'{100 * found.confidence:.3g} %'
  rows = [
    f'measured: {formats.epsilon(found.estimate)}\n'
    f'at least {formats.epsilon(found.lower_bound)} ({percent})'
  ]
  if found.accountant is not None:
    rows.append(f'computed:\nat most {formats.epsilon(found.accountant)}')
    if math.isfinite(found.accountant):
      axes.plot(
        [0.0, found.accountant], [0, 0], color=_ACCOUNTANT, linewidth=4,
        alpha=0.45, solid_capstyle='butt',
      )  # fmt: skip
      axes.plot(
        [found.accountant], [0], marker='|', markersize=16,
        markeredgewidth=2.2, color=_ACCOUNTANT, linestyle='none',
        clip_on=False,
      )  # fmt: skip
      axes.axvline(found.accountant, color=_ACCOUNTANT, linewidth=1.0,
                   linestyle=(0, (4, 3)))  # fmt: skip
  else:
    rows.append('computed:\nno bound')
  axes.set_xlim(0.0, right)
  axes.set_ylim(-0.6, 1.6)
  axes.set_yticks([1, 0], rows)
  for tick, color in zip(
    axes.get_yticklabels(), (_CANARIES, _ACCOUNTANT), strict=True
  ):
    tick.set_color(color)
  appearance.dress(
    axes,
    title='the same as an epsilon',
    x=f'epsilon at delta {formats.small(found.delta)}',
    simulation_only=True,
  )
  axes.grid(visible=False, axis='y')
  axes.tick_params(axis='y', length=0)


def _draw_rounds(
  axes: matplotlib.axes.Axes, found: audit_record.OneShot
) -> None:
  present = [(r, e) for r, e in found.by_round if math.isfinite(e)]
  rounds, estimates = (list(values) for values in zip(*present, strict=True))
  axes.plot(
    rounds,
    estimates,
    color=_CANARIES,
    linewidth=1.6,
    marker='o' if len(rounds) <= 25 else None,
    markersize=4,
  )
  top = max(estimates)
  if found.accountant is not None and math.isfinite(found.accountant):
    axes.axhline(
      found.accountant, color=_ACCOUNTANT, linewidth=1.2, linestyle=(0, (4, 3))
    )
    top = max(top, found.accountant)
    axes.annotate(
      'computed for the whole run',
      xy=(rounds[0], found.accountant),
      xytext=(0, 3),
      textcoords='offset points',
      va='bottom',
      fontsize=9,
      color=_ACCOUNTANT,
    )
  axes.set_ylim(0.0, 1.25 * top or 1.0)
  appearance.round_axis(axes)
  appearance.dress(
    axes,
    title='measured after so many rounds',
    x='rounds so far: each mark is the model after all of them',
    y='epsilon',
    simulation_only=True,
  )
