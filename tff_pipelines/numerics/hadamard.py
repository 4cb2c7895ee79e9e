"""Random rotations: a vector's energy spread evenly over its coordinates.

x -> H D x / sqrt(d), with the Hadamard matrix H of size d, a power of two, and
a diagonal D of random signs. It is orthogonal, so norms and sums pass through
it; a coordinate of the result is a sum of x_i with random signs, so
sub-Gaussian of variance ||x||^2 / d, however x points.

Or in blocks, each a vector of its own: a power of two above the length can be
almost twice it, and what is appended would have to travel.

Source: Kairouz, Liu, Steinke 2021, arXiv 2102.06387, section 4.1 (flattening).
"""

from collections.abc import Sequence
import math

import numpy as np
import tensorflow as tf

# H is applied as a Kronecker product of small matrices: log(d) / log(radix)
# products of d * radix multiplications. Measured for d = 2^18 on one thread, as
# XLA and as plain TensorFlow: 512: 12 ms and 11 ms, 64: 3.8 and 3.1, 8: 2.6 and
# 3.1; additions in 18 stages: 1.5 and 21.
_RADIX = 8
# Of a long vector: range and norm of a rotated block hardly vary.
_LARGEST_BLOCK = 4096
# A number that goes with each block, at least.
_BLOCK_OVERHEAD = 32


def padded_size(size: int) -> int:
  """Returns the least power of two that is at least `size`."""
  return 1 << (size - 1).bit_length()


def transform(vector: tf.Tensor) -> tf.Tensor:
  """Returns H x without scale, in the order of Sylvester's construction.

  Args:
    vector: float[d], d a power of two.

  Returns:
    float[d]. Applied twice, it is d x.
  """
  size = vector.shape.num_elements()
  return tf.reshape(_stages(vector, size), [size])


def transform_blocks(blocks: tf.Tensor) -> tf.Tensor:
  """Returns H x of each row of float[m, d], d a power of two, float[m, d]."""
  count, size = blocks.shape
  # The axis of the blocks has become the last.
  return tf.transpose(tf.reshape(_stages(blocks, size), [size, count]))


def rotate(vector: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
  """Rotates a vector at random.

  Args:
    vector: float[n]; zeros are appended up to the next power of two, d.
    seed: int64[2], shared by all that are to be rotated alike.

  Returns:
    float[d], of the same norm.
  """
  size = vector.shape.num_elements()
  padded = padded_size(size)
  vector = tf.pad(vector, [[0, padded - size]])
  return transform(vector * _signs([padded], seed, vector.dtype))


def rotate_back(vector: tf.Tensor, seed: tf.Tensor, size: int) -> tf.Tensor:
  """Undoes `rotate`.

  Args:
    vector: float[d], d a power of two.
    seed: As it was given to `rotate`.
    size: Length n of the vector before padding.

  Returns:
    float[n].
  """
  padded = vector.shape.num_elements()
  signs = _signs([padded], seed, vector.dtype)
  return (transform(vector) * signs)[:size]


def block_size(size: int, least: int = 1) -> int:
  """Returns the block in which a vector of that length is padded the least.

  Args:
    size: Of the vector.
    least: Of the block, a power of two, at most 4096.
  """
  blocks, block = [], _LARGEST_BLOCK
  while block >= least:
    blocks.append(block)
    block //= 2
  return min(
    blocks,
    key=lambda block: num_blocks(size, block) * (block + _BLOCK_OVERHEAD),
  )


def num_blocks(size: int, block: int) -> int:
  """Returns how many blocks hold `size` coordinates."""
  return -(-size // block)


def rotate_blocks(
  vector: tf.Tensor, block: int, seeds: Sequence[tf.Tensor]
) -> tf.Tensor:
  """Rotates a vector at random in blocks, as often as there are seeds.

  Once flattens. Of a vector with few large coordinates the result has few
  different values; twice, it is close to a random direction.

  Args:
    vector: float[n]; zeros are appended up to the next multiple of the block.
    block: d, a power of two.
    seeds: int64[2] each.

  Returns:
    float[m, d], of the same norm.
  """
  size = vector.shape.num_elements()
  count = num_blocks(size, block)
  vector = tf.pad(vector, [[0, count * block - size]])
  blocks = tf.reshape(vector, [count, block])
  for seed in seeds:
    signs = _signs([count, block], seed, vector.dtype)
    blocks = transform_blocks(blocks * signs)
  return blocks


def rotate_blocks_back(
  blocks: tf.Tensor, seeds: Sequence[tf.Tensor], size: int
) -> tf.Tensor:
  """Undoes `rotate_blocks`.

  Args:
    blocks: float[m, d], d a power of two.
    seeds: As they were given to `rotate_blocks`.
    size: Length n of the vector before padding.

  Returns:
    float[n].
  """
  for seed in reversed(seeds):
    signs = _signs(blocks.shape, seed, blocks.dtype)
    blocks = transform_blocks(blocks) * signs
  return tf.reshape(blocks, [-1])[:size]


def _stages(vector: tf.Tensor, size: int) -> tf.Tensor:
  """Transforms the last axis, of length `size`, and moves it to the front."""
  for radix in _radices(size):
    # The last axis becomes the first: after all stages, the order is the old.
    rows = tf.reshape(vector, [-1, radix])
    matrix = tf.constant(_matrix(radix), vector.dtype)
    vector = tf.matmul(matrix, rows, transpose_b=True)
  return vector


def _signs(shape: Sequence[int], seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
  """Random signs over the square root of the last axis' length."""
  drawn = tf.random.stateless_uniform(
    shape, seed, minval=None, maxval=None, dtype=tf.int32, alg='philox'
  )
  scale = tf.constant(1 / math.sqrt(shape[-1]), dtype)
  return tf.where(drawn < 0, -scale, scale)


def _radices(size: int) -> list[int]:
  radices = []
  while size > 1:
    radices.append(min(_RADIX, size))
    size //= radices[-1]
  return radices


def _matrix(size: int) -> np.ndarray:
  """Sylvester's Hadamard matrix, float64[size, size]."""
  matrix = np.ones([1, 1])
  while len(matrix) < size:
    matrix = np.block([[matrix, matrix], [matrix, -matrix]])
  return matrix
