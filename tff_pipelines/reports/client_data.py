"""Who holds what: sizes and label mixes. Only a simulation can see this."""

import math

import matplotlib.axes
import matplotlib.figure
import numpy as np
import pandas as pd

from tff_pipelines.reports import (
  appearance,
  formats,
  label_colours,
  label_counts,
  label_map,
  run_reader,
)

# Up to here every client has a bar with its name under it.
_MOST_NAMED = 30

# Beyond, the labels of neighbours in size would blur into noise.
_MOST_STACKED = 300

# From here on the shares are a heat map: so many colours on top of each other
# are hard to follow from client to client.
_MOST_STACKED_LABELS = 4


def client_data(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws the sizes of the clients and the labels that they hold.

  Args:
    run: The run.

  Returns:
    The figure, None if the run did not write its clients.
  """
  if run.clients is None or run.clients.empty:
    return None
  found = label_counts.label_counts(_training_clients(run.clients))
  if found is None:
    return None
  found = label_counts.fold_rare_labels(found, label_colours.MOST_LABELS)
  many = len(found.clients) > _MOST_NAMED
  mixed = len(found.labels) > 1
  panels = int(many) + 1 + int(mixed)
  figure = appearance.figure(0.4 + 2.5 * panels, simulation_only=True)
  axes = list(figure.subplots(panels, 1, squeeze=False)[:, 0])
  if many:
    _draw_size_histogram(axes[0], found.sizes)
  by_size = np.argsort(-found.sizes, kind='stable')
  if len(found.clients) > _MOST_STACKED:
    sizes = label_counts.LabelCounts(
      found.clients, (), found.sizes[:, np.newaxis]
    )
    _draw_stacks(axes[1], sizes, by_size, shares=False)
  else:
    _draw_stacks(axes[int(many)], found, by_size, shares=False)
  if many:
    _tell_concentration(axes[1], found.sizes)
  if mixed:
    order = _by_mix(found) if many else by_size
    if len(found.labels) > _MOST_STACKED_LABELS:
      _draw_map(axes[-1], found, order)
    else:
      _draw_stacks(axes[-1], found, order, shares=True)
    _explain_colours(figure, axes)
  return figure


def _training_clients(clients: pd.DataFrame) -> pd.DataFrame:
  """Returns the clients without those who are there to be tested on only."""
  if not {'train_examples', 'test_examples'} <= set(clients.columns):
    return clients
  only_tested = (clients['train_examples'] == 0) & (
    clients['test_examples'] > 0
  )
  return clients if only_tested.all() else clients[~only_tested]


def _explain_colours(
  figure: matplotlib.figure.Figure, panels: list[matplotlib.axes.Axes]
) -> None:
  """Puts the labels of a panel that has their colours below the figure."""
  for axes in reversed(panels):
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
      appearance.legend(figure, handles, labels, columns=5)
      return


def _draw_size_histogram(axes: matplotlib.axes.Axes, sizes: np.ndarray) -> None:
  bins: list[float] | int = 30
  if appearance.spans_decades(sizes):
    axes.set_xscale('log')
    # Edges between integers: no bar is empty because no integer is in it.
    edges = np.unique(np.round(np.geomspace(sizes.min(), sizes.max() + 1, 31)))
    bins = (edges - 0.5).tolist()
    appearance.log_counts(axes.xaxis)
    axes.set_xlim(max(0.6, 0.8 * sizes.min()), 1.25 * sizes.max())
  elif np.ptp(sizes) < 40:
    # One bar an integer.
    bins = np.arange(sizes.min() - 0.5, sizes.max() + 1).tolist()
    appearance.format_axis(axes.xaxis, 'count')
  axes.hist(sizes, bins=bins, color='#9a9a9a', edgecolor='white', linewidth=0.6)
  appearance.format_axis(axes.yaxis, 'count')
  appearance.dress(
    axes,
    title='how much data a client has',
    x='training examples of a client',
    y='clients',
    simulation_only=True,
  )


def _draw_stacks(
  axes: matplotlib.axes.Axes,
  found: label_counts.LabelCounts,
  order: np.ndarray,
  *,
  shares: bool,
) -> None:
  counts = found.counts[order]
  if shares:
    sizes = counts.sum(axis=1, keepdims=True)
    counts = np.divide(
      counts, sizes, where=sizes > 0, out=np.zeros_like(counts)
    )
  tops = np.cumsum(counts, axis=1)
  colors = label_colours.colours(len(found.labels))
  labels = found.labels or ('examples',)
  for index, (label, color) in enumerate(zip(labels, colors, strict=True)):
    bottom = tops[:, index - 1] if index else np.zeros(len(tops))
    _draw_layer(
      axes, bottom, tops[:, index], color, appearance.label(label, 20)
    )
  # Named clients stand in the same order in all panels: the last has the names.
  ends = shares or len(found.labels) < 2
  _name_clients(axes, [found.clients[index] for index in order], named=ends)
  appearance.format_axis(axes.yaxis, 'percent' if shares else 'count')
  axes.set_ylim(0, 1 if shares else 1.05 * max(1.0, tops[:, -1].max()))
  sorted_by = 'largest first'
  if shares and len(order) > _MOST_NAMED:
    sorted_by = 'by their most frequent label'
    if len(found.labels) == 2:
      sorted_by = f'by their share of {appearance.label(found.labels[0])}'
  appearance.dress(
    axes,
    title=('which labels a client has' if shares else 'who holds the data'),
    x=f'clients, {sorted_by}' if ends or len(order) > _MOST_NAMED else '',
    y='share of its examples' if shares else 'training examples',
    simulation_only=True,
  )


def _draw_map(
  axes: matplotlib.axes.Axes,
  found: label_counts.LabelCounts,
  order: np.ndarray,
) -> None:
  many = len(order) > _MOST_NAMED
  label_map.draw(
    axes,
    label_counts.LabelCounts(
      clients=tuple(found.clients[index] for index in order),
      labels=found.labels,
      counts=found.counts[order],
    ),
    sorted_by='by their most frequent label' if many else 'largest first',
  )


def _tell_concentration(axes: matplotlib.axes.Axes, sizes: np.ndarray) -> None:
  largest = np.sort(sizes)[::-1][: math.ceil(len(sizes) / 10)]
  share = formats.number(largest.sum() / max(sizes.sum(), 1), 'percent')
  # Room for the words above the largest, also where all are as large.
  axes.set_ylim(top=1.35 * axes.get_ylim()[1])
  axes.text(
    0.98,
    0.93,
    f'the largest 10 % of the clients\nhold {share} of the examples',
    transform=axes.transAxes,
    ha='right',
    va='top',
    fontsize=9.5,
    color=appearance.INK,
  )


def _draw_layer(
  axes: matplotlib.axes.Axes,
  bottom: np.ndarray,
  top: np.ndarray,
  color: str,
  label: str,
) -> None:
  if len(top) <= _MOST_NAMED:
    axes.bar(
      np.arange(1, len(top) + 1),
      top - bottom,
      bottom=bottom,
      width=0.8,
      color=color,
      label=label,
    )
  else:
    # One polygon, however many clients: bars thinner than a pixel would blur.
    axes.stairs(
      top,
      np.arange(len(top) + 1) + 0.5,
      baseline=bottom,
      fill=True,
      color=color,
      linewidth=0,
      label=label,
    )


def _name_clients(
  axes: matplotlib.axes.Axes, clients: list[str], *, named: bool
) -> None:
  axes.set_xlim(0.5 - 0.01 * len(clients), len(clients) * 1.01 + 0.5)
  if len(clients) > _MOST_NAMED:
    appearance.format_axis(axes.xaxis, 'count')
    return
  crowded = len(clients) > 6
  axes.set_xticks(
    np.arange(1, len(clients) + 1),
    [appearance.label(name, 12) if named else '' for name in clients],
    rotation=90 if crowded else 0,
    fontsize=8,
  )


def _by_mix(found: label_counts.LabelCounts) -> np.ndarray:
  """Clients grouped by their most frequent label, by its share in the group."""
  sizes = np.maximum(found.sizes, 1)
  dominant = np.argmax(found.counts, axis=1)
  share = found.counts[np.arange(len(sizes)), dominant] / sizes
  if len(found.labels) == 2:
    # Two labels make one order, from all the one to all the other.
    return np.argsort(-found.counts[:, 0] / sizes, kind='stable')
  return np.lexsort((-share, dominant))
