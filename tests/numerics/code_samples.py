"""What the tests of codes share: many decoded messages of one vector."""

import dataclasses

import numpy as np
import tensorflow as tf

from tff_pipelines.numerics import codes


def normals(size: int, seed: int = 0) -> np.ndarray:
  return np.random.default_rng(seed).normal(size=size).astype(np.float32)


def seeds(num: int, seed: int = 0) -> np.ndarray:
  return np.random.default_rng([7, seed]).integers(0, 2**62, [num, 2])


@dataclasses.dataclass(frozen=True)
class Errors:
  """Of decoded messages of one vector with different seeds.

  Attributes:
    mean: float64[n], of each coordinate's error.
    stderr: float64[n], of that mean.
    squared: float64[num], squared norm of each error over that of the vector.
  """

  mean: np.ndarray
  stderr: np.ndarray
  squared: np.ndarray

  def mean_square(self) -> tuple[float, float]:
    """The mean squared error and its standard error."""
    return (
      float(self.squared.mean()),
      float(self.squared.std() / np.sqrt(len(self.squared))),
    )


def errors(
  code: codes.Code,
  vector: np.ndarray,
  num: int,
  shapes: codes.Shapes | None = None,
) -> Errors:
  """Returns the errors of `num` messages, one after the other, compiled."""
  shapes = shapes or [vector.shape]
  given = tf.constant(vector, tf.float32)

  @tf.function(jit_compile=True)
  def moments(drawn):
    def step(position, total, squares, norms):
      seed = drawn[position]
      decoded = code.decode(code.encode(given, seed, shapes), seed, shapes)
      error = tf.cast(decoded - given, tf.float64)
      norms = tf.tensor_scatter_nd_update(
        norms, [[position]], [tf.reduce_sum(error**2)]
      )
      return position + 1, total + error, squares + error**2, norms

    zeros = tf.zeros(given.shape, tf.float64)
    return tf.while_loop(
      lambda position, *_: position < num,
      step,
      (0, zeros, zeros, tf.zeros([num], tf.float64)),
    )[1:]

  total, squares, norms = (t.numpy() for t in moments(tf.constant(seeds(num))))
  mean = total / num
  variance = np.maximum(squares / num - mean**2, 0)
  return Errors(
    mean,
    np.sqrt(variance / num),
    norms / np.sum(vector.astype(np.float64) ** 2),
  )
