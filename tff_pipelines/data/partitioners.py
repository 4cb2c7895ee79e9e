"""Dealing examples to clients: alike, by label, by size, by a column."""

from collections.abc import Sequence
import dataclasses
from typing import Literal, get_args

import numpy as np

from tff_pipelines.core import errors, seeds

Scheme = Literal[
  'iid',
  'dirichlet',
  'shards',
  'k_labels',
  'class_share',
  'log_normal',
  'power_law',
]


class PartitionError(errors.PipelineError):
  """A partition that cannot be made from these examples."""


@dataclasses.dataclass(frozen=True)
class Partitioner:
  """Deals examples to a number of clients; each example to one at the most.

  Every example is dealt, but for those of `k_labels` and `class_share` that
  the rule has no place for.

  Attributes:
    num_clients: How many clients; named client_0000 and so on.
    scheme: One of
      `iid`: shuffled and cut into parts of equal size (up to one);
      `dirichlet`: each label's examples are dealt in proportions drawn from a
        symmetric Dirichlet distribution over the clients (Yurochkin et al.
        2019, section 4.1), so label mixes and sizes are both skewed;
      `shards`: sorted by label and cut into `shards_per_client` shards a
        client, dealt at random (McMahan et al. 2017, section 3);
      `k_labels`: `labels_per_client` labels a client, its own and others drawn
        at random, and each label dealt evenly to those who have it (Li et al.
        2022, arXiv 2102.02079, section 4.1). A label that nobody has is not
        dealt;
      `class_share`: of each client's examples the share `class_share` has its
        own label, the others are spread evenly over the other labels. Sizes are
        equal, and as large as the rarest label allows; what is left over of the
        others is not dealt;
      `log_normal`: shuffled, sizes proportional to exp(sigma * normal);
      `power_law`: shuffled, sizes proportional to draws of a Pareto
        distribution, P(size > x) ~ x^-exponent.
      A client's own label follows from its number: neighbours share it, in the
      order of the labels; with as many clients as labels, client k has label k.
    alpha: Concentration for `dirichlet`; small is more uneven.
    shards_per_client: For `shards`.
    labels_per_client: For `k_labels`.
    class_share: For `class_share`, up to 1, which is one label a client.
    sigma: Spread of the sizes for `log_normal`.
    exponent: Of the sizes for `power_law`; small is more uneven.
  """

  num_clients: int
  scheme: Scheme = 'iid'
  alpha: float = 0.3
  shards_per_client: int = 2
  labels_per_client: int = 1
  class_share: float = 0.9
  sigma: float = 1.0
  exponent: float = 1.5

  def __post_init__(self) -> None:
    if self.scheme not in get_args(Scheme):
      raise PartitionError(
        f'Expected a partition out of {", ".join(get_args(Scheme))}, found '
        f'{self.scheme!r}.'
      )
    for field in dataclasses.fields(self):
      if field.name != 'scheme' and not getattr(self, field.name) > 0:
        raise PartitionError(
          f'Expected {field.name} above 0, found {getattr(self, field.name)}.'
        )
    if self.class_share > 1:
      raise PartitionError(
        f'Expected a class_share of at most 1, found {self.class_share}; 0.9 '
        'is 90 %.'
      )

  def partition(self, labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Returns the rows of each client, at least one each.

    Args:
      labels: int[num_examples].
      seed: The run's seed.

    Raises:
      PartitionError: If there are fewer examples than clients (or shards), or
        too few of a label.
    """
    needed = self.num_clients
    if self.scheme == 'shards':
      needed *= self.shards_per_client
    if len(labels) < needed:
      raise PartitionError(
        f'Expected at least {needed} examples for {self.num_clients} clients, '
        f'found {len(labels)}; choose fewer clients.'
      )
    rng = seeds.generator(seed, 'partition')
    deal = {
      'iid': self._iid,
      'dirichlet': self._dirichlet,
      'shards': self._shards,
      'k_labels': self._k_labels,
      'class_share': self._class_share,
      'log_normal': self._log_normal,
      'power_law': self._power_law,
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

  def _shards(
    self, labels: np.ndarray, rng: np.random.Generator
  ) -> list[np.ndarray]:
    # Shuffled first, so that equal labels are in random order.
    shuffled = rng.permutation(len(labels))
    ordered = shuffled[np.argsort(labels[shuffled], kind='stable')]
    num_shards = self.num_clients * self.shards_per_client
    shards = np.array_split(ordered, num_shards)
    hands = rng.permutation(num_shards).reshape(self.num_clients, -1)
    return [np.concatenate([shards[s] for s in hand]) for hand in hands]

  def _k_labels(
    self, labels: np.ndarray, rng: np.random.Generator
  ) -> list[np.ndarray]:
    found, totals = np.unique(labels, return_counts=True)
    if self.labels_per_client > len(found):
      raise PartitionError(
        f'Expected at most the {len(found)} labels that there are a client, '
        f'found labels_per_client {self.labels_per_client}; choose fewer.'
      )
    has = np.zeros([self.num_clients, len(found)], bool)
    for client, own in enumerate(self._own_labels(len(found))):
      others = np.delete(np.arange(len(found)), own)
      has[client, own] = True
      has[client, rng.permutation(others)[: self.labels_per_client - 1]] = True
    crowd = has.sum(0)
    if (short := np.flatnonzero(crowd > totals)).size:
      label = short[0]
      raise PartitionError(
        f'Expected at least {crowd[label]} examples of label {found[label]}, '
        f'one for each client who has it, found {totals[label]}; choose fewer '
        'clients or labels a client.'
      )
    # Up to a client, its share of those who have a label, of the label.
    until = np.cumsum(has, 0) * totals // np.maximum(crowd, 1)
    counts = np.diff(until, axis=0, prepend=0)
    return _dealt(labels, counts, rng)

  def _class_share(
    self, labels: np.ndarray, rng: np.random.Generator
  ) -> list[np.ndarray]:
    _, totals = np.unique(labels, return_counts=True)
    own = self._own_labels(len(totals))
    # What it would be if examples could be halved; rounding can cost a few.
    owners = np.bincount(own, minlength=len(totals))
    others = (self.num_clients - owners) / max(len(totals) - 1, 1)
    taken = self.class_share * owners + (1 - self.class_share) * others
    most = np.min(totals[taken > 0] / taken[taken > 0])
    for size in range(int(most + 1e-9), 0, -1):
      counts = self._shared(size, own, totals)
      if np.all(counts.sum(0) <= totals):
        return _dealt(labels, counts, rng)
    raise PartitionError(
      f'Expected examples of every label for {self.num_clients} clients who '
      f'each have {self.class_share:.0%} of one label, found {totals.min()} of '
      'the rarest; choose fewer clients.'
    )

  def _shared(
    self, size: int, own: np.ndarray, totals: np.ndarray
  ) -> np.ndarray:
    """Returns int64[num_clients, num_labels], `size` examples a client."""
    if len(totals) == 1:
      return np.full([len(own), 1], size)
    mine = round(self.class_share * size)
    each, left = divmod(size - mine, len(totals) - 1)
    counts = np.full([len(own), len(totals)], each)
    counts[np.arange(len(own)), own] = mine
    remaining = totals - counts.sum(0)
    for client, label in enumerate(own):
      # What is left goes where most is left.
      plenty = np.argsort(-remaining, kind='stable')
      chosen = plenty[plenty != label][:left]
      counts[client, chosen] += 1
      remaining[chosen] -= 1
    return counts

  def _own_labels(self, num_labels: int) -> np.ndarray:
    """Returns the own label of each client, in order."""
    used = min(self.num_clients, num_labels)
    return np.arange(self.num_clients) * used // self.num_clients

  def _log_normal(
    self, labels: np.ndarray, rng: np.random.Generator
  ) -> list[np.ndarray]:
    weights = np.exp(self.sigma * rng.normal(size=self.num_clients))
    return self._by_weight(weights, len(labels), rng)

  def _power_law(
    self, labels: np.ndarray, rng: np.random.Generator
  ) -> list[np.ndarray]:
    # NumPy's draws begin at 0, a Pareto distribution at 1.
    weights = 1 + rng.pareto(self.exponent, size=self.num_clients)
    return self._by_weight(weights, len(labels), rng)

  def _by_weight(
    self, weights: np.ndarray, num_examples: int, rng: np.random.Generator
  ) -> list[np.ndarray]:
    cuts = np.cumsum(weights)[:-1] / weights.sum() * num_examples
    rows = rng.permutation(num_examples)
    return _none_empty(np.split(rows, np.round(cuts).astype(int)))


def by_column(values: Sequence[str]) -> dict[str, np.ndarray]:
  """Returns the rows of each distinct value, in order of first appearance."""
  rows: dict[str, list[int]] = {}
  for row, value in enumerate(values):
    rows.setdefault(value, []).append(row)
  return {value: np.array(owned) for value, owned in rows.items()}


def _dealt(
  labels: np.ndarray, counts: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
  """Deals at random so many examples of each label to each client.

  Args:
    labels: int[num_examples].
    counts: int64[num_clients, num_labels], of each distinct label at most as
      many as there are.
    rng: Where chance comes from.
  """
  parts: list[list[np.ndarray]] = [[] for _ in counts]
  for label, wanted in zip(np.unique(labels), counts.T, strict=True):
    rows = rng.permutation(np.flatnonzero(labels == label))
    cuts = np.cumsum(wanted)
    for part, share in zip(parts, np.split(rows, cuts), strict=False):
      part.append(share)
  return [np.concatenate(part) for part in parts]


def _none_empty(parts: list[np.ndarray]) -> list[np.ndarray]:
  """Gives each empty part one example of the part that is largest then."""
  for c, part in enumerate(parts):
    if not len(part):
      largest = max(range(len(parts)), key=lambda i: len(parts[i]))
      parts[c], parts[largest] = parts[largest][:1], parts[largest][1:]
  return parts
