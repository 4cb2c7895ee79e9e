"""An update as one vector, and back: what codes act on, however small it is."""

import math
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import value_types


class FlatUpdates:
  """Vectors of all numbers of a type of values.

  Attributes:
    shapes: Of the tensors, in the order of the value's leaves.
    size: Of the vector, n.
    dense_bytes: Of a value that travels as it is.
  """

  def __init__(self, value_type: tff.Type):
    """Initializes it.

    Raises:
      ValueTypeError: If values are not floats of known shapes.
    """
    self._structure = value_types.specs(value_type)
    self._specs = tf.nest.flatten(self._structure)
    self.shapes = [tuple(spec.shape) for spec in self._specs]
    self._sizes = [math.prod(shape) for shape in self.shapes]
    self.size = sum(self._sizes)
    self.dense_bytes = sum(
      size * spec.dtype.size
      for size, spec in zip(self._sizes, self._specs, strict=True)
    )

  def vector(self, value: Any) -> tf.Tensor:
    """Returns float32[n]."""
    return tf.concat(
      [
        tf.reshape(tf.cast(tensor, tf.float32), [-1])
        for tensor in tf.nest.flatten(value)
      ],
      axis=0,
    )

  def value(self, vector: tf.Tensor) -> Any:
    """Returns the value of a vector, float[n]."""
    parts = tf.split(vector, self._sizes)
    return tf.nest.pack_sequence_as(
      self._structure,
      [
        tf.cast(tf.reshape(part, spec.shape), spec.dtype)
        for part, spec in zip(parts, self._specs, strict=True)
      ],
    )
