"""Two knobs turned at once: a table of the shared model's accuracy."""

import matplotlib.figure
import numpy as np

from tff_pipelines.reports import (
  appearance,
  coloured_table,
  formats,
  map_record,
  seed_bands,
  sweep_picture,
)


def sweep_table(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws accuracy by two knobs: `value` down, `value2` across.

  Args:
    record: Of the kind `table`; its curves have a `value` and a `value2`, its
      settings may name them `knob` and `knob2`.

  Returns:
    The figure, None if the record has no accuracy.
  """
  found = {}
  for index, curve in enumerate(record.curves):
    seeds = seed_bands.last(record, index)
    if not seeds.empty:
      key = (curve.values.get('value'), curve.values.get('value2'))
      found[key] = seeds.to_numpy(float)
  if not found:
    return None
  rows = _ordered([row for row, _ in found])
  columns = _ordered([column for _, column in found])
  values = np.array(
    [
      [
        found[row, column].mean() if (row, column) in found else np.nan
        for column in columns
      ]
      for row in rows
    ]
  )
  figure = appearance.figure(1.35 + 0.42 * len(rows))
  axes = figure.add_subplot()
  coloured_table.draw(
    axes,
    values,
    [
      [
        formats.number(value, 'percent').removesuffix(' %')
        for value in of_row.tolist()
      ]
      for of_row in values
    ],
    rows=[_text(row) for row in rows],
    columns=[_text(column) for column in columns],
    font_size=min(10.5, 62 / len(columns)),
  )
  down, across = _knobs(record)
  counts = [len(seeds) for seeds in found.values()]
  appearance.dress(
    axes,
    title='accuracy of the shared model, %',
    x=sweep_picture.knob_name(across),
    y=sweep_picture.knob_name(down),
  )
  axes.grid(visible=False)
  appearance.remark(axes, seed_bands.mean_text(counts))
  return figure


def _knobs(record: map_record.MapRecord) -> tuple[str, str]:
  """What is turned: two settings, or the folder's name tells."""
  given = record.settings.get('knob'), record.settings.get('knob2')
  if all(given):
    return str(given[0]), str(given[1])
  first, _, second = record.name.removeprefix('sweep_').partition('_')
  return first, second


def _ordered(values: list[object]) -> list[object]:
  distinct = list(dict.fromkeys(values))
  if all(isinstance(value, int | float) for value in distinct):
    return sorted(distinct, key=float)  # type: ignore[arg-type]
  return distinct


def _text(value: object) -> str:
  if isinstance(value, float):
    return f'{value:,.6g}'
  return appearance.label(str(value), 14)
