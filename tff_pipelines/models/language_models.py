"""Language models: what comes next, at every place of a sequence.

Input `(x, y)`: tokens int32[n, length] and the tokens that follow each of them
int32[n, length]. Token 0 is padding; where y is 0 nothing is predicted. Output:
logits float32[n, length, vocabulary_size]. Loss: mean cross entropy over the
tokens of the batch that are no padding.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import seeds
from tff_pipelines.models import recurrence, sizes, token_metrics


@dataclasses.dataclass(frozen=True)
class CharacterLstm:
  """Sizes of an LSTM that predicts the next character.

  Attributes:
    vocabulary_size: Tokens, padding included.
    length: Tokens in a sequence.
    embedding_size: Dimension of a token's vector.
    units: Of the LSTM.
  """

  vocabulary_size: int
  length: int
  embedding_size: int = 8
  units: int = 128

  def __post_init__(self) -> None:
    sizes.check(**dataclasses.asdict(self))

  @property
  def num_parameters(self) -> int:
    """Number of trained values: v e + 4 u (e + u + 1) + (u + 1) v."""
    v, e, u = self.vocabulary_size, self.embedding_size, self.units
    return v * e + 4 * u * (e + u + 1) + (u + 1) * v

  def initial_weights(self, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Returns embedding [v, e], input kernel [e, 4u], recurrent kernel [u, 4u],
    bias [4u] (gates i, f, g, o; f starts at 1), output kernel [u, v] and output
    bias [v]."""
    rng = seeds.generator(seed, 'initial weights')
    v, e, u = self.vocabulary_size, self.embedding_size, self.units

    def normal(*shape: int) -> np.ndarray:
      scaled = rng.normal(size=shape) / np.sqrt(shape[0])
      return scaled.astype(np.float32)

    embedding = rng.normal(size=(v, e)).astype(np.float32)
    bias = np.repeat(np.float32([0, 1, 0, 0]), u)
    return (
      embedding,
      normal(e, 4 * u),
      normal(u, 4 * u),
      bias,
      normal(u, v),
      np.zeros(v, np.float32),
    )

  def logits(self, weights: Sequence[tf.Tensor], tokens: tf.Tensor) -> Any:
    """Returns float32[n, length, vocabulary_size] for int32[n, length]."""
    embedding, kernel, recurrent, bias, output, output_bias = weights
    # Embedding and input projection in one: a small table of projected tokens,
    # looked up by a product, whose gradient is one, too.
    table = tf.matmul(embedding, kernel) + bias
    chosen = tf.one_hot(tf.transpose(tokens), self.vocabulary_size)
    projections = tf.matmul(
      tf.reshape(chosen, [-1, self.vocabulary_size]), table
    )
    states = recurrence.lstm(
      tf.reshape(projections, [self.length, -1, 4 * self.units]), recurrent
    )
    flat = tf.matmul(tf.reshape(states, [-1, self.units]), output)
    by_step = tf.reshape(
      flat + output_bias, [self.length, -1, self.vocabulary_size]
    )
    return tf.transpose(by_step, [1, 0, 2])


def build_character_lstm(
  chosen: CharacterLstm, seed: int = 0
) -> tff.learning.models.FunctionalModel:
  """Builds the LSTM of McMahan et al. 2017 (section 3), with one layer.

  Args:
    chosen: Sizes of the model.
    seed: Of the initial weights.

  Returns:
    A model of (int32[n, length], int32[n, length]), with `token_metrics`.
  """

  @tf.function
  def predict(weights: Any, x: tf.Tensor, training: bool = True) -> tf.Tensor:
    del training  # Unused.
    return chosen.logits(weights[0], x)

  sequence = tf.TensorSpec([None, chosen.length], tf.int32)
  return tff.learning.models.FunctionalModel(
    initial_weights=(chosen.initial_weights(seed), ()),
    predict_on_batch_fn=predict,
    loss_fn=token_loss,
    metrics_fns=token_metrics.metric_fns(),
    input_spec=(sequence, sequence),
  )


def token_loss(
  output: tf.Tensor, label: tf.Tensor, sample_weight: Any = None
) -> tf.Tensor:
  """Returns the mean cross entropy of the labels that are no padding."""
  del sample_weight  # Unused.
  mask = tf.cast(label > 0, tf.float32)
  losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
    labels=label, logits=output
  )
  return tf.math.divide_no_nan(
    tf.reduce_sum(losses * mask), tf.reduce_sum(mask)
  )
