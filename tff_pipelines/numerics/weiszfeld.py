"""The geometric median of some vectors: least in its sum of distances.

Symbols of the source: points w_i of weights alpha_i, the median v, the
smoothing nu.
"""

from typing import NamedTuple

import tensorflow as tf

from tff_pipelines.numerics import order_statistics

# A step below this share of the smoothing is the last.
_LAST_STEP = 1e-3


class GeometricMedian(NamedTuple):
  """What `smoothed_weiszfeld` gives.

  Attributes:
    value: v, float64[d].
    shares: Of each row in v, float64[capacity]; they add up to 1, or to 0 if
      there is no weight.
    iterations: int32[].
  """

  value: tf.Tensor
  shares: tf.Tensor
  iterations: tf.Tensor


def smoothed_weiszfeld(
  rows: tf.Tensor,
  weights: tf.Tensor,
  count: tf.Tensor,
  *,
  smoothing: float = 1e-6,
  max_iterations: int = 100,
) -> GeometricMedian:
  """Returns the geometric median of the first `count` rows.

  Repeats v <- sum_i beta_i w_i / sum_i beta_i with beta_i = alpha_i / max(nu,
  |v - w_i|) until v moves by less than nu / 1000. While the rows of some set
  have less than half of the weight, theta < 1/2 of it, v is within 2 (1 -
  theta) / (1 - 2 theta) times the largest distance of the other rows from any
  one point, of that point (and nu more): whatever the set holds.

  Args:
    rows: float[capacity, d], finite float32 numbers.
    weights: alpha, float[capacity], not negative.
    count: int32[], from 0 to capacity.
    smoothing: nu, above 0, in the units of the rows: where points are nearer
      than this, v is their mean.
    max_iterations: Far points slow it down, not more than points at rest do.

  Reference: Pillutla, Kakade, Harchaoui 2022, "Robust Aggregation for Federated
  Learning", IEEE Transactions on Signal Processing 70, arXiv 1912.13445, the
  smoothed Weiszfeld algorithm; the bound is that of Lopuhaa and Rousseeuw 1991,
  theorem 2.2, and Minsker 2015, lemma 2.1. Deviation: it starts at the median
  of each coordinate and stops by itself, where the source starts at the mean,
  from which huge points would cost it many iterations, and makes a few.
  """
  given = tf.range(rows.shape[0]) < count
  points = tf.cast(tf.where(given[:, tf.newaxis], rows, 0.0), tf.float64)
  alpha = tf.cast(tf.where(given, weights, 0.0), tf.float64)
  # The largest is 1, so that no sum of weights overflows.
  alpha = tf.math.divide_no_nan(alpha, tf.reduce_max(alpha))
  start = tf.cast(order_statistics.median(rows, count), tf.float64)

  def shares_at(median: tf.Tensor) -> tf.Tensor:
    distance = tf.norm(points - median, axis=1)
    beta = alpha / tf.maximum(distance, smoothing)
    return tf.math.divide_no_nan(beta, tf.reduce_sum(beta))

  def is_moving(iteration: tf.Tensor, step: tf.Tensor, *_: tf.Tensor):
    return (iteration < max_iterations) & (step >= _LAST_STEP * smoothing)

  def move(
    iteration: tf.Tensor, _: tf.Tensor, median: tf.Tensor, __: tf.Tensor
  ):
    shares = shares_at(median)
    moved = tf.linalg.matvec(points, shares, transpose_a=True)
    return iteration + 1, tf.norm(moved - median), moved, shares

  iterations, _, value, shares = tf.while_loop(
    is_moving,
    move,
    (
      tf.constant(0),
      tf.constant(float('inf'), tf.float64),
      start,
      tf.zeros_like(alpha),
    ),
  )
  return GeometricMedian(value, shares, iterations)
