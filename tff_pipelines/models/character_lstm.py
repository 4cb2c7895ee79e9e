"""The character model of the federated learning papers."""

from collections.abc import Sequence
import dataclasses

import numpy as np
import tensorflow as tf

from tff_pipelines.core import seeds
from tff_pipelines.models import recurrence, sizes


@dataclasses.dataclass(frozen=True)
class CharacterLstm:
  """Sizes of an LSTM that predicts the next character.

  Reference: McMahan et al. 2017, section 3 (embeddings of 8, two layers of 256
  units).

  Attributes:
    vocabulary_size: Tokens, marks included.
    length: Tokens in a row.
    embedding_size: Dimension of a token's vector.
    units: Of each layer.
    layers: How many LSTMs, each over the states of the one before.
  """

  vocabulary_size: int
  length: int
  embedding_size: int = 8
  units: int = 128
  layers: int = 1

  def __post_init__(self) -> None:
    sizes.check(**dataclasses.asdict(self))

  @property
  def name(self) -> str:
    return 'character_lstm'

  @property
  def num_parameters(self) -> int:
    """Number of trained values.

    v e + 4 u (e + u + 1) + (layers - 1) 4 u (2 u + 1) + (u + 1) v.
    """
    v, e, u = self.vocabulary_size, self.embedding_size, self.units
    first, later = 4 * u * (e + u + 1), 4 * u * (2 * u + 1)
    return v * e + first + (self.layers - 1) * later + (u + 1) * v

  def initial_weights(self, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Returns embedding [v, e], for each layer input kernel [e or u, 4u],
    recurrent kernel [u, 4u] and bias [4u] (gates i, f, g, o; f starts at 1),
    then output kernel [u, v] and output bias [v]."""
    rng = seeds.generator(seed, 'initial weights')
    v, e, u = self.vocabulary_size, self.embedding_size, self.units

    def normal(*shape: int) -> np.ndarray:
      scaled = rng.normal(size=shape) / np.sqrt(shape[0])
      return scaled.astype(np.float32)

    weights = [rng.normal(size=(v, e)).astype(np.float32)]
    bias = np.repeat(np.float32([0, 1, 0, 0]), u)
    for inputs in [e, *[u] * (self.layers - 1)]:
      weights += [normal(inputs, 4 * u), normal(u, 4 * u), bias.copy()]
    return (*weights, normal(u, v), np.zeros(v, np.float32))

  def logits(
    self,
    weights: Sequence[tf.Tensor],
    tokens: tf.Tensor,
    unrolled: bool = False,
  ) -> tf.Tensor:
    """Returns float32[n, length, vocabulary_size] for int32[n, length]."""
    embedding, kernel, recurrent, bias, *later, output, output_bias = weights
    # Embedding and input projection in one: a small table of projected tokens,
    # looked up by a product, whose gradient is one, too.
    table = tf.matmul(embedding, kernel) + bias
    chosen = tf.one_hot(tf.transpose(tokens), self.vocabulary_size)
    projections = tf.matmul(
      tf.reshape(chosen, [-1, self.vocabulary_size]), table
    )
    states = self._layer(projections, recurrent, unrolled)
    for k in range(0, len(later), 3):
      kernel, recurrent, bias = later[k : k + 3]
      states = self._layer(
        tf.matmul(states, kernel) + bias, recurrent, unrolled
      )
    by_step = tf.reshape(
      tf.matmul(states, output) + output_bias,
      [self.length, -1, self.vocabulary_size],
    )
    return tf.transpose(by_step, [1, 0, 2])

  def _layer(
    self, projections: tf.Tensor, recurrent: tf.Tensor, unrolled: bool
  ) -> tf.Tensor:
    """Returns states [length * n, units] for [length * n, 4 * units]."""
    states = recurrence.lstm(
      tf.reshape(projections, [self.length, -1, 4 * self.units]),
      recurrent,
      unrolled=unrolled,
    )
    return tf.reshape(states, [-1, self.units])
