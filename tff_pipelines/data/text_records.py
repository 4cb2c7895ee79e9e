"""Labelled texts before they become features: records and their splits."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from tff_pipelines.core import errors, seeds


class SplitError(errors.PipelineError):
  """A split that leaves nothing to train or to test on."""


@dataclasses.dataclass(frozen=True)
class TextRecords:
  """Labelled texts, and their authors where these are known.

  Attributes:
    texts: One string a record.
    labels: int32[num_records], indices into `label_names`.
    clients: The person of each record, or None if the source does not say.
    label_names: Names of the labels.
    provenance: Plain values for manifest.json: source, checksums, licence.
  """

  texts: tuple[str, ...]
  labels: np.ndarray
  clients: tuple[str, ...] | None
  label_names: tuple[str, ...]
  provenance: Mapping[str, Any]

  def __post_init__(self) -> None:
    if len(self.texts) != len(self.labels) or (
      self.clients is not None and len(self.clients) != len(self.texts)
    ):
      raise ValueError('Expected one label (and one client) for each text.')

  def __len__(self) -> int:
    return len(self.texts)

  def take(self, rows: Sequence[int] | np.ndarray) -> 'TextRecords':
    """Returns the chosen records."""
    rows = [int(r) for r in rows]
    return dataclasses.replace(
      self,
      texts=tuple(self.texts[r] for r in rows),
      labels=self.labels[rows],
      clients=self.clients and tuple(self.clients[r] for r in rows),
    )


def split_by_distinct_text(
  records: TextRecords, test_fraction: float, seed: int
) -> tuple[TextRecords, TextRecords]:
  """Splits so that no text is on both sides, whoever wrote it.

  Args:
    records: What to split.
    test_fraction: Share of the distinct texts that go to the test side.
    seed: The run's seed.

  Returns:
    The training and the test records, each in the order of the source.

  Raises:
    SplitError: If one side would be empty.
  """
  distinct = {text: i for i, text in enumerate(dict.fromkeys(records.texts))}
  num_test = round(len(distinct) * test_fraction)
  if not 0 < num_test < len(distinct):
    raise SplitError(
      f'Expected distinct texts on both sides of the split, found '
      f'{len(distinct)} distinct texts at a test fraction of {test_fraction}; '
      'give more texts or another fraction.'
    )
  order = seeds.generator(seed, 'split').permutation(len(distinct))
  in_test = np.zeros(len(distinct), bool)
  in_test[order[:num_test]] = True
  side = np.array([in_test[distinct[text]] for text in records.texts])
  return records.take(np.flatnonzero(~side)), records.take(np.flatnonzero(side))


def split_first(
  records: TextRecords, train_fraction: float
) -> tuple[TextRecords, TextRecords]:
  """Takes the first records for training, the rest for testing.

  Raises:
    SplitError: If one side would be empty.
  """
  num_train = round(len(records) * train_fraction)
  if not 0 < num_train < len(records):
    raise SplitError(
      f'Expected records on both sides of the split, found {len(records)} '
      f'records at a training fraction of {train_fraction}.'
    )
  return (
    records.take(range(num_train)),
    records.take(range(num_train, len(records))),
  )
