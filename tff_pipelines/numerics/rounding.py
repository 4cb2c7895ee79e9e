"""Rounding to integers at random, without making a vector much longer.

Every coordinate goes up or down to one of its two neighbours, unbiased. The
result's norm would be as random; so it is drawn again until it is within a
bound, which then is the sensitivity, exactly, in integers.

Source: Kairouz, Liu, Steinke 2021, arXiv 2102.06387, algorithm 1 and
proposition 22. Deviation: the number of draws is bounded, as a compiled program
needs; what then is still too long is rounded toward zero. That happens with a
probability of at most 2^-64, and keeps the bound.
"""

import math

import tensorflow as tf


def max_norm(norm: float, size: int, beta: float) -> float:
  """Returns what bounds the norm of the rounded vector.

  min(r + sqrt(d), sqrt(r^2 + d/4 + sqrt(2 log(1/beta)) (r + sqrt(d)/2))) for
  vectors of norm at most r; the first holds for whatever is drawn.

  Args:
    norm: r, of the vector before rounding.
    size: d, number of coordinates.
    beta: In (0, 1); a draw is accepted with probability 1 - beta at least. The
      smaller, the longer the bound, and the less biased the rounding.
  """
  root = math.sqrt(size)
  spread = math.sqrt(2 * math.log(1 / beta)) * (norm + root / 2)
  return min(norm + root, math.sqrt(norm**2 + size / 4 + spread))


def max_draws(beta: float) -> int:
  """Returns the draws of which none is accepted with probability <= 2^-64."""
  return math.ceil(64 * math.log(2) / math.log(1 / beta))


def max_bias(beta: float) -> float:
  """Bounds |E[rounded - exact]| of a coordinate.

  The error e of a draw has mean 0 and stddev at most 1/2, so given acceptance A
  |E[e | A]| = |Cov(e, 1_A)| / P(A) <= sqrt(P(A) (1 - P(A))) / (2 P(A)); and
  always |e| < 1.
  """
  bias = math.sqrt(beta / (1 - beta)) / 2
  return min(1.0, bias + 2.0**-64)


def round_within(
  vector: tf.Tensor, bound: float, beta: float, seed: tf.Tensor
) -> tf.Tensor:
  """Rounds a vector to integers of norm at most `bound`, nearly unbiased.

  Args:
    vector: float32[d], of absolute values below 2^31 and of a norm that
      `bound` is the `max_norm` of. A vector that is longer all the same, as by
      an error of its maker, still gives integers within the bound: zeros, if it
      cannot be otherwise.
    bound: At most 2^31.
    beta: That of the bound.
    seed: int64[2], of this vector alone.

  Returns:
    int64[d], of a squared norm of at most floor(bound^2), exactly.
  """
  # Of integers, so nothing lies between.
  most = tf.constant(math.floor(bound**2), tf.int64)
  below = tf.floor(vector)
  share = vector - below
  below = tf.cast(below, tf.int64)

  def within(integers: tf.Tensor) -> tf.Tensor:
    # Without an overflow: no square is above 2^62 if the largest is within.
    largest = tf.reduce_max(tf.abs(integers))
    squares = tf.reduce_sum(tf.cast(integers, tf.float64) ** 2)
    fits = tf.logical_and(largest <= 2**31, squares <= 2.0**62)
    squared = tf.reduce_sum(tf.where(fits, integers, 0) ** 2)
    return tf.logical_and(fits, squared <= most)

  def draw(
    tries: tf.Tensor, accepted: tf.Tensor, integers: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    del accepted, integers  # Drawn anew.
    drawn = tf.random.stateless_uniform(
      vector.shape,
      tf.random.experimental.stateless_fold_in(seed, tries, alg='philox'),
      minval=None,
      maxval=None,
      dtype=tf.int32,
      alg='philox',
    )
    # As many bits as float32 holds exactly; XLA and TensorFlow draw different
    # floats from one seed, but the same integers.
    level = tf.cast(drawn & (2**24 - 1), tf.float32) * 2.0**-24
    integers = below + tf.cast(level < share, tf.int64)
    return tries + 1, within(integers), integers

  _, accepted, integers = tf.while_loop(
    lambda tries, accepted, _: tf.logical_and(
      tries < max_draws(beta), tf.logical_not(accepted)
    ),
    draw,
    (
      tf.constant(0, tf.int64),
      tf.constant(False),
      tf.zeros(vector.shape, tf.int64),
    ),
  )
  toward_zero = below + tf.cast((vector < 0) & (share > 0), tf.int64)
  shorter = tf.where(within(toward_zero), toward_zero, 0)
  return tf.where(accepted, integers, shorter)
