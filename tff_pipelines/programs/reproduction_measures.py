"""Numbers out of run directories, and whether they are what was claimed.

A run that ends before a metric reaches its target does not tell how many rounds
that takes, only that it takes more. Such a number is an interval, and so is
what is computed from it; a verdict is given where the whole interval allows it.
"""

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import itertools
import json
import math
import pathlib
import statistics
from typing import Any, Literal

from tff_pipelines.core import errors
from tff_pipelines.programs import reproduction_paper

# `undecided`: the run was too short to tell. `shown`: nothing was claimed.
# `failed`: there is no number, because a run failed.
Verdict = Literal['met', 'missed', 'undecided', 'shown', 'failed']

_ROUND = 'round_num'
_MAIN_SYSTEM = 'federated'


class MeasureError(errors.PipelineError):
  """A run directory without what is to be measured."""


@dataclasses.dataclass(frozen=True)
class Number:
  """A number, or what is known of it.

  Attributes:
    low: It is at least this, exactly this if `high` is the same.
    high: It is at most this.
  """

  low: float
  high: float

  @classmethod
  def exactly(cls, value: float) -> 'Number':
    return cls(float(value), float(value))

  @classmethod
  def more_than(cls, value: float) -> 'Number':
    return cls(float(value), math.inf)

  @property
  def exact(self) -> float | None:
    """The number, None if it is not known exactly."""
    return self.low if self.low == self.high else None

  def __truediv__(self, other: 'Number') -> 'Number':
    """The ratio of numbers that are not negative."""
    return Number(
      _ratio(self.low, other.high), _ratio(self.high, other.low, up=True)
    )

  def __sub__(self, other: 'Number') -> 'Number':
    return Number(self.low - other.high, self.high - other.low)


def _ratio(above: float, below: float, up: bool = False) -> float:
  if math.isinf(below):
    # Infinite bounds are those of numbers that are not known.
    return math.inf if up and math.isinf(above) else 0.0
  if below == 0:
    return math.inf if above else math.nan
  return above / below


def median(numbers: Sequence[Number]) -> Number:
  """Returns the median of at least one number."""
  return Number(
    statistics.median(n.low for n in numbers),
    statistics.median(n.high for n in numbers),
  )


def verdict(number: Number, low: float, high: float) -> Verdict:
  """Returns whether a number lies in [low, high], bounds included.

  Args:
    number: The number.
    low: -inf if it may be as low as it likes.
    high: inf likewise; if both are, nothing was claimed.
  """
  if math.isinf(low) and math.isinf(high):
    return 'shown'
  if math.isnan(number.low) or math.isnan(number.high):
    return 'missed'
  if low <= number.low and number.high <= high:
    return 'met'
  # What took more rounds than it was given took more than that, not as many.
  too_high = number.low > high or (number.exact is None and number.low >= high)
  return 'missed' if too_high or number.high < low else 'undecided'


def rounds_to(points: Sequence[tuple[float, float]], target: float) -> Number:
  """Returns where a curve, made monotone, first reaches a target.

  Between points it is interpolated linearly, as in McMahan et al. 2017,
  section 3. A curve that begins above the target reaches it at its first point.

  Args:
    points: Pairs (x, y) of rising x, at least one.
    target: What y is to reach from below.

  Returns:
    The x; more than the last x if y stays below.
  """
  best_x, best = points[0]
  if best >= target:
    return Number.exactly(best_x)
  for x, y in points[1:]:
    if y >= target:
      share = (target - best) / (y - best)
      return Number.exactly(best_x + share * (x - best_x))
    # Made monotone: a lower point is lifted to the highest before it.
    best_x, best = x, max(best, y)
  return Number.more_than(points[-1][0])


def measure(
  run_dir: pathlib.Path, what: reproduction_paper.Measure, system: str
) -> Number:
  """Returns a number of a run directory, of one that has not ended too.

  Args:
    run_dir: The directory.
    what: What to measure.
    system: Whose number, where `what` does not say.

  Raises:
    MeasureError: If the directory does not have it.
  """
  system = what.system or system
  if what.kind == 'result':
    return Number.exactly(_result(run_dir, system, what.column))
  if what.kind == 'json':
    return Number.exactly(_json_number(run_dir / what.file, what.path))
  path = system_folder(run_dir, system) / 'metrics.csv'
  rows = read_table(path)
  points = curve(rows, _ROUND, what.metric)
  if not points:
    raise MeasureError(
      f'Expected values of {what.metric} in {path}, found none.'
    )
  last_round, last = points[-1]
  match what.kind:
    case 'rounds_to':
      return rounds_to(points, what.target)
    case 'bytes_to':
      return _bytes_to(path, rows, what)
    case 'final':
      return Number.exactly(last)
    case 'highest':
      return Number.exactly(max(y for _, y in points))
    case 'lowest':
      return Number.exactly(min(y for _, y in points))
    case 'at':
      return Number.exactly(_at(path, points, what.round_num))
    case 'rise':
      before = _at(path, points, last_round - what.over)
      return Number.exactly(last - before)
  raise AssertionError(what.kind)


def compare(
  one: Number, other: Number, how: reproduction_paper.Combine
) -> Number:
  """Returns the ratio of two numbers, or their difference."""
  return one / other if how == 'ratio' else one - other


def system_folder(run_dir: pathlib.Path, system: str) -> pathlib.Path:
  """Returns the folder of a system in a run directory."""
  return run_dir if system == _MAIN_SYSTEM else run_dir / system


def read_table(path: pathlib.Path) -> list[dict[str, float]]:
  """Returns the rows of a CSV file of numbers; empty cells are left out.

  Raises:
    MeasureError: If it cannot be read.
  """
  try:
    with open(path, encoding='utf-8', newline='') as file:
      return [
        {name: float(cell) for name, cell in row.items() if cell}
        for row in csv.DictReader(file)
      ]
  except (OSError, csv.Error, TypeError, ValueError) as error:
    raise MeasureError(
      f'Expected a table of numbers in {path}, found that it cannot be read '
      f'({error}).'
    ) from error


def curve(
  rows: Sequence[Mapping[str, float]], x: str, y: str
) -> list[tuple[float, float]]:
  """Returns the pairs of two columns, where both are there and no NaN."""
  return [
    (row[x], row[y])
    for row in rows
    if x in row and y in row and not math.isnan(row[x] + row[y])
  ]


def curves(
  path: pathlib.Path, x: str, y: str
) -> dict[str, list[tuple[float, float]]]:
  """Returns the curves of a file by name: '' for the one of a CSV file.

  Args:
    path: A CSV file, or a JSON file with a list `curves` of objects that have a
      `name`.
    x: A column of the CSV file, or a list of numbers of each object.
    y: Likewise.

  Raises:
    MeasureError: If it cannot be read or has no such curves.
  """
  if path.suffix != '.json':
    return {'': curve(read_table(path), x, y)}
  content = _read_json(path)
  try:
    return {
      str(each['name']).replace('_', ' '): list(
        zip(each[x], each[y], strict=True)
      )
      for each in content['curves']
    }
  except (LookupError, TypeError, ValueError) as error:
    raise MeasureError(
      f'Expected curves with a name, {x} and {y} in {path}, found none such '
      f'({error!r}).'
    ) from error


def _bytes_to(
  path: pathlib.Path,
  rows: Sequence[Mapping[str, float]],
  what: reproduction_paper.Measure,
) -> Number:
  # Before the first round nothing has been sent, and nothing is written of it.
  started = [{what.column: 0.0, **row} for row in rows[:1]]
  points = curve([*started, *rows[1:]], what.column, what.metric)
  if len(rows) > 1 and len(points) < 2:
    raise MeasureError(
      f'Expected values of {what.column} in {path}, found none.'
    )
  return rounds_to(points, what.target)


def _at(
  path: pathlib.Path, points: Sequence[tuple[float, float]], x: float
) -> float:
  """Returns the curve at x, interpolated linearly."""
  for (x0, y0), (x1, y1) in itertools.pairwise(points):
    if x0 <= x <= x1:
      return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
  if x == points[0][0]:
    return points[0][1]
  raise MeasureError(
    f'Expected round {x:g} among the evaluated rounds {points[0][0]:g} to '
    f'{points[-1][0]:g} of {path}.'
  )


def _result(run_dir: pathlib.Path, system: str, column: str) -> float:
  path = run_dir / 'results.json'
  rows = _read_json(path).get('rows', [])
  for row in rows:
    if row.get('system') == system:
      return _number(row.get(column), f'{column} of {system} in {path}')
  raise MeasureError(
    f'Expected {system} in the final table of {path}, found '
    f'{", ".join(str(row.get("system")) for row in rows) or "no row"}.'
  )


def _json_number(path: pathlib.Path, keys: Sequence[str | int]) -> float:
  content: Any = _read_json(path)
  for key in keys:
    try:
      content = content[key]
    except (LookupError, TypeError) as error:
      raise MeasureError(
        f'Expected {"/".join(map(str, keys))} in {path}, found nothing at '
        f'{key!r}.'
      ) from error
  return _number(content, f'{"/".join(map(str, keys))} in {path}')


def _read_json(path: pathlib.Path) -> Any:
  try:
    return json.loads(path.read_text(encoding='utf-8'))
  except (OSError, ValueError) as error:
    raise MeasureError(
      f'Expected JSON in {path}, found that it cannot be read ({error}).'
    ) from error


def _number(value: Any, what: str) -> float:
  if isinstance(value, bool) or not isinstance(value, int | float):
    raise MeasureError(f'Expected a number as {what}, found {value!r}.')
  return float(value)
