"""Language models: what comes next, at every place of a sequence.

Input `(x, y)`: tokens int32[n, length] and the tokens that follow each of them
int32[n, length]. Token 0 is padding; where y is 0 nothing is predicted. A row
can hold several sentences: each `tokens.START` in x begins afresh. Output:
logits float32[n, length, vocabulary_size]. Loss: mean cross entropy over the
tokens of the batch that are no padding.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import tokens
from tff_pipelines.models import last_axis, token_metrics


class Architecture(Protocol):
  """The sizes of a language model, and what it computes.

  Attributes:
    name: Of the architecture.
    vocabulary_size: Tokens, marks included.
    length: Tokens in a row.
    num_parameters: Number of trained values.
  """

  @property
  def name(self) -> str: ...

  @property
  def vocabulary_size(self) -> int: ...

  @property
  def length(self) -> int: ...

  @property
  def num_parameters(self) -> int: ...

  def initial_weights(self, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Returns weights that depend on the sizes and the seed only."""

  def logits(
    self,
    weights: Sequence[tf.Tensor],
    tokens: tf.Tensor,
    unrolled: bool = False,
  ) -> tf.Tensor:
    """Returns float32[n, length, vocabulary_size] for int32[n, length].

    Args:
      weights: As `initial_weights` returns them.
      tokens: The rows.
      unrolled: Whether in plain operations, without loops and without gradients
        of its own.
    """


def build(
  architecture: Architecture,
  seed: int = 0,
  first_word: int = tokens.FIRST_WORD,
) -> tff.learning.models.FunctionalModel:
  """Builds a language model.

  Args:
    architecture: What predicts.
    seed: Of the initial weights.
    first_word: The id from which on a token is a word, for the metrics.

  Returns:
    A model of (int32[n, length], int32[n, length]), with `token_metrics`.
  """

  @tf.function
  def predict(weights: Any, x: tf.Tensor, training: bool = True) -> tf.Tensor:
    del training  # Unused.
    return architecture.logits(weights[0], x)

  row = tf.TensorSpec([None, architecture.length], tf.int32)
  return tff.learning.models.FunctionalModel(
    initial_weights=(architecture.initial_weights(seed), ()),
    predict_on_batch_fn=predict,
    loss_fn=token_loss,
    metrics_fns=token_metrics.metric_fns(first_word),
    input_spec=(row, row),
  )


def token_loss(
  output: tf.Tensor, label: tf.Tensor, sample_weight: Any = None
) -> tf.Tensor:
  """Returns the mean cross entropy of the labels that are no padding.

  Has no second gradient.

  Args:
    output: Logits float32[n, length, vocabulary_size].
    label: int32[n, length].
    sample_weight: Unused.
  """
  del sample_weight  # Unused.
  vocabulary_size = output.shape[-1]
  return _token_loss(
    tf.reshape(output, [-1, vocabulary_size]), tf.reshape(label, [-1])
  )


@tf.custom_gradient
def _token_loss(logits: tf.Tensor, labels: tf.Tensor) -> Any:
  """As `token_loss`, of logits [n, vocabulary_size] and labels [n].

  The exponentials serve the loss and its gradient.
  """
  counted = tf.cast(labels > 0, tf.float32)
  share = tf.math.divide_no_nan(counted, tf.reduce_sum(counted))
  highest = last_axis.maximum(logits)
  powers = tf.exp(logits - tf.expand_dims(highest, 1))
  total = last_axis.total(powers)
  of_labels = tf.gather(logits, labels, batch_dims=1)
  losses = tf.math.log(total) + highest - of_labels

  def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    scale = share * upstream
    is_label = tf.equal(tf.expand_dims(labels, 1), tf.range(logits.shape[1]))
    at_label = tf.where(is_label, tf.expand_dims(scale, 1), 0.0)
    return powers * tf.expand_dims(scale / total, 1) - at_label, None

  # A product of 0 and infinity would be no number.
  losses = tf.where(labels > 0, losses, 0.0)
  return tf.reduce_sum(losses * share), gradient
