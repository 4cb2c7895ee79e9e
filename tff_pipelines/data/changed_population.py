"""Populations made of another: some of its clients, or one with other data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tff_pipelines.core import client_batches
from tff_pipelines.data import batching as batching_lib
from tff_pipelines.data import population


class SubsetPopulation(population.ClientPopulation):
  """Some clients of a population, with the batches that they have there."""

  def __init__(self, base: population.ClientPopulation, clients: np.ndarray):
    """Initializes the population.

    Args:
      base: All clients.
      clients: Which of them, int64[n] or bool[num_clients].

    Raises:
      PopulationError: If it is none.
    """
    self._base = base
    self._clients = np.arange(base.num_clients)[clients]
    if not len(self._clients):
      raise population.PopulationError('Expected some clients, found none.')
    self.client_ids = tuple(base.client_ids[c] for c in self._clients)
    self.sizes = base.sizes[self._clients]
    self.element_spec = base.element_spec

  def examples(self, client: int, rows: np.ndarray | None = None) -> Any:
    """See base class."""
    return self._base.examples(self._clients[client], rows)

  def batches(
    self,
    clients: Sequence[int] | np.ndarray,
    batching: batching_lib.Batching,
    *,
    seed: int,
    round_num: int,
  ) -> client_batches.ClientBatches:
    """See base class."""
    chosen = self._clients[np.asarray(clients, np.int64)]
    return self._base.batches(chosen, batching, seed=seed, round_num=round_num)


class ReplacedPopulation(population.ClientPopulation):
  """A population in which one client has other examples, or none.

  Attributes:
    client: The client.
  """

  def __init__(
    self, base: population.ClientPopulation, client: int, examples: Any
  ):
    """Initializes the population.

    Args:
      base: The population.
      client: Who has other examples.
      examples: They, arrays [n, ...] in the structure of the `element_spec`; n
        can be 0: the client takes part with nothing to say.
    """
    self._base = base
    self.client = client
    self._examples = examples
    self.client_ids = base.client_ids
    self.element_spec = base.element_spec
    self.sizes = base.sizes.copy()
    self.sizes[client] = len(tf.nest.flatten(examples)[0])

  def examples(self, client: int, rows: np.ndarray | None = None) -> Any:
    """See base class."""
    if client != self.client:
      return self._base.examples(client, rows)
    chosen = slice(None) if rows is None else rows
    return tf.nest.map_structure(lambda a: a[chosen], self._examples)
