"""Metrics of a language model that can be summed over clients.

Loss and perplexity are over all places with something to predict (a label that
is no padding). Recall is of words only, as of a keyboard, which never suggests
a mark: over the places whose label is a word, and ranked among words.

Reference: Hard et al. 2018, section 3.5 (top-1 and top-3 recall).
"""

import collections
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tff_pipelines.core import tokens
from tff_pipelines.models import last_axis


@tf.function
def _initialize() -> collections.OrderedDict[str, tf.Tensor]:
  names = ('num_tokens', 'num_words', 'top1', 'top3', 'loss_sum')
  return collections.OrderedDict((name, tf.constant(0.0)) for name in names)


@tf.function
def _finalize(state: Any) -> collections.OrderedDict[str, tf.Tensor]:
  """Computes the metrics; without tokens or words they are NaN (0 / 0)."""
  num_tokens, num_words = state['num_tokens'], state['num_words']
  loss = state['loss_sum'] / num_tokens
  return collections.OrderedDict(
    num_tokens=num_tokens,
    num_words=num_words,
    loss=loss,
    perplexity=tf.exp(loss),
    top1_recall=state['top1'] / num_words,
    top3_recall=state['top3'] / num_words,
  )


def metric_fns(
  first_word: int = tokens.FIRST_WORD,
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
  """Returns the functions that `tff.learning.models.FunctionalModel` takes.

  Args:
    first_word: The id from which on a token is a word.

  Returns:
    initialize, update and finalize. Labels int32[n, length]; predictions
    float32[n, length, vocabulary_size]; the batch's loss is the mean over its
    tokens that are no padding. What finalize gives: num_tokens and num_words
    (labels that are no padding, and that are words), loss (natural logarithm),
    perplexity, top1_recall and top3_recall.
  """

  @tf.function
  def update(
    state: Any, labels: tf.Tensor, batch_output: Any, sample_weight: Any = None
  ) -> collections.OrderedDict[str, tf.Tensor]:
    del sample_weight  # Unused.
    num_tokens = _sum(labels > 0)
    is_word = labels >= first_word
    rank = _rank(batch_output.predictions, labels, first_word)
    return collections.OrderedDict(
      num_tokens=state['num_tokens'] + num_tokens,
      num_words=state['num_words'] + _sum(is_word),
      top1=state['top1'] + _sum(is_word & (rank < 1)),
      top3=state['top3'] + _sum(is_word & (rank < 3)),
      loss_sum=state['loss_sum'] + batch_output.loss * num_tokens,
    )

  return _initialize, update, _finalize


def _rank(logits: tf.Tensor, labels: tf.Tensor, first_word: int) -> tf.Tensor:
  """Returns how many words are likelier than the labels, float32[n, length].

  Counts, because XLA sorts slowly. A score that is no number is above nothing
  and below nothing, so a label with such a score gets a rank beyond all.
  """
  of_label = tf.gather(logits, labels, batch_dims=2)
  is_above = logits[..., first_word:] > tf.expand_dims(of_label, -1)
  rank = last_axis.total(tf.cast(is_above, tf.float32))
  return tf.where(tf.math.is_nan(of_label), float(logits.shape[-1]), rank)


def _sum(mask: tf.Tensor) -> tf.Tensor:
  return tf.reduce_sum(tf.cast(mask, tf.float32))
