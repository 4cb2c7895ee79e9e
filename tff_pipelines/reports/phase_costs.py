"""What each phase of a protocol costs a client and the server."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

import matplotlib.axes
import matplotlib.figure

from tff_pipelines.reports import appearance, formats, results, run_reader

_SENT, _RECEIVED = '#0072b2', '#e69f00'
_CLIENT_TIME, _SERVER_TIME = '#56b4e9', '#009e73'
_BAR_INCHES = 0.24


@dataclasses.dataclass(frozen=True)
class PhaseCost:
  """One role in one phase: a client on average, or the server.

  Attributes:
    role: `client` or `server`.
    phase: The phase's name.
    seconds: Of computing.
    sent_bytes: What it sent.
    received_bytes: What it received.
  """

  role: str
  phase: str
  seconds: float
  sent_bytes: float
  received_bytes: float


def parse(details: Mapping[str, Any]) -> list[PhaseCost]:
  """Reads the costs out of the details of results.json, [] without any.

  Raises:
    MalformedResultsError: If they have another form.
  """
  try:
    return [PhaseCost(**row) for row in details.get('phase_costs') or ()]
  except TypeError as error:
    raise results.MalformedResultsError(
      'Expected the phase costs of the results to be rows of role, phase, '
      f'seconds, sent_bytes and received_bytes, found others ({error}).'
    ) from error


def phase_costs(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws bars: a client's bytes, its time, and the server's time, by phase.

  Args:
    run: The run.

  Returns:
    The figure, None if the run measured no phases.
  """
  costs = parse(run.results.details)
  client = [cost for cost in costs if cost.role == 'client']
  server = [cost for cost in costs if cost.role == 'server']
  if not client or not server:
    return None
  # Two bars a phase in the first panel, one in the others.
  heights = [2.6 * len(client), 1.6 * len(client), 1.6 * len(server)]
  figure = appearance.figure(1.5 + _BAR_INCHES * sum(heights))
  bytes_axes, client_axes, server_axes = figure.subplots(
    3, 1, gridspec_kw={'height_ratios': heights}
  )
  _draw(
    bytes_axes,
    'bytes that one client moves',
    client,
    'bytes',
    (
      ('sent', _SENT, lambda cost: cost.sent_bytes),
      ('received', _RECEIVED, lambda cost: cost.received_bytes),
    ),
  )
  _draw(
    client_axes,
    'time that one client computes',
    client,
    'milliseconds',
    (('time', _CLIENT_TIME, lambda cost: cost.seconds),),
  )
  _draw(
    server_axes,
    'time that the server computes, for all clients',
    server,
    'milliseconds',
    (('time', _SERVER_TIME, lambda cost: cost.seconds),),
  )
  # Keys are short, so there is room behind the first bars.
  bytes_axes.legend(loc='upper right', frameon=False, fontsize=9.5)
  return figure


def _draw(
  axes: matplotlib.axes.Axes,
  title: str,
  costs: Sequence[PhaseCost],
  value_format: results.Format,
  quantities: Sequence[tuple[str, str, Callable[[PhaseCost], float]]],
) -> None:
  """Bars of each phase, the first on top, with their numbers behind them."""
  thick = 0.8 / len(quantities)
  most = max(read(cost) for cost in costs for _, _, read in quantities)
  for index, (name, color, read) in enumerate(quantities):
    offset = (index - (len(quantities) - 1) / 2) * thick
    positions = [row + offset for row in range(len(costs))]
    values = [read(cost) for cost in costs]
    axes.barh(positions, values, height=thick * 0.9, color=color, label=name)
    for position, value in zip(positions, values, strict=True):
      axes.annotate(
        formats.number(value, value_format),
        (value, position),
        xytext=(4, 0),
        textcoords='offset points',
        va='center',
        fontsize=9,
        color=appearance.INK,
      )
  axes.set_yticks(
    range(len(costs)), [appearance.label(cost.phase) for cost in costs]
  )
  axes.set_ylim(len(costs) - 0.45, -0.55)
  # Room for the number behind the longest bar.
  axes.set_xlim(0, 1.18 * most or 1)
  appearance.dress(axes, title=title)
  axes.grid(visible=False)
  axes.spines['bottom'].set_visible(False)
  axes.tick_params(axis='x', bottom=False, labelbottom=False)
  axes.tick_params(axis='y', length=0)
