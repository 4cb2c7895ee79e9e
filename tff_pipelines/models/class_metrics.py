"""Metrics of a classifier with many classes that can be summed over clients.

A client reports how many examples it has, how many of them were classified
rightly, and the sum of their losses.
"""

import collections
from collections.abc import Callable
from typing import Any

import tensorflow as tf


@tf.function
def _initialize() -> collections.OrderedDict[str, tf.Tensor]:
  names = ('num_examples', 'correct', 'loss_sum')
  return collections.OrderedDict((name, tf.constant(0.0)) for name in names)


@tf.function
def _update(
  state: Any, labels: tf.Tensor, batch_output: Any, sample_weight: Any = None
) -> collections.OrderedDict[str, tf.Tensor]:
  del sample_weight  # Unused.
  logits = batch_output.predictions  # [n, num_classes]
  num_examples = tf.cast(tf.shape(logits)[0], tf.float32)
  chosen = tf.argmax(logits, axis=1, output_type=labels.dtype)
  # Where a score is no number, nothing was chosen: runtimes would differ.
  is_right = tf.logical_and(
    tf.equal(chosen, labels),
    tf.logical_not(tf.reduce_any(tf.math.is_nan(logits), axis=1)),
  )
  return collections.OrderedDict(
    num_examples=state['num_examples'] + num_examples,
    correct=state['correct'] + tf.reduce_sum(tf.cast(is_right, tf.float32)),
    loss_sum=state['loss_sum'] + batch_output.loss * num_examples,
  )


@tf.function
def _finalize(state: Any) -> collections.OrderedDict[str, tf.Tensor]:
  """Computes the metrics; without examples they are NaN (0 / 0)."""
  num_examples = state['num_examples']
  return collections.OrderedDict(
    loss=state['loss_sum'] / num_examples,
    accuracy=state['correct'] / num_examples,
    # Rounded: a secure sum of 26.0 comes out as 25.99999.
    num_examples=tf.cast(tf.round(num_examples), tf.int64),
  )


def metric_fns() -> tuple[
  Callable[..., Any], Callable[..., Any], Callable[..., Any]
]:
  """Returns `metrics_fns` for a `tff.learning.models.FunctionalModel`.

  The model's predictions have to be scores float32[n, num_classes], its labels
  int32[n], its loss the mean over the batch. Metrics: loss, accuracy (of the
  class with the highest score, the first of those that tie), num_examples;
  counted in float32, which is exact up to 2**24 examples.
  """
  return _initialize, _update, _finalize
