"""One matrix for what a token means as an input and as an output.

Reference: Press and Wolf 2017, section 2; Vaswani et al. 2017, section 3.4 (the
factor sqrt(size) of the inputs, which makes both uses of the size of 1).
"""

import numpy as np
import tensorflow as tf


def initial(
  rng: np.random.Generator, vocabulary_size: int, size: int
) -> np.ndarray:
  """Returns float32[vocabulary_size, size], rows of a length of about 1."""
  return normal(rng, size, vocabulary_size).T.copy()


def normal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
  """Returns a kernel float32[rows, columns] that keeps the size of inputs."""
  scaled = rng.normal(size=(rows, columns)) / np.sqrt(rows)
  return scaled.astype(np.float32)


def vectors(embedding: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
  """Returns float32[..., size], the vectors of tokens int32[...]."""
  return tf.gather(embedding, tokens) * np.sqrt(float(embedding.shape[1]))


def logits(
  embedding: tf.Tensor, bias: tf.Tensor, states: tf.Tensor
) -> tf.Tensor:
  """Returns float32[n, length, vocabulary_size] of states [n, length, size]."""
  vocabulary_size, size = embedding.shape
  flat = tf.matmul(tf.reshape(states, [-1, size]), embedding, transpose_b=True)
  return tf.reshape(flat + bias, [-1, states.shape[1], vocabulary_size])


def logits_of_steps(
  embedding: tf.Tensor, bias: tf.Tensor, states: tf.Tensor
) -> tf.Tensor:
  """As `logits`, of states [length, n, size].

  Rows are made of the states: the logits are a hundred times larger.
  """
  rows = tf.ensure_shape(
    tf.transpose(states, [1, 0, 2]), [None, states.shape[0], states.shape[2]]
  )
  return logits(embedding, bias, rows)
