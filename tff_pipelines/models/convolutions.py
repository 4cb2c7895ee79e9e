"""Layers of images whose gradients XLA computes well on a CPU.

XLA's own gradient of a convolution by its kernel takes fifty times what the
products in it take, that of a maximum goes window by window, and a product with
a large transposed kernel and few rows copies the kernel. Here these are written
by hand, out of products and elementwise operations.
"""

from typing import Any

import tensorflow as tf


def convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
  """Convolves maps, with zeros around them so that they keep their size.

  Args:
    x: float32[n, height, width, inputs].
    kernel: float32[size, size, inputs, outputs], size odd.

  Returns:
    float32[n, height, width, outputs], as `tf.nn.conv2d(x, kernel, 1, 'SAME')`.
    Has a gradient to both arguments, and no second one.
  """
  return _convolution(x, kernel)


@tf.custom_gradient
def _convolution(x: tf.Tensor, kernel: tf.Tensor) -> Any:
  def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # To the input: a convolution with the kernel turned around.
    turned = tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2])
    return _same(upstream, turned), _by_kernel(x, upstream, kernel.shape[0])

  return _same(x, kernel), gradient


def _same(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
  return tf.nn.conv2d(x, kernel, strides=1, padding='SAME')


def _by_kernel(x: tf.Tensor, upstream: tf.Tensor, size: int) -> tf.Tensor:
  """Returns the gradient by the kernel, [size, size, inputs, outputs].

  A product for each row of the kernel, of what lies under it, side by side.
  """
  height, width, inputs = x.shape[1:]
  outputs = upstream.shape[-1]
  padded = _padded(x, size)  # [n, height + size - 1, width + size - 1, inputs]
  lines = tf.concat([padded[:, :, j : j + width] for j in range(size)], axis=-1)
  errors = tf.reshape(upstream, [-1, outputs])
  rows = [
    tf.matmul(
      tf.reshape(lines[:, i : i + height], [-1, size * inputs]),
      errors,
      transpose_a=True,
    )
    for i in range(size)
  ]
  return tf.reshape(tf.stack(rows), [size, size, inputs, outputs])


def _padded(x: tf.Tensor, size: int) -> tf.Tensor:
  border = [size // 2, size // 2]
  rest = [[0, 0]] * (x.shape.rank - 3)
  return tf.pad(x, [[0, 0], border, border, *rest])


def pooled_convolution(pixels: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
  """Convolves images of one channel; the maximum of each 2 x 2 window.

  One product: each window sees (size + 1)^2 pixels, and each of its four places
  has a kernel of that size with a border of zeros.

  Args:
    pixels: float32[n, height, width], height and width even.
    kernel: float32[size, size, 1, outputs], size odd.

  Returns:
    float32[n, height / 2, width / 2, outputs], as `max_pool` of `convolution`.
  """
  _, height, width = pixels.shape
  size, outputs = kernel.shape[0], kernel.shape[-1]
  seen = size + 1
  padded = _padded(pixels, size)
  # Rows, then columns: XLA looks for the source of every number of a `stack` in
  # all that are stacked.
  columns = tf.stack(
    [padded[:, :, j : j + width - 1 : 2] for j in range(seen)], axis=-1
  )
  windows = tf.concat(
    [columns[:, i : i + height - 1 : 2] for i in range(seen)], axis=-1
  )  # [n, height / 2, width / 2, seen * seen]
  shifted = [
    tf.pad(kernel[:, :, 0], [[i, 1 - i], [j, 1 - j], [0, 0]])
    for i in (0, 1)
    for j in (0, 1)
  ]
  wide = tf.reshape(tf.stack(shifted, axis=2), [seen * seen, 4 * outputs])
  found = tf.matmul(tf.reshape(windows, [-1, seen * seen]), wide)
  best = _largest(tf.reshape(found, [-1, 4, outputs]), (1,))
  return tf.reshape(best, [-1, height // 2, width // 2, outputs])


def max_pool(x: tf.Tensor) -> tf.Tensor:
  """Returns the maximum of each 2 x 2 window.

  Args:
    x: float32[n, height, width, channels], height and width even.

  Returns:
    float32[n, height / 2, width / 2, channels], as `tf.nn.max_pool2d(x, 2, 2,
    'VALID')`. Deviation: the gradient is shared out evenly among equal maxima,
    where TensorFlow gives it to the first.
  """
  _, height, width, channels = x.shape
  windows = tf.reshape(x, [-1, height // 2, 2, width // 2, 2, channels])
  return _largest(windows, (2, 4))


def _largest(x: tf.Tensor, axes: tuple[int, ...]) -> tf.Tensor:
  """Returns the maximum over axes; equal ones share the gradient."""

  @tf.custom_gradient
  def largest(x: tf.Tensor) -> Any:
    kept = tf.reduce_max(x, axes, keepdims=True)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
      hit = tf.cast(tf.equal(x, kept), x.dtype)
      for axis in axes:
        upstream = tf.expand_dims(upstream, axis)
      return hit * (upstream / tf.reduce_sum(hit, axes, keepdims=True))

    return tf.squeeze(kept, axes), gradient

  return largest(x)


@tf.custom_gradient
def dense(x: tf.Tensor, kernel: tf.Tensor) -> Any:
  """Multiplies maps, made flat, by a large kernel.

  Args:
    x: float32[n, height, width, channels].
    kernel: float32[height * width * channels, outputs].

  Returns:
    float32[n, outputs]. Has a gradient to both arguments, and no second one.
  """
  _, height, width, channels = x.shape
  flat = tf.reshape(x, [-1, height * width * channels])

  def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # Not upstream times the transposed kernel, for which XLA copies the kernel
    # (ten milliseconds for 3136 x 512). The reshape in between keeps it from
    # making that of it again.
    turned = tf.matmul(kernel, upstream, transpose_b=True)
    by_place = tf.reshape(turned, [height * width, channels, -1])
    by_x = tf.reshape(
      tf.transpose(by_place, [2, 0, 1]), [-1, height, width, channels]
    )
    return by_x, tf.matmul(flat, upstream, transpose_a=True)

  return tf.matmul(flat, kernel), gradient
