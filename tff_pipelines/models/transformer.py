"""A small decoder-only transformer."""

from collections.abc import Sequence
import dataclasses

import numpy as np
import tensorflow as tf

from tff_pipelines.core import seeds
from tff_pipelines.core import tokens as marks
from tff_pipelines.models import sizes, tied_embedding

_EPSILON = 1e-5
# Low enough that its power is 0, high enough to be a number.
_HIDDEN = -1e9


@dataclasses.dataclass(frozen=True)
class Transformer:
  """Sizes of a transformer with a tied embedding.

  Blocks are normalized before attention and before the two dense layers (Xiong
  et al. 2020, figure 1b); positions are learned and counted from the start of
  the sentence. A place sees itself and what is before it in its own sentence.

  Reference: Vaswani et al. 2017, sections 3.2 and 3.3; Radford et al. 2019,
  section 2.3. Deviation: no dropout.

  Attributes:
    vocabulary_size: Tokens, marks included.
    length: Tokens in a row.
    embedding_size: Dimension of every state; a multiple of heads.
    heads: Of attention.
    layers: Blocks.
    hidden: Units between the two dense layers of a block.
  """

  vocabulary_size: int
  length: int
  embedding_size: int = 96
  heads: int = 4
  layers: int = 2
  hidden: int = 384

  def __post_init__(self) -> None:
    sizes.check(**dataclasses.asdict(self))
    if self.embedding_size % self.heads:
      raise sizes.ModelSizeError(
        f'Expected an embedding_size that is a multiple of the {self.heads} '
        f'heads, found {self.embedding_size}.'
      )

  @property
  def name(self) -> str:
    return 'transformer'

  @property
  def num_parameters(self) -> int:
    """Number of trained values.

    v e + length e + layers (4 e e + 2 e h + 8 e + h) + 2 e + v.
    """
    v, e, h = self.vocabulary_size, self.embedding_size, self.hidden
    block = 4 * e * e + 2 * e * h + 8 * e + h
    return (v + self.length) * e + self.layers * block + 2 * e + v

  def initial_weights(self, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Returns embedding [v, e], positions [length, e]; for each block scale and
    shift [e], queries, keys and values [e, 3e] and their bias [3e], output [e,
    e], scale and shift [e], dense [e, h], [h], [h, e] with a last bias [e];
    then scale and shift [e] and output bias [v]."""
    rng = seeds.generator(seed, 'initial weights')
    v, e, h = self.vocabulary_size, self.embedding_size, self.hidden
    normal = tied_embedding.normal

    def unscaled() -> list[np.ndarray]:
      return [np.ones(e, np.float32), np.zeros(e, np.float32)]

    weights = [
      tied_embedding.initial(rng, v, e),
      normal(rng, e, self.length).T.copy(),
    ]
    # What blocks add starts smaller the more there are (Radford et al. 2019).
    share = np.float32(1 / np.sqrt(2 * self.layers))
    for _ in range(self.layers):
      weights += [*unscaled(), normal(rng, e, 3 * e), np.zeros(3 * e, 'f4')]
      weights += [normal(rng, e, e) * share, *unscaled()]
      weights += [normal(rng, e, h), np.zeros(h, 'f4')]
      weights += [normal(rng, h, e) * share, np.zeros(e, 'f4')]
    return (*weights, *unscaled(), np.zeros(v, np.float32))

  def logits(
    self,
    weights: Sequence[tf.Tensor],
    tokens: tf.Tensor,
    unrolled: bool = False,
  ) -> tf.Tensor:
    """Returns float32[n, length, vocabulary_size] for int32[n, length]."""
    del unrolled  # It has no loop.
    embedding, positions, *blocks, scale, shift, output_bias = weights
    seen = _seen(tokens)
    place = tf.cast(tf.reduce_sum(seen, axis=-1), tf.int32) - 1
    states = tf.add_n(
      [
        tied_embedding.vectors(embedding, tokens),
        tied_embedding.vectors(positions, place),
      ]
    )
    states = tf.reshape(states, [-1, self.embedding_size])
    hidden = tf.expand_dims((1 - seen) * _HIDDEN, 1)  # [n, 1, length, length]
    count = len(blocks) // self.layers
    for k in range(self.layers):
      states = self._block(states, hidden, blocks[k * count : (k + 1) * count])
    states = tf.reshape(
      _normalized(states, scale, shift),
      [-1, self.length, self.embedding_size],
    )
    return tied_embedding.logits(embedding, output_bias, states)

  def _block(
    self,
    states: tf.Tensor,
    hidden: tf.Tensor,
    weights: Sequence[tf.Tensor],
  ) -> tf.Tensor:
    """Returns the next states float32[n * length, embedding_size]."""
    scale, shift, kernel, bias, output, *dense = weights
    inputs = _normalized(states, scale, shift)
    seen = self._attention(tf.matmul(inputs, kernel) + bias, hidden)
    states = tf.add_n([states, tf.matmul(seen, output)])
    scale, shift, kernel, bias, output, output_bias = dense
    inputs = _normalized(states, scale, shift)
    units = tf.nn.relu(tf.matmul(inputs, kernel) + bias)
    return tf.add_n([states, tf.matmul(units, output) + output_bias])

  def _attention(self, projected: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Returns float32[n * length, embedding_size] of queries, keys, values."""
    size = self.embedding_size // self.heads
    by_head = tf.transpose(
      tf.reshape(projected, [-1, self.length, 3, self.heads, size]),
      [2, 0, 3, 1, 4],
    )  # [3, n, heads, length, size]
    queries, keys, values = tf.unstack(by_head)
    scores = tf.matmul(queries, keys, transpose_b=True) / np.sqrt(float(size))
    mixed = tf.matmul(tf.nn.softmax(scores + hidden), values)
    return tf.reshape(
      tf.transpose(mixed, [0, 2, 1, 3]), [-1, self.embedding_size]
    )


def _seen(tokens: tf.Tensor) -> tf.Tensor:
  """Returns float32[n, length, length], 1 where a place sees another one."""
  length = tokens.shape[1]
  earlier = np.tril(np.ones([length, length], np.float32))
  starts = tf.cast(tf.equal(tokens, marks.START), tf.float32)
  # A product, because XLA compiles cumulative sums badly.
  sentence = tf.matmul(starts, earlier, transpose_b=True)
  same = tf.equal(tf.expand_dims(sentence, 2), tf.expand_dims(sentence, 1))
  return tf.cast(same, tf.float32) * earlier


def _normalized(
  states: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
) -> tf.Tensor:
  """Returns states with a mean of 0 and a variance of 1, scaled and shifted."""
  centered = states - tf.reduce_mean(states, axis=-1, keepdims=True)
  variance = tf.reduce_mean(centered * centered, axis=-1, keepdims=True)
  return centered * tf.math.rsqrt(variance + _EPSILON) * scale + shift
