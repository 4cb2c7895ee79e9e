"""Count sketches: every coordinate added, with a random sign, to a few buckets.

A row of w buckets holds y_h(i) = sum of s(i) x_i; s(i) y_h(i) estimates x_i,
and the error is the sum of what shares its bucket, with random signs. Its
distribution is symmetric, so the mean over rows and their median are unbiased.

Coordinates are hashed in runs of w: each run is added to the row after a random
cyclic shift. So two coordinates of a run never meet, those of two runs meet
with probability 1 / w, and both ends gather, where a table of hashes would have
to be scattered. Squared error of a row: sum_j x_j^2 (n - n_j) / w, with n_j the
length of the run of j, so at most |x|^2 n / w.

Source: Charikar, Chen, Farach-Colton 2002, "Finding Frequent Items in Data
Streams", section 3. Deviation: the hash above; the mean of rows as a choice.
"""

import dataclasses
from typing import Literal, get_args

import tensorflow as tf

from tff_pipelines.numerics import codes, noise_seeds, order_statistics

Estimate = Literal['mean', 'median']


@dataclasses.dataclass(frozen=True)
class CountSketch(codes.LinearCode):
  """A linear sketch.

  Attributes:
    fraction: Buckets of all rows, over the number of coordinates.
    rows: Among which the buckets are divided.
    estimate: `mean` of the rows' estimates, of the same error for any number of
      rows; or their `median`, which few large coordinates do not disturb.
  """

  fraction: float
  rows: int = 1
  estimate: Estimate = 'median'

  def __post_init__(self) -> None:
    codes.check_fraction(self.fraction)
    if self.rows < 1:
      raise codes.CodeError(
        f'Expected at least 1 row of buckets, found {self.rows}.'
      )
    if self.estimate not in get_args(Estimate):
      raise codes.CodeError(
        f'Expected an estimate out of {", ".join(get_args(Estimate))}, found '
        f'{self.estimate!r}.'
      )

  def width(self, size: int) -> int:
    """Returns w, the buckets of a row for so many coordinates."""
    return max(1, codes.part(size, self.fraction) // self.rows)

  @property
  def is_unbiased(self) -> bool:
    """See base class."""
    return True

  def encoded_size(self, shapes: codes.Shapes) -> int:
    """See base class."""
    return self.rows * self.width(codes.num_elements(shapes))

  def encode(
    self, vector: tf.Tensor, seed: tf.Tensor, shapes: codes.Shapes
  ) -> tf.Tensor:
    """See base class."""
    size = codes.num_elements(shapes)
    width = self.width(size)
    runs = -(-size // width)
    padded = tf.pad(vector, [[0, runs * width - size]])
    buckets = []
    for of_row in noise_seeds.split(seed, self.rows):
      signs, shifts = _hash(of_row, runs, width)
      signed = tf.reshape(padded, [runs, width]) * signs
      buckets.append(tf.reduce_sum(_turned(signed, -shifts), axis=0))
    return tf.concat(buckets, axis=0)

  def decode(
    self, message: tf.Tensor, seed: tf.Tensor, shapes: codes.Shapes
  ) -> tf.Tensor:
    """See base class."""
    size = codes.num_elements(shapes)
    width = self.width(size)
    runs = -(-size // width)
    estimates = []
    for row, of_row in zip(
      tf.unstack(tf.reshape(message, [self.rows, width])),
      noise_seeds.split(seed, self.rows),
      strict=True,
    ):
      signs, shifts = _hash(of_row, runs, width)
      every = tf.tile(row[tf.newaxis, :], [runs, 1])
      found = _turned(every, shifts) * signs
      estimates.append(tf.reshape(found, [-1])[:size])
    if self.estimate == 'mean':
      return tf.add_n(estimates) / self.rows
    return order_statistics.median(
      tf.stack(estimates), tf.constant(self.rows, tf.int32)
    )


def _hash(
  seed: tf.Tensor, runs: int, width: int
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the signs, float32[runs, width], and the shifts, int32[runs]."""
  of_signs, of_shifts = noise_seeds.split(seed, 2)
  drawn = tf.random.stateless_uniform(
    [runs, width], of_signs, minval=None, maxval=None, dtype=tf.int32,
    alg='philox',
  )  # fmt: skip
  shifts = tf.random.stateless_uniform(
    [runs], of_shifts, minval=None, maxval=None, dtype=tf.int64, alg='philox'
  )
  return (
    tf.where(drawn < 0, -1.0, 1.0),
    tf.cast((shifts & (2**62 - 1)) % width, tf.int32),
  )


def _turned(rows: tf.Tensor, shifts: tf.Tensor) -> tf.Tensor:
  """Returns the rows, place c of each taken from place c + shift, cyclically.

  Args:
    rows: float32[runs, width].
    shifts: int32[runs], above -width and below width.
  """
  width = rows.shape[1]
  places = tf.range(width)[tf.newaxis, :] + shifts[:, tf.newaxis] + width
  return tf.gather(rows, places % width, batch_dims=1)
