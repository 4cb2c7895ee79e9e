"""A convolutional classifier of small square images."""

from collections.abc import Sequence
import dataclasses
import math

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import seeds
from tff_pipelines.models import convolutions, image_classifiers, sizes

_KERNEL = 5


@dataclasses.dataclass(frozen=True)
class Cnn:
  """Two convolutions, each with a maximum of 2 x 2 windows, and two layers.

  Rectified units everywhere but at the end. Input as in `image_classifiers`:
  pixels row by row, num_inputs = side^2.

  Reference: McMahan et al. 2017, section 3: "two 5x5 convolution layers (the
  first with 32 channels, the second with 64, each followed with 2x2 max
  pooling), a fully connected layer with 512 units and ReLu activation, and a
  final softmax output layer (1,663,370 total parameters)", of 28 x 28 pixels
  and 10 classes. Images of any other size have as many layers and units.

  Attributes:
    num_inputs: Pixels of an image.
    num_classes: Classes.
    channels: Of the two convolutions.
    hidden_size: Units of the layer before the last.
  """

  num_inputs: int
  num_classes: int
  channels: tuple[int, int] = (32, 64)
  hidden_size: int = 512

  def __post_init__(self) -> None:
    first, second = self.channels
    sizes.check(
      num_inputs=self.num_inputs,
      num_classes=self.num_classes,
      first_channels=first,
      second_channels=second,
      hidden_size=self.hidden_size,
    )
    if self.side**2 != self.num_inputs or self.side % 4:
      raise sizes.ModelSizeError(
        'Expected square images with a side that can be halved twice, found '
        f'{self.num_inputs} pixels; take a multi-layer perceptron.'
      )

  @property
  def side(self) -> int:
    """Pixels of an image's side."""
    return math.isqrt(self.num_inputs)

  @property
  def kernels(self) -> tuple[tuple[int, ...], ...]:
    """Shapes of the kernels; the last dimension is that of the bias."""
    first, second = self.channels
    return (
      (_KERNEL, _KERNEL, 1, first),
      (_KERNEL, _KERNEL, first, second),
      ((self.side // 4) ** 2 * second, self.hidden_size),
      (self.hidden_size, self.num_classes),
    )

  @property
  def num_parameters(self) -> int:
    """Number of trained values."""
    return sum(math.prod(shape) + shape[-1] for shape in self.kernels)

  def initial_weights(self, seed: int) -> tuple[np.ndarray, ...]:
    """Returns a kernel and a bias a layer, float32, shapes as `kernels`.

    As those of `image_classifiers.Mlp`: kernels normal with variance 2 over the
    inputs of a unit, of the last layer 1 over them; biases zero.
    """
    rng = seeds.generator(seed, 'initial weights')
    weights: list[np.ndarray] = []
    for shape in self.kernels:
      gain = 2 if len(weights) < 6 else 1
      kernel = rng.normal(size=shape) * (gain / math.prod(shape[:-1])) ** 0.5
      weights += [kernel.astype(np.float32), np.zeros(shape[-1], np.float32)]
    return tuple(weights)

  def logits(self, weights: Sequence[tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Returns float32[n, num_classes] for float32[n, num_inputs]."""
    k1, b1, k2, b2, k3, b3, k4, b4 = weights
    pixels = tf.reshape(x, [-1, self.side, self.side])
    # Biases and rectifiers go behind the maximum, with which they commute, to a
    # quarter of the values.
    maps = tf.nn.relu(convolutions.pooled_convolution(pixels, k1) + b1)
    found = convolutions.max_pool(convolutions.convolution(maps, k2))
    hidden = convolutions.dense(tf.nn.relu(found + b2), k3)
    return tf.matmul(tf.nn.relu(hidden + b3), k4) + b4


def build_cnn(
  chosen: Cnn, seed: int = 0
) -> tff.learning.models.FunctionalModel:
  """Builds a convolutional classifier.

  Args:
    chosen: Sizes of the model.
    seed: Of the initial weights.

  Returns:
    A model of (float32[n, num_inputs], int32[n]), with `class_metrics`.
  """
  return image_classifiers.build(chosen, seed)
