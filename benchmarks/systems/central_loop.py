"""Central training by hand: one compiled loop over all batches.

The rate that a federated round is measured against: no clients, no metrics, no
framework. The batches of all clients are pooled, so that none is short.
"""

import tff_pipelines  # isort: skip  # noqa: F401  (sets the environment first)

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import jobs
from tff_pipelines.models import cifg_lstm, language_models


class CentralLoop:
  """SGD over the rows of all clients in a loop of XLA, all cores a product."""

  threads: int | None = None

  def __init__(self, job: jobs.Job):
    if self.threads:
      tf.config.threading.set_intra_op_parallelism_threads(self.threads)
    architecture = cifg_lstm.CifgLstm(**dataclasses.asdict(job.model))
    x, y = (np.concatenate(a) for a in zip(*job.clients(), strict=True))
    count = len(x) // job.batch_size
    shape = [count, job.batch_size, job.model.length]
    x, y = (a[: count * job.batch_size].reshape(shape) for a in (x, y))
    self.num_tokens = x.size
    self._data = [tf.constant(x), tf.constant(y)]
    self._weights = [tf.constant(w) for w in job.model.weights()]

    def step(k: tf.Tensor, xs: Any, ys: Any, *weights: tf.Tensor) -> Any:
      weights = list(weights)
      with tf.GradientTape() as tape:
        tape.watch(weights)
        logits = architecture.logits(weights, xs.read(k))
        loss = language_models.token_loss(logits, ys.read(k))
      gradients = tape.gradient(loss, weights)
      new = [
        w - job.learning_rate * tf.convert_to_tensor(g)
        for w, g in zip(weights, gradients, strict=True)
      ]
      return (k + 1, xs, ys, *new)

    @tf.function(jit_compile=True)
    def train(x: tf.Tensor, y: tf.Tensor, *weights: tf.Tensor) -> Any:
      xs, ys = (
        tf.TensorArray(tf.int32, count, element_shape=shape[1:]).unstack(a)
        for a in (x, y)
      )
      _, _, _, *new = tf.while_loop(
        lambda k, *_: k < count, step, (0, xs, ys, *weights)
      )
      return new

    self._train = train

  def round(self) -> None:
    self._weights = self._train(*self._data, *self._weights)
    self._weights[0].numpy()

  def weights(self) -> list[np.ndarray]:
    return [w.numpy() for w in self._weights]


class CentralLoopOneThread(CentralLoop):
  """The same on one thread."""

  threads = 1


class SquareProduct:
  """The machine's rate: a product of large square matrices on all cores."""

  size = 2048

  def __init__(self, job: jobs.Job):
    del job  # Of every job the same.
    self._left, self._right = tf.random.normal([2, self.size, self.size])
    self._product = tf.function(tf.matmul, jit_compile=True)
    self.flops = 2 * self.size**3

  def round(self) -> None:
    self._product(self._left, self._right)[0, 0].numpy()

  def weights(self) -> list[np.ndarray]:
    return []


class OutputProduct(SquareProduct):
  """The rate of the model's largest product: a batch's states and all words."""

  def __init__(self, job: jobs.Job):
    size, model = job.batch_size * job.model.length, job.model
    self._left = tf.random.normal([size, model.embedding_size])
    self._right = tf.random.normal(
      [model.embedding_size, model.vocabulary_size]
    )
    self._product = tf.function(tf.matmul, jit_compile=True)
