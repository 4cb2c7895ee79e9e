"""One bit a coordinate: the signs of a rotated vector, and its scale.

A block x of d coordinates is rotated to y = R x, and decoded as S R^-1 sign(y).
With S = |y|_2^2 / |y|_1 the result is x along x exactly, and for a rotation of
uniform distribution unbiased; its squared error is |x|^2 (d |x|^2 / |y|_1^2 -
1), which tends to (pi / 2 - 1) |x|^2 = 0.571 |x|^2. With S = |y|_1 / d the
error is the least that signs allow, (1 - 2 / pi) |x|^2 = 0.363 |x|^2, and the
result shorter than x: 2 / pi of it.

Source: Vargaftik, Ben-Basat, Portnoy, Mendelson, Ben-Itzhak, Mitzenmacher 2021,
"DRIVE: One-bit Distributed Mean Estimation", arXiv 2105.08339, section 3
(least error), theorem 3 (unbiased scale), section 5 (Hadamard). Deviation: the
rotation is two of Hadamard's, one after the other, in blocks of at least 512
coordinates. After one, a vector of two unequal coordinates is decoded as one of
them alone, by every seed; after two, coordinates are close to normal, as the
theorem needs, and the bias, across x, is of the order of 1 / d: of 10^5 seeds
0.4 % of |x| for (1, 0.5) in a block of 512, the worst that was found.
"""

import dataclasses
from typing import Any, Literal, NamedTuple, get_args

import tensorflow as tf

from tff_pipelines.numerics import bit_packing, codes, hadamard, noise_seeds

Scale = Literal['unbiased', 'least_error']
_ROTATIONS = 2
_LEAST_BLOCK = 512


class Message(NamedTuple):
  """Signs and scales.

  Attributes:
    signs: 1 where not negative, packed, uint8[1, m d / 8].
    scale: S of each block, float32[m].
  """

  signs: Any
  scale: Any


@dataclasses.dataclass(frozen=True)
class Drive(codes.Code):
  """One bit a coordinate.

  Attributes:
    scale: `unbiased`, or `least_error`.
  """

  scale: Scale = 'unbiased'

  def __post_init__(self) -> None:
    if self.scale not in get_args(Scale):
      raise codes.CodeError(
        f'Expected a scale out of {", ".join(get_args(Scale))}, found '
        f'{self.scale!r}.'
      )

  @property
  def is_unbiased(self) -> bool:
    """See base class."""
    return self.scale == 'unbiased'

  @property
  def is_contraction(self) -> bool:
    """See base class."""
    return True

  def encode(
    self, vector: tf.Tensor, seed: tf.Tensor, shapes: codes.Shapes
  ) -> Message:
    """See base class."""
    del shapes  # A vector like any other.
    size = vector.shape.num_elements()
    block = hadamard.block_size(size, _LEAST_BLOCK)
    blocks = hadamard.rotate_blocks(
      vector, block, noise_seeds.split(seed, _ROTATIONS)
    )
    absolute = tf.reduce_sum(tf.abs(blocks), axis=1)
    if self.scale == 'unbiased':
      squared = tf.reduce_sum(blocks**2, axis=1)
      scale = tf.math.divide_no_nan(squared, absolute)
    else:
      scale = absolute / block
    signs = tf.cast(tf.reshape(blocks, [-1]) >= 0.0, tf.int32)
    return Message(bit_packing.pack(signs, 1), scale)

  def decode(
    self, message: Message, seed: tf.Tensor, shapes: codes.Shapes
  ) -> tf.Tensor:
    """See base class."""
    size = codes.num_elements(shapes)
    block = hadamard.block_size(size, _LEAST_BLOCK)
    count = hadamard.num_blocks(size, block)
    signs = bit_packing.unpack(message.signs, count * block)
    scale = message.scale[:, tf.newaxis]
    blocks = tf.where(tf.reshape(signs, [count, block]) > 0, scale, -scale)
    return hadamard.rotate_blocks_back(
      blocks, noise_seeds.split(seed, _ROTATIONS), size
    )
