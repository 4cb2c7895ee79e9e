"""Whom a model serves: every user's accuracy, by group."""

from collections.abc import Sequence
import dataclasses

import matplotlib.figure
import numpy as np
import pandas as pd

from tff_pipelines.reports import (
  appearance,
  heat_colours,
  map_record,
  results,
  run_reader,
  seed_bands,
  strips,
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
  found = []
  for index, curve in enumerate(record.curves):
    found += _strips(
      curve.name, last[last['curve'] == index], 'kind', 'accuracy'
    )
  seeds = seed_bands.count_text([last['seed'].nunique()])
  return _figure(
    found,
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
  found = []
  for when, name in (
    ('before', 'shared model'),
    ('after', 'after further training'),
  ):
    found += _strips(name, table, 'group', f'{when}_{column.key}')
  return _figure(
    found,
    title=appearance.label(f'{column.title} for each user', 30),
    quantity=appearance.label(f'{column.title} on own test data', 40),
    value_format=column.format,
  )


def _strips(
  situation: str, table: pd.DataFrame, group: str, value: str
) -> list[_Strip]:
  """A strip for each group, honest users first."""
  groups = sorted(table[group].unique(), key=lambda g: (g != 'honest', g))
  found = [
    _Strip(
      situation,
      name,
      table[table[group] == name][value].dropna().to_numpy(float),
    )
    for name in groups
  ]
  return [strip for strip in found if len(strip.values)]


def _figure(
  found: Sequence[_Strip],
  *,
  title: str,
  quantity: str,
  value_format: results.Format,
) -> matplotlib.figure.Figure | None:
  if not found:
    return None
  places: list[float] = []
  situations: dict[str, float] = {}
  for strip in found:
    place = places[-1] + 1 if places else 0.0
    if strip.situation not in situations:
      # A line above the first strip, for its name.
      place += 0.75
      situations[strip.situation] = place - 0.72
    places.append(place)
  figure = appearance.figure(1.5 + 0.36 * places[-1], simulation_only=True)
  axes = figure.add_subplot()
  several = len({strip.group for strip in found}) > 1
  strips.draw(
    axes,
    places,
    [_drawn(strip, named=several) for strip in found],
    value_format,
  )
  for situation, place in situations.items():
    axes.text(
      0.01, place, appearance.label(situation, 56), va='center', fontsize=9.5,
      transform=axes.get_yaxis_transform(), color=appearance.INK,
      fontweight='bold',
    )  # fmt: skip
  strips.dress(axes, title=title, quantity=quantity)
  return figure


def _drawn(strip: _Strip, *, named: bool) -> strips.Strip:
  honest = strip.group in ('honest', 'everyone')
  return strips.Strip(
    strip.group.replace('_', ' ') if named else '',
    strip.values,
    _HONEST if honest else heat_colours.OUTLIER,
  )
