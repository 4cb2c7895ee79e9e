"""The loss of the models between two, by where these started."""

from collections.abc import Sequence
import math

import matplotlib.axes
import matplotlib.figure
import numpy as np

from tff_pipelines.reports import appearance, map_record

_COLOR = '#0072b2'
_MEAN = 0.5


def interpolation_picture(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws the loss of every weighted mean of two models, a panel a pair.

  Args:
    record: Of the kind `interpolation`; its curves have lists `weights` and
      `losses` of the same length, with the weights 0, 0.5 and 1 among them.

  Returns:
    The figure, None if a curve has no such lists.
  """
  lines = [
    line for curve in record.curves if (line := _line(curve)) is not None
  ]
  if not lines or len(lines) < len(record.curves):
    return None
  figure = appearance.figure(3.3, simulation_only=True)
  panels = figure.subplots(1, len(lines), squeeze=False)[0]
  for panel, curve, line in zip(panels, record.curves, lines, strict=True):
    _draw(panel, *line)
    appearance.dress(
      panel,
      title=appearance.label(curve.name.replace('_', ' '), 18),
      x='weight of the first model',
    )
  panels[0].set_ylabel('loss on all training examples')
  appearance.mark_simulation_only(figure)
  return figure


def _line(curve: map_record.Curve) -> tuple[np.ndarray, np.ndarray] | None:
  """Returns weights and losses in the order of the weights."""
  found = [curve.values.get(name) for name in ('weights', 'losses')]
  if not all(_are_numbers(each) for each in found):
    return None
  weights, losses = (np.array(each, float) for each in found)
  if len(weights) != len(losses) or not {0.0, _MEAN, 1.0} <= {*weights}:
    return None
  order = np.argsort(weights)
  return weights[order], losses[order]


def _are_numbers(found: object) -> bool:
  return isinstance(found, Sequence) and all(
    isinstance(one, int | float) and not isinstance(one, bool) for one in found
  )


def _draw(
  axes: matplotlib.axes.Axes, weights: np.ndarray, losses: np.ndarray
) -> None:
  at = dict(zip(weights.tolist(), losses.tolist(), strict=True))
  better = min(at[0.0], at[1.0])
  axes.axhline(
    better, color=appearance.GREY, linewidth=1.2, linestyle=(0, (4, 3))
  )
  axes.plot(weights, losses, color=_COLOR, linewidth=2)
  axes.plot(
    [0.0, 1.0], [at[0.0], at[1.0]], linestyle='none', marker='s', markersize=7,
    color=appearance.INK,
  )  # fmt: skip
  axes.plot(_MEAN, at[_MEAN], marker='o', markersize=8, color=_COLOR)
  finite = [loss for loss in losses.tolist() if math.isfinite(loss)]
  if finite and min(finite) > 0:
    # From zero on, with room for the number above the mean.
    axes.set_ylim(0, 1.25 * max(finite))
  # On the side of the mean where the dashed line is not.
  above = at[_MEAN] > better
  axes.annotate(
    f'{at[_MEAN]:.3g}', (_MEAN, at[_MEAN]), xytext=(0, 9 if above else -9),
    textcoords='offset points', ha='center',
    va='bottom' if above else 'top', fontsize=9.5, color=_COLOR,
    fontweight='bold',
  )  # fmt: skip
  axes.set_xticks([0, 0.5, 1], ['0\nsecond', '0.5\nmean', '1\nfirst'])
