"""One unusual client in or out: do the models of many seeds give it away?"""

from collections.abc import Sequence

import matplotlib.axes
import matplotlib.figure
import matplotlib.lines
import numpy as np

from tff_pipelines.reports import (
  appearance,
  formats,
  results,
  run_reader,
)

_IN = '#d55e00'
_OUT = '#0072b2'


def outlier_picture(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws the measured value of every model, with the client and without.

  Args:
    run: The run.

  Returns:
    The figure, None if the experiment was not made.
  """
  if run.audit is None or not run.audit.outlier:
    return None
  systems = run.audit.outlier
  figure = appearance.figure(0.9 + 0.95 * len(systems), simulation_only=True)
  axes = figure.add_subplot()
  for position, system in enumerate(systems):
    for offset, values, color, filled in (
      (-0.17, system.inside, _IN, True),
      (0.17, system.outside, _OUT, False),
    ):
      _draw_models(axes, values, position + offset, color, filled)
    axes.text(
      1.02,
      position,
      f'told apart:\n{formats.number(system.told_apart, "percent")}',
      transform=axes.get_yaxis_transform(),
      va='center',
      fontsize=9,
      color=appearance.INK,
    )
  for position in range(1, len(systems)):
    axes.axhline(position - 0.5, color='#cccccc', linewidth=0.8)
  axes.set_yticks(
    range(len(systems)),
    [appearance.label(results.display_name(s.name), 22) for s in systems],
  )
  axes.set_ylim(len(systems) - 0.5, -0.5)
  metrics = list(dict.fromkeys(system.metric for system in systems))
  appearance.dress(
    axes,
    title='one unusual client, in or out',
    x=appearance.label(', '.join(metrics), 70),
    simulation_only=True,
  )
  axes.grid(visible=False, axis='y')
  axes.grid(axis='x', color='#e2e2e2', linewidth=0.8)
  axes.tick_params(axis='y', length=0)
  appearance.legend(
    figure,
    [
      matplotlib.lines.Line2D(
        [],
        [],
        linestyle='none',
        marker='o',
        color=color,
        markerfacecolor=color if filled else 'none',
      )
      for color, filled in ((_IN, True), (_OUT, False))
    ],
    ['a model trained with the client', 'a model trained without it'],
  )
  return figure


def _draw_models(
  axes: matplotlib.axes.Axes,
  values: Sequence[float],
  position: float,
  color: str,
  filled: bool,
) -> None:
  # Seeds lie above each other in a fixed pattern, so that none is hidden.
  heights = position + 0.09 * ((np.arange(len(values)) * 0.618) % 1.0 - 0.5)
  axes.plot(
    values,
    heights,
    linestyle='none',
    marker='o',
    markersize=5.5 if len(values) <= 60 else 3.5,
    color=color,
    markerfacecolor=color if filled else 'none',
    markeredgecolor=color,
    alpha=0.75,
  )
  mean = float(np.mean(values))
  axes.plot(
    [mean, mean], [position - 0.15, position + 0.15], color=color, linewidth=2.2
  )
