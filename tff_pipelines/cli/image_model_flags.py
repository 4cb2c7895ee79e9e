"""Flags of the classifiers of images."""

import tensorflow_federated as tff

from tff_pipelines.cli import flag_groups
from tff_pipelines.data import population
from tff_pipelines.models import image_classifiers, image_cnn


class ImageClassifierFlags(flag_groups.FlagGroup):
  """`--model` and `--hidden_sizes`."""

  def __init__(self, *hidden_sizes: int) -> None:
    super().__init__('The model')
    self._model = self.define(
      'model',
      'mlp',
      'mlp: a multi-layer perceptron; cnn: two convolutions of 32 and 64 '
      'channels and a layer of 512 units (McMahan et al. 2017)',
      choices=('mlp', 'cnn'),
    )
    self._hidden_sizes = self.define(
      'hidden_sizes',
      [str(size) for size in hidden_sizes],
      'rectified units of each hidden layer; empty is softmax regression',
      only_with=('model', ('mlp',)),
    )

  def build(
    self, dataset: population.FederatedDataset, seed: int
  ) -> tff.learning.models.FunctionalModel:
    """Builds the classifier that the flags describe."""
    pixels, _ = dataset.train.element_spec
    num_inputs, num_classes = pixels.shape[0], len(dataset.label_names)
    if self._model.value == 'cnn':
      return image_cnn.build_cnn(image_cnn.Cnn(num_inputs, num_classes), seed)
    return image_classifiers.build_mlp(
      image_classifiers.Mlp(
        num_inputs,
        flag_groups.whole_numbers(self._hidden_sizes, '200,200'),
        num_classes,
      ),
      seed,
    )
