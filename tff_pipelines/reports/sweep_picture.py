"""One knob turned: what it does to the shared model and to users alone."""

from collections.abc import Mapping, Sequence
import dataclasses
import math

import matplotlib.axes
import matplotlib.figure
import matplotlib.lines
import numpy as np

from tff_pipelines.reports import (
  appearance,
  formats,
  line_labels,
  map_record,
  seed_bands,
)

_SHARED = appearance.Look('#0072b2', '-', 'o')
_ALONE = appearance.Look('#6b6b6b', (0, (4, 2)), 'D')
_COLUMNS = 3

# What a reader calls the knobs; others keep their names.
_KNOBS: Mapping[str, str] = {
  'points': 'places a user',
  'users': 'users',
  'merge': 'local steps between merges',
  'steps': 'local steps',
  'outliers': 'outliers',
  'noise': 'noise level',
  'epsilon': 'epsilon (lower is safer)',
}


@dataclasses.dataclass(frozen=True)
class _Series:
  """One quantity over the values of a knob.

  Attributes:
    x: Where each value stands: the value, or its number in the row.
    seeds: Of each value, the quantity with each seed.
    look: How it is drawn.
  """

  x: Sequence[float]
  seeds: Sequence[np.ndarray]
  look: appearance.Look

  @property
  def counts(self) -> list[int]:
    return [len(values) for values in self.seeds]


def knob_name(name: str) -> str:
  """A knob's name for a reader, safe in a figure."""
  return appearance.label(_KNOBS.get(name, name.replace('_', ' ')), 40)


def knob(record: map_record.MapRecord) -> str:
  """The knob that a sweep turns: a setting, or the folder's name tells."""
  return str(record.settings.get('knob') or record.name.removeprefix('sweep_'))


def sweep_picture(
  record: map_record.MapRecord,
) -> matplotlib.figure.Figure | None:
  """Draws final accuracy over the values of a knob, with every seed.

  Args:
    record: Of the kind `sweep`; its curves have a `value`.

  Returns:
    The figure, None if the record has no accuracy.
  """
  shared, alone = _series(record)
  if shared is None:
    return None
  figure = appearance.figure(3.5, simulation_only=alone is not None)
  axes = figure.add_subplot()
  ends = []
  for series, name in ((shared, 'shared'), (alone, "users' own")):
    if series is None:
      continue
    _draw(axes, series)
    for x, seeds in zip(series.x, series.seeds, strict=True):
      axes.plot(
        np.full_like(seeds, x), seeds, linestyle='none', marker='o',
        markersize=3, alpha=0.22, color=series.look.color, markeredgewidth=0,
      )  # fmt: skip
    final = float(np.mean(series.seeds[-1]))
    text = f'{name}: {formats.number(final, "percent")}'
    ends.append(
      line_labels.End(float(series.x[-1]), final, text, series.look.color)
    )
  _dress_values(axes, record)
  appearance.format_axis(axes.yaxis, 'percent')
  low, high = axes.get_ylim()
  axes.set_ylim(low, min(high, 1.01))
  name = knob_name(knob(record))
  appearance.dress(
    axes,
    title=appearance.label(f'accuracy by {name}', 44),
    x=f'{name}\n({seeds_text(shared)}; dots: single seeds)',
    y='accuracy at the end',
    simulation_only=alone is not None,
  )
  line_labels.draw(axes, ends)
  return figure


def sweep_overview(
  records: Sequence[map_record.MapRecord],
) -> matplotlib.figure.Figure | None:
  """Draws all knobs, a small picture each, on one scale of accuracy.

  Args:
    records: All of the run; those of the kind `sweep` are drawn.

  Returns:
    The figure, None if fewer than two knobs were turned.
  """
  drawn = [
    record
    for record in records
    if record.kind == 'sweep' and _series(record)[0] is not None
  ]
  if len(drawn) < 2:
    return None
  simulated = any(record.final is not None for record in drawn)
  columns = min(_COLUMNS, len(drawn))
  rows = math.ceil(len(drawn) / columns)
  figure = appearance.figure(0.4 + 1.95 * rows, simulation_only=simulated)
  axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
  for panel, record in zip(axes.ravel(), drawn, strict=False):
    for series in _series(record):
      if series is not None:
        _draw(panel, series, small=True)
    _dress_values(panel, record, most=6)
    appearance.dress(panel, title='', x=knob_name(knob(record)))
    panel.tick_params(labelsize=8)
    panel.xaxis.label.set_fontsize(9.5)
  for panel in axes.ravel()[len(drawn) :]:
    panel.set_axis_off()
  for panel in axes[:, 0]:
    panel.set_ylabel('accuracy', fontsize=9)
  appearance.format_axis(axes[0, 0].yaxis, 'percent')
  low, high = axes[0, 0].get_ylim()
  axes[0, 0].set_ylim(low, min(high, 1.01))
  if simulated:
    appearance.mark_simulation_only(figure)
  counts = [
    count
    for record in drawn
    for series in _series(record)
    if series is not None
    for count in series.counts
  ]
  looks = (_SHARED, _ALONE)[: 1 + simulated]
  appearance.legend(
    figure,
    [
      matplotlib.lines.Line2D(
        [], [], color=look.color, linestyle=look.linestyle, marker=look.marker
      )
      for look in looks
    ],
    [
      f'shared model; {seed_bands.band_text(counts)}',
      "mean of the users' own models",
    ][: len(looks)],
  )
  return figure


def seeds_text(series: _Series) -> str:
  """Says of how many seeds a series is."""
  return seed_bands.band_text(series.counts)


def _series(
  record: map_record.MapRecord,
) -> tuple[_Series | None, _Series | None]:
  """Of the shared model and of the users' own; None without numbers."""
  places = _places(record)
  found: list[_Series | None] = []
  for look, last in (
    (_SHARED, seed_bands.last),
    (_ALONE, seed_bands.last_local),
  ):
    x, seeds = [], []
    for curve, place in sorted(places.items(), key=lambda item: item[1]):
      values = last(record, curve).to_numpy(float)
      if len(values):
        x.append(place)
        seeds.append(values)
    found.append(_Series(x, seeds, look) if seeds else None)
  return found[0], found[1]


def _places(record: map_record.MapRecord) -> dict[int, float]:
  """Where each curve stands: at its number, or in a row if it has none."""
  values = [curve.number('value') for curve in record.curves]
  if any(value is None for value in values):
    return {curve: float(curve) for curve in range(len(values))}
  return {
    curve: value for curve, value in enumerate(values) if value is not None
  }


def _dress_values(
  axes: matplotlib.axes.Axes, record: map_record.MapRecord, most: int = 9
) -> None:
  places = _places(record)
  if any(curve.number('value') is None for curve in record.curves):
    names = [
      appearance.label(str(curve.values.get('value', curve.name)), 12)
      for curve in record.curves
    ]
    axes.set_xticks(
      range(len(names)), names, rotation=30, ha='right', fontsize=8.5
    )
  else:
    appearance.value_axis(axes, list(places.values()), most=most)
  if len(set(places.values())) == 1:
    only = next(iter(places.values()))
    axes.set_xlim(only - 0.5, only + 0.5)


def _draw(
  axes: matplotlib.axes.Axes, series: _Series, *, small: bool = False
) -> None:
  bands = [seed_bands.band(values) for values in series.seeds]
  x = np.array(series.x)
  mean = np.array([float(band.mean) for band in bands])
  error = np.array([float(band.error) for band in bands])
  axes.plot(
    x, mean, color=series.look.color, linestyle=series.look.linestyle,
    linewidth=1.4 if small else 2.0, marker=series.look.marker,
    markersize=3.5 if small else 5.5, zorder=3,
  )  # fmt: skip
  seed_bands.fill(
    axes,
    x,
    seed_bands.Band(mean, error, max(series.counts)),
    series.look.color,
  )
