"""An optimizer whose gradients are shifted before it takes its step."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff


class ShiftedGradients(tff.learning.optimizers.Optimizer):
  """Adds something to each gradient, such as a pull or a correction.

  It is made at the client, of tensors that the client has there.
  """

  def __init__(
    self,
    optimizer: tff.learning.optimizers.Optimizer,
    shift: Callable[[Any], Any],
  ):
    """Initializes the optimizer.

    Args:
      optimizer: What takes the step.
      shift: From the weights before the step to what is added, a structure of
        the same shapes.
    """
    self._optimizer = optimizer
    self._shift = shift

  def initialize(self, specs: Any) -> Any:
    """See base class."""
    return self._optimizer.initialize(specs)

  def next(self, state: Any, weights: Any, gradients: Any) -> Any:
    """See base class."""
    shifted = tf.nest.map_structure(tf.add, gradients, self._shift(weights))
    return self._optimizer.next(state, weights, shifted)
