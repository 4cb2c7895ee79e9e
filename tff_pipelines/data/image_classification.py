"""From labelled images to a federated data set: who holds which."""

import dataclasses

import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.data import (
  feature_shift,
  image_records,
  partitioners,
  population,
)


class NoWritersError(errors.PipelineError):
  """A partition by writer of images whose writers are not known."""


def build(
  name: str,
  source: image_records.ImageSource,
  *,
  partitioner: partitioners.Partitioner | None,
  test_clients: int,
  seed: int,
  shift: feature_shift.FeatureShift | None = None,
) -> population.FederatedDataset:
  """Deals images to clients.

  An example is (x, y): x = float32[height * width], pixels from 0 to 1, and
  y = int32[], the label.

  Args:
    name: The data set's name.
    source: Labelled images.
    partitioner: Deals the training images; None gives each writer the images
      that they drew.
    test_clients: How many clients the test images are dealt to, evenly, where
      a partitioner deals; they take part in evaluation only. Metrics are over
      all of them, so their number is without effect on these.
    seed: The run's seed.
    shift: How the images of a client differ from those of another; None: not.
      Test images are shifted by the same law, as those of people on whom nobody
      trained: a test writer has a shift, and so has each image that is dealt to
      test clients, who are nobody. What is measured is thus how well the model
      does on the next client.

  Raises:
    NoWritersError: If the source does not name the writers it would need.
    PartitionError: If there are fewer images than clients.
  """
  if partitioner is not None:
    train_rows = partitioner.partition(source.train.labels, seed)
    dealt = partitioners.Partitioner(test_clients).partition(
      source.test.labels, seed
    )
    # Other names than those of the training clients, who they are not.
    test_rows = {
      name.replace('client', 'test'): rows for name, rows in dealt.items()
    }
  else:
    train_rows = _by_writer(name, source.train)
    test_rows = _by_writer(name, source.test)
  train = _population(source, source.train, train_rows)
  test = _population(source, source.test, test_rows)
  if shift is not None:
    _, height, width = source.train.images.shape
    train = feature_shift.with_shift(train, shift, (height, width), seed=seed)
    test = feature_shift.with_shift(
      test,
      shift,
      (height, width),
      seed=seed,
      whose='client' if partitioner is None else 'example',
    )
  return population.FederatedDataset(
    name=name,
    train=train,
    test=test,
    label_names=source.label_names,
    provenance={
      **source.provenance,
      'partition': dataclasses.asdict(partitioner) if partitioner else 'writer',
      **({'feature_shift': dataclasses.asdict(shift)} if shift else {}),
    },
  )


def _by_writer(
  name: str, records: image_records.ImageRecords
) -> dict[str, np.ndarray]:
  if records.writers is None:
    raise NoWritersError(
      f'Expected a data set that names the writers of its images, found '
      f'{name}; choose another data set or partition.'
    )
  return partitioners.by_column(records.writers)


def _population(
  source: image_records.ImageSource,
  records: image_records.ImageRecords,
  rows: dict[str, np.ndarray],
) -> population.ArrayPopulation:
  examples = (records.pixels(source.max_value), records.labels)
  return population.ArrayPopulation(examples, rows)
