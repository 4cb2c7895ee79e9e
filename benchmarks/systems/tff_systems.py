"""This package's XLA context, and TFF as in its tutorials."""

import tff_pipelines  # isort: skip  # noqa: F401  (sets the environment first)

import collections
from collections.abc import Mapping
import dataclasses
import os
import pathlib
import tempfile
import types
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import jobs
from tff_pipelines.core import client_batches
from tff_pipelines.data import batching, population
from tff_pipelines.execution import contexts
from tff_pipelines.models import character_lstm, cifg_lstm, language_models

# Of a round's data, from where on files are faster.
_LARGE_BYTES = 2**28


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


def model(job: jobs.Job) -> tff.learning.models.FunctionalModel:
  if isinstance(job.model, jobs.CharacterLstm):
    return language_models.build(
      character_lstm.CharacterLstm(**dataclasses.asdict(job.model))
    )
  if isinstance(job.model, jobs.CifgLstm):
    return language_models.build(
      cifg_lstm.CifgLstm(**dataclasses.asdict(job.model))
    )
  return _mlp(job.model.layers)


def process(job: jobs.Job, **options: Any) -> Any:
  sgd = tff.learning.optimizers.build_sgdm
  return tff.learning.algorithms.build_weighted_fed_avg(
    model(job), sgd(job.learning_rate), sgd(1.0), **options
  )


def batches(job: jobs.Job) -> client_batches.ClientBatches:
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


class _Tff:
  """A learning process on some context; subclasses say which, and the data."""

  options: Mapping[str, Any] = types.MappingProxyType({})

  def __init__(self, job: jobs.Job):
    self._process = process(job, **self.options)
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
    return batches(job)


class Stock(_Tff):
  """TFF as in its tutorials: a tf.data.Dataset a client, default context."""

  def data(self, job: jobs.Job) -> list[tf.data.Dataset]:
    return [
      tf.data.Dataset.from_tensor_slices(client)
      .repeat(job.epochs)
      .batch(job.batch_size)
      for client in job.clients()
    ]


class StockBest(Stock):
  """TFF at its best: its loop over a data set's iterator, a client a core.

  Data sets come from memory, which measured 1.3 to 1.6 times as fast as files
  (and the same on '2nn'), but for large data, which TFF sends along with every
  round: on 'wide' files were 1.7 times as fast.
  """

  options: Mapping[str, Any] = types.MappingProxyType(
    {'loop_implementation': tff.learning.LoopImplementation.DATASET_ITERATOR}
  )

  def __init__(self, job: jobs.Job):
    tff.backends.native.set_sync_local_cpp_execution_context(
      max_concurrent_computation_calls=os.cpu_count() or 1
    )
    super().__init__(job)

  def data(self, job: jobs.Job) -> list[tf.data.Dataset]:
    clients = job.clients()
    if sum(a.nbytes for client in clients for a in client) < _LARGE_BYTES:
      return super().data(job)
    self._folder = tempfile.TemporaryDirectory()
    return [
      _file_dataset(pathlib.Path(self._folder.name) / str(c), client, job)
      for c, client in enumerate(clients)
    ]


def _file_dataset(
  path: pathlib.Path, client: tuple[np.ndarray, ...], job: jobs.Job
) -> tf.data.Dataset:
  """Writes the examples' bytes; returns the data set that reads them."""
  rows = [a.reshape(len(a), -1).view(np.uint8) for a in client]
  np.concatenate(rows, axis=1).tofile(path)

  def parse(records: tf.Tensor) -> tuple[tf.Tensor, ...]:
    parts, start = [], 0
    for row, array in zip(rows, client, strict=True):
      data = tf.strings.substr(records, start, row.shape[1])
      parts.append(
        tf.reshape(tf.io.decode_raw(data, array.dtype), [-1, *array.shape[1:]])
      )
      start += row.shape[1]
    return tuple(parts)

  size = sum(row.shape[1] for row in rows)
  records = tf.data.FixedLengthRecordDataset(str(path), size)
  return records.repeat(job.epochs).batch(job.batch_size).map(parse)
