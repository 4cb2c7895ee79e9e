"""From labelled texts to a federated data set with features."""

from collections.abc import Mapping
import dataclasses
from typing import Any, Literal

import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.data import (
  partitioners,
  population,
  text_features,
  text_records,
)

Split = Literal['random', 'first_30_percent']


class PersonColumnError(errors.PipelineError):
  """Partition flags that contradict what the source says about its people."""


@dataclasses.dataclass(frozen=True)
class TextDataset(population.FederatedDataset):
  """A federated data set of texts, with the features it was made with.

  Attributes:
    features: The features.
    train_texts: The texts themselves, of the same clients as `train`.
  """

  features: text_features.TextFeatures
  train_texts: population.ArrayPopulation


@dataclasses.dataclass(frozen=True)
class FeatureChoice:
  """Which features to compute; a vocabulary is known only with the data.

  Attributes:
    features: The features, with a vocabulary to be filled in or without one.
    vocabulary_size: Words to keep of those that at least two training clients
      use; 0 hashes.
  """

  features: text_features.TextFeatures
  vocabulary_size: int = 0


def build(
  name: str,
  records: text_records.TextRecords,
  *,
  split: Split,
  test_fraction: float,
  partitioner: partitioners.Partitioner | None,
  choice: FeatureChoice,
  seed: int,
) -> TextDataset:
  """Splits, deals and computes features.

  Args:
    name: The data set's name.
    records: Labelled texts.
    split: `random` puts a share of the distinct texts aside;
      `first_30_percent` trains on the first 30 % of the records.
    test_fraction: That share.
    partitioner: Deals the texts to clients if the source names no people (the
      test texts evenly); None if it does.
    choice: The features.
    seed: The run's seed.

  Raises:
    PersonColumnError: If both or none of source and partitioner name clients.
  """
  if (records.clients is None) == (partitioner is None):
    raise PersonColumnError(
      f'Expected {name} to name the people or a partition to make clients, '
      f'found {"neither" if partitioner is None else "both"}.'
    )
  if split == 'first_30_percent':
    train, test = text_records.split_first(records, 0.3)
  else:
    train, test = text_records.split_by_distinct_text(
      records, test_fraction, seed
    )
  if partitioner is None:
    assert train.clients is not None and test.clients is not None
    train_rows = partitioners.by_column(train.clients)
    test_rows = partitioners.by_column(test.clients)
  else:
    train_rows = partitioner.partition(train.labels, seed)
    dealer = partitioners.Partitioner(min(len(test), partitioner.num_clients))
    test_rows = dealer.partition(test.labels, seed)
  features, vocabulary_source = _features(choice, train, train_rows)
  provenance = {
    **records.provenance,
    'split': split,
    'test_fraction': None if split == 'first_30_percent' else test_fraction,
    'partition': dataclasses.asdict(partitioner) if partitioner else 'people',
    'features': {
      **features.config(),
      'vocabulary': features.vocabulary and len(features.vocabulary),
      'vocabulary_source': vocabulary_source,
      'training_texts_cut': features.count_cut(train.texts),
    },
  }
  return TextDataset(
    name=name,
    train=_population(train, train_rows, features),
    test=_population(test, test_rows, features),
    label_names=records.label_names,
    provenance=provenance,
    features=features,
    train_texts=population.ArrayPopulation(
      np.array(train.texts, object), train_rows
    ),
  )


def _features(
  choice: FeatureChoice,
  train: text_records.TextRecords,
  rows: Mapping[str, np.ndarray],
) -> tuple[text_features.TextFeatures, str]:
  if not choice.vocabulary_size:
    return choice.features, 'none: features are hashed, nothing is collected'
  vocabulary = text_features.count_vocabulary(
    ([train.texts[r] for r in owned] for owned in rows.values()),
    choice.vocabulary_size,
  )
  return (
    dataclasses.replace(choice.features, vocabulary=vocabulary),
    'words of at least 2 training clients, counted without privacy',
  )


def _population(
  records: text_records.TextRecords,
  rows: Mapping[str, np.ndarray],
  features: text_features.TextFeatures,
) -> population.ArrayPopulation:
  examples: tuple[Any, Any] = (features.compute(records.texts), records.labels)
  return population.ArrayPopulation(examples, rows)
