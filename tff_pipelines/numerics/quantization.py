"""Coordinates of 1 to 8 bits, rounded at random.

A block of coordinates between its smallest a and its largest b is rounded to
the 2^bits numbers a + k (b - a) / (2^bits - 1), each coordinate to one of its
two neighbours so that its mean stays. For given a and b and a coordinate that
is the share f of a step s above its lower neighbour, the squared error is
s^2 f (1 - f), s^2 / 6 for an even share. After a random rotation b - a is
O(sqrt(log d / d)) of the block's norm, whatever the vector.

Source: Konecny et al. 2016, arXiv 1610.05492, section 3.2 (probabilistic
quantization, structured random rotations); Suresh, Yu, Kumar, McMahan 2017,
arXiv 1611.00429, sections 2.2 and 3. Deviation: rotation and range in blocks.
"""

import dataclasses
from typing import Any, NamedTuple

import tensorflow as tf

from tff_pipelines.numerics import (
  bit_packing,
  codes,
  entropy_coding,
  hadamard,
  noise_seeds,
)


class Message(NamedTuple):
  """Rounded coordinates.

  Attributes:
    levels: k of each, packed, uint8[bits, m d / 8].
    lowest: a of each block, float32[m].
    step: s of each block, float32[m].
  """

  levels: Any
  lowest: Any
  step: Any


@dataclasses.dataclass(frozen=True)
class Quantization(codes.Code):
  """Uniform stochastic quantization.

  Attributes:
    bits: Of a coordinate, 1 to 8.
    rotate: Whether a random rotation comes first.
  """

  bits: int
  rotate: bool = True

  def __post_init__(self) -> None:
    if not 1 <= self.bits <= 8:
      raise codes.CodeError(
        f'Expected 1 to 8 bits of a coordinate, found {self.bits}; more than '
        'that are not worth a code.'
      )

  @property
  def is_unbiased(self) -> bool:
    """See base class."""
    return True

  @property
  def is_contraction(self) -> bool:
    """See base class: s^2 d / 6 of a rotated block whose range is 9 stddevs."""
    return self.rotate and self.bits >= 3

  def encode(
    self, vector: tf.Tensor, seed: tf.Tensor, shapes: codes.Shapes
  ) -> Message:
    """See base class."""
    del shapes  # A vector like any other.
    rotation, rounding = noise_seeds.split(seed, 2)
    blocks = hadamard.rotate_blocks(
      vector,
      hadamard.block_size(vector.shape.num_elements()),
      [rotation] if self.rotate else [],
    )
    most = 2**self.bits - 1
    lowest = tf.reduce_min(blocks, axis=1)
    step = (tf.reduce_max(blocks, axis=1) - lowest) / most
    scaled = tf.math.divide_no_nan(
      blocks - lowest[:, tf.newaxis], step[:, tf.newaxis]
    )
    drawn = tf.random.stateless_uniform(
      blocks.shape, rounding, minval=None, maxval=None, dtype=tf.int32,
      alg='philox',
    )  # fmt: skip
    # As many bits as float32 holds exactly.
    level = tf.cast(drawn & (2**24 - 1), tf.float32) * 2.0**-24
    below = tf.floor(scaled)
    above = tf.cast(level < scaled - below, tf.int32)
    levels = tf.clip_by_value(tf.cast(below, tf.int32) + above, 0, most)
    packed = bit_packing.pack(tf.reshape(levels, [-1]), self.bits)
    return Message(packed, lowest, step)

  def decode(
    self, message: Message, seed: tf.Tensor, shapes: codes.Shapes
  ) -> tf.Tensor:
    """See base class."""
    rotation, _ = noise_seeds.split(seed, 2)
    size = codes.num_elements(shapes)
    block = hadamard.block_size(size)
    count = hadamard.num_blocks(size, block)
    levels = tf.cast(
      bit_packing.unpack(message.levels, count * block), tf.float32
    )
    blocks = (
      tf.reshape(levels, [count, block]) * message.step[:, tf.newaxis]
      + message.lowest[:, tf.newaxis]
    )
    return hadamard.rotate_blocks_back(
      blocks, [rotation] if self.rotate else [], size
    )

  def entropy_coded_bytes(self, message: Message) -> tf.Tensor:
    """See base class: an arithmetic code of the levels, of order 0.

    Source: Suresh et al. 2017, section 4.
    """
    count = 8 * message.levels.shape[1]
    levels = bit_packing.unpack(message.levels, count)
    coded = entropy_coding.ideal_bytes(levels, 2**self.bits)
    return coded + 8.0 * message.step.shape[0]
