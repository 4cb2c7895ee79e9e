"""Models of a map: from a place to one output.

Input `(x, y)`: x = float32[n, 2], the place in coordinates of about 0 to 1,
y = float32[n], 1.0 where hot and 0.0 where cold, or a value to be estimated.
Output: float32[n].
"""

from collections.abc import Sequence
import dataclasses
import itertools
import math
from typing import Any, Literal, Protocol, get_args

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import errors, seeds
from tff_pipelines.models import map_metrics, sizes

# Squared error of the output itself, or cross entropy of it as a logit.
Loss = Literal['squared', 'logistic']
# Hot or cold, or values.
Task = Literal['classification', 'regression']
Activation = Literal['tanh', 'relu']

# Above which output a place counts as hot.
THRESHOLDS: dict[Loss, float] = {'squared': 0.5, 'logistic': 0.0}


class PlaceModelError(errors.PipelineError):
  """A model of a map that makes no sense."""


class PlaceNet(Protocol):
  """What a network of one output is: weights, and the output for them."""

  @property
  def is_bounded(self) -> bool:
    """Whether the output stays between -1 and 1."""

  @property
  def num_parameters(self) -> int:
    """Number of trained values."""

  def initial_weights(self, seed: int) -> tuple[np.ndarray, ...]:
    """Returns the initial weights that belong to a seed."""

  def output(self, weights: Sequence[Any], x: Any) -> tf.Tensor:
    """Returns float32[n] for float32[n, 2]."""


@dataclasses.dataclass(frozen=True)
class TanhNet:
  """The place, one hidden layer of tanh units, an output.

  Attributes:
    hidden_size: Units of the hidden layer.
    is_bounded: Whether the output is a tanh unit, too, or linear.
  """

  hidden_size: int = 4
  is_bounded: bool = True

  def __post_init__(self) -> None:
    sizes.check(hidden_size=self.hidden_size)

  @property
  def num_parameters(self) -> int:
    """Number of trained values."""
    return 4 * self.hidden_size + 1

  def initial_weights(self, seed: int) -> tuple[np.ndarray, ...]:
    """Returns two kernels and biases in turn, float32, each value N(0, 1)."""
    rng = seeds.generator(seed, 'initial weights')
    shapes = ([2, self.hidden_size], [self.hidden_size])
    shapes += ([self.hidden_size, 1], [1])
    return tuple(rng.normal(size=s).astype(np.float32) for s in shapes)

  def output(self, weights: Sequence[Any], x: Any) -> tf.Tensor:
    """Returns float32[n] for float32[n, 2]."""
    kernel, bias, last_kernel, last_bias = weights
    hidden = tf.tanh(tf.matmul(x, kernel) + bias)
    output = tf.squeeze(tf.matmul(hidden, last_kernel) + last_bias, axis=1)
    return tf.tanh(output) if self.is_bounded else output


@dataclasses.dataclass(frozen=True)
class FourierMlp:
  """Waves of the place at random frequencies, and a small network of them.

  The sines and cosines of `num_frequencies` random waves across the map are the
  inputs of a multi-layer perceptron; they are fixed, the same for everybody.
  Without them a small network learns little but smooth maps.

  Reference: Tancik et al. 2020, "Fourier features let networks learn high
  frequency functions in low dimensional domains", section 5 (Gaussian).

  Attributes:
    num_frequencies: How many waves; twice as many inputs.
    waves_across: Standard deviation of the frequencies, in waves from edge to
      edge of the map (of a coordinate from 0 to 1).
    hidden_sizes: Units of the hidden layers; without any it is linear.
    activation: Of the hidden layers.
    frequency_seed: Of the frequencies.
  """

  num_frequencies: int = 16
  waves_across: float = 1.0
  hidden_sizes: tuple[int, ...] = (16,)
  activation: Activation = 'tanh'
  frequency_seed: int = 0

  def __post_init__(self) -> None:
    sizes.check(num_frequencies=self.num_frequencies)
    for size in self.hidden_sizes:
      sizes.check(hidden_size=size)
    if not 0 < self.waves_across < math.inf:
      raise PlaceModelError(
        f'Expected waves_across above 0, found {self.waves_across}.'
      )
    if self.activation not in get_args(Activation):
      raise PlaceModelError(
        f'Expected an activation out of {", ".join(get_args(Activation))}, '
        f'found {self.activation!r}.'
      )

  @property
  def is_bounded(self) -> bool:
    """No: the output is linear."""
    return False

  @property
  def frequencies(self) -> np.ndarray:
    """float32[2, num_frequencies], waves per unit of each coordinate."""
    rng = seeds.generator(self.frequency_seed, 'frequencies')
    waves = rng.normal(size=[self.num_frequencies, 2]) * self.waves_across
    return waves.T.astype(np.float32)

  @property
  def layers(self) -> tuple[tuple[int, int], ...]:
    """Inputs and outputs of each layer."""
    units = (2 * self.num_frequencies, *self.hidden_sizes, 1)
    return tuple(itertools.pairwise(units))

  @property
  def num_parameters(self) -> int:
    """Number of trained values."""
    return sum((inputs + 1) * outputs for inputs, outputs in self.layers)

  def initial_weights(self, seed: int) -> tuple[np.ndarray, ...]:
    """Returns a kernel and a bias a layer, float32.

    Kernels are normal with variance 1 / inputs, 2 / inputs before rectified
    units (He et al. 2015, equation 10); biases are zero.
    """
    rng = seeds.generator(seed, 'initial weights')
    weights: list[np.ndarray] = []
    for k, (inputs, outputs) in enumerate(self.layers):
      is_rectified = self.activation == 'relu' and k < len(self.hidden_sizes)
      deviation = ((2 if is_rectified else 1) / inputs) ** 0.5
      kernel = rng.normal(size=(inputs, outputs)) * deviation
      weights += [kernel.astype(np.float32), np.zeros(outputs, np.float32)]
    return tuple(weights)

  def output(self, weights: Sequence[Any], x: Any) -> tf.Tensor:
    """Returns float32[n] for float32[n, 2]."""
    activate = tf.tanh if self.activation == 'tanh' else tf.nn.relu
    # A cosine is a sine a quarter on. Not tf.concat, for which XLA compiles
    # anew for every number of batches.
    waves = np.concatenate([self.frequencies] * 2, axis=1)
    quarters = np.repeat([0.0, math.pi / 2], self.num_frequencies)
    phases = 2 * math.pi * tf.matmul(x, waves)
    values = tf.sin(phases + quarters.astype(np.float32))
    *hidden, last = zip(weights[::2], weights[1::2], strict=True)
    for kernel, bias in hidden:
      values = activate(tf.matmul(values, kernel) + bias)
    kernel, bias = last
    return tf.squeeze(tf.matmul(values, kernel) + bias, axis=1)


def build(
  net: PlaceNet,
  *,
  loss: Loss = 'squared',
  task: Task = 'classification',
  seed: int = 0,
) -> tff.learning.models.FunctionalModel:
  """Builds a model of a map.

  Args:
    net: The network.
    loss: `squared`, the mean of (output - y)^2, or `logistic`, the mean cross
      entropy of the output as a logit.
    task: `classification`, with the accuracy among its metrics: a place counts
      as hot where the output is above `THRESHOLDS[loss]`; or `regression`.
    seed: Of the initial weights.

  Returns:
    A model of (float32[n, 2], float32[n]), with `map_metrics`.

  Raises:
    PlaceModelError: If loss or task are not known, or if loss, task and network
      do not fit each other.
  """
  _check_one_of('loss', loss, get_args(Loss))
  _check_one_of('task', task, get_args(Task))
  if (loss, task) == ('logistic', 'regression'):
    raise PlaceModelError(
      'Expected the loss squared for regression, found logistic, which is for '
      'classification.'
    )

  if loss == 'logistic' and net.is_bounded:
    raise PlaceModelError(
      'Expected a network with a linear output for the loss logistic, found '
      'one whose output stays between -1 and 1.'
    )

  @tf.function
  def predict(weights: Any, x: tf.Tensor, training: bool = True) -> tf.Tensor:
    del training  # Unused.
    return net.output(weights[0], x)

  of_loss = {'squared': mean_squared_error, 'logistic': mean_cross_entropy}
  return tff.learning.models.FunctionalModel(
    initial_weights=(net.initial_weights(seed), ()),
    predict_on_batch_fn=predict,
    loss_fn=of_loss[loss],
    metrics_fns=(
      map_metrics.of_values()
      if task == 'regression'
      else map_metrics.of_classes(THRESHOLDS[loss])
    ),
    input_spec=(
      tf.TensorSpec([None, 2], tf.float32),
      tf.TensorSpec([None], tf.float32),
    ),
  )


def outputs(
  net: PlaceNet, weights: Sequence[np.ndarray], places: np.ndarray
) -> np.ndarray:
  """Returns float32[n], what a network says of places float32[n, 2]."""
  return net.output(weights, tf.constant(places, tf.float32)).numpy()


def mean_squared_error(
  output: tf.Tensor, label: tf.Tensor, sample_weight: Any = None
) -> tf.Tensor:
  """Returns the mean over the batch of (output - label)^2."""
  del sample_weight  # Unused.
  return tf.reduce_mean(tf.square(output - label))


def mean_cross_entropy(
  output: tf.Tensor, label: tf.Tensor, sample_weight: Any = None
) -> tf.Tensor:
  """Returns the mean of -log P(label), where P(1.0) = sigmoid(output)."""
  del sample_weight  # Unused.
  return tf.reduce_mean(
    tf.nn.sigmoid_cross_entropy_with_logits(labels=label, logits=output)
  )


def _check_one_of(name: str, found: str, names: tuple[str, ...]) -> None:
  if found not in names:
    raise PlaceModelError(
      f'Expected a {name} out of {", ".join(names)}, found {found!r}.'
    )
