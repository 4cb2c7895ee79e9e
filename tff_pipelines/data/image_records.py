"""Labelled images before they are dealt to clients, and their split."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from tff_pipelines.core import errors, seeds


class ImageSplitError(errors.PipelineError):
  """A split that leaves nothing to train or to test on."""


@dataclasses.dataclass(frozen=True)
class ImageRecords:
  """Labelled images, and who drew them where this is known.

  Attributes:
    images: uint8[num_images, height, width], 0 to the source's `max_value`.
    labels: int32[num_images], indices into the source's `label_names`.
    writers: The person of each image, or None if the source does not say.
  """

  images: np.ndarray
  labels: np.ndarray
  writers: tuple[str, ...] | None = None

  def __post_init__(self) -> None:
    if len(self.images) != len(self.labels) or (
      self.writers is not None and len(self.writers) != len(self.labels)
    ):
      raise ValueError('Expected one label (and one writer) for each image.')

  def __len__(self) -> int:
    return len(self.labels)

  def take(self, rows: Sequence[int] | np.ndarray) -> 'ImageRecords':
    """Returns the chosen records."""
    return ImageRecords(
      images=self.images[rows],
      labels=self.labels[rows],
      writers=self.writers and tuple(self.writers[r] for r in rows),
    )

  def pixels(self, max_value: int) -> np.ndarray:
    """Returns float32[num_images, height * width] from 0 to 1."""
    flat = self.images.reshape(len(self), -1).astype(np.float32)
    flat /= max_value  # In place: of MNIST this is 188 MB.
    return flat


@dataclasses.dataclass(frozen=True)
class ImageSource:
  """Images to train on, images to test on, and what they are.

  Attributes:
    train: Those to train on.
    test: Those held out.
    max_value: The value of a pixel that is full on.
    label_names: Names of the labels.
    provenance: Plain values for manifest.json: source, checksums, licence.
  """

  train: ImageRecords
  test: ImageRecords
  max_value: int
  label_names: tuple[str, ...]
  provenance: Mapping[str, Any]


def split(
  records: ImageRecords, test_fraction: float, seed: int
) -> tuple[ImageRecords, ImageRecords]:
  """Splits at random.

  Args:
    records: What to split.
    test_fraction: Share of the images that go to the test side.
    seed: The run's seed.

  Returns:
    The training and the test records, each in the order of the source.

  Raises:
    ImageSplitError: If one side would be empty.
  """
  num_test = round(len(records) * test_fraction)
  if not 0 < num_test < len(records):
    raise ImageSplitError(
      f'Expected images on both sides of the split, found {len(records)} '
      f'images at a test fraction of {test_fraction}; give more images or '
      'another fraction.'
    )
  order = seeds.generator(seed, 'split').permutation(len(records))
  return (
    records.take(np.sort(order[num_test:])),
    records.take(np.sort(order[:num_test])),
  )
