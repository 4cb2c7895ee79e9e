"""Small integers side by side in bytes, inside of a graph.

A plane holds one bit of every value, eight values a byte, the first in the
lowest bit; planes follow from the lowest bit on. Bits at the end of a plane
that belong to no value are zero.
"""

import tensorflow as tf


def packed_bytes(size: int, bits: int) -> int:
  """Returns the bytes of so many values of so many bits."""
  return bits * -(-size // 8)


def pack(values: tf.Tensor, bits: int) -> tf.Tensor:
  """Packs values.

  Args:
    values: int32[n], from 0, below 2^bits.
    bits: 1 to 31.

  Returns:
    uint8[bits, ceil(n / 8)].
  """
  size = values.shape.num_elements()
  padded = tf.pad(values, [[0, -size % 8]])
  planes = tf.range(bits)[:, tf.newaxis]
  single = tf.bitwise.right_shift(padded[tf.newaxis, :], planes) & 1
  of_bytes = tf.reshape(single, [bits, -1, 8])
  places = tf.constant([1 << k for k in range(8)])
  return tf.cast(tf.reduce_sum(of_bytes * places, axis=2), tf.uint8)


def unpack(packed: tf.Tensor, size: int) -> tf.Tensor:
  """Undoes `pack`.

  Args:
    packed: uint8[bits, ceil(n / 8)].
    size: n.

  Returns:
    int32[n].
  """
  bits = packed.shape[0]
  of_bytes = tf.cast(packed, tf.int32)[:, :, tf.newaxis]
  single = tf.bitwise.right_shift(of_bytes, tf.range(8)) & 1
  planes = tf.reshape(single, [bits, -1])[:, :size]
  places = tf.constant([1 << k for k in range(bits)])[:, tf.newaxis]
  return tf.reduce_sum(planes * places, axis=0)
