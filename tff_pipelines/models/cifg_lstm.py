"""The recurrent model of mobile keyboards."""

from collections.abc import Sequence
import dataclasses

import numpy as np
import tensorflow as tf

from tff_pipelines.core import seeds
from tff_pipelines.models import recurrence, sizes, tied_embedding


@dataclasses.dataclass(frozen=True)
class CifgLstm:
  """Sizes of an LSTM with coupled gates, a projection and a tied embedding.

  Reference: Hard et al. 2018, section 3.1: 10,000 words, embeddings of 96 and
  670 units make 1.4 million parameters. The input embedding and the output
  kernel are the same matrix, so the projection has the embedding's size.

  Attributes:
    vocabulary_size: Tokens, marks included.
    length: Tokens in a row.
    embedding_size: Dimension of a token's vector and of the projection.
    units: Of the LSTM.
  """

  vocabulary_size: int
  length: int
  embedding_size: int = 96
  units: int = 670

  def __post_init__(self) -> None:
    sizes.check(**dataclasses.asdict(self))

  @property
  def name(self) -> str:
    return 'cifg_lstm'

  @property
  def num_parameters(self) -> int:
    """Number of trained values: v e + 3 u (2 e + 1) + u e + v."""
    v, e, u = self.vocabulary_size, self.embedding_size, self.units
    return v * e + 3 * u * (2 * e + 1) + u * e + v

  def initial_weights(self, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Returns embedding [v, e], input kernel [e, 3u], recurrent kernel [e, 3u],
    bias [3u] (gates f, g, o; f starts at 1), projection [u, e] and output bias
    [v]."""
    rng = seeds.generator(seed, 'initial weights')
    v, e, u = self.vocabulary_size, self.embedding_size, self.units
    return (
      tied_embedding.initial(rng, v, e),
      tied_embedding.normal(rng, e, 3 * u),
      tied_embedding.normal(rng, e, 3 * u),
      np.repeat(np.float32([1, 0, 0]), u),
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
    embedding, kernel, recurrent, bias, projection, output_bias = weights
    steps = tf.transpose(tokens)
    vectors = tied_embedding.vectors(embedding, tf.reshape(steps, [-1]))
    projections = tf.reshape(
      tf.matmul(vectors, kernel) + bias, [self.length, -1, 3 * self.units]
    )
    states = recurrence.cifg_lstm(
      projections,
      recurrent,
      projection,
      recurrence.kept(steps),
      unrolled=unrolled,
    )
    return tied_embedding.logits_of_steps(embedding, output_bias, states)
