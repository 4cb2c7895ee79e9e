"""Metrics of a model of places that can be summed over clients.

Its predictions are float32[n], one output a place, its labels float32[n], its
loss the mean over the batch. What is counted is so in float32, which is exact
up to 2**24 examples.
"""

import collections
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_Functions = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]


def of_classes(threshold: float) -> _Functions:
  """Returns `metrics_fns` of labels 0.0 (cold) and 1.0 (hot).

  Metrics: loss, accuracy, num_examples; NaN without examples.

  Args:
    threshold: A place counts as hot where the output is above it.
  """

  @tf.function
  def initialize() -> collections.OrderedDict[str, tf.Tensor]:
    return _zeros('num_examples', 'correct', 'loss_sum')

  @tf.function
  def update(
    state: Any, labels: Any, batch_output: Any, sample_weight: Any = None
  ) -> collections.OrderedDict[str, tf.Tensor]:
    del sample_weight  # Unused.
    output = batch_output.predictions
    # Where the output is no number, nothing was said.
    is_right = tf.logical_and(
      tf.equal(output > threshold, labels > 0.5),
      tf.logical_not(tf.math.is_nan(output)),
    )
    return _added(
      state,
      batch_output,
      correct=tf.reduce_sum(tf.cast(is_right, tf.float32)),
    )

  @tf.function
  def finalize(state: Any) -> collections.OrderedDict[str, tf.Tensor]:
    count = state['num_examples']
    return collections.OrderedDict(
      loss=state['loss_sum'] / count,
      accuracy=state['correct'] / count,
      num_examples=_whole(count),
    )

  return initialize, update, finalize


def of_values() -> _Functions:
  """Returns `metrics_fns` of labels that are numbers of size about 1.

  Metrics: loss, root_mean_squared_error, r_squared (the share of the labels'
  variance that the outputs explain), num_examples; NaN where undefined. Labels
  whose mean is far larger than their spread lose r_squared to rounding.
  """

  @tf.function
  def initialize() -> collections.OrderedDict[str, tf.Tensor]:
    return _zeros(
      'num_examples', 'squared_errors', 'labels', 'squared_labels', 'loss_sum'
    )

  @tf.function
  def update(
    state: Any, labels: Any, batch_output: Any, sample_weight: Any = None
  ) -> collections.OrderedDict[str, tf.Tensor]:
    del sample_weight  # Unused.
    errors = batch_output.predictions - labels
    return _added(
      state,
      batch_output,
      squared_errors=tf.reduce_sum(tf.square(errors)),
      labels=tf.reduce_sum(labels),
      squared_labels=tf.reduce_sum(tf.square(labels)),
    )

  @tf.function
  def finalize(state: Any) -> collections.OrderedDict[str, tf.Tensor]:
    count = state['num_examples']
    spread = state['squared_labels'] - tf.square(state['labels']) / count
    return collections.OrderedDict(
      loss=state['loss_sum'] / count,
      root_mean_squared_error=tf.sqrt(state['squared_errors'] / count),
      r_squared=1.0 - state['squared_errors'] / spread,
      num_examples=_whole(count),
    )

  return initialize, update, finalize


def _zeros(*names: str) -> collections.OrderedDict[str, tf.Tensor]:
  return collections.OrderedDict((name, tf.constant(0.0)) for name in names)


def _added(
  state: Any, batch_output: Any, **sums: tf.Tensor
) -> collections.OrderedDict[str, tf.Tensor]:
  """Returns the state with a batch's count, loss and other sums added."""
  count = tf.cast(tf.shape(batch_output.predictions)[0], tf.float32)
  sums = {
    'num_examples': count,
    'loss_sum': batch_output.loss * count,
    **sums,
  }
  return collections.OrderedDict(
    (name, total + sums[name]) for name, total in state.items()
  )


def _whole(count: tf.Tensor) -> tf.Tensor:
  # Rounded: a secure sum of 26.0 comes out as 25.99999.
  return tf.cast(tf.round(count), tf.int64)
