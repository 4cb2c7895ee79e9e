"""Dealing examples to clients: alike, by label, by size, by a column."""

from collections.abc import Sequence
import dataclasses
from typing import Literal, get_args

import numpy as np

from tff_pipelines.core import errors, seeds

Scheme = Literal['iid', 'dirichlet', 'k_labels', 'log_normal']


class PartitionError(errors.PipelineError):
  """A partition that cannot be made from these examples."""


@dataclasses.dataclass(frozen=True)
class Partitioner:
  """Deals examples to a number of clients; each example to exactly one.

  Attributes:
    num_clients: How many clients; named client_0000 and so on.
    scheme: One of
      `iid`: shuffled and cut into parts of equal size (up to one);
      `dirichlet`: each label's examples are dealt in proportions drawn from a
        symmetric Dirichlet distribution over the clients (Yurochkin et al.
        2019, section 4.1), so label mixes and sizes are both skewed;
      `k_labels`: sorted by label and cut into `labels_per_client` shards a
        client, dealt at random (McMahan et al. 2017, section 3);
      `log_normal`: shuffled, sizes proportional to exp(sigma * normal).
    alpha: Concentration for `dirichlet`; small is more uneven.
    labels_per_client: Shards a client for `k_labels`.
    sigma: Spread of the sizes for `log_normal`.
  """

  num_clients: int
  scheme: Scheme = 'iid'
  alpha: float = 0.3
  labels_per_client: int = 2
  sigma: float = 1.0

  def __post_init__(self) -> None:
    if self.scheme not in get_args(Scheme):
      raise PartitionError(
        f'Expected a partition out of {", ".join(get_args(Scheme))}, found '
        f'{self.scheme!r}.'
      )
    for name in ('num_clients', 'alpha', 'labels_per_client', 'sigma'):
      if not getattr(self, name) > 0:
        raise PartitionError(
          f'Expected {name} above 0, found {getattr(self, name)}.'
        )

  def partition(self, labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Returns the rows of each client, at least one each.

    Args:
      labels: int[num_examples].
      seed: The run's seed.

    Raises:
      PartitionError: If there are fewer examples than clients (or shards).
    """
    needed = self.num_clients
    if self.scheme == 'k_labels':
      needed *= self.labels_per_client
    if len(labels) < needed:
      raise PartitionError(
        f'Expected at least {needed} examples for {self.num_clients} clients, '
        f'found {len(labels)}; choose fewer clients.'
      )
    rng = seeds.generator(seed, 'partition')
    deal = {
      'iid': self._iid,
      'dirichlet': self._dirichlet,
      'k_labels': self._k_labels,
      'log_normal': self._log_normal,
    }[self.scheme]
    parts = deal(np.asarray(labels), rng)
    digits = max(4, len(str(self.num_clients - 1)))
    return {
      f'client_{c:0{digits}d}': np.sort(rows) for c, rows in enumerate(parts)
    }

  def _iid(
    self, labels: np.ndarray, rng: np.random.Generator
  ) -> list[np.ndarray]:
    return np.array_split(rng.permutation(len(labels)), self.num_clients)

  def _dirichlet(
    self, labels: np.ndarray, rng: np.random.Generator
  ) -> list[np.ndarray]:
    parts: list[list[np.ndarray]] = [[] for _ in range(self.num_clients)]
    for label in np.unique(labels):
      rows = rng.permutation(np.flatnonzero(labels == label))
      shares = rng.dirichlet(np.full(self.num_clients, self.alpha))
      cuts = np.round(np.cumsum(shares)[:-1] * len(rows)).astype(int)
      for part, share in zip(parts, np.split(rows, cuts), strict=True):
        part.append(share)
    return _none_empty([np.concatenate(part) for part in parts])

  def _k_labels(
    self, labels: np.ndarray, rng: np.random.Generator
  ) -> list[np.ndarray]:
    # Shuffled first, so that equal labels are in random order.
    shuffled = rng.permutation(len(labels))
    ordered = shuffled[np.argsort(labels[shuffled], kind='stable')]
    num_shards = self.num_clients * self.labels_per_client
    shards = np.array_split(ordered, num_shards)
    hands = rng.permutation(num_shards).reshape(self.num_clients, -1)
    return [np.concatenate([shards[s] for s in hand]) for hand in hands]

  def _log_normal(
    self, labels: np.ndarray, rng: np.random.Generator
  ) -> list[np.ndarray]:
    shares = np.exp(self.sigma * rng.normal(size=self.num_clients))
    cuts = np.cumsum(shares)[:-1] / shares.sum() * len(labels)
    rows = rng.permutation(len(labels))
    return _none_empty(np.split(rows, np.round(cuts).astype(int)))


def by_column(values: Sequence[str]) -> dict[str, np.ndarray]:
  """Returns the rows of each distinct value, in order of first appearance."""
  rows: dict[str, list[int]] = {}
  for row, value in enumerate(values):
    rows.setdefault(value, []).append(row)
  return {value: np.array(owned) for value, owned in rows.items()}


def _none_empty(parts: list[np.ndarray]) -> list[np.ndarray]:
  """Gives each empty part one example of the part that is largest then."""
  for c, part in enumerate(parts):
    if not len(part):
      largest = max(range(len(parts)), key=lambda i: len(parts[i]))
      parts[c], parts[largest] = parts[largest][:1], parts[largest][1:]
  return parts
