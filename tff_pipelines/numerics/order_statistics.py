"""The median and the trimmed mean of each coordinate of some vectors.

Vectors are the first `count` rows of a matrix of a larger, static number of
rows; what the others hold does not matter. All numbers of the former must be
finite. No vectors give zeros.
"""

import tensorflow as tf


def median(rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
  """Returns the median of each coordinate; of an even count, the midpoint.

  Up to (count - 1) // 2 of the vectors, whatever they hold, leave each
  coordinate between the least and the largest of the others.

  Args:
    rows: float[capacity, d].
    count: int32[], from 0 to capacity.

  Returns:
    float[d] of the dtype of `rows`.

  Reference: Yin, Chen, Ramchandran, Bartlett 2018, "Byzantine-Robust
  Distributed Learning: Towards Optimal Statistical Rates", definition 1.
  """
  ordered = _ascending(rows, count)
  lower = tf.gather(ordered, tf.maximum(count - 1, 0) // 2)
  # Of a full matrix with an even count, count // 2 is still below capacity.
  upper = tf.gather(ordered, tf.minimum(count // 2, rows.shape[0] - 1))
  # Halves first: the sum of two large numbers would not be finite.
  middle = lower / 2 + upper / 2
  return tf.where(count > 0, middle, tf.zeros_like(middle))


def trimmed_count(tolerated: int, count: tf.Tensor) -> tf.Tensor:
  """Returns how many values a trimmed mean leaves out at either end.

  `tolerated`, but of so few that nothing would be left, as many as leave the
  median: int32[], at most (count - 1) // 2.
  """
  return tf.minimum(tolerated, tf.maximum(count - 1, 0) // 2)


def trimmed_mean(
  rows: tf.Tensor, count: tf.Tensor, tolerated: int
) -> tf.Tensor:
  """Returns the mean of each coordinate without its extremes, float64[d].

  The `tolerated` largest and as many smallest values of each coordinate are
  left out, fewer where `trimmed_count` says so. So up to `tolerated` vectors
  leave each coordinate between the least and the largest of the others, as
  long as count > 2 tolerated.

  Args:
    rows: float[capacity, d].
    count: int32[], from 0 to capacity.
    tolerated: From 0.

  Reference: Yin et al. 2018, definition 2, with beta = tolerated / count.
  """
  trimmed = trimmed_count(tolerated, count)
  position = tf.range(rows.shape[0])[:, tf.newaxis]
  kept = (position >= trimmed) & (position < count - trimmed)
  ordered = tf.cast(_ascending(rows, count), tf.float64)
  total = tf.reduce_sum(tf.where(kept, ordered, 0.0), axis=0)
  return total / tf.cast(tf.maximum(count - 2 * trimmed, 1), tf.float64)


def _ascending(rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
  """Returns each column sorted, what is beyond the count last."""
  given = tf.range(rows.shape[0])[:, tf.newaxis] < count
  infinity = tf.constant(float('inf'), rows.dtype)
  return tf.sort(tf.where(given, rows, infinity), axis=0)
