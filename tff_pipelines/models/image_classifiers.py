"""Classifiers of images with many classes.

Input `(x, y)`: x = float32[n, num_inputs], y = int32[n], the class. Output:
logits float32[n, num_classes]. Loss: mean cross entropy.
"""

from collections.abc import Sequence
import dataclasses
import itertools
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import seeds
from tff_pipelines.models import class_metrics, sizes


@dataclasses.dataclass(frozen=True)
class Mlp:
  """A multi-layer perceptron: rectified units between the layers.

  McMahan et al. 2017 (section 3) call (784, (200, 200), 10) the 2NN.

  Attributes:
    num_inputs: Values of an example.
    hidden_sizes: Units of the hidden layers; without any it is softmax
      regression.
    num_classes: Classes.
  """

  num_inputs: int
  hidden_sizes: tuple[int, ...]
  num_classes: int

  def __post_init__(self) -> None:
    sizes.check(num_inputs=self.num_inputs, num_classes=self.num_classes)
    for size in self.hidden_sizes:
      sizes.check(hidden_size=size)

  @property
  def layers(self) -> tuple[tuple[int, int], ...]:
    """Inputs and outputs of each layer."""
    units = (self.num_inputs, *self.hidden_sizes, self.num_classes)
    return tuple(itertools.pairwise(units))

  @property
  def num_parameters(self) -> int:
    """Number of trained values."""
    return sum((inputs + 1) * outputs for inputs, outputs in self.layers)

  def initial_weights(self, seed: int) -> tuple[np.ndarray, ...]:
    """Returns a kernel [inputs, outputs] and a bias [outputs] a layer, float32.

    Kernels are normal with variance 2 / inputs (He et al. 2015, equation 10),
    that of the last layer 1 / inputs, since no unit of it is rectified; biases
    are zero.
    """
    rng = seeds.generator(seed, 'initial weights')
    weights: list[np.ndarray] = []
    for inputs, outputs in self.layers:
      gain = 2 if len(weights) < 2 * len(self.hidden_sizes) else 1
      kernel = rng.normal(size=(inputs, outputs)) * (gain / inputs) ** 0.5
      weights += [kernel.astype(np.float32), np.zeros(outputs, np.float32)]
    return tuple(weights)

  def logits(self, weights: Sequence[tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Returns float32[n, num_classes] for float32[n, num_inputs]."""
    *hidden, last = zip(weights[::2], weights[1::2], strict=True)
    for kernel, bias in hidden:
      x = tf.nn.relu(tf.matmul(x, kernel) + bias)
    kernel, bias = last
    return tf.matmul(x, kernel) + bias


class Classifier(Protocol):
  """The sizes of a classifier, and what it computes.

  Attributes:
    num_inputs: Values of an example.
  """

  @property
  def num_inputs(self) -> int: ...

  def initial_weights(self, seed: int) -> tuple[np.ndarray, ...]:
    """Returns the weights before any training, float32."""

  def logits(self, weights: Sequence[tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Returns float32[n, num_classes] for float32[n, num_inputs]."""


def build_mlp(
  chosen: Mlp, seed: int = 0
) -> tff.learning.models.FunctionalModel:
  """Builds a multi-layer perceptron.

  Args:
    chosen: Sizes of the model.
    seed: Of the initial weights.

  Returns:
    A model of (float32[n, num_inputs], int32[n]), with `class_metrics`.
  """
  return build(chosen, seed)


def build(
  chosen: Classifier, seed: int = 0
) -> tff.learning.models.FunctionalModel:
  """Builds a classifier; see `build_mlp`."""

  @tf.function
  def predict(weights: Any, x: tf.Tensor, training: bool = True) -> tf.Tensor:
    del training  # Unused.
    return chosen.logits(weights[0], x)

  return tff.learning.models.FunctionalModel(
    initial_weights=(chosen.initial_weights(seed), ()),
    predict_on_batch_fn=predict,
    loss_fn=mean_cross_entropy,
    metrics_fns=class_metrics.metric_fns(),
    input_spec=(
      tf.TensorSpec([None, chosen.num_inputs], tf.float32),
      tf.TensorSpec([None], tf.int32),
    ),
  )


def mean_cross_entropy(
  output: tf.Tensor, label: tf.Tensor, sample_weight: Any = None
) -> tf.Tensor:
  """Returns the mean over the batch of -log softmax(output)[label]."""
  del sample_weight  # Unused.
  return tf.reduce_mean(
    tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=output)
  )
