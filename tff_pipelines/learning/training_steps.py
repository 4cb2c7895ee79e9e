"""One step of training on one batch, for loops that do more between steps."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

# From ((trainable weights, optimizer's state), batch) to such a pair.
Step = Callable[[Any, Any], Any]


def initial_state(
  optimizer: tff.learning.optimizers.Optimizer, trainable: Any
) -> Any:
  """Returns the state before the first step: (trainable, optimizer's state)."""
  specs = tf.nest.map_structure(
    lambda w: tf.TensorSpec(w.shape, w.dtype), trainable
  )
  return trainable, optimizer.initialize(specs)


def build(
  model: tff.learning.models.FunctionalModel,
  optimizer: tff.learning.optimizers.Optimizer,
  non_trainable: Any,
) -> Step:
  """Builds the step: the gradient of the batch's loss, and the optimizer's.

  Args:
    model: The model.
    optimizer: The optimizer.
    non_trainable: Weights that stay as they are.
  """

  @tf.function
  def step(state, batch):
    trainable, optimizer_state = state
    x, y = batch
    with tf.GradientTape() as tape:
      tape.watch(trainable)
      output = model.predict_on_batch(
        (trainable, non_trainable), x, training=True
      )
      loss = model.loss(output=output, label=y)
    gradients = tape.gradient(loss, trainable)
    optimizer_state, trainable = optimizer.next(
      optimizer_state, trainable, gradients
    )
    return trainable, optimizer_state

  return step
