"""A heat map of clients and labels. Only a simulation can see this."""

import matplotlib.axes
import numpy as np

from tff_pipelines.reports import (
  appearance,
  heat_colours,
  label_counts,
)

# Of so few clients there is room for the shares, and for their names.
_MOST_WRITTEN = 12
_MOST_NAMED = 30

# What a share of nothing has of the darkest: not quite white, so that the
# ground is seen.
_PALEST = 0.03


def draw(
  axes: matplotlib.axes.Axes,
  found: label_counts.LabelCounts,
  *,
  sorted_by: str,
) -> None:
  """Draws a column a client, a row a label, darker for more of it.

  Args:
    axes: Where to.
    found: The clients, in the order in which they are drawn.
    sorted_by: That order, in words.
  """
  sizes = found.counts.sum(axis=1, keepdims=True)
  shares = np.divide(
    found.counts, sizes, where=sizes > 0, out=np.zeros_like(found.counts)
  )
  # Where all are alike, a share in the middle of the scale.
  darkest = max(float(shares.max(initial=0)), 2 / len(found.labels))
  # Many more clients than pixels: a pixel is the mean of those under it.
  axes.imshow(
    shares.T,
    cmap=heat_colours.SHARE,
    vmin=-_PALEST * darkest,
    vmax=darkest,
    aspect='auto',
    interpolation='antialiased',
    interpolation_stage='data',
    extent=(0.5, len(shares) + 0.5, len(found.labels) - 0.5, -0.5),
  )
  if len(shares) <= _MOST_WRITTEN:
    _write_shares(axes, shares, darkest)
  axes.set_yticks(
    range(len(found.labels)),
    [appearance.label(label, 14) for label in found.labels],
    fontsize=8,
  )
  if len(shares) <= _MOST_NAMED:
    axes.set_xticks(
      np.arange(1, len(shares) + 1),
      [appearance.label(name, 12) for name in found.clients],
      rotation=90 if len(shares) > 6 else 0,
      fontsize=8,
    )
  else:
    appearance.format_axis(axes.xaxis, 'count')
  appearance.dress(
    axes,
    title='which labels a client has',
    x=f'clients, {sorted_by}; the darkest: {_percent(darkest)} of its examples',
    y='label',
    simulation_only=True,
  )
  axes.grid(visible=False)
  axes.spines[:].set_visible(False)
  axes.tick_params(length=0)


def _percent(share: float) -> str:
  return f'{100 * share:.0f} %'


def _write_shares(
  axes: matplotlib.axes.Axes, shares: np.ndarray, darkest: float
) -> None:
  for (client, label), share in np.ndenumerate(shares):
    # Of what rounds to nothing, nothing is written.
    if round(100 * share) == 0:
      continue
    colour = heat_colours.SHARE((share / darkest + _PALEST) / (1 + _PALEST))
    axes.text(
      client + 1,
      label,
      f'{100 * share:.0f}',
      ha='center',
      va='center',
      fontsize=7.5,
      color=heat_colours.ink_on(colour),
    )
