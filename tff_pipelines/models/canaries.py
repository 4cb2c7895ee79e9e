"""A model that canary clients train on into directions chosen beforehand.

What an audit of privacy inserts has to go through everything that a client's
update goes through. So a canary is a client whose data says "canary i", and for
which the model's loss is linear in the weights and falls along direction i:
whatever plain SGD it trains with, its update (trained minus received weights)
points there, and an average with it moves the model there.

Source: Andrew et al. 2023, arXiv 2302.03098, section 4 (canary clients).
"""

import collections
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import seeded_numbers

# Far above any clip norm, and small enough for float32 beside the weights.
_STEEPNESS = 1e4


class _Output(NamedTuple):
  """What the model predicts; TFF counts the rows of the first tensor in it.

  Attributes:
    output: Of the model itself.
    along: The inner product of the weights and the canary's direction.
    is_canary: Whether the batch is of a canary.
  """

  output: Any
  along: Any
  is_canary: Any


def direction(
  seed: int, index: tf.Tensor | int, like: Sequence[Any]
) -> list[tf.Tensor]:
  """Returns the unit vector of a canary, uniform on the sphere.

  A pure function of its arguments, the same under XLA up to rounding.

  Args:
    seed: Of the audit, below 2^63. Independent of noise and data.
    index: int32[], the canary.
    like: Arrays or tensors in whose shapes it is given.

  Returns:
    float32 tensors, their squares summing to 1 altogether.
  """
  sizes = [tf.TensorShape(part.shape).num_elements() for part in like]
  # The audit has to know what the client was given, whatever the runtime.
  flat = tf.math.l2_normalize(seeded_numbers.normal(seed, index, sum(sizes)))
  parts = tf.split(flat, sizes)
  return [
    tf.reshape(part, of.shape) for part, of in zip(parts, like, strict=True)
  ]


def with_canaries(
  model: tff.learning.models.FunctionalModel, seed: int
) -> tff.learning.models.FunctionalModel:
  """Returns the model on data that can say "canary".

  Its input is `(OrderedDict(features=x, canary=int32[n]), y)` for the model's
  (x, y): 0, or 1 + the canary's index, the same in the whole batch. Weights,
  and everything about batches of 0, are as in the model itself. Its metrics
  leave canaries' batches out.

  Args:
    model: Any functional model.
    seed: Of the directions.
  """
  x_spec, y_spec = model.input_spec

  @tf.function
  def predict(weights: Any, x: Any, training: bool = True) -> Any:
    canary = tf.reduce_max(x['canary'])
    return _Output(
      output=model.predict_on_batch(weights, x['features'], training),
      along=_along(seed, canary - 1, weights[0]),
      is_canary=canary > 0,
    )

  def loss(output: Any, label: Any, sample_weight: Any = None) -> tf.Tensor:
    del sample_weight  # Unused.
    return tf.where(
      output.is_canary,
      -_STEEPNESS * output.along,
      tf.cast(model.loss(output.output, label), tf.float32),
    )

  initialize, update, finalize = _metrics_fns(model)
  return tff.learning.models.FunctionalModel(
    initial_weights=model.initial_weights,
    predict_on_batch_fn=predict,
    loss_fn=loss,
    metrics_fns=(initialize, update, finalize),
    input_spec=(
      collections.OrderedDict(
        features=x_spec, canary=tf.TensorSpec([None], tf.int32)
      ),
      y_spec,
    ),
  )


def _along(seed: int, index: tf.Tensor, weights: Sequence[Any]) -> tf.Tensor:
  """Returns the weights along a canary's direction, 0 below index 0.

  Its gradient is written by hand: XLA has none of TensorFlow's for a condition.
  And a condition it is, since directions are drawn for canaries alone: that
  costs more than a step of a small model.
  """

  def drawn() -> list[tf.Tensor]:
    return tf.cond(
      index >= 0,
      lambda: direction(seed, index, weights),
      lambda: [tf.zeros(w.shape, tf.float32) for w in weights],
    )

  @tf.custom_gradient
  def along(*parts: tf.Tensor) -> Any:
    gradient = drawn()
    products = [
      tf.reduce_sum(w * g) for w, g in zip(parts, gradient, strict=True)
    ]
    return tf.add_n(products), lambda up: [up * g for g in gradient]

  return along(*weights)


def _metrics_fns(model: tff.learning.models.FunctionalModel) -> tuple:
  @tf.function
  def update(
    state: Any, labels: Any, batch_output: Any, sample_weight: Any = None
  ) -> Any:
    del sample_weight  # Unused.
    predictions = batch_output.predictions
    updated = model.update_metrics_state(
      state,
      labels=labels,
      batch_output=tff.learning.models.BatchOutput(
        loss=batch_output.loss,
        predictions=predictions.output,
        num_examples=batch_output.num_examples,
      ),
    )
    return tf.nest.map_structure(
      lambda old, new: tf.where(predictions.is_canary, old, new),
      state,
      updated,
    )

  return model.initialize_metrics_state, update, model.finalize_metrics
