"""How surprised a language model is by each of many rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

# Rows at a time: bounds memory. The last ones are filled up, so that a program
# is compiled once.
_ROWS = 64


def compute(
  model: tff.learning.models.FunctionalModel,
  weights: Sequence[Any],
  x: np.ndarray,
  y: np.ndarray,
) -> np.ndarray:
  """Returns float64[n], the log-perplexity of each row.

  That is the sum of -log p(y[t] | x[0..t]) over the places with a label, in
  nats: the rank among such sums is what exposure is made of (Carlini et al.
  2019, "The Secret Sharer", section 4.1).

  Args:
    model: A language model, as `language_models.build` returns it.
    weights: Its trained weights.
    x: int32[n, length].
    y: int32[n, length]; 0 where nothing is predicted.
  """

  @tf.function(jit_compile=True)
  def losses(trainable: Any, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    logits = model.predict_on_batch((trainable, ()), x, training=False)
    of_places = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
    return tf.reduce_sum(tf.where(y > 0, of_places, 0.0), axis=1)

  trainable = tuple(tf.constant(w) for w in weights)
  found = []
  for first in range(0, len(x), _ROWS):
    padding = [(0, max(0, first + _ROWS - len(x))), (0, 0)]
    rows = slice(first, first + _ROWS)
    found.append(
      losses(
        trainable,
        tf.constant(np.pad(x[rows], padding)),
        tf.constant(np.pad(y[rows], padding)),
      ).numpy()
    )
  return np.concatenate([np.zeros(0), *found])[: len(x)].astype(np.float64)
