"""Metrics of a binary classifier that can be summed over clients.

The only thing a client reports is how many of its examples of each class fell
into which score interval, and the sum of its losses. All metrics follow from
the sum of these over the clients, so they are exact (AUC up to the width of an
interval) however the examples are dealt, and a secure sum is enough.
"""

import collections
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Scores are logits; 0 is a boundary, so thresholding at 1/2 is exact.
_WIDTH = 0.05
_INTERVALS_PER_SIDE = 300  # Logits beyond +-15 share the outermost intervals.
_NUM_INTERVALS = 2 * _INTERVALS_PER_SIDE


@tf.function
def _initialize() -> collections.OrderedDict[str, tf.Tensor]:
  return collections.OrderedDict(
    loss_sum=tf.constant(0.0),
    scores=tf.zeros([2, _NUM_INTERVALS], tf.float32),
  )


@tf.function
def _update(
  state: Any, labels: Any, batch_output: Any, sample_weight: Any = None
) -> collections.OrderedDict[str, tf.Tensor]:
  del sample_weight  # Unused.
  logits = batch_output.predictions  # [n]
  interval = tf.math.floor(logits / _WIDTH) + _INTERVALS_PER_SIDE
  # Clipped as floats: what an integer cannot hold becomes any integer. A score
  # that is no number counts as the lowest.
  interval = tf.where(tf.math.is_nan(interval), 0.0, interval)
  interval = tf.cast(
    tf.clip_by_value(interval, 0.0, _NUM_INTERVALS - 1.0), tf.int32
  )
  cell = tf.cast(labels, tf.int32) * _NUM_INTERVALS + interval
  counts = tf.math.unsorted_segment_sum(
    tf.ones_like(logits), cell, 2 * _NUM_INTERVALS
  )
  num_examples = tf.cast(tf.shape(logits)[0], tf.float32)
  return collections.OrderedDict(
    loss_sum=state['loss_sum'] + batch_output.loss * num_examples,
    scores=state['scores'] + tf.reshape(counts, [2, _NUM_INTERVALS]),
  )


@tf.function
def _finalize(state: Any) -> collections.OrderedDict[str, tf.Tensor]:
  """Computes the metrics; those that are undefined are NaN.

  Raises nothing: an empty class leaves recall, AUC or the false-positive rate
  undefined (0 / 0), which NaN says and 0 would hide.
  """
  scores = tf.cast(state['scores'], tf.float64)
  negatives, positives = tf.unstack(tf.reduce_sum(scores, axis=1))
  above = tf.reduce_sum(scores[:, _INTERVALS_PER_SIDE:], axis=1)
  false_positives, true_positives = tf.unstack(above)
  true_negatives = negatives - false_positives
  false_negatives = positives - true_positives
  num_examples = negatives + positives
  # Pairs of a negative and a positive in the right order; ties count half.
  negatives_below = tf.cumsum(scores[0], exclusive=True)
  ordered = tf.reduce_sum(scores[1] * (negatives_below + scores[0] / 2))
  # Matthews 1975; 0 by convention where a row or column of the table is empty.
  correlation = tf.math.divide_no_nan(
    true_positives * true_negatives - false_positives * false_negatives,
    tf.sqrt(
      (true_positives + false_positives)
      * positives
      * negatives
      * (true_negatives + false_negatives)
    ),
  )
  metrics = collections.OrderedDict(
    loss=tf.cast(state['loss_sum'], tf.float64) / num_examples,
    accuracy=(true_positives + true_negatives) / num_examples,
    recall=true_positives / positives,
    false_positive_rate=false_positives / negatives,
    matthews_correlation=correlation,
    auc=ordered / (positives * negatives),
  )
  metrics = tf.nest.map_structure(lambda m: tf.cast(m, tf.float32), metrics)
  # A secure sum of metrics is off by a step of its 32 bits.
  metrics['num_examples'] = tf.cast(tf.round(num_examples), tf.int64)
  return metrics


def metric_fns() -> tuple[Callable, Callable, Callable]:
  """Returns `metrics_fns` for a `tff.learning.models.FunctionalModel`.

  The model's predictions have to be logits float32[n], its labels 0 or 1.
  Metrics: loss, accuracy, recall, false_positive_rate, matthews_correlation,
  auc (area under the receiver operating characteristic; Mann-Whitney form,
  scores rounded to 0.05 logits), num_examples.
  """
  return _initialize, _update, _finalize
