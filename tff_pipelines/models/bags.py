"""The weighted sum of table rows with which bag-of-words models start."""

from typing import Any

import tensorflow as tf


@tf.custom_gradient
def weighted_bag(
  table: tf.Tensor, ids: tf.Tensor, weights: tf.Tensor
) -> tuple[tf.Tensor, Any]:
  """Computes sum_l weights[n, l] * table[ids[n, l]].

  The gradient with respect to the table is dense from the start; `tf.gather`
  would give `tf.IndexedSlices`, which every optimizer has to convert. None
  flows to `weights`.

  Args:
    table: float32[num_ids, dimension].
    ids: int32[n, length].
    weights: float32[n, length], zero for padding.

  Returns:
    float32[n, dimension].
  """
  num_ids, dimension = table.shape

  def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
    spread = weights[:, :, tf.newaxis] * upstream[:, tf.newaxis, :]
    dense = tf.math.unsorted_segment_sum(
      tf.reshape(spread, [-1, dimension]), tf.reshape(ids, [-1]), num_ids
    )
    return dense, None, None

  rows = tf.gather(table, ids)  # [n, length, dimension]
  return tf.reduce_sum(weights[:, :, tf.newaxis] * rows, axis=1), gradient
