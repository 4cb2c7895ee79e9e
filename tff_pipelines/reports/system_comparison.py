"""The systems side by side over all columns that are percentages."""

import matplotlib.figure

from tff_pipelines.reports import (
  appearance,
  curves,
  formats,
  results,
  run_reader,
)

_BAR_INCHES = 0.27


def system_comparison(
  run: run_reader.Run,
) -> matplotlib.figure.Figure | None:
  """Draws a group of bars for each percentage, with the numbers beside them.

  Args:
    run: The run.

  Returns:
    The figure, None if the final table has no percentages, or if its rows are
    not systems: such a task tells its own sentence.
  """
  final = run.results
  if final.sentence is not None:
    return None
  columns = [
    column
    for column in final.columns
    if column.format == 'percent'
    and any(results.value(row, column.key) is not None for row in final.rows)
  ]
  if not columns:
    return None
  looks = appearance.looks(curves.run_systems(run))
  slots = len(columns) * (len(final.rows) + 1)
  figure = appearance.figure(0.8 + _BAR_INCHES * slots)
  axes = figure.add_subplot()
  centers = []
  named: set[str] = set()
  for group, column in enumerate(columns):
    top = group * (len(final.rows) + 1)
    centers.append(top + (len(final.rows) - 1) / 2)
    for index, row in enumerate(final.rows):
      value = results.value(row, column.key)
      look = looks[row['system']]
      position = top + index
      # The numbers stand in a column of their own, where no bar covers them.
      axes.text(
        1.02,
        position,
        appearance.label(formats.cell(row, column), 30),
        transform=axes.get_yaxis_transform(),
        va='center',
        fontsize=9,
        color=appearance.INK,
      )
      if value is None:
        continue
      axes.barh(
        position,
        value,
        height=0.8,
        color=look.color,
        label=None if row['system'] in named else _label(row['system']),
      )
      named.add(row['system'])
      low = results.value(row, f'{column.key}_min')
      high = results.value(row, f'{column.key}_max')
      if low is not None and high is not None:
        axes.plot(
          [low, high],
          [position] * 2,
          color='#222222',
          linewidth=1.2,
          marker='|',
          markersize=6,
        )
  axes.set_yticks(centers, [_metric_label(column) for column in columns])
  axes.set_ylim(slots - 1 - 0.4, -0.6)
  axes.set_xlim(0, 1)
  appearance.format_axis(axes.xaxis, 'percent')
  appearance.dress(axes, title='the systems side by side')
  axes.grid(visible=False, axis='y')
  axes.grid(axis='x', color='#e2e2e2', linewidth=0.8)
  axes.tick_params(axis='y', length=0)
  appearance.legend(figure, *axes.get_legend_handles_labels(), columns=3)
  return figure


def _metric_label(column: results.Column) -> str:
  title = appearance.label(column.title, 24)
  return f'{title}\n({column.better} is better)' if column.better else title


def _label(system: str) -> str:
  name = appearance.label(results.display_name(system))
  if system == 'local':
    return f'{name}: median, range ({appearance.SIMULATION_ONLY})'
  return name
