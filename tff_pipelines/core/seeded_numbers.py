"""Random numbers inside a graph that are the same on every runtime.

A pure function of a seed and an index, made of integers by hand: XLA's kernels
for `tf.random.stateless_*` give other floats than TensorFlow's from one seed,
and the experiments that use these have to know, or to repeat, what was drawn.
For those alone: 64 bits of seed and 24 bits a number are too few for noise that
a privacy guarantee rests on.

Source: SplitMix64, Steele et al. 2014, "Fast Splittable Pseudorandom Number
Generators", figure 17.
"""

import math

import tensorflow as tf

_STEP = 0x9E3779B97F4A7C15
_MULTIPLIERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def uniform(
  seed: tf.Tensor | int, index: tf.Tensor | int, size: int
) -> tf.Tensor:
  """Draws independent numbers in [0, 1), multiples of 2^-24.

  Args:
    seed: int64[], from 0.
    index: int[], which draw of that seed.
    size: How many.

  Returns:
    float32[size], the same bits everywhere.
  """
  step = tf.constant(_STEP, tf.uint64)
  seed = tf.cast(tf.convert_to_tensor(seed, tf.int64), tf.uint64)
  start = _mixed(_mixed(seed) + step * tf.cast(index, tf.uint64))
  bits = _mixed(start + step * tf.cast(tf.range(1, size + 1), tf.uint64))
  top = tf.bitwise.right_shift(bits, tf.constant(40, tf.uint64))
  return tf.cast(top, tf.float32) * 2.0**-24


def normal(
  seed: tf.Tensor | int, index: tf.Tensor | int, size: int
) -> tf.Tensor:
  """Draws independent standard normal numbers, which end at 5.77.

  Args and result as `uniform`, the same everywhere up to rounding.

  Source: Box and Muller 1958, "A Note on the Generation of Random Normal
  Deviates".
  """
  drawn = tf.reshape(uniform(seed, index, 2 * size), [2, size])
  radius = tf.sqrt(-2.0 * tf.math.log1p(-drawn[0]))
  return radius * tf.cos(2 * math.pi * drawn[1])


def _mixed(bits: tf.Tensor) -> tf.Tensor:
  for shift, multiplier in _MULTIPLIERS:
    shifted = tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint64))
    bits = tf.bitwise.bitwise_xor(bits, shifted) * tf.constant(
      multiplier, tf.uint64
    )
  return tf.bitwise.bitwise_xor(
    bits, tf.bitwise.right_shift(bits, tf.constant(31, tf.uint64))
  )
