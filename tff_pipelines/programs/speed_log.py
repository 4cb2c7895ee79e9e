"""How fast each round was: speed.csv.

Apart from metrics.csv, which is the same for every repetition of a run; time
never is.
"""

import csv
import dataclasses
import pathlib
import statistics

from tff_pipelines.programs import files

_HEAD = ('round_num', 'seconds', 'examples', 'tokens')


@dataclasses.dataclass(frozen=True)
class RoundSpeed:
  """What a round computed, and in what time.

  Attributes:
    round_num: The round.
    seconds: Of the round, without evaluation and saving; the first of every
      session compiles.
    examples: That clients trained on, passes counted each.
    tokens: That were predicted among them; 0 where the model counts none.
  """

  round_num: int
  seconds: float
  examples: int
  tokens: int = 0


class SpeedLog:
  """Writes a row a round to the speed.csv of a run."""

  def __init__(self, folder: pathlib.Path, last_round: int):
    """Initializes the log.

    Args:
      folder: Where speed.csv is, or is to be.
      last_round: The last round that is done; later rows are forgotten.
    """
    self._path = folder / 'speed.csv'
    self._rows = [r for r in _read(self._path) if r.round_num <= last_round]
    self._is_whole = False

  def append(self, row: RoundSpeed) -> None:
    """Writes down a round.

    Raises:
      SavingFailedError: If it cannot be written.
    """
    self._rows.append(row)
    if self._is_whole:
      # Rewritten whole, a row would cost the more the later it is.
      line = ','.join(map(str, dataclasses.astuple(row)))
      with files.saving(self._path.name, self._path.parent):
        files.append_text(self._path, f'{line}\n')
      return
    files.write_text(
      self._path,
      files.csv_text(_HEAD, (dataclasses.astuple(r) for r in self._rows)),
    )
    self._is_whole = True

  def rates(self) -> dict[str, float]:
    """Returns seconds_per_round, examples_per_second and tokens_per_second.

    A round counts like any other but for those far slower for an example than
    the median one: they compiled. Empty without rounds or examples.
    """
    rows = [r for r in self._rows if r.examples and r.seconds > 0]
    if not rows:
      return {}
    middle = statistics.median_low(r.seconds / r.examples for r in rows)
    rows = [r for r in rows if r.seconds / r.examples < 10 * middle]
    seconds = sum(r.seconds for r in rows)
    rates = {
      'seconds_per_round': seconds / len(rows),
      'examples_per_second': round(sum(r.examples for r in rows) / seconds),
    }
    if any(r.tokens for r in rows):
      rates['tokens_per_second'] = round(sum(r.tokens for r in rows) / seconds)
    return rates


def _read(path: pathlib.Path) -> list[RoundSpeed]:
  """Returns the rows of a speed.csv; none of one that is missing or damaged,
  on which nothing depends."""
  try:
    with open(path, encoding='utf-8', newline='') as file:
      return [
        RoundSpeed(
          int(row['round_num']),
          float(row['seconds']),
          int(row['examples']),
          int(row['tokens']),
        )
        for row in csv.DictReader(file)
      ]
  except (OSError, csv.Error, KeyError, TypeError, ValueError):
    return []
