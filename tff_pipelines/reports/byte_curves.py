"""The test metric against the bytes that clients have sent for it."""

import math

import matplotlib.axes
import matplotlib.figure
import matplotlib.ticker

from tff_pipelines.reports import (
  appearance,
  curves,
  focus,
  formats,
  line_labels,
  results,
  run_reader,
)

# Columns of metrics.csv: of a round and client, and of all so far.
_UPLINK = 'uplink_bytes'
METRICS = (
  'uplink_bytes_per_client',
  'downlink_bytes_per_client',
  _UPLINK,
  'downlink_bytes',
)
# Of systems that compress anything; others move the same in every round.
_COMPRESSION = (
  'aggregator/uplink_compression',
  'distributor/downlink_compression',
)
_NAME_LIMIT = 20
# More points than this would be a string of beads.
_MOST_MARKERS = 25


def metric_by_bytes(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws the test metric against the bytes of all clients so far.

  Args:
    run: The run.

  Returns:
    The figure, None if nothing is compressed, or no system has both numbers.
  """
  column = curves.curve_column(run)
  if column is None or not _is_compressed(run):
    return None
  paths = _paths(run, column)
  if not paths:
    return None
  looks = appearance.looks(curves.run_systems(run))
  figure = appearance.figure(3.6 if len(paths) < 7 else 4.2)
  axes = figure.add_subplot()
  for system, (sent, values) in paths.items():
    look = looks[system]
    axes.plot(
      sent,
      values,
      color=look.color,
      linestyle=look.linestyle,
      linewidth=2.0,
      marker=look.marker,
      markevery=1 if len(sent) <= _MOST_MARKERS else [len(sent) - 1],
      markersize=5,
    )
  limits, cut = focus.focus_limits(
    [values for _, values in paths.values()],
    [],
    better=column.better,
    bounds=(0.0, 1.0) if column.format == 'percent' else (-math.inf, math.inf),
  )
  axes.set_ylim(*limits)
  appearance.format_axis(axes.yaxis, column.format)
  _set_byte_axis(axes, paths)
  appearance.dress(
    axes,
    title=appearance.label(f'{column.title} by bytes', 30),
    x='sent by all clients so far (further left is cheaper)',
    y=appearance.label(column.title),
  )
  if cut:
    side = 'below' if column.better == 'higher' else 'above'
    appearance.remark(axes, f'first rounds {side}')
  line_labels.draw(
    axes,
    [
      line_labels.End(
        sent[-1],
        values[-1],
        f'{appearance.label(results.display_name(system), _NAME_LIMIT)}: '
        f'{formats.number(values[-1], column.format)}, '
        f'{formats.number(sent[-1], "bytes")}',
        looks[system].color,
      )
      for system, (sent, values) in paths.items()
    ],
  )
  return figure


def _is_compressed(run: run_reader.Run) -> bool:
  return any(
    name in table for table in run.metrics.values() for name in _COMPRESSION
  )


def _paths(
  run: run_reader.Run, column: results.Column
) -> dict[str, curves.Points]:
  """Of every system, bytes and values of the rounds in which both are known.

  Not of round 0, for which nothing was sent.
  """
  traffic = curves.by_round(run, _UPLINK)
  values = curves.by_round(run, f'test/{column.key}')
  found = {}
  for system in traffic:
    sent = dict(zip(*traffic[system], strict=True))
    reached = dict(zip(*values.get(system, ([], [])), strict=True))
    rounds = [r for r in sent if r in reached and sent[r] > 0.0]
    if rounds:
      found[system] = ([sent[r] for r in rounds], [reached[r] for r in rounds])
  return found


def _set_byte_axis(
  axes: matplotlib.axes.Axes, paths: dict[str, curves.Points]
) -> None:
  bottom, top = axes.get_ylim()
  shown = [
    number
    for sent, values in paths.values()
    for number, value in zip(sent, values, strict=True)
    if bottom <= value <= top
  ]
  low, high = min(shown), max(shown)
  axes.set_xscale('log')
  axes.set_xlim(0.8 * low, 1.25 * high)
  # In decades where there are some, so that a factor can be read off.
  subs = (1.0,) if high >= 100 * low else (1.0, 2.0, 5.0)
  axes.xaxis.set_major_locator(
    matplotlib.ticker.LogLocator(subs=subs, numticks=12)
  )
  axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
  appearance.format_axis(axes.xaxis, 'bytes')
