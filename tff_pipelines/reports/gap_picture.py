"""What an outlier's presence changes, level of noise by level of noise."""

from collections.abc import Sequence

import matplotlib.axes
import matplotlib.figure
import matplotlib.ticker
import numpy as np

from tff_pipelines.reports import (
  appearance,
  formats,
  heat_colours,
  map_record,
  privacy_picture,
  seed_bands,
)

_COLOR = '#0072b2'


def gap_picture(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws accuracy without the outlier minus accuracy with it, seed by seed.

  Args:
    record: Of the kind `privacy`, see `privacy_picture`.

  Returns:
    The figure, None if no setting was run both ways with the same seeds.
  """
  found = []
  for mechanism in (privacy_picture.LOCATION_NOISE, privacy_picture.CLIPPING):
    rows = [
      (pair, gaps)
      for pair in privacy_picture.pairs(record, mechanism)
      if len(gaps := _gaps(record, pair))
    ]
    if rows:
      found.append((mechanism, rows))
  if not found:
    return None
  heights = [0.85 + 0.33 * len(rows) for _, rows in found]
  figure = appearance.figure(sum(heights) + 0.3, simulation_only=True)
  axes = figure.subplots(
    len(found), 1, squeeze=False, sharex=True, height_ratios=heights
  )[:, 0]
  for panel, (mechanism, rows) in zip(axes, found, strict=True):
    _draw(panel, mechanism, rows)
  widest = max(
    float(np.abs(gaps).max()) for _, rows in found for _, gaps in rows
  )
  axes[0].set_xlim(-1.08 * widest - 0.001, 1.08 * widest + 0.001)
  axes[0].xaxis.set_major_formatter(
    matplotlib.ticker.FuncFormatter(lambda value, _: seed_bands.points(value))
  )
  counts = [len(gaps) for _, rows in found for _, gaps in rows]
  axes[-1].set_xlabel(
    '\N{LEFTWARDS ARROW} better with it           '
    'better without it \N{RIGHTWARDS ARROW}\n'
    'accuracy without the outlier minus accuracy with it, in points\n'
    f'({seed_bands.band_text(counts)}; dots: single seeds)'
  )
  return figure


def _gaps(
  record: map_record.MapRecord, pair: privacy_picture.Pair
) -> np.ndarray:
  if pair.inside is None or pair.outside is None:
    return np.empty(0)
  # Aligned by seed: the same world, once with the outlier and once without.
  gaps = seed_bands.last(record, pair.outside) - seed_bands.last(
    record, pair.inside
  )
  return gaps.dropna().to_numpy(float)


def _draw(
  axes: matplotlib.axes.Axes,
  mechanism: str,
  rows: Sequence[tuple[privacy_picture.Pair, np.ndarray]],
) -> None:
  axes.axvline(0, color=appearance.INK, linewidth=1)
  for position, (_, gaps) in enumerate(rows):
    band = seed_bands.band(gaps)
    heights = position + 0.4 * ((np.arange(len(gaps)) * 0.618) % 1.0 - 0.5)
    axes.plot(
      gaps, heights, linestyle='none', marker='o', markersize=3.5, alpha=0.3,
      color=appearance.INK, markeredgewidth=0,
    )  # fmt: skip
    axes.plot(
      [band.low, band.high], [position, position], color=_COLOR, linewidth=2.4
    )
    axes.plot(band.mean, position, marker='o', markersize=7, color=_COLOR)
    axes.text(
      1.02, position, seed_bands.points(float(band.mean), digits=1),
      transform=axes.get_yaxis_transform(), va='center', fontsize=9.5,
      color=_COLOR, fontweight='bold',
    )  # fmt: skip
  axes.set_yticks(range(len(rows)), [_name(pair, rows) for pair, _ in rows])
  axes.set_ylim(len(rows) - 0.4, -0.6)
  guaranteed = mechanism == privacy_picture.CLIPPING
  appearance.dress(
    axes,
    title='clipping, noise in the sum' if guaranteed else 'noise on the places',
    simulation_only=True,
  )
  if not guaranteed:
    axes.set_ylabel(
      'no guarantee', color=heat_colours.OUTLIER, fontweight='bold'
    )
  axes.grid(visible=False, axis='y')
  axes.grid(axis='x', color='#e2e2e2', linewidth=0.8)
  axes.tick_params(axis='y', length=0, labelsize=9)


def _name(
  pair: privacy_picture.Pair,
  rows: Sequence[tuple[privacy_picture.Pair, np.ndarray]],
) -> str:
  """What tells a row from the others: 'ε = 4, 8 users'."""
  parts = []
  several = {
    name: len({each.values.number(name) for each, _ in rows}) > 1
    for name in ('epsilon', 'noise', 'users')
  }
  epsilon, noise, users = (
    pair.values.number(name) for name in ('epsilon', 'noise', 'users')
  )
  if epsilon is not None:
    parts.append(f'\N{GREEK SMALL LETTER EPSILON} = {formats.epsilon(epsilon)}')
  elif noise is not None:
    parts.append(f'noise level {noise:g}')
  if users is not None and several['users']:
    parts.append(f'{users:,.0f} users')
  return ', '.join(parts) or appearance.label(pair.values.name, 22)
