"""What a keyboard shows: the three words that are likeliest to come next.

A prefix is a row of tokens from its first place on, padded behind: the words
typed so far, after `tokens.START` where the model learned from sentences.
Suggested are words only (ids from `tokens.FIRST_WORD` on), never a mark; their
probabilities are the model's, marks included, so all words together have less
than 1.
"""

import numpy as np
import tensorflow as tf

from tff_pipelines.core import tokens as marks

NUM_SUGGESTIONS = 3


def after_last(logits: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
  """Returns what a model says of the token that follows each prefix.

  Args:
    logits: float32[n, length, vocabulary_size].
    tokens: int32[n, length], prefixes.

  Returns:
    Log probabilities float32[n, vocabulary_size], behind the last token that
    is no padding (or the first place, if there is none).
  """
  sizes = tf.reduce_sum(tf.cast(tokens != marks.PADDING, tf.int32), axis=1)
  last = tf.maximum(sizes - 1, 0)
  return tf.nn.log_softmax(tf.gather(logits, last, axis=1, batch_dims=1))


def likeliest(log_probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the likeliest words, the likeliest first.

  Args:
    log_probabilities: float32[n, vocabulary_size].

  Returns:
    ids int32[n, 3] and probabilities float32[n, 3].
  """
  of_words = log_probabilities[:, marks.FIRST_WORD :]
  best = tf.math.top_k(of_words, NUM_SUGGESTIONS)
  return best.indices + marks.FIRST_WORD, tf.exp(best.values)


def prefixes(x: np.ndarray, y: np.ndarray, limit: int) -> np.ndarray:
  """Returns what had been typed before each of some words.

  Args:
    x: int32[n, length], rows, of one sentence or several (each from its START
      on) or a window of characters.
    y: int32[n, length], the tokens that follow.
    limit: How many at the most; they are chosen evenly from all.

  Returns:
    int32[m, length], prefixes of sentences whose next token is a word.
  """
  rows, places = np.nonzero(y >= marks.FIRST_WORD)
  if len(rows) > limit:
    chosen = np.arange(limit) * len(rows) // limit
    rows, places = rows[chosen], places[chosen]
  within = np.arange(x.shape[1])
  # The place of the last START up to each place.
  begins = np.maximum.accumulate(np.where(x == marks.START, within, 0), axis=1)
  first = begins[rows, places]
  found = np.zeros((len(rows), x.shape[1]), np.int32)
  for prefix, row, a, b in zip(found, rows, first, places + 1, strict=True):
    prefix[: b - a] = x[row, a:b]
  return found


def agreement(
  expected: np.ndarray, found: np.ndarray
) -> dict[str, float | None]:
  """Compares what two models say of the same prefixes.

  Args:
    expected: Log probabilities float32[m, vocabulary_size], the original's.
    found: Likewise, of the other.

  Returns:
    same_first, the share of prefixes with the same first suggestion; same_three
    with the same three in the same order; largest_difference of a probability.
    All None without prefixes.
  """
  if not len(expected):
    return dict.fromkeys(('same_first', 'same_three', 'largest_difference'))
  ids, other_ids = (likeliest(s)[0].numpy() for s in (expected, found))
  same = ids == other_ids
  difference = np.abs(np.exp(expected) - np.exp(found))
  return {
    'same_first': float(np.mean(same[:, 0])),
    'same_three': float(np.mean(np.all(same, axis=1))),
    'largest_difference': float(np.max(difference)),
  }
