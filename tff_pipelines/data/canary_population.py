"""A population with canary clients in it, for audits of privacy."""

import collections
from typing import Any

import numpy as np
import tensorflow as tf

from tff_pipelines.data import population


class CanaryPopulation(population.ClientPopulation):
  """The clients of a population, then canaries, as `models.canaries` reads.

  An example is `(OrderedDict(features=x, canary=int32), y)` of the population's
  (x, y): canary is 0 for its own clients. A canary has one example, all zeros
  but for its number, from 1.

  Attributes:
    base: The population without canaries.
  """

  def __init__(self, base: population.ClientPopulation, num_canaries: int):
    """Initializes the population.

    Args:
      base: The clients that train.
      num_canaries: How many canaries come after them.

    Raises:
      PopulationError: If there is no canary.
    """
    if num_canaries < 1:
      raise population.PopulationError(
        f'Expected at least 1 canary, found {num_canaries}.'
      )
    self.base = base
    names = tuple(f'canary {k}' for k in range(num_canaries))
    self.client_ids = base.client_ids + names
    self.sizes = np.concatenate([base.sizes, np.ones(num_canaries, np.int64)])
    x, y = base.element_spec
    self.element_spec = (
      collections.OrderedDict(features=x, canary=tf.TensorSpec([], tf.int32)),
      y,
    )

  def is_canary(self, clients: np.ndarray) -> np.ndarray:
    """Whether clients, int64[n], are canaries, bool[n]."""
    return np.asarray(clients) >= self.base.num_clients

  def canaries(self, clients: np.ndarray) -> np.ndarray:
    """Returns the indices of the canaries among clients, int64[m]."""
    clients = np.asarray(clients)
    return clients[self.is_canary(clients)] - self.base.num_clients

  def examples(self, client: int, rows: np.ndarray | None = None) -> Any:
    """See base class."""
    if client < self.base.num_clients:
      x, y = self.base.examples(client, rows)
      return self._marked(x, y, 0)
    count = 1 if rows is None else len(rows)
    x, y = tf.nest.map_structure(
      lambda s: np.zeros([count, *s.shape], s.dtype.as_numpy_dtype),
      self.base.element_spec,
    )
    return self._marked(x, y, client - self.base.num_clients + 1)

  def _marked(self, x: Any, y: Any, number: int) -> Any:
    count = len(tf.nest.flatten(y)[0])
    marks = np.full(count, number, np.int32)
    return (collections.OrderedDict(features=x, canary=marks), y)
