"""Places of the user's own, from a CSV or TSV file.

A row is a client, two coordinates and a value, which is a class or a number.
Whatever is wrong with a row is told with its line number, and nothing is
dropped that is not counted.
"""

import dataclasses
import functools
import math
import pathlib
from typing import Any, get_args

import numpy as np

from tff_pipelines.data import (
  label_words,
  map_frames,
  own_files,
  place_records,
  population,
  row_files,
)


@dataclasses.dataclass(frozen=True)
class PlacesSource:
  """A file of places and how to read it.

  Attributes:
    path: The file. A name that ends in .tsv has tabs between the columns.
    client_column: Column with the client who reports the place.
    x_column: Column with the first coordinate (of a map: longitude).
    y_column: Column with the second coordinate (of a map: latitude).
    value_column: Column with what was found there.
    target: `hot`, a class; or `temperature`, the value itself, a number.
    hot_values: What stands for hot, in upper or lower case.
    cold_values: What stands for cold.
    hot_above: Values are numbers, and hot above this one; None if they are
      words.
    label_names: Names of the classes cold and hot in reports.
    area: The part of the map that becomes the unit square; a place outside is a
      bad row. None takes the smallest that encloses all places, which only a
      simulation can know.
    encoding: The file's encoding. A byte order mark is accepted.
    skip_bad_rows: Whether bad rows are counted and left out; otherwise the
      first one is an error.
  """

  path: pathlib.Path
  client_column: str = 'client'
  x_column: str = 'x'
  y_column: str = 'y'
  value_column: str = 'value'
  target: place_records.Target = 'hot'
  hot_values: tuple[str, ...] = ('hot', '1', 'true', 'yes')
  cold_values: tuple[str, ...] = ('cold', '0', 'false', 'no')
  hot_above: float | None = None
  label_names: tuple[str, str] = place_records.LABEL_NAMES
  area: map_frames.MapFrame | None = None
  encoding: str = 'utf-8'
  skip_bad_rows: bool = False

  def __post_init__(self) -> None:
    if len(set(self.columns)) != 4 or not all(self.columns):
      raise row_files.InvalidSourceError(
        'Expected four different columns for client, first and second '
        f'coordinate and value, found {row_files.listed(self.columns)}.'
      )
    if self.target not in get_args(place_records.Target):
      raise row_files.InvalidSourceError(
        'Expected a target out of '
        f'{", ".join(get_args(place_records.Target))}, found {self.target!r}.'
      )
    if self.hot_above is not None and not math.isfinite(self.hot_above):
      raise row_files.InvalidSourceError(
        f'Expected a finite number in --hot_above, found {self.hot_above}.'
      )
    if self.hot_above is not None and self.target != 'hot':
      raise row_files.InvalidSourceError(
        'Expected the target hot where --hot_above is given, found '
        f'{self.target}; remove one of them.'
      )
    _ = self.words  # Refuses words that contradict each other.
    row_files.check_encoding(self.encoding)

  @property
  def columns(self) -> tuple[str, str, str, str]:
    """The columns of client, first and second coordinate, and value."""
    return (
      self.client_column,
      self.x_column,
      self.y_column,
      self.value_column,
    )

  @functools.cached_property
  def words(self) -> label_words.LabelWords:
    """What the words of a class mean."""
    return label_words.LabelWords(
      self.hot_values, self.cold_values, 'hot_values', 'cold_values'
    )


def load(
  source: PlacesSource, *, test_fraction: float, seed: int
) -> population.FederatedDataset:
  """Loads places and holds some of them out.

  An example is (x, y): x = float32[2], the place in the unit square, and
  y = float32[], 0.0 (cold) or 1.0 (hot), or the number in the file. Clients are
  those of the file; one whose places are all on one side is in that population
  only. A place that several reported is on one side.

  Args:
    source: The file and how to read it.
    test_fraction: Share of the distinct places that is held out.
    seed: The run's seed.

  Returns:
    A data set without label names if the target is a number. `provenance` holds
    source, file (its name), sha256, rows_read, skipped_rows, target, split,
    test_fraction, frame: what the unit square is on the map, and frame_given:
    whether that was the area that was asked for.

  Raises:
    MalformedRowError: If a row is bad, unless `source.skip_bad_rows`.
    ColumnError: If a column is missing, or there twice.
    NoRowsError: If there is no row, or none that is not bad.
    UnreadableFileError: If the file cannot be read or decoded at all.
    PlaceSplitError: If one side of the split would be empty.
  """
  collected = own_files.collect(
    source, 'csv', functools.partial(_interpret, source), 'places'
  )
  clients, first, second, values = zip(*collected.rows, strict=True)
  coordinates = np.stack([first, second], axis=1)  # float64[n, 2]
  frame = source.area or map_frames.around(coordinates)
  train, test = place_records.split_by_distinct_place(
    place_records.PlaceRecords(
      frame.to_unit(coordinates), np.array(values, np.float32), clients
    ),
    test_fraction,
    seed,
  )
  return population.FederatedDataset(
    name='csv',
    train=train.population(),
    test=test.population(),
    label_names=source.label_names if source.target == 'hot' else (),
    provenance={
      **collected.provenance,
      'target': source.target,
      'hot_above': source.hot_above,
      'split': 'by distinct place',
      'test_fraction': test_fraction,
      'frame': frame.config(),
      'frame_given': source.area is not None,
    },
  )


def _interpret(
  source: PlacesSource, row: row_files.Row
) -> tuple[str, float, float, float]:
  """Returns the client (stripped), the two coordinates and the value."""
  client = row_files.check_name(
    source.path, row.line, f'client in {source.client_column!r}', row.values[0]
  )
  x, y = (_number(source, row, position, 'a coordinate') for position in (1, 2))
  if source.area is not None and not source.area.encloses(np.array([[x, y]])):
    raise row_files.MalformedRowError(
      source.path,
      row.line,
      'outside the area',
      f'expected a place in {source.area.west} to {source.area.east} by '
      f'{source.area.south} to {source.area.north}, found ({x}, {y}); correct '
      'the row, or pass a larger --area',
    )
  return client, x, y, _value(source, row)


def _value(source: PlacesSource, row: row_files.Row) -> float:
  if source.target == 'temperature':
    return _number(source, row, 3, 'a value')
  if source.hot_above is not None:
    return float(_number(source, row, 3, 'a value') > source.hot_above)
  meaning = source.words.meaning(row.values[3])
  if meaning is None:
    raise row_files.MalformedRowError(
      source.path,
      row.line,
      'unknown label',
      f'{source.words.complaint(source.value_column, row.values[3])}, or for '
      'numbers --hot_above',
    )
  return float(meaning)


def _number(
  source: PlacesSource, row: row_files.Row, position: int, what: str
) -> float:
  text: Any = row.values[position].strip()
  try:
    number = float(text)
  except ValueError:
    number = math.nan
  # As float32, in which it is trained on: 1e39 is no number there.
  if not abs(number) <= float(np.finfo(np.float32).max):
    raise row_files.MalformedRowError(
      source.path,
      row.line,
      'not a number',
      f'expected {what} in {source.columns[position]!r}, a finite number such '
      f'as 48.25, found {row_files.shown(text)}; correct the row',
    )
  return number
