"""How well attacks find out who took part, and what the guarantee forbids."""

import math

import matplotlib.axes
import matplotlib.figure
import matplotlib.ticker
import numpy as np

from tff_pipelines.reports import (
  appearance,
  audit_record,
  formats,
  privacy_record,
  run_reader,
)

_FORBIDDEN = '#cfe3f1'
_BOUND = '#0072b2'


def attack_curves(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws the curve of every attack, both axes logarithmic.

  Args:
    run: The run.

  Returns:
    The figure, None if there were no attacks.
  """
  if run.audit is None or not run.audit.membership:
    return None
  attacks = run.audit.membership
  figure = appearance.figure(4.9, simulation_only=True)
  axes = figure.add_subplot()
  low = _low_end(attacks)
  grid = np.logspace(math.log10(low), 0.0, 400)
  handles, labels = [], []
  looks = appearance.other_looks(len(attacks))
  for index, (attack, look) in enumerate(zip(attacks, looks, strict=True)):
    (line,) = axes.plot(
      attack.fpr, attack.tpr, color=look.color, linestyle=look.linestyle,
      linewidth=2.0,
    )  # fmt: skip
    # Side by side, so that no interval covers another.
    aside = 1.07 ** (index - (len(attacks) - 1) / 2)
    for point in attack.points:
      axes.plot(
        [point.fpr * aside] * 2, [max(point.low, low), max(point.high, low)],
        color=look.color, linewidth=2.0, alpha=0.9,
      )  # fmt: skip
      axes.plot(
        [point.fpr * aside], [max(point.tpr, low)], marker=look.marker,
        markersize=8, color=look.color, markeredgecolor='white',
        linestyle='none', clip_on=False, zorder=4,
      )  # fmt: skip
    handles.append(line)
    labels.append(_label(attack))
  (chance,) = axes.plot(
    grid, grid, color=appearance.GREY, linewidth=1.2, linestyle=(0, (1.5, 1.5))
  )
  handles.append(chance)
  labels.append('guessing')
  bound = guaranteed(run)
  if bound is not None:
    epsilon, delta = bound
    most = most_found(grid, epsilon, delta)
    (edge,) = axes.plot(grid, most, color=_BOUND, linewidth=1.2)
    axes.fill_between(
      grid, most, 2.0, color=_FORBIDDEN, linewidth=0, zorder=0.5
    )
    handles.append(edge)
    labels.append(f'the most that epsilon {formats.epsilon(epsilon)} allows')
  for rate in {p.fpr for attack in attacks for p in attack.points}:
    axes.axvline(
      rate, color=appearance.GREY, linewidth=0.7, alpha=0.4, zorder=0.8
    )
  _set_axes(axes, low)
  appearance.dress(
    axes,
    title='who took part?',
    x='share of the others who are accused wrongly',
    y='share of those who took part that is found',
    simulation_only=True,
  )
  appearance.legend(figure, handles, labels, columns=1)
  return figure


def guaranteed(run: run_reader.Run) -> tuple[float, float] | None:
  """The epsilon and delta that bound the attacks, None if nothing does.

  The promise of the trainings that were attacked; where these tell none, what
  the accountant says in the audit itself, else the run's promise if there is
  only one.
  """
  attacks = () if run.audit is None else run.audit.membership
  promises = {a.promise for a in attacks if a.promise is not None}
  if len(promises) == 1:
    return promises.pop()
  one_shot = None if run.audit is None else run.audit.one_shot
  if (
    one_shot is not None
    and one_shot.accountant is not None
    and math.isfinite(one_shot.accountant)
  ):
    return one_shot.accountant, one_shot.delta
  spent: list[privacy_record.Guarantee] = [
    record.spent for record in run.privacy.values() if record.spent is not None
  ]
  if len(run.privacy) == 1 and spent:
    return spent[0].epsilon, spent[0].delta
  return None


def most_found(fpr: np.ndarray, epsilon: float, delta: float) -> np.ndarray:
  """The highest true-positive rate that (epsilon, delta) allows.

  The least of e^epsilon FPR + delta, of 1 - e^-epsilon (1 - delta - FPR), which
  is the same for the opposite guess, and of 1.

  Args:
    fpr: False-positive rates, at least 0.
    epsilon: At least 0.
    delta: In [0, 1).
  """
  factor = math.exp(min(epsilon, 700.0))
  return np.clip(
    np.minimum(
      factor * fpr + delta, 1.0 - (1.0 - delta - fpr) / factor
    ),
    0.0,
    1.0,
  )  # fmt: skip


def _label(attack: audit_record.Attack) -> str:
  name = appearance.label(attack.name, 34)
  knows = appearance.label(attack.knowledge, 44)
  return f'{name} ({knows})'


def _low_end(attacks: tuple[audit_record.Attack, ...]) -> float:
  """The decade below everything that is marked, and 1e-5 at the least."""
  marked = [point.fpr for attack in attacks for point in attack.points]
  rates = [rate for rate in marked if rate > 0.0] or [1e-3]
  decade = 10.0 ** math.floor(math.log10(0.5 * min(rates)) + 1e-9)
  return max(decade, 1e-5)


def _set_axes(axes: matplotlib.axes.Axes, low: float) -> None:
  for axis in (axes.xaxis, axes.yaxis):
    axis.set_major_locator(matplotlib.ticker.LogLocator())
    axis.set_minor_locator(matplotlib.ticker.NullLocator())
  axes.set_xscale('log')
  axes.set_yscale('log')
  axes.set_xlim(low, 1.0)
  axes.set_ylim(low, 1.06)
  for axis in (axes.xaxis, axes.yaxis):
    appearance.format_axis(axis, 'percent')
    axis.set_minor_locator(matplotlib.ticker.NullLocator())
