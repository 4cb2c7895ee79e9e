"""Krum: how far each of some vectors is from those nearest to it.

Vectors are the first `count` rows of a matrix of a larger, static number of
rows. All their numbers must be finite float32 numbers: in float64 the squares
of these stay finite.

Symbols of the source: n vectors, up to f of them Byzantine, score s(i).

Reference: Blanchard, El Mhamdi, Guerraoui, Stainer 2017, "Machine Learning with
Adversaries: Byzantine Tolerant Gradient Descent", section 4.
"""

import tensorflow as tf

# Scores that differ by rounding are the same: the order of clients, in which
# products are summed, must not choose between them.
_TIE = 2.0**-40


def squared_distances(rows: tf.Tensor) -> tf.Tensor:
  """Returns the squared Euclidean distance of each two rows.

  From |a|^2 + |b|^2 - 2 ab, so its error is some 2^-52 of |a|^2 + |b|^2.

  Args:
    rows: float[capacity, d].

  Returns:
    float64[capacity, capacity], symmetric, zeros on the diagonal.
  """
  rows = tf.cast(rows, tf.float64)
  products = tf.matmul(rows, rows, transpose_b=True)
  squares = tf.linalg.diag_part(products)
  squared = squares[:, tf.newaxis] + squares - products - tf.transpose(products)
  return tf.linalg.set_diag(tf.maximum(squared, 0.0), tf.zeros_like(squares))


def scores(squared: tf.Tensor, count: tf.Tensor, tolerated: int) -> tf.Tensor:
  """Returns s(i): the sum of the n - f - 2 smallest squared distances of i.

  Args:
    squared: float64[capacity, capacity].
    count: n, int32[].
    tolerated: f. With n < f + 3 the nearest vector alone counts.

  Returns:
    float64[capacity], infinity beyond the count.
  """
  capacity = squared.shape[0]
  given = tf.range(capacity) < count
  infinity = tf.constant(float('inf'), tf.float64)
  to_others = given & ~tf.eye(capacity, dtype=tf.bool)
  ordered = tf.sort(tf.where(to_others, squared, infinity), axis=1)
  # Of a single vector there is no other.
  num_neighbours = tf.clip_by_value(
    count - tolerated - 2, tf.minimum(count - 1, 1), capacity
  )
  near = tf.range(capacity) < num_neighbours
  score = tf.reduce_sum(tf.where(near, ordered, 0.0), axis=1)
  return tf.where(given, score, infinity)


def best(score: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
  """Returns which rows have the `number` smallest scores.

  More, if several have the score of the last of them: so the order of the rows
  does not matter.

  Args:
    score: float64[capacity]; infinity is never among the best.
    number: int32[], at least 1.

  Returns:
    bool[capacity].
  """
  last = tf.gather(tf.sort(score), number - 1)
  return (score <= last * (1.0 + _TIE)) & tf.math.is_finite(score)
