"""A language model of gated recurrent units."""

from collections.abc import Sequence
import dataclasses

import numpy as np
import tensorflow as tf

from tff_pipelines.core import seeds
from tff_pipelines.models import recurrence, sizes, tied_embedding


@dataclasses.dataclass(frozen=True)
class Gru:
  """Sizes of a GRU with a projection and a tied embedding.

  Attributes:
    vocabulary_size: Tokens, marks included.
    length: Tokens in a row.
    embedding_size: Dimension of a token's vector, to which states are projected
      before they are compared with all of these.
    units: Of the GRU.
  """

  vocabulary_size: int
  length: int
  embedding_size: int = 96
  units: int = 256

  def __post_init__(self) -> None:
    sizes.check(**dataclasses.asdict(self))

  @property
  def name(self) -> str:
    return 'gru'

  @property
  def num_parameters(self) -> int:
    """Number of trained values: v e + 3 u (e + u + 2) + u e + v."""
    v, e, u = self.vocabulary_size, self.embedding_size, self.units
    return v * e + 3 * u * (e + u + 2) + u * e + v

  def initial_weights(self, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Returns embedding [v, e], input kernel [e, 3u], recurrent kernel [u, 3u],
    input bias [3u], recurrent bias [3u] (update, reset, candidate), projection
    [u, e] and output bias [v]."""
    rng = seeds.generator(seed, 'initial weights')
    v, e, u = self.vocabulary_size, self.embedding_size, self.units
    return (
      tied_embedding.initial(rng, v, e),
      tied_embedding.normal(rng, e, 3 * u),
      tied_embedding.normal(rng, u, 3 * u),
      np.zeros(3 * u, np.float32),
      np.zeros(3 * u, np.float32),
      tied_embedding.normal(rng, u, e),
      np.zeros(v, np.float32),
    )

  def logits(
    self,
    weights: Sequence[tf.Tensor],
    tokens: tf.Tensor,
    unrolled: bool = False,
  ) -> tf.Tensor:
    """Returns float32[n, length, vocabulary_size] for int32[n, length]."""
    embedding, kernel, recurrent, bias, state_bias, *output = weights
    projection, output_bias = output
    steps = tf.transpose(tokens)
    vectors = tied_embedding.vectors(embedding, tf.reshape(steps, [-1]))
    projections = tf.reshape(
      tf.matmul(vectors, kernel) + bias, [self.length, -1, 3 * self.units]
    )
    states = recurrence.gru(
      projections,
      recurrent,
      state_bias,
      recurrence.kept(steps),
      unrolled=unrolled,
    )
    projected = tf.reshape(
      tf.matmul(tf.reshape(states, [-1, self.units]), projection),
      [self.length, -1, self.embedding_size],
    )
    return tied_embedding.logits_of_steps(embedding, output_bias, projected)
