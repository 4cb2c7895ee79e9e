"""Whom a model serves: every user's accuracy, by group."""

from collections.abc import Sequence
import dataclasses

import matplotlib.axes
import matplotlib.figure
import numpy as np
import pandas as pd

from tff_pipelines.reports import (
  appearance,
  formats,
  heat_colours,
  map_record,
  results,
  run_reader,
  seed_bands,
)

_HONEST = '#4d4d4d'


@dataclasses.dataclass(frozen=True)
class _Strip:
  """Users of one group in one situation.

  Attributes:
    situation: What is compared, for instance `outliers left out`.
    group: Whose values.
    values: One a user.
  """

  situation: str
  group: str
  values: np.ndarray


def fairness_picture(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws the users' accuracies at the end, a strip a group and curve.

  Args:
    record: Of the kind `fairness`: its curves are what is compared, such as
      outliers included and excluded.

  Returns:
    The figure, None if the record has no users.
  """
  table = record.users
  if table is None:
    return None
  table = table.sort_values('step', kind='stable')
  last = table.groupby(['curve', 'seed', 'user', 'kind'], as_index=False).last()
  strips = []
  for index, curve in enumerate(record.curves):
    strips += _strips(
      curve.name, last[last['curve'] == index], 'kind', 'accuracy'
    )
  seeds = seed_bands.count_text([last['seed'].nunique()])
  return _figure(
    strips,
    title="the users' accuracies",
    quantity=f'accuracy ({seeds})',
    value_format='percent',
  )


def personalization_picture(
  run: run_reader.Run,
) -> matplotlib.figure.Figure | None:
  """Draws the users' values before and after they train a model further.

  Args:
    run: The run. The metric is its primary one, or the first of the final
      table that was measured of single users.

  Returns:
    The figure, None if it was not measured.
  """
  table = run.personalization
  if table is None:
    return None
  columns = (run.results.primary_column, *run.results.columns)
  column = next((c for c in columns if f'before_{c.key}' in table), None)
  if column is None or f'after_{column.key}' not in table:
    return None
  strips = []
  for when, name in (
    ('before', 'shared model'),
    ('after', 'after further training'),
  ):
    strips += _strips(name, table, 'group', f'{when}_{column.key}')
  return _figure(
    strips,
    title=appearance.label(f'{column.title} for each user', 30),
    quantity=appearance.label(f'{column.title} on own test data', 40),
    value_format=column.format,
  )


def _strips(
  situation: str, table: pd.DataFrame, group: str, value: str
) -> list[_Strip]:
  """A strip for each group, honest users first."""
  groups = sorted(table[group].unique(), key=lambda g: (g != 'honest', g))
  strips = [
    _Strip(
      situation,
      name,
      table[table[group] == name][value].dropna().to_numpy(float),
    )
    for name in groups
  ]
  return [strip for strip in strips if len(strip.values)]


def _figure(
  strips: Sequence[_Strip],
  *,
  title: str,
  quantity: str,
  value_format: results.Format,
) -> matplotlib.figure.Figure | None:
  if not strips:
    return None
  places: list[float] = []
  situations: dict[str, float] = {}
  for strip in strips:
    place = places[-1] + 1 if places else 0.0
    if strip.situation not in situations:
      # A line above the first strip, for its name.
      place += 0.75
      situations[strip.situation] = place - 0.72
    places.append(place)
  figure = appearance.figure(1.5 + 0.36 * places[-1], simulation_only=True)
  axes = figure.add_subplot()
  for place, strip in zip(places, strips, strict=True):
    _draw_strip(axes, place, strip, value_format)
  for situation, place in situations.items():
    axes.text(
      0.01, place, appearance.label(situation, 56), va='center', fontsize=9.5,
      transform=axes.get_yaxis_transform(), color=appearance.INK,
      fontweight='bold',
    )  # fmt: skip
  several = len({strip.group for strip in strips}) > 1
  axes.set_yticks(
    places,
    [
      appearance.label(strip.group.replace('_', ' '), 22) if several else ''
      for strip in strips
    ],
  )
  axes.set_ylim(places[-1] + 0.55, -0.45)
  appearance.format_axis(axes.xaxis, value_format)
  appearance.dress(
    axes,
    title=title,
    x=f'{quantity}; thin: all users, thick: the\n'
    'middle half, stroke: median, which stands at the right',
    simulation_only=True,
  )
  axes.grid(visible=False, axis='y')
  axes.grid(axis='x', color='#e2e2e2', linewidth=0.8)
  axes.tick_params(axis='y', length=0)
  return figure


def _draw_strip(
  axes: matplotlib.axes.Axes,
  position: float,
  strip: _Strip,
  value_format: results.Format,
) -> None:
  values = strip.values
  honest = strip.group in ('honest', 'everyone')
  color = _HONEST if honest else heat_colours.OUTLIER
  low, quarter, median, three, high = np.quantile(
    values, [0, 0.25, 0.5, 0.75, 1]
  )
  level = [position, position]
  axes.plot([low, high], level, color=color, linewidth=1.3, alpha=0.6)
  axes.plot(
    [quarter, three], level, color=color, linewidth=9, alpha=0.4,
    solid_capstyle='butt',
  )  # fmt: skip
  heights = position + 0.34 * ((np.arange(len(values)) * 0.618) % 1.0 - 0.5)
  axes.plot(
    values, heights, linestyle='none', marker='o', color=color,
    markersize=3 if len(values) < 200 else 2, markeredgewidth=0,
    alpha=float(np.clip(40 / len(values), 0.12, 0.6)),
  )  # fmt: skip
  axes.plot(
    [median, median], [position - 0.3, position + 0.3], color=color,
    linewidth=2.6,
  )  # fmt: skip
  axes.text(
    1.02, position, formats.number(float(median), value_format), va='center',
    transform=axes.get_yaxis_transform(), fontsize=9.5, color=color,
    fontweight='bold',
  )  # fmt: skip
