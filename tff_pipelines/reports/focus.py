"""The part of a vertical axis in which systems differ."""

from collections.abc import Sequence
import math

from tff_pipelines.reports import results


def focus_limits(
  curves: Sequence[Sequence[float]],
  levels: Sequence[float],
  *,
  better: results.Better | None,
  bounds: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[tuple[float, float], bool]:
  """The part of the y axis in which the systems differ.

  The first third of every curve, in which everything is still bad, may leave
  the picture if it would flatten the rest.

  Args:
    curves: Finite values, in order of time.
    levels: Further values that must be seen.
    better: The direction in which curves run.
    bounds: What the quantity cannot exceed.

  Returns:
    The limits, and whether something lies outside.
  """
  settled = [v for curve in curves for v in curve[len(curve) // 3 :]]
  settled += levels
  low, high = min(settled), max(settled)
  full_low = min([low, *(v for curve in curves for v in curve)])
  full_high = max([high, *(v for curve in curves for v in curve)])
  flat = high - low < 0.5 * (full_high - full_low)
  if better != 'higher' or not flat:
    low = full_low
  if better != 'lower' or not flat:
    high = full_high
  cut = full_low < low or full_high > high
  margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
  # A bound is passed by a little, or a line along it would be cut in half.
  excess = 0.015 * (high - low + margin)
  return (
    max(low - margin, bounds[0] - excess),
    min(high + margin, bounds[1] + excess),
  ), cut
