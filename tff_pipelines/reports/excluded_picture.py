"""Every user left out in turn: without whom is the shared model better?"""

from collections.abc import Sequence
import dataclasses

import matplotlib.axes
import matplotlib.figure
import matplotlib.ticker
import numpy as np
import pandas as pd

from tff_pipelines.reports import (
  appearance,
  formats,
  heat_colours,
  map_record,
  seed_bands,
)

_HONEST = '#0072b2'
# More rows than this would be a figure to scroll through.
_MOST_USERS = 40


@dataclasses.dataclass(frozen=True)
class _Row:
  """One user who is left out.

  Attributes:
    user: Whose row.
    outlier: Whether the user is no honest one.
    changes: What leaving the user out changes, a number a seed.
    accuracy: The mean accuracy without the user.
  """

  user: str
  outlier: bool
  changes: np.ndarray
  accuracy: float


def excluded_picture(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws what leaving each user out changes, the best change on top.

  Args:
    record: Of the kind `excluded`; a curve that leaves someone out has the
      user's name as `excluded` and the user's kind as `kind`, that with
      everyone neither.

  Returns:
    The figure, None if nobody was left out.
  """
  everyone = next(
    (
      seed_bands.last(record, index)
      for index, curve in enumerate(record.curves)
      if not curve.values.get('excluded')
    ),
    None,
  )
  if everyone is None:
    return None
  rows = _rows(record, everyone)
  if not rows:
    return None
  rows.sort(key=lambda row: -row.changes.mean())
  left_out = max(len(rows) - _MOST_USERS, 0)
  if left_out:
    half = _MOST_USERS // 2
    rows = rows[:half] + rows[-half:]
  figure = appearance.figure(1.45 + 0.235 * len(rows), simulation_only=True)
  axes = figure.add_subplot()
  axes.axvline(0, color=appearance.INK, linewidth=1.1)
  for position, row in enumerate(rows):
    _draw_row(axes, position, row)
  _write_users(axes, rows)
  axes.set_ylim(len(rows) - 0.4, -1.6)
  axes.text(
    1.02, -1.05, 'accuracy\nwithout', va='center', fontsize=8.5,
    transform=axes.get_yaxis_transform(), color=appearance.GREY,
  )  # fmt: skip
  with_all = formats.number(float(everyone.mean()), 'percent')
  axes.text(
    0, -1.0, f' everyone takes part: {with_all} ', fontsize=9, va='center',
    color=appearance.INK,
    ha='left' if np.mean(axes.get_xlim()) > 0 else 'right',
  )  # fmt: skip
  axes.xaxis.set_major_formatter(
    matplotlib.ticker.FuncFormatter(lambda value, _: seed_bands.points(value))
  )
  middle = f', {left_out:,} in the middle not shown' if left_out else ''
  text = seed_bands.band_text([len(row.changes) for row in rows])
  appearance.dress(
    axes,
    title='one user left out',
    x=f'change of accuracy, in points ({text}{middle})',
    simulation_only=True,
  )
  axes.grid(visible=False, axis='y')
  axes.grid(axis='x', color='#e2e2e2', linewidth=0.8)
  axes.tick_params(axis='y', length=0, labelsize=9)
  return figure


def _rows(record: map_record.MapRecord, everyone: pd.Series) -> list[_Row]:
  rows = []
  for index, curve in enumerate(record.curves):
    if not curve.values.get('excluded'):
      continue
    found = seed_bands.last(record, index)
    # Aligned by seed: the same world with the user and without.
    changes = (found - everyone).dropna().to_numpy(float)
    if len(changes):
      rows.append(
        _Row(
          user=str(curve.values['excluded']),
          outlier=curve.values.get('kind', 'honest') != 'honest',
          changes=changes,
          accuracy=float(found.mean()),
        )
      )
  return rows


def _draw_row(axes: matplotlib.axes.Axes, position: int, row: _Row) -> None:
  color = heat_colours.OUTLIER if row.outlier else _HONEST
  found = seed_bands.band(row.changes)
  axes.plot(
    row.changes, np.full_like(row.changes, position), linestyle='none',
    marker='o', markersize=3.5, alpha=0.25, color=color, markeredgewidth=0,
  )  # fmt: skip
  axes.plot(
    [found.low, found.high], [position, position], color=color, linewidth=1.8
  )
  axes.plot(
    found.mean, position, marker='D' if row.outlier else 'o', markersize=7,
    color=color, zorder=4,
  )  # fmt: skip
  axes.text(
    1.02, position, formats.number(row.accuracy, 'percent'), va='center',
    transform=axes.get_yaxis_transform(), fontsize=9, color=color,
  )  # fmt: skip


def _write_users(axes: matplotlib.axes.Axes, rows: Sequence[_Row]) -> None:
  axes.set_yticks(
    range(len(rows)),
    [
      appearance.label(row.user, 18) + (' (outlier)' if row.outlier else '')
      for row in rows
    ],
  )
  for label, row in zip(axes.get_yticklabels(), rows, strict=True):
    if row.outlier:
      label.set_color(heat_colours.OUTLIER)
      label.set_fontweight('bold')
