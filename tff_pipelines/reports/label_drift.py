"""Whose labels take part, round by round. Only a simulation can see this."""

import matplotlib.axes
import matplotlib.figure
import numpy as np
import pandas as pd

from tff_pipelines.reports import (
  appearance,
  label_colours,
  label_counts,
  run_reader,
)

_PANELS = {
  'awake:': 'labels of all who can be chosen',
  'cohort:': 'labels of those who are chosen',
}


def label_drift(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws the label mix of each round of a day, stacked.

  Args:
    run: The run.

  Returns:
    The figure, None if the run did not write label mixes.
  """
  mixes = run.label_mixes
  if mixes is None or mixes.empty:
    return None
  figure = appearance.figure(0.4 + 2.3 * len(_PANELS), simulation_only=True)
  panels = figure.subplots(len(_PANELS), 1, sharex=True)
  for axes, (prefix, title) in zip(panels, _PANELS.items(), strict=True):
    _draw(axes, mixes, prefix)
    appearance.dress(
      axes,
      title=title,
      x='round' if prefix == 'cohort:' else '',
      y='share',
      simulation_only=True,
    )
    axes.grid(visible=False)
  handles, labels = panels[-1].get_legend_handles_labels()
  appearance.legend(figure, handles, labels, columns=5)
  return figure


def _draw(axes: matplotlib.axes.Axes, mixes: pd.DataFrame, prefix: str) -> None:
  names = [name for name in mixes.columns if name.startswith(prefix)]
  rounds = mixes['round_num'].to_numpy(float)
  found = label_counts.fold_rare_labels(
    label_counts.LabelCounts(
      clients=tuple(map(str, rounds)),
      labels=tuple(name.removeprefix(prefix) for name in names),
      counts=np.nan_to_num(mixes[names].to_numpy(float)),
    ),
    label_colours.MOST_LABELS,
  )
  tops = np.cumsum(found.counts, axis=1)
  for index, (label, colour) in enumerate(
    zip(found.labels, label_colours.colours(len(found.labels)), strict=True)
  ):
    axes.stairs(
      tops[:, index],
      np.append(rounds - 0.5, rounds[-1] + 0.5),
      baseline=tops[:, index - 1] if index else np.zeros(len(tops)),
      fill=True,
      color=colour,
      linewidth=0,
      label=appearance.label(label, 20),
    )
  axes.set_xlim(rounds[0] - 0.5, rounds[-1] + 0.5)
  axes.set_ylim(0, 1)
  appearance.format_axis(axes.yaxis, 'percent')
  appearance.whole_ticks(axes.xaxis)
