"""How unlike clients are, by the labels that they hold.

Counts are int64[num_clients, num_labels], as of `client_table.label_counts`.
Only a simulation can see them.
"""

from collections.abc import Iterable

import numpy as np

from tff_pipelines.core import seeds

# One deal at random varies little between many clients, more between few.
_DEALS = 10


def distances(counts: np.ndarray) -> np.ndarray:
  """Returns how far each client's label mix is from that of all examples.

  Total variation distance: half the sum over the labels of the difference
  between the shares, from 0 (the same mix) to 1 (no label in common).

  Args:
    counts: Examples by client and label.

  Returns:
    float64[number of clients with examples].
  """
  whole = mix(counts.sum(axis=0))
  held = counts[counts.sum(axis=1) > 0]
  return np.abs(mix(held) - whole).sum(axis=1) / 2


def mean_distance_by_chance(counts: np.ndarray, seed: int) -> float:
  """Returns the mean distance if the same examples were dealt at random.

  Clients keep their sizes. It is above 0, since a few examples never have the
  mix of all; only what exceeds it tells of clients that are not alike.

  Args:
    counts: Examples by client and label; one at the least.
    seed: The run's seed.
  """
  labels = np.repeat(np.arange(counts.shape[1]), counts.sum(axis=0))
  owners = np.repeat(np.arange(len(counts)), counts.sum(axis=1))
  rng = seeds.generator(seed, 'dealt_at_random')
  found = []
  for _ in range(_DEALS):
    dealt = np.zeros_like(counts)
    np.add.at(dealt, (owners, rng.permutation(labels)), 1)
    found.append(distances(dealt).mean())
  return float(np.mean(found))


def of_groups(counts: np.ndarray, groups: Iterable[np.ndarray]) -> np.ndarray:
  """Returns the label mix of the examples of each group of clients.

  Args:
    counts: Examples by client and label.
    groups: Client indices of each; a group may be empty.

  Returns:
    float64[num_groups, num_labels], rows that add up to 1, or to 0 where nobody
    has anything.
  """
  return mix(np.array([counts[group].sum(axis=0) for group in groups]))


def mix(counts: np.ndarray) -> np.ndarray:
  """Returns counts over their sum along the last axis; 0 where that is 0."""
  totals = counts.sum(axis=-1, keepdims=True)
  return counts / np.maximum(totals, 1)
