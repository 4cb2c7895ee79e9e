"""Clips a structure of tensors as one vector, so that its norm is bounded.

The bound is one of the numbers that leave, not of those that were meant: the
norm of the result, in exact arithmetic, is at most `clip_norm`. Norm, scale and
result are float64, and the scale aims at (1 - 2^-20) clip_norm. What float64
rounds, (d + 8) 2^-53 of the norm for d coordinates at the worst, stays below
the 2^-20 that are left up to d = 2^32.

Add the results up in float64, too, and make them smaller types only after the
noise: the error of a float32 sum of many clients can exceed a clip norm, so one
client can move it by more (Casacuberta, Shoham, Vadhan, Wagaman 2022,
"Widespread Underestimation of Sensitivity in Differentially Private Libraries",
arXiv 2207.10635).
"""

from typing import Any, NamedTuple

import tensorflow as tf

_MARGIN = 2.0**-20


class Clipped(NamedTuple):
  """What clipping gives.

  Attributes:
    value: The clipped structure, float64; zeros if a number was not finite.
    norm: Before clipping, float64[]; 0 if a number was not finite.
    was_clipped: Whether the norm was above (1 - 2^-20) clip_norm, bool[].
    is_finite: Whether every number was finite, bool[].
  """

  value: Any
  norm: tf.Tensor
  was_clipped: tf.Tensor
  is_finite: tf.Tensor


def l2(value: Any, clip_norm: tf.Tensor | float) -> Clipped:
  """Scales a structure to a Euclidean norm of at most `clip_norm`.

  Privacy: one client moves a sum of such structures by at most `clip_norm`
  when it joins or leaves, by twice that when it is replaced.

  Args:
    value: Any structure of float tensors, one vector together.
    clip_norm: float[], above 0.
  """
  tensors, is_finite = _finite(value)
  largest = _largest(tensors)
  # Relative to the largest, so that no square overflows or vanishes.
  unit = tf.where(largest > 0.0, largest, 1.0)
  squares = tf.add_n([tf.reduce_sum((t / unit) ** 2) for t in tensors])
  return _scaled(value, tensors, unit * tf.sqrt(squares), clip_norm, is_finite)


def l1(value: Any, clip_norm: tf.Tensor | float) -> Clipped:
  """Scales a structure to a sum of absolute values of at most `clip_norm`.

  Args and privacy as `l2`, in the L1 norm.
  """
  tensors, is_finite = _finite(value)
  norm = tf.add_n([tf.reduce_sum(tf.abs(t)) for t in tensors])
  return _scaled(value, tensors, norm, clip_norm, is_finite)


def _finite(value: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
  """Returns the tensors in float64, zeros unless all numbers are finite."""
  tensors = [tf.cast(t, tf.float64) for t in tf.nest.flatten(value)]
  is_finite = tf.reduce_all(
    [tf.reduce_all(tf.math.is_finite(t)) for t in tensors]
  )
  return [tf.where(is_finite, t, tf.zeros_like(t)) for t in tensors], is_finite


def _largest(tensors: list[tf.Tensor]) -> tf.Tensor:
  """The largest absolute value; 0 without any."""
  return tf.reduce_max(
    tf.concat(
      [tf.zeros([1], tf.float64)]
      + [tf.reshape(tf.abs(t), [-1]) for t in tensors],
      axis=0,
    )
  )


def _scaled(
  value: Any,
  tensors: list[tf.Tensor],
  norm: tf.Tensor,
  clip_norm: tf.Tensor | float,
  is_finite: tf.Tensor,
) -> Clipped:
  bound = tf.cast(clip_norm, tf.float64) * (1.0 - _MARGIN)
  was_clipped = norm > bound
  # A norm that overflows to infinity gives a scale of 0.
  scale = tf.where(was_clipped, bound / norm, 1.0)
  clipped = tf.nest.pack_sequence_as(value, [t * scale for t in tensors])
  return Clipped(clipped, norm, was_clipped, is_finite)
