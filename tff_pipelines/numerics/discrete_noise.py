"""Integer noise, drawn exactly enough to be accounted for, without rejection.

A distribution is a table of masses, integers that add up to one exactly; a draw
costs two random 64-bit integers and two look-ups, whatever comes out, so that
it compiles. Masses are computed with 50 digits; what rounding them, and cutting
off tails, changes in total is stated with the table.

Source: Walker 1977 and Vose 1991 (alias method); distributions as Canonne,
Kamath, Steinke 2020, arXiv 2004.00010 (discrete Gaussian) and Agarwal, Kairouz,
Liu 2021, arXiv 2110.04995 (Skellam).
"""

from collections.abc import Callable
import dataclasses
import decimal
import functools
import math

import numpy as np
import tensorflow as tf

from tff_pipelines.core import errors

# Of the second draw: a column's content is split in units of 2^-63 of it.
_CAPACITY = 1 << 63
_MAX_COLUMNS = 1 << 20
# Natural logarithm of the mass that may be cut off, and that of what is so
# small that 50 digits do not see it.
_LOG_TAIL = -66 * math.log(2)
_LOG_UNSEEN = -50 * math.log(10)
_CONTEXT = decimal.Context(
  prec=50, Emin=-999_999, Emax=999_999, traps=[decimal.InvalidOperation]
)


class DiscreteNoiseError(errors.PipelineError):
  """Noise for which there is no table."""


@dataclasses.dataclass(frozen=True, eq=False)
class NoiseTable:
  """A symmetric distribution on the integers, ready to be drawn from.

  Attributes:
    name: Of the distribution and its parameter.
    thresholds: int64[columns]; a power of two of columns is drawn from evenly,
      and gives its own value if a number of 63 bits is below its threshold.
    aliases: int32[columns]; which column's value it gives otherwise.
    radius: Values are -radius to radius, in the order of the columns.
    variance: Of the distribution.
    total_variation: Between a draw and the distribution, at most; d draws are
      within d times as much, which is to be added to a delta.
  """

  name: str
  thresholds: np.ndarray
  aliases: np.ndarray
  radius: int
  variance: float
  total_variation: float

  def masses(self) -> list[int]:
    """Returns what -radius, ..., radius are drawn with, exactly.

    In units of 1 / (2^63 columns), of which there are that many in all.
    """
    masses = [0] * len(self.thresholds)
    for column, (threshold, alias) in enumerate(
      zip(self.thresholds.tolist(), self.aliases.tolist(), strict=True)
    ):
      masses[column] += threshold
      masses[alias] += _CAPACITY - threshold
    return masses[: 2 * self.radius + 1]


@functools.lru_cache(maxsize=16)
def discrete_gaussian(stddev: float) -> NoiseTable:
  """Returns N_Z(0, stddev^2): masses proportional to exp(-k^2 / (2 stddev^2)).

  Args:
    stddev: The parameter sigma; for a sigma of 1 or more it is the standard
      deviation to 8 digits, below, that is smaller.

  Raises:
    DiscreteNoiseError: If it is not positive, or the table too large.
  """
  _check('stddev', stddev)
  variance = stddev**2

  def weights(radius: int) -> list[decimal.Decimal]:
    sigma = decimal.Decimal(stddev)
    exact = _CONTEXT.divide(-1, 2 * _CONTEXT.multiply(sigma, sigma))
    step = _CONTEXT.exp(exact)  # exp(-(2k + 1) / (2 sigma^2)) at k = 0.
    ratio = _CONTEXT.multiply(step, step)
    found = [decimal.Decimal(1)]
    for _ in range(radius):
      found.append(_CONTEXT.multiply(found[-1], step))
      step = _CONTEXT.multiply(step, ratio)
    return found

  return _table(
    f'discrete Gaussian of stddev {stddev}',
    weights,
    # Sub-Gaussian: Canonne, Kamath, Steinke 2020, corollary 17.
    lambda radius: -(radius**2) / (2 * variance),
  )


@functools.lru_cache(maxsize=16)
def skellam(stddev: float) -> NoiseTable:
  """Returns the difference of two Poisson variables of mean stddev^2 / 2.

  Masses are proportional to the Bessel functions I_k(stddev^2), which
  I_{k-1}(v) = I_{k+1}(v) + (2 k / v) I_k(v) gives downward (Miller).

  Raises:
    DiscreteNoiseError: If it is not positive, or the table too large.
  """
  _check('stddev', stddev)
  variance = stddev**2

  def log_tail(radius: int) -> float:
    # Chernoff's bound at its best, exp(v (cosh t - 1) - t r).
    root = math.hypot(variance, radius)
    # root - variance, without cancellation.
    return radius**2 / (root + variance) - radius * math.asinh(
      radius / variance
    )

  def weights(radius: int) -> list[decimal.Decimal]:
    start = max(radius, _radius(lambda r: 2 * log_tail(r), _LOG_UNSEEN)) + 2
    sigma = decimal.Decimal(stddev)
    over = _CONTEXT.divide(2, _CONTEXT.multiply(sigma, sigma))
    above, here = decimal.Decimal(0), decimal.Decimal(1)
    found = [here]
    for k in range(start, 0, -1):
      factor = _CONTEXT.multiply(k, over)
      above, here = here, _CONTEXT.fma(factor, here, above)
      found.append(here)
    return found[::-1][: radius + 1]

  return _table(f'Skellam of stddev {stddev}', weights, log_tail)


@functools.lru_cache(maxsize=16)
def geometric(scale: float) -> NoiseTable:
  """Returns the two-sided geometric: masses proportional to exp(-|k| / scale).

  With scale = sensitivity / epsilon it is epsilon-DP, apart from
  `total_variation`.

  Raises:
    DiscreteNoiseError: If it is not positive, or the table too large.
  """
  _check('scale', scale)

  def weights(radius: int) -> list[decimal.Decimal]:
    ratio = _CONTEXT.exp(_CONTEXT.divide(-1, decimal.Decimal(scale)))
    found = [decimal.Decimal(1)]
    for _ in range(radius):
      found.append(_CONTEXT.multiply(found[-1], ratio))
    return found

  return _table(
    f'two-sided geometric of scale {scale}',
    weights,
    # P[|X| > r] = 2 q^(r+1) / (1 + q), each side half of it.
    lambda radius: -radius / scale,
  )


def sample(
  table: NoiseTable, seed: tf.Tensor, shape: tuple[int, ...] | list[int]
) -> tf.Tensor:
  """Draws independent noise.

  Args:
    table: Of `discrete_gaussian`, `skellam` or `geometric`.
    seed: int64[2], used for nothing else; see `noise_seeds`.
    shape: Of the result.

  Returns:
    int64[shape].
  """
  drawn = tf.random.stateless_uniform(
    [2, math.prod(shape)],
    seed,
    minval=None,
    maxval=None,
    dtype=tf.int64,
    alg='philox',
  )
  columns = tf.cast(drawn[0] & (len(table.thresholds) - 1), tf.int32)
  level = drawn[1] & (_CAPACITY - 1)
  kept = level < tf.gather(tf.constant(table.thresholds), columns)
  found = tf.where(
    kept, columns, tf.gather(tf.constant(table.aliases), columns)
  )
  return tf.reshape(tf.cast(found - table.radius, tf.int64), shape)


def _check(name: str, value: float) -> None:
  if not (value > 0.0 and math.isfinite(value)):
    raise DiscreteNoiseError(
      f'Expected a finite {name} above 0 for integer noise, found {value}.'
    )


def _radius(log_tail: Callable[[int], float], least: float) -> int:
  """Returns the least radius with log_tail(radius) <= least."""
  high = 1
  while log_tail(high) > least:
    high *= 2
  low = 0
  while high - low > 1:
    middle = (low + high) // 2
    if log_tail(middle) > least:
      low = middle
    else:
      high = middle
  return high


def _table(
  name: str,
  weights: Callable[[int], list[decimal.Decimal]],
  log_tail: Callable[[int], float],
) -> NoiseTable:
  """Makes a table of the masses of 0, 1, ..., radius, up to a factor.

  Args:
    name: Of the distribution.
    weights: Gives them for a radius.
    log_tail: Bounds log P[X >= radius], of one side.
  """
  radius = _radius(log_tail, _LOG_TAIL)
  columns = 1 << (2 * radius + 1).bit_length()
  if columns > _MAX_COLUMNS:
    raise DiscreteNoiseError(
      f'Expected integer noise whose table has at most {_MAX_COLUMNS} columns, '
      f'found that the {name} needs {columns}; take a smaller scale.'
    )
  # Whatever fits in is in.
  radius = columns // 2 - 1
  half = weights(radius)
  with decimal.localcontext(_CONTEXT):
    total = half[0] + 2 * sum(half[1:])
    unit = decimal.Decimal(_CAPACITY * columns)
    exact = [weight / total * unit for weight in half]
    rounded = [int(mass.to_integral_value()) for mass in exact]
    # What is missing, or too much, is 0's.
    rounded[0] = _CAPACITY * columns - 2 * sum(rounded[1:])
    changed = abs(exact[0] - rounded[0]) + 2 * sum(
      abs(e - r) for e, r in zip(exact[1:], rounded[1:], strict=True)
    )
    variance = 2 * sum(k * k * weight for k, weight in enumerate(half)) / total
    off = float(changed / unit) / 2
  thresholds, aliases = _aliases(rounded[:0:-1] + rounded, columns)
  return NoiseTable(
    name,
    thresholds,
    aliases,
    radius,
    float(variance),
    off + 2 * math.exp(log_tail(radius + 1)),
  )


def _aliases(masses: list[int], columns: int) -> tuple[np.ndarray, np.ndarray]:
  """Vose's method in integers: every column holds 2^63 units of two values."""
  left = masses + [0] * (columns - len(masses))
  thresholds, aliases = [0] * columns, list(range(columns))
  small = [c for c, mass in enumerate(left) if mass < _CAPACITY]
  large = [c for c, mass in enumerate(left) if mass >= _CAPACITY]
  while small:
    column, donor = small.pop(), large[-1]
    thresholds[column], aliases[column] = left[column], donor
    left[donor] -= _CAPACITY - left[column]
    if left[donor] < _CAPACITY:
      small.append(large.pop())
  # Those that are left are full, and their own aliases.
  return np.array(thresholds, np.int64), np.array(aliases, np.int32)
