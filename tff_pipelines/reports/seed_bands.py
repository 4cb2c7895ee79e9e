"""What several seeds give: their mean, and how far it can be trusted."""

from collections.abc import Sequence
import dataclasses
import math

import matplotlib.axes
import numpy as np
import pandas as pd

from tff_pipelines.core import wording
from tff_pipelines.reports import map_record

# Of the mean, to either side: about 95 % of such bands hold the true mean.
STANDARD_ERRORS = 2


@dataclasses.dataclass(frozen=True)
class Band:
  """The mean over seeds, and a band of two standard errors around it.

  Attributes:
    mean: Of all seeds.
    error: The standard error of the mean; 0 for a single seed, which has none.
    count: Number of seeds.
  """

  mean: np.ndarray
  error: np.ndarray
  count: int

  @property
  def low(self) -> np.ndarray:
    return self.mean - STANDARD_ERRORS * self.error

  @property
  def high(self) -> np.ndarray:
    return self.mean + STANDARD_ERRORS * self.error


def band(values: np.ndarray) -> Band:
  """The band of values[num_seeds, ...]; num_seeds at least 1."""
  count = len(values)
  mean = values.mean(axis=0)
  if count == 1:
    return Band(mean, np.zeros_like(mean), count)
  return Band(mean, values.std(axis=0, ddof=1) / math.sqrt(count), count)


def by_step(
  record: map_record.MapRecord, curve: int
) -> tuple[np.ndarray, np.ndarray]:
  """The shared model's accuracy after each merge of a curve.

  Args:
    record: What holds the curve.
    curve: Its index.

  Returns:
    The steps that all seeds have in common, and accuracy[num_seeds, num_steps].
  """
  return _by_step(record.server, curve)


def local_by_step(
  record: map_record.MapRecord, curve: int
) -> tuple[np.ndarray, np.ndarray]:
  """The mean accuracy of the users who take part, likewise."""
  table = record.users
  if table is None:
    return _by_step(None, curve)
  part = table[table['taking_part'] & (table['curve'] == curve)]
  means = part.groupby(['curve', 'seed', 'step'], as_index=False)
  return _by_step(means['accuracy'].mean(), curve)


def _by_step(
  table: pd.DataFrame | None, curve: int
) -> tuple[np.ndarray, np.ndarray]:
  if table is None or not (table['curve'] == curve).any():
    return np.empty(0, int), np.empty((0, 0))
  kept = table[table['curve'] == curve]
  # Written once for each moment; a later row would replace an earlier one.
  wide = kept.pivot_table('accuracy', 'seed', 'step', aggfunc='last')
  wide = wide.dropna(axis='columns')
  return wide.columns.to_numpy(int), wide.to_numpy(float)


def last(record: map_record.MapRecord, curve: int) -> pd.Series:
  """The shared model's accuracy after the last merge of a curve, by seed."""
  table = record.server
  if table is None:
    return pd.Series(dtype=float)
  kept = table[table['curve'] == curve].sort_values('step', kind='stable')
  return kept.groupby('seed')['accuracy'].last().dropna()


def last_local(record: map_record.MapRecord, curve: int) -> pd.Series:
  """The mean accuracy of the users' own models at the end, by seed."""
  table = record.final
  if table is None:
    return pd.Series(dtype=float)
  kept = table[table['curve'] == curve]
  return kept.set_index('seed')['mean_local_accuracy'].dropna()


def count_text(counts: Sequence[int]) -> str:
  """Writes how many seeds there are: '8 seeds', '5 to 8 seeds'."""
  low, high = min(counts, default=0), max(counts, default=0)
  if low == high:
    return wording.counted(low, 'seed')
  return f'{low:,} to {high:,} seeds'


def mean_text(counts: Sequence[int]) -> str:
  """Says of how many seeds numbers are the mean."""
  text = count_text(counts)
  return text if max(counts, default=0) < 2 else f'mean of {text}'


def band_text(counts: Sequence[int]) -> str:
  """Says of what the lines are means, and what is drawn around them."""
  text = mean_text(counts)
  if max(counts, default=0) < 2:
    return text
  return f'{text}, \N{PLUS-MINUS SIGN} {STANDARD_ERRORS} standard errors'


def fill(
  axes: matplotlib.axes.Axes,
  x: np.ndarray,
  drawn: Band,
  color: str,
  alpha: float = 0.16,
) -> None:
  """Draws the band behind a line, nothing for a single seed."""
  if drawn.count > 1:
    axes.fill_between(
      x, drawn.low, drawn.high, color=color, alpha=alpha, linewidth=0,
      zorder=1.2,
    )  # fmt: skip


def points(difference: float, digits: int | None = None) -> str:
  """Writes a difference of fractions in percentage points, with its sign."""
  value = 100 * difference
  text = f'{value:+.6g}' if digits is None else f'{value:+.{digits}f}'
  if float(text) == 0:
    text = text.lstrip('+-')
  return text.replace('-', '\N{MINUS SIGN}')
