"""The textbook's picture of secure aggregation: masks that cancel."""

from collections.abc import Sequence

import matplotlib.axes
import matplotlib.figure
import matplotlib.patches
import numpy as np

from tff_pipelines.reports import appearance, masking_example, run_reader

_ADDED = '#0072b2'
_SUBTRACTED = '#d55e00'
_PERSON = '#dcebf5'

# All lengths below in units of which the figure is 3.5 wide.
_HALF_WIDTH = 1.75
_OUTERMOST = 1.2
_PERSON_Y, _PERSON_RADIUS = 1.0, 0.25
_MASKING_Y = 0.6
_ARROW = (0.5, 0.03)
_SERVER_TOP, _LINE_HEIGHT = 0.0, 0.18

_Point = tuple[float, float]


def masking_picture(
  run: run_reader.Run,
) -> matplotlib.figure.Figure | None:
  """Draws who hides what, what pairs agreed on, and what the server sees.

  People stand in a row, the server below them.

  Args:
    run: The run.

  Returns:
    The figure, None if the run is no such example.
  """
  example = masking_example.parse(run.results.details)
  if example is None:
    return None
  bottom = _SERVER_TOP - _server_height(example)
  top = 1.86
  figure = appearance.figure(
    0.4 + appearance.WIDTH_INCHES * (top - bottom + 0.6) / (2 * _HALF_WIDTH)
  )
  axes = figure.add_subplot()
  axes.set_title(
    f'The server learns the {example.wanted}, and no number behind it',
    loc='left',
    fontsize=11,
    fontweight='bold',
    color=appearance.INK,
  )
  columns = np.linspace(-_OUTERMOST, _OUTERMOST, len(example.people)).tolist()
  x = {p.name: c for p, c in zip(example.people, columns, strict=True)}
  for mask in example.masks:
    _draw_mask(axes, example, mask, x[mask.adder], x[mask.subtracter])
  for person in example.people:
    _draw_person(axes, example, person, x[person.name])
  _draw_server(axes, example)
  _explain(axes, bottom - 0.16)
  axes.set_aspect('equal')
  axes.set_xlim(-_HALF_WIDTH, _HALF_WIDTH)
  axes.set_ylim(bottom - 0.6, top)
  axes.set_axis_off()
  return figure


def _draw_mask(
  axes: matplotlib.axes.Axes,
  example: masking_example.MaskingExample,
  mask: masking_example.Mask,
  adder_x: float,
  subtracter_x: float,
) -> None:
  """A line: the number in the middle, what is done with it at the ends."""
  neighbours = (2 * _OUTERMOST) / max(1, len(example.people) - 1)
  direct = abs(subtracter_x - adder_x - neighbours) < 1e-9
  line = (
    _straight(adder_x, subtracter_x) if direct else _arc(adder_x, subtracter_x)
  )
  axes.plot(
    line[:, 0],
    line[:, 1],
    color=appearance.GREY,
    linewidth=1.4,
    linestyle=(0, (4, 3)),
    zorder=1,
  )
  number = example.write(mask.number)
  # Above a short line, on a long one.
  share, lift = (0.2, 0.15) if direct else (0.13, 0.0)
  _write(axes, _at(line, share, lift), f'+ {number}', color=_ADDED)
  _write(
    axes,
    _at(line, 1 - share, lift),
    f'\N{MINUS SIGN} {number}',
    color=_SUBTRACTED,
  )
  axes.text(
    *_at(line, 0.5),
    number,
    color=appearance.INK,
    fontsize=11,
    ha='center',
    va='center',
    zorder=2,
    bbox={'boxstyle': 'circle,pad=0.25', 'fc': 'white', 'ec': appearance.GREY},
  )


def _straight(start: float, end: float) -> np.ndarray:
  """Points from the side of one circle to the next."""
  gap = np.copysign(_PERSON_RADIUS, end - start)
  x = np.linspace(start + gap, end - gap, 41)
  return np.stack([x, np.full_like(x, _PERSON_Y)], axis=1)


def _arc(start: float, end: float) -> np.ndarray:
  """Points of a cubic curve above all the people."""
  low, high = _PERSON_Y + _PERSON_RADIUS, 1.86
  corners = np.array(
    [(start, low), (0.8 * start, high), (0.8 * end, high), (end, low)]
  )
  t = np.linspace(0, 1, 81)[:, np.newaxis]
  weights = np.concatenate(
    [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1
  )
  return weights @ corners


def _at(line: np.ndarray, share: float, lift: float = 0.0) -> _Point:
  x, y = line[round(share * (len(line) - 1))]
  return float(x), float(y) + lift


def _write(
  axes: matplotlib.axes.Axes, place: _Point, text: str, *, color: str
) -> None:
  """A bold piece of text in the middle of a line, which it interrupts."""
  axes.text(
    *place,
    text,
    color=color,
    fontsize=11.5,
    fontweight='bold',
    ha='center',
    va='center',
    zorder=3,
    bbox={'boxstyle': 'round,pad=0.12', 'fc': 'white', 'ec': 'none'},
  )


def _draw_person(
  axes: matplotlib.axes.Axes,
  example: masking_example.MaskingExample,
  person: masking_example.Person,
  x: float,
) -> None:
  """A circle with the hidden number; below, how it is hidden and sent."""
  axes.add_patch(
    matplotlib.patches.Circle(
      (x, _PERSON_Y),
      _PERSON_RADIUS,
      facecolor=_PERSON,
      edgecolor=_ADDED,
      linewidth=1.6,
      zorder=4,
    )
  )
  for text, y, size, weight in (
    (appearance.label(person.name, 9), _PERSON_Y + 0.12, 8.5, 'normal'),
    (example.write(person.hidden), _PERSON_Y - 0.045, 17, 'bold'),
    (example.masking(person), _MASKING_Y, 11.5, 'normal'),
  ):
    axes.text(
      x,
      y,
      text,
      fontsize=size,
      fontweight=weight,
      color=appearance.INK,
      ha='center',
      va='center',
      zorder=5,
    )
  axes.add_patch(
    matplotlib.patches.FancyArrowPatch(
      (x, _ARROW[0]),
      (x, _ARROW[1]),
      arrowstyle='-|>',
      mutation_scale=12,
      color=appearance.INK,
      linewidth=1.8,
      shrinkA=0,
      shrinkB=0,
      zorder=2,
    )
  )
  _write(
    axes,
    (x, _ARROW[0] - 0.18),
    f'sends {example.write(person.sent)}',
    color=appearance.INK,
  )


def _server_height(example: masking_example.MaskingExample) -> float:
  return _LINE_HEIGHT * (len(example.adding()) + 1) + 0.1


def _draw_server(
  axes: matplotlib.axes.Axes, example: masking_example.MaskingExample
) -> None:
  height = _server_height(example)
  half = _OUTERMOST + _PERSON_RADIUS
  axes.add_patch(
    matplotlib.patches.FancyBboxPatch(
      (-half, _SERVER_TOP - height),
      2 * half,
      height,
      boxstyle='round,pad=0,rounding_size=0.05',
      facecolor='#f2f2f2',
      edgecolor=appearance.INK,
      linewidth=1.4,
      zorder=4,
    )
  )
  lines: Sequence[str] = ['the server adds up what it gets', *example.adding()]
  for index, line in enumerate(lines):
    axes.text(
      0,
      _SERVER_TOP - 0.05 - (index + 0.5) * _LINE_HEIGHT,
      line,
      fontsize=13 if index else 9,
      fontweight='bold' if index == len(lines) - 1 else 'normal',
      color=appearance.INK,
      ha='center',
      va='center',
      zorder=5,
    )


def _explain(axes: matplotlib.axes.Axes, top: float) -> None:
  """Three lines below, each a piece of the picture and what it means."""
  for row, (piece, meaning) in enumerate(
    (
      ('in a circle', 'a number that nobody else may see'),
      (
        'on a dashed line',
        'a number its two ends agreed on: one adds it, one subtracts it',
      ),
      ('on an arrow', 'all that the server sees of one'),
    )
  ):
    y = top - 0.16 * row
    x = -_OUTERMOST - _PERSON_RADIUS
    axes.text(
      x,
      y,
      piece,
      fontsize=9,
      fontweight='bold',
      color=appearance.INK,
      va='center',
    )
    axes.text(
      x + 0.78, y, meaning, fontsize=9, color=appearance.INK, va='center'
    )
