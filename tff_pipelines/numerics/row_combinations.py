"""Norms of the rows of a matrix, and linear combinations of them.

In float64: float32 numbers have squares there that are finite.
"""

import tensorflow as tf


def norms(rows: tf.Tensor) -> tf.Tensor:
  """Returns the Euclidean norm of each row of float[n, d], float64[n]."""
  return tf.norm(tf.cast(rows, tf.float64), axis=1)


def combined(rows: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
  """Returns sum_i factors[i] rows[i], float64[d].

  Args:
    rows: float[n, d]. What a row of factor 0 holds does not matter.
    factors: float[n].
  """
  factors = tf.cast(factors, tf.float64)
  # Before the product: 0 * NaN is NaN.
  used = tf.where(tf.equal(factors, 0.0)[:, tf.newaxis], 0.0, rows)
  return tf.linalg.matvec(tf.cast(used, tf.float64), factors, transpose_a=True)


def mean(rows: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
  """Returns the mean of the rows where `chosen`, bool[n]; of none, zeros."""
  ones = tf.cast(chosen, tf.float64)
  return combined(rows, ones / tf.maximum(tf.reduce_sum(ones), 1.0))
