"""This package's XLA context, and TFF as in its tutorials."""

import tff_pipelines  # isort: skip  # noqa: F401  (sets the environment first)

import collections
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import jobs
from tff_pipelines.core import client_batches
from tff_pipelines.data import batching, population
from tff_pipelines.execution import contexts
from tff_pipelines.models import language_models


def _mlp(layers: tuple[int, ...]) -> Any:
  """Returns the model as TFF's tutorials make it."""

  def keras_model() -> tf.keras.Model:
    *hidden, outputs = layers[1:]
    stack = [tf.keras.layers.InputLayer((layers[0],))]
    stack += [tf.keras.layers.Dense(n, activation='relu') for n in hidden]
    return tf.keras.Sequential([*stack, tf.keras.layers.Dense(outputs)])

  return tff.learning.models.functional_model_from_keras(
    keras_model,
    tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    (
      tf.TensorSpec([None, layers[0]], tf.float32),
      tf.TensorSpec([None], tf.int32),
    ),
    collections.OrderedDict(
      accuracy=tf.keras.metrics.SparseCategoricalAccuracy
    ),
  )


def _process(job: jobs.Job) -> Any:
  if isinstance(job.model, jobs.CharacterLstm):
    sizes = dataclasses.asdict(job.model)
    model = language_models.build_character_lstm(
      language_models.CharacterLstm(**sizes)
    )
  else:
    model = _mlp(job.model.layers)
  sgd = tff.learning.optimizers.build_sgdm
  return tff.learning.algorithms.build_weighted_fed_avg(
    model, sgd(job.learning_rate), sgd(1.0)
  )


class _Tff:
  """A learning process on some context; subclasses say which, and the data."""

  def __init__(self, job: jobs.Job):
    self._process = _process(job)
    state = self._process.initialize()
    self._state = self._process.set_model_weights(
      state, tff.learning.models.ModelWeights(tuple(job.model.weights()), ())
    )
    self._data = self.data(job)

  def data(self, job: jobs.Job) -> Any:
    raise NotImplementedError

  def round(self) -> None:
    self._state = self._process.next(self._state, self._data).state

  def weights(self) -> list[np.ndarray]:
    return list(self._process.get_model_weights(self._state).trainable)


class This(_Tff):
  """This package: ClientBatches on the XLA context."""

  def __init__(self, job: jobs.Job):
    contexts.install('xla')
    super().__init__(job)

  def data(self, job: jobs.Job) -> client_batches.ClientBatches:
    clients = job.clients()
    ends = np.cumsum([len(y) for _, y in clients])
    people = population.ArrayPopulation(
      tuple(np.concatenate(parts) for parts in zip(*clients, strict=True)),
      {
        f'{c}': np.arange(end - len(y), end)
        for c, (end, (_, y)) in enumerate(zip(ends, clients, strict=True))
      },
    )
    return people.batches(
      range(len(clients)),
      batching.Batching(job.batch_size, job.epochs, shuffle=False),
      seed=0,
      round_num=1,
    )


class Stock(_Tff):
  """TFF as in its tutorials: a tf.data.Dataset a client, default context."""

  def data(self, job: jobs.Job) -> list[tf.data.Dataset]:
    return [
      tf.data.Dataset.from_tensor_slices(client)
      .repeat(job.epochs)
      .batch(job.batch_size)
      for client in job.clients()
    ]
