"""Matrices of low rank: a seed tells one factor, and the other travels.

Of a matrix X, float[p, q] with p >= q (or else of its transpose), B = A^T X
travels, and is decoded as A B, with A of random signs over sqrt(k), p by k. The
mean of A A^T is the identity, so the result is unbiased; its squared error is
(p - 1) / k |X|^2. Tensors of more axes are matrices of their last axis; vectors
travel whole, as do matrices that are not smaller otherwise.

Source: Konecny et al. 2016, arXiv 1610.05492, section 2 (low rank). Deviation:
clients train freely, and what they learnt is projected; the paper trains B.
"""

from collections.abc import Sequence
import dataclasses
import math

import tensorflow as tf

from tff_pipelines.numerics import codes, noise_seeds


@dataclasses.dataclass(frozen=True)
class LowRank(codes.LinearCode):
  """Matrices of rank at most k.

  Attributes:
    rank: k, from 1.
  """

  rank: int

  def __post_init__(self) -> None:
    if self.rank < 1:
      raise codes.CodeError(
        f'Expected a rank of at least 1, found {self.rank}; matrices of rank 0 '
        'are zero.'
      )

  @property
  def is_unbiased(self) -> bool:
    """See base class."""
    return True

  def encoded_size(self, shapes: codes.Shapes) -> int:
    """See base class."""
    return sum(self._sizes(shapes))

  def encode(
    self, vector: tf.Tensor, seed: tf.Tensor, shapes: codes.Shapes
  ) -> tf.Tensor:
    """See base class."""
    parts = tf.split(vector, [math.prod(shape) for shape in shapes])
    seeds = noise_seeds.split(seed, len(parts))
    encoded = []
    for values, shape, of_factor in zip(parts, shapes, seeds, strict=True):
      if self._is_whole(shape):
        encoded.append(values)
        continue
      rows, columns = _matrix(shape)
      matrix = tf.reshape(values, [rows, columns])
      factor = self._factor(max(rows, columns), of_factor)
      encoded.append(
        tf.matmul(factor, matrix, transpose_a=True, transpose_b=rows < columns)
      )
    return tf.concat([tf.reshape(t, [-1]) for t in encoded], axis=0)

  def decode(
    self, message: tf.Tensor, seed: tf.Tensor, shapes: codes.Shapes
  ) -> tf.Tensor:
    """See base class."""
    parts = tf.split(message, self._sizes(shapes))
    seeds = noise_seeds.split(seed, len(parts))
    decoded = []
    for values, shape, of_factor in zip(parts, shapes, seeds, strict=True):
      if self._is_whole(shape):
        decoded.append(values)
        continue
      rows, columns = _matrix(shape)
      short = tf.reshape(values, [self.rank, min(rows, columns)])
      matrix = tf.matmul(self._factor(max(rows, columns), of_factor), short)
      decoded.append(tf.transpose(matrix) if rows < columns else matrix)
    return tf.concat([tf.reshape(t, [-1]) for t in decoded], axis=0)

  def _is_whole(self, shape: Sequence[int]) -> bool:
    return self.rank >= max(_matrix(shape)) or min(_matrix(shape)) == 1

  def _sizes(self, shapes: codes.Shapes) -> list[int]:
    return [
      math.prod(shape)
      if self._is_whole(shape)
      else self.rank * min(_matrix(shape))
      for shape in shapes
    ]

  def _factor(self, length: int, seed: tf.Tensor) -> tf.Tensor:
    """A, float32[length, k]."""
    drawn = tf.random.stateless_uniform(
      [length, self.rank], seed, minval=None, maxval=None, dtype=tf.int32,
      alg='philox',
    )  # fmt: skip
    one = 1.0 / math.sqrt(self.rank)
    return tf.where(drawn < 0, -one, one)


def _matrix(shape: Sequence[int]) -> tuple[int, int]:
  """Returns rows and columns; of a vector or a number, one row."""
  if len(shape) < 2:
    return 1, math.prod(shape)
  return math.prod(shape[:-1]), shape[-1]
