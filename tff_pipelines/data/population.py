"""Client populations: who has how many examples, and their batches."""

import abc
from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tff_pipelines.core import client_batches, errors, gathered
from tff_pipelines.data import batching as batching_lib


class PopulationError(errors.PipelineError):
  """Clients and examples that do not fit together."""


class ClientPopulation(abc.ABC):
  """Clients with examples, from which cohorts' batches are made.

  Attributes:
    client_ids: Distinct names, in a fixed order.
    sizes: int64[num_clients], examples of each client.
    element_spec: A structure of `tf.TensorSpec`, one example without a batch
      dimension; by convention a pair (x, y).
  """

  client_ids: tuple[str, ...]
  sizes: np.ndarray
  element_spec: Any

  @property
  def num_clients(self) -> int:
    return len(self.client_ids)

  @property
  def num_examples(self) -> int:
    return int(self.sizes.sum())

  @property
  def batch_spec(self) -> Any:
    """The `element_spec` with a leading dimension of unknown size."""
    return tf.nest.map_structure(
      lambda s: tf.TensorSpec([None, *s.shape], s.dtype), self.element_spec
    )

  @abc.abstractmethod
  def examples(self, client: int, rows: np.ndarray | None = None) -> Any:
    """Returns arrays [len(rows), ...] of one client's examples (all if None).

    The structure is that of `element_spec`.
    """

  def gather(self, clients: Sequence[int], rows: Sequence[np.ndarray]) -> Any:
    """Returns the chosen rows of several clients, one after the other."""
    parts = [self.examples(c, r) for c, r in zip(clients, rows, strict=True)]
    return tf.nest.map_structure(lambda *p: np.concatenate(p), *parts)

  def batches(
    self,
    clients: Sequence[int] | np.ndarray,
    batching: batching_lib.Batching,
    *,
    seed: int,
    round_num: int,
  ) -> client_batches.ClientBatches:
    """Returns the batches of chosen clients in one round.

    A pure function of its arguments. The batches of a client do not depend on
    who else was chosen.
    """
    clients = [int(c) for c in clients]
    ids = tuple(self.client_ids[c] for c in clients)
    orders = [
      batching.order(
        int(self.sizes[c]), seed=seed, round_num=round_num, client_id=name
      )
      for c, name in zip(clients, ids, strict=True)
    ]
    lengths = np.array([len(o) for o in orders], np.int64)
    counts = -(-lengths // batching.batch_size)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    num_batches = int(offsets[-1])
    batch_sizes = np.full(num_batches, batching.batch_size, np.int32)
    nonempty = counts > 0
    batch_sizes[offsets[1:][nonempty] - 1] = (
      lengths - (counts - 1) * batching.batch_size
    )[nonempty]
    is_example = np.arange(batching.batch_size) < batch_sizes[:, np.newaxis]
    return client_batches.ClientBatches(
      self._elements(clients, orders, is_example),
      batch_sizes,
      offsets.astype(np.int32),
      ids,
    )

  def _elements(
    self,
    clients: Sequence[int],
    orders: Sequence[np.ndarray],
    is_example: np.ndarray,
  ) -> Any:
    """Returns arrays [num_batches, batch_size, ...], padded with zeros.

    They are gathered when they are read; what they are gathered from is in
    memory, each example once.

    Args:
      clients: Whose examples.
      orders: Which of each client's examples, in order.
      is_example: bool[num_batches, batch_size], False where it is padded.
    """
    # Each example once, however many epochs visit it.
    distinct, places, count = [], [np.zeros(0, np.int64)], 0
    for order in orders:
      rows, inverse = np.unique(order, return_inverse=True)
      distinct.append(rows)
      places.append(inverse + count)
      count += len(rows)
    chosen = np.full(is_example.shape, -1, np.int64)
    chosen[is_example] = np.concatenate(places)
    if count:
      examples = self.gather(clients, distinct)
    else:
      examples = tf.nest.map_structure(
        lambda s: np.zeros([0, *s.shape], s.dtype.as_numpy_dtype),
        self.element_spec,
      )
    return tf.nest.map_structure(
      lambda a: gathered.GatheredBatches(a, chosen), examples
    )

  def pooled(self) -> 'ClientPopulation':
    """Returns one client, `everyone`, who holds what all clients hold."""
    return PooledPopulation(self)


class PooledPopulation(ClientPopulation):
  """One client, `everyone`, with the examples of all clients of a population.

  They are in the order of the clients, and read from the population when they
  are asked for.
  """

  def __init__(self, base: ClientPopulation):
    self._base = base
    self._ends = np.cumsum(base.sizes)
    self.client_ids = ('everyone',)
    self.sizes = np.array([base.num_examples], np.int64)
    self.element_spec = base.element_spec

  def examples(self, client: int, rows: np.ndarray | None = None) -> Any:
    """See base class."""
    del client  # There is but one.
    if rows is None:
      rows = np.arange(self.num_examples)
    if not len(rows):
      return self._base.examples(0, np.zeros(0, np.int64))
    order = np.argsort(rows, kind='stable')
    ascending = np.asarray(rows)[order]
    # The owner of a row: the first client who ends behind it.
    owners, firsts = np.unique(
      np.searchsorted(self._ends, ascending, side='right'), return_index=True
    )
    begins = self._ends[owners] - self._base.sizes[owners]
    found = self._base.gather(
      [int(c) for c in owners],
      [
        own - begin
        for own, begin in zip(
          np.split(ascending, firsts[1:]), begins, strict=True
        )
      ],
    )
    places = np.argsort(order)  # Of the rows asked for, among those found.
    return tf.nest.map_structure(lambda a: a[places], found)


class ArrayPopulation(ClientPopulation):
  """A population in memory: arrays of all examples, and who owns which row."""

  def __init__(self, examples: Any, rows_by_client: Mapping[str, np.ndarray]):
    """Initializes the population.

    Args:
      examples: A structure of arrays [num_examples, ...].
      rows_by_client: For each client the rows of its examples. A row can be in
        several clients or in none.

    Raises:
      PopulationError: If components differ in length or there is no client.
    """
    components = tf.nest.flatten(examples)
    lengths = sorted({len(c) for c in components})
    if len(lengths) != 1:
      raise PopulationError(
        'Expected every component to have the same number of examples, '
        f'found {", ".join(map(str, lengths))}.'
      )
    if not rows_by_client:
      raise PopulationError('Expected at least one client, found none.')
    self.client_ids = tuple(rows_by_client)
    self._rows = [np.asarray(r, np.int64) for r in rows_by_client.values()]
    self._examples = examples
    self.sizes = np.array([len(r) for r in self._rows], np.int64)
    self.element_spec = tf.nest.map_structure(
      lambda a: tf.TensorSpec(a.shape[1:], a.dtype), examples
    )

  def examples(self, client: int, rows: np.ndarray | None = None) -> Any:
    owned = self._rows[client]
    return self._take(owned if rows is None else owned[rows])

  def gather(self, clients: Sequence[int], rows: Sequence[np.ndarray]) -> Any:
    return self._take(self._chosen(clients, rows))

  def _chosen(
    self, clients: Sequence[int], rows: Sequence[np.ndarray]
  ) -> np.ndarray:
    chosen = [self._rows[c][r] for c, r in zip(clients, rows, strict=True)]
    return np.concatenate([np.zeros(0, np.int64), *chosen])

  def _elements(
    self,
    clients: Sequence[int],
    orders: Sequence[np.ndarray],
    is_example: np.ndarray,
  ) -> Any:
    """As `ClientPopulation._elements`, gathered when they are read."""
    rows = np.full(is_example.shape, -1, np.int64)
    rows[is_example] = self._chosen(clients, orders)
    return tf.nest.map_structure(
      lambda a: gathered.GatheredBatches(a, rows), self._examples
    )

  def pooled(self) -> 'ArrayPopulation':
    """See base class."""
    return ArrayPopulation(
      self._examples, {'everyone': np.concatenate(self._rows)}
    )

  def _take(self, rows: np.ndarray) -> Any:
    return tf.nest.map_structure(lambda a: a[rows], self._examples)


@dataclasses.dataclass(frozen=True)
class FederatedDataset:
  """A training and a test population with what a report says of them.

  Attributes:
    name: The data set's name, as the flag gives it.
    train: Clients with the examples they train on.
    test: Clients with held-out examples.
    label_names: Names of the labels 0, 1, ...
    provenance: Plain values for manifest.json: source, checksums, licence,
      split, partition, features.
  """

  name: str
  train: ClientPopulation
  test: ClientPopulation
  label_names: tuple[str, ...]
  provenance: Mapping[str, Any]
