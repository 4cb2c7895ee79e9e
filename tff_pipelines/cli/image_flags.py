"""Flags that name a data set of labelled images, its clients, and the model."""

import pathlib

import tensorflow_federated as tff

from tff_pipelines.cli import flag_groups
from tff_pipelines.data import (
  fetching,
  image_classification,
  image_records,
  mnist,
  partitioners,
  population,
  small_digits,
)
from tff_pipelines.models import image_classifiers

_DEALT = ('iid', 'dirichlet', 'shards', 'log_normal')


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
    self._partition = define(
      'partition',
      'iid',
      'who holds which images: evenly; by a skewed share of each label; sorted '
      'by label and cut into shards; sizes of a log-normal distribution; to '
      'each writer their own (mnist)',
      choices=(*_DEALT, 'writer'),
    )
    dealt = ('partition', _DEALT)
    self._num_clients = define(
      'num_clients', 50, 'clients to deal the images to', only_with=dealt
    )
    self._test_clients = define(
      'test_clients',
      10,
      'clients to deal the test images to, evenly; without effect on metrics',
      only_with=dealt,
    )
    self._alpha = define(
      'dirichlet_alpha',
      0.3,
      'small is more uneven',
      only_with=('partition', ('dirichlet',)),
    )
    self._shards_per_client = define(
      'shards_per_client',
      2,
      'so that a client has about so many labels',
      only_with=('partition', ('shards',)),
    )
    self._sigma = define(
      'log_normal_sigma',
      1.0,
      'spread of the sizes',
      only_with=('partition', ('log_normal',)),
    )

  def load(self, seed: int) -> population.FederatedDataset:
    """Loads the images and deals them."""
    return image_classification.build(
      self._dataset.value,
      self._source(seed),
      partitioner=self._partitioner(),
      test_clients=self._test_clients.value,
      seed=seed,
    )

  def _source(self, seed: int) -> image_records.ImageSource:
    if self._dataset.value == 'small_digits':
      return small_digits.load(self._test_fraction.value, seed)
    return mnist.load(
      pathlib.Path(self._data_dir.value).expanduser(),
      writers=self._partition.value == 'writer',
    )

  def _partitioner(self) -> partitioners.Partitioner | None:
    if self._partition.value == 'writer':
      return None
    scheme = self._partition.value
    return partitioners.Partitioner(
      self._num_clients.value,
      'k_labels' if scheme == 'shards' else scheme,
      alpha=self._alpha.value,
      labels_per_client=self._shards_per_client.value,
      sigma=self._sigma.value,
    )


class ImageClassifierFlags(flag_groups.FlagGroup):
  """`--hidden_sizes`."""

  def __init__(self, *hidden_sizes: int) -> None:
    super().__init__('The model')
    self._hidden_sizes = self.define(
      'hidden_sizes',
      [str(size) for size in hidden_sizes],
      'rectified units of each hidden layer; empty is softmax regression',
    )

  def build(
    self, dataset: population.FederatedDataset, seed: int
  ) -> tff.learning.models.FunctionalModel:
    """Builds the classifier that the flags describe."""
    pixels, _ = dataset.train.element_spec
    return image_classifiers.build_mlp(
      image_classifiers.Mlp(
        num_inputs=pixels.shape[0],
        hidden_sizes=flag_groups.whole_numbers(self._hidden_sizes, '200,200'),
        num_classes=len(dataset.label_names),
      ),
      seed,
    )
