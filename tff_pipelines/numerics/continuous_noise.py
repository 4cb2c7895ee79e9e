"""Continuous noise from seeds, drawn in float64.

An approximation, and an assumption of every guarantee that rests on it: the
theorems are about real numbers, and floating point has gaps between its numbers
that differ with the noise-free value, so low bits can tell it apart (Mironov
2012, "On Significance of the Least Significant Bits for Differential Privacy").
Discrete mechanisms do without. Noise is drawn and added in float64 and rounded
with the sum afterwards, which leaves less of that than float32 would.

The magnitudes come from 63 random bits, so that the smallest is as fine as
floating point allows: Gaussian tails end at sqrt(2 * 64 ln 2) = 9.4 stddevs, of
probability 5e-21 a coordinate, and Laplace tails at 64 ln 2 = 44 scales.
`tf.random.stateless_normal` is not used: on a CPU its tails end at 5.68
stddevs, of probability 1.4e-8 a coordinate, which is more than many a delta;
and XLA's kernel computes other numbers from the same seed.
"""

from collections.abc import Sequence
import math

import tensorflow as tf


def gaussian(
  seed: tf.Tensor, shape: Sequence[int], stddev: tf.Tensor | float = 1.0
) -> tf.Tensor:
  """Draws independent Gaussian noise of mean 0.

  The same numbers on every kind of kernel, up to rounding.

  Args:
    seed: int64[2], used for nothing else.
    shape: Known when the graph is built.
    stddev: float[].

  Returns:
    float64[shape].

  Source: Box and Muller 1958, "A Note on the Generation of Random Normal
  Deviates".
  """
  size = math.prod(shape)
  # [pairs, 2]: a pair of uniform numbers gives a pair of normal ones.
  bits = _bits(seed, [-(-size // 2), 2])
  radius = tf.sqrt(-2.0 * tf.math.log(_magnitude(bits[:, 0])))
  # 53 of the bits: an angle in [-pi, pi).
  turn = tf.cast(tf.bitwise.right_shift(bits[:, 1], _int64(11)), tf.float64)
  angle = turn * (math.pi * 2.0**-52)
  pairs = tf.stack([tf.cos(angle), tf.sin(angle)], axis=1)
  drawn = tf.reshape(radius[:, tf.newaxis] * pairs, [-1])[:size]
  return tf.reshape(drawn, shape) * tf.cast(stddev, tf.float64)


def laplace(
  seed: tf.Tensor, shape: Sequence[int], scale: tf.Tensor | float = 1.0
) -> tf.Tensor:
  """Draws independent Laplace noise of mean 0 and stddev sqrt(2) scale.

  Args and result as `gaussian`; density exp(-|x| / scale) / (2 scale).
  """
  bits = _bits(seed, [math.prod(shape)])
  signs = tf.where(bits < 0, -1.0, 1.0)
  drawn = -tf.math.log(_magnitude(bits)) * tf.cast(signs, tf.float64)
  return tf.reshape(drawn, shape) * tf.cast(scale, tf.float64)


def _bits(seed: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
  """Uniform over all int64."""
  return tf.random.stateless_uniform(
    shape, seed, minval=None, maxval=None, dtype=tf.int64, alg='philox'
  )


def _magnitude(bits: tf.Tensor) -> tf.Tensor:
  """Uniform in (0, 1] from all bits but the sign, independent of the sign."""
  positive = tf.where(bits < 0, tf.bitwise.invert(bits), bits)
  return (tf.cast(positive, tf.float64) + 0.5) * 2.0**-63


def _int64(value: int) -> tf.Tensor:
  return tf.constant(value, tf.int64)
