"""Who holds which labels, as counts. Only a simulation can see this."""

import dataclasses

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True)
class LabelCounts:
  """Training examples by client and label.

  Attributes:
    clients: Their ids.
    labels: Names of the labels.
    counts: float[clients, labels]. One column of sizes if labels are unknown.
  """

  clients: tuple[str, ...]
  labels: tuple[str, ...]
  counts: np.ndarray

  @property
  def sizes(self) -> np.ndarray:
    return self.counts.sum(axis=1)


def label_counts(clients: pd.DataFrame) -> LabelCounts | None:
  """Reads the label counts of clients.csv; None if it has no sizes either."""
  names = tuple(str(each) for each in clients['client_id'])
  columns = [name for name in clients.columns if name.startswith('train:')]
  if not columns and 'train_examples' not in clients:
    return None
  used = columns or ['train_examples']
  counts = np.nan_to_num(clients[used].to_numpy(float))
  labels = tuple(name.removeprefix('train:') for name in columns)
  return LabelCounts(clients=names, labels=labels, counts=counts)


def fold_rare_labels(found: LabelCounts, most: int) -> LabelCounts:
  """Adds up all but the `most` frequent labels, if there are more.

  Args:
    found: The counts.
    most: How many labels stay apart, in their order.

  Returns:
    Counts of at most `most + 1` labels.
  """
  if len(found.labels) <= most + 1:
    return found
  frequent = np.argsort(-found.counts.sum(axis=0), kind='stable')[:most]
  kept = np.sort(frequent)
  rest = np.delete(found.counts, kept, axis=1).sum(axis=1, keepdims=True)
  return LabelCounts(
    clients=found.clients,
    labels=(
      *(found.labels[index] for index in kept),
      f'{len(found.labels) - most} other labels',
    ),
    counts=np.concatenate([found.counts[:, kept], rest], axis=1),
  )
