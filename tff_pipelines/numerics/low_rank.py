"""Matrices of low rank: a seed tells one factor, and the other travels.

Of a matrix X, float[p, q] with p >= q (or else of its transpose), B = A^T X
travels, and is decoded as A B, with A of random signs over sqrt(k), p by k. The
mean of A A^T is the identity, so the result is unbiased; its squared error is
(p - 1) / k |X|^2. Tensors of more axes are matrices of their last axis; vectors
travel whole, as do matrices that are not smaller otherwise.

Not scaled, A is orthonormal, from uniform numbers, so that the result is the
nearest matrix A B: a projection, in whose subspace a sender can train.

Source: Konecny et al. 2016, arXiv 1610.05492, section 2 (low rank). Deviation:
the paper leaves the distribution of A open.
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
    is_scaled: Whether the result is made unbiased.
  """

  rank: int
  is_scaled: bool = True

  def __post_init__(self) -> None:
    if self.rank < 1:
      raise codes.CodeError(
        f'Expected a rank of at least 1, found {self.rank}; matrices of rank 0 '
        'are zero.'
      )

  @property
  def is_unbiased(self) -> bool:
    """See base class."""
    return self.is_scaled

  @property
  def is_contraction(self) -> bool:
    """See base class."""
    return not self.is_scaled

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

  @property
  def is_projection(self) -> bool:
    """See base class."""
    return not self.is_scaled

  def projector(self, shapes: codes.Shapes, seed: tf.Tensor) -> codes.Projector:
    """See base class: X -> A (A^T X), of each matrix."""
    if not self.is_projection:
      return super().projector(shapes, seed)
    seeds = noise_seeds.split(seed, len(shapes))
    factors = [
      None if self._is_whole(shape) else self._factor(max(_matrix(shape)), one)
      for shape, one in zip(shapes, seeds, strict=True)
    ]
    return lambda tensors: [
      tensor if factor is None else _projected(tensor, factor)
      for tensor, factor in zip(tensors, factors, strict=True)
    ]

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
    if not self.is_scaled:
      # Twice, for what rounding has left of angles.
      uniform = tf.cast(drawn, tf.float32) * 2.0**-31
      return _orthonormal(_orthonormal(uniform))
    one = 1.0 / math.sqrt(self.rank)
    return tf.where(drawn < 0, -one, one)


def _matrix(shape: Sequence[int]) -> tuple[int, int]:
  """Returns rows and columns; of a vector or a number, one row."""
  if len(shape) < 2:
    return 1, math.prod(shape)
  return math.prod(shape[:-1]), shape[-1]


def _orthonormal(matrix: tf.Tensor) -> tf.Tensor:
  """Returns an orthonormal basis of the columns of float32[p, k], p > k.

  A R^-1 with R^T R = A^T A: products and a small triangle, which compile.
  """
  lower = tf.linalg.cholesky(tf.matmul(matrix, matrix, transpose_a=True))
  solved = tf.linalg.triangular_solve(lower, tf.transpose(matrix))
  return tf.transpose(solved)


def _projected(tensor: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
  rows, columns = _matrix(tensor.shape)
  matrix = tf.reshape(tensor, [rows, columns])
  factor = tf.cast(factor, tensor.dtype)
  if rows < columns:
    short = tf.matmul(matrix, factor)
    inside = tf.matmul(short, factor, transpose_b=True)
  else:
    short = tf.matmul(factor, matrix, transpose_a=True)
    inside = tf.matmul(factor, short)
  return tf.reshape(inside, tensor.shape)
