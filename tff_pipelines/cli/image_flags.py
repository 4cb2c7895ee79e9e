"""Flags that name a data set of labelled images and its clients."""

import pathlib
from typing import get_args

from tff_pipelines.cli import flag_groups, partition_flags
from tff_pipelines.data import (
  feature_shift,
  fetching,
  image_classification,
  image_records,
  mnist,
  population,
  small_digits,
)


class LabelledImageFlags(flag_groups.FlagGroup):
  """`--dataset` and all that belongs to it."""

  def __init__(self) -> None:
    super().__init__('The data')
    define = self.define
    self._dataset = define(
      'dataset',
      'small_digits',
      'small_digits: 1,797 images of 8 x 8 pixels, which come with '
      'scikit-learn; mnist: 70,000 of 28 x 28',
      choices=('small_digits', 'mnist'),
    )
    self._data_dir = define(
      'data_dir',
      str(fetching.default_data_dir()),
      'folder of data sets; what is not there is fetched once',
      only_with=('dataset', ('mnist',)),
      identifies_run=False,
    )
    self._test_fraction = define(
      'test_fraction',
      0.2,
      'share of the images that is for testing (mnist has its own)',
      only_with=('dataset', ('small_digits',)),
    )
    self._partition = partition_flags.PartitionFlags(
      self,
      what='images',
      scheme='iid',
      num_clients=50,
      natural={'writer': 'to each writer their own (mnist)'},
    )
    self._test_clients = define(
      'test_clients',
      10,
      'clients to deal the test images to, evenly; without effect on metrics',
      only_with=self._partition.when_dealt,
    )
    self._feature_shift = define(
      'feature_shift',
      'none',
      "how one client's images differ from another's to look at: turned by an "
      'angle of its own; of another brightness and contrast',
      choices=('none', *get_args(feature_shift.Kind)),
    )
    # By the kind of the shift that it belongs to.
    self._strengths = {
      'rotation': define(
        'rotation_degrees',
        45.0,
        'the largest angle, to either side',
        only_with=('feature_shift', ('rotation',)),
      ),
      'brightness': define(
        'brightness_strength',
        0.5,
        'from 0 to 1; at 1 contrast is halved or doubled at the most',
        only_with=('feature_shift', ('brightness',)),
      ),
    }

  def load(self, seed: int) -> population.FederatedDataset:
    """Loads the images and deals them."""
    return image_classification.build(
      self._dataset.value,
      self._source(seed),
      partitioner=self._partition.get(),
      shift=self._shift(),
      test_clients=self._test_clients.value,
      seed=seed,
    )

  def _source(self, seed: int) -> image_records.ImageSource:
    if self._dataset.value == 'small_digits':
      return small_digits.load(self._test_fraction.value, seed)
    return mnist.load(
      pathlib.Path(self._data_dir.value).expanduser(),
      writers=self._partition.name == 'writer',
    )

  def _shift(self) -> feature_shift.FeatureShift | None:
    kind = self._feature_shift.value
    if kind == 'none':
      return None
    return feature_shift.FeatureShift(kind, self._strengths[kind].value)
