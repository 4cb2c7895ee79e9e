"""Attacks against aggregators: which of them hold."""

import textwrap

import matplotlib.axes
import matplotlib.figure
import matplotlib.patches
import numpy as np

from tff_pipelines.reports import (
  appearance,
  coloured_table,
  formats,
  map_record,
  seed_bands,
)


def defence_table(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws accuracy under each attack with each aggregator.

  Args:
    record: Of the kind `defences`; its curves have an `attack` and an
      `aggregator`, and may have `attack_success`, a fraction, and `expected`,
      which is false where theory promises nothing.

  Returns:
    The figure, None if the record has no accuracy.
  """
  cells = {
    (
      str(curve.values.get('aggregator')),
      str(curve.values.get('attack')),
    ): index
    for index, curve in enumerate(record.curves)
    if not seed_bands.last(record, index).empty
  }
  if not cells:
    return None
  rows = list(dict.fromkeys(aggregator for aggregator, _ in cells))
  columns = list(dict.fromkeys(attack for _, attack in cells))
  values = np.full((len(rows), len(columns)), np.nan)
  texts = [[formats.MISSING] * len(columns) for _ in rows]
  unexpected, attacked, counts = [], False, []
  for (aggregator, attack), index in cells.items():
    row, column = rows.index(aggregator), columns.index(attack)
    seeds = seed_bands.last(record, index)
    counts.append(len(seeds))
    values[row, column] = seeds.mean()
    texts[row][column] = formats.number(float(seeds.mean()), 'percent')
    success = record.curves[index].number('attack_success')
    if success is not None:
      attacked = True
      texts[row][column] += f'\nattack {100 * success:.0f} %'
    if record.curves[index].values.get('expected') is False:
      unexpected.append((row, column))
  figure = appearance.figure(1.75 + 0.5 * len(rows))
  axes = figure.add_subplot()
  inks = coloured_table.draw(
    axes,
    values,
    texts,
    rows=[_wrapped(name, 20) for name in rows],
    columns=[_wrapped(name, 60 // len(columns)) for name in columns],
    font_size=min(10.5, 55 / len(columns)),
  )
  for row, column in unexpected:
    _mark(axes, row, column, inks[row][column])
  axes.xaxis.tick_top()
  appearance.dress(axes, title='accuracy under attack')
  axes.grid(visible=False)
  axes.spines[:].set_visible(False)
  appearance.remark(axes, seed_bands.mean_text(counts))
  axes.set_xlabel('\n'.join(_explanations(bool(unexpected), attacked)))
  return figure


def _mark(
  axes: matplotlib.axes.Axes, row: int, column: int, color: str
) -> None:
  """A dashed frame: theory promises nothing here."""
  axes.add_patch(
    matplotlib.patches.Rectangle(
      (column - 0.46, row - 0.44), 0.92, 0.88, facecolor='none',
      edgecolor=color, linewidth=1.8, linestyle=(0, (3, 2)),
      zorder=3,
    )
  )  # fmt: skip


def _explanations(unexpected: bool, attacked: bool) -> list[str]:
  found = []
  if unexpected:
    found.append('dashed frame: theory does not promise that it holds')
  if attacked:
    found.append('attack: how often the planted answer is given')
  return found


def _wrapped(name: str, width: int) -> str:
  text = appearance.label(name.replace('_', ' '), 40)
  return '\n'.join(textwrap.wrap(text, max(width, 8))) or text
