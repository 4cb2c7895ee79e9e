"""Metrics of a language model that can be summed over clients.

Over the tokens that are no padding (label 0): how many there are, how many were
the likeliest prediction or among the three likeliest, and the sum of their
losses.
"""

import collections
from collections.abc import Callable
from typing import Any

import tensorflow as tf


@tf.function
def _initialize() -> collections.OrderedDict[str, tf.Tensor]:
  names = ('num_tokens', 'top1', 'top3', 'loss_sum')
  return collections.OrderedDict((name, tf.constant(0.0)) for name in names)


@tf.function
def _update(
  state: Any, labels: tf.Tensor, batch_output: Any, sample_weight: Any = None
) -> collections.OrderedDict[str, tf.Tensor]:
  del sample_weight  # Unused.
  logits = batch_output.predictions  # [n, length, vocabulary_size]
  counted = tf.cast(labels > 0, tf.float32)
  num_tokens = tf.reduce_sum(counted)
  of_label = tf.reduce_sum(
    tf.where(
      tf.equal(tf.expand_dims(labels, -1), tf.range(logits.shape[-1])),
      logits,
      0.0,
    ),
    axis=-1,
    keepdims=True,
  )
  # How many tokens are likelier: no sorting, which XLA does slowly. A score
  # that is no number is above nothing and below nothing: it never counts.
  rank = tf.reduce_sum(tf.cast(logits > of_label, tf.float32), axis=-1)
  rank = tf.where(tf.math.is_nan(of_label[..., 0]), 3.0, rank)

  def hits(k: float) -> tf.Tensor:
    return tf.reduce_sum(counted * tf.cast(rank < k, tf.float32))

  return collections.OrderedDict(
    num_tokens=state['num_tokens'] + num_tokens,
    top1=state['top1'] + hits(1.0),
    top3=state['top3'] + hits(3.0),
    loss_sum=state['loss_sum'] + batch_output.loss * num_tokens,
  )


@tf.function
def _finalize(state: Any) -> collections.OrderedDict[str, tf.Tensor]:
  """Computes the metrics; without tokens they are NaN (0 / 0)."""
  num_tokens = state['num_tokens']
  loss = state['loss_sum'] / num_tokens
  return collections.OrderedDict(
    num_tokens=num_tokens,
    loss=loss,
    accuracy=state['top1'] / num_tokens,
    top3_recall=state['top3'] / num_tokens,
    perplexity=tf.exp(loss),
  )


def metric_fns() -> tuple[
  Callable[..., Any], Callable[..., Any], Callable[..., Any]
]:
  """Returns the functions that `tff.learning.models.FunctionalModel` takes.

  Returns:
    initialize, update and finalize. Labels int32[n, length]; predictions
    float32[n, length, vocabulary_size]; the batch's loss is the mean over its
    tokens that are no padding.
  """
  return _initialize, _update, _finalize
