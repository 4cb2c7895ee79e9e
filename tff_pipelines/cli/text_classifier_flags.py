"""Flags of a text classifier: the model, and using a trained one."""

from collections.abc import Sequence
import pathlib

import numpy as np

from tff_pipelines.cli import flag_groups
from tff_pipelines.data import text_classification
from tff_pipelines.models import serving, text_classifiers
from tff_pipelines.programs import files

_EMBEDDING = ('model', ('embedding_bag',))


class TextClassifierFlags(flag_groups.FlagGroup):
  """`--model` and its sizes."""

  def __init__(self) -> None:
    super().__init__('The model')
    self._model = self.define(
      'model',
      'logistic_regression',
      'logistic_regression: one weight a feature; embedding_bag: the mean of '
      'feature vectors and a hidden layer',
      choices=('logistic_regression', 'embedding_bag'),
    )
    self._embedding_size = self.define(
      'embedding_size', 16, "a feature vector's size", only_with=_EMBEDDING
    )
    self._hidden_size = self.define(
      'hidden_size', 16, 'units of the hidden layer', only_with=_EMBEDDING
    )

  def build(
    self, dataset: text_classification.TextDataset, seed: int
  ) -> text_classifiers.TextClassifier:
    """Builds the classifier that the flags describe."""
    num_ids, spec = dataset.features.num_ids, dataset.train.batch_spec
    if self._model.value == 'logistic_regression':
      return text_classifiers.build_logistic_regression(num_ids, spec)
    return text_classifiers.build_embedding_bag(
      num_ids,
      spec,
      embedding_size=self._embedding_size.value,
      hidden_size=self._hidden_size.value,
      seed=seed,
    )


class PredictFlags(flag_groups.FlagGroup):
  """`--predict` and `--predict_file`."""

  def __init__(self) -> None:
    super().__init__('Using a trained model (instead of training)')
    self._text = self.define(
      'predict', None, 'classify this text', identifies_run=False
    )
    self._file = self.define(
      'predict_file',
      None,
      'classify each line of this UTF-8 file',
      identifies_run=False,
    )

  @property
  def requested(self) -> bool:
    """Whether to classify instead of training."""
    return self._text.value is not None or self._file.value is not None

  def run(self, run_path: pathlib.Path) -> None:
    """Prints a line a text: label, probability of the second label, text."""
    texts = [] if self._text.value is None else [self._text.value]
    if self._file.value is not None:
      try:
        content = pathlib.Path(self._file.value).read_text(encoding='utf-8')
      except (OSError, UnicodeDecodeError) as error:
        raise flag_groups.FlagError(
          f'Expected a UTF-8 text file in --predict_file, found: {error}'
        ) from error
      texts += [line for line in content.splitlines() if line.strip()]
    if not texts:
      raise flag_groups.FlagError(
        f'Expected texts in --predict_file={self._file.value}, one a line, '
        'found none.'
      )
    labels, probabilities = serving.predict(run_path / 'model', texts)
    for label, probability, text in zip(
      labels, probabilities, texts, strict=True
    ):
      print(f'{label}\t{probability:.4f}\t{text}')


def export(
  path: pathlib.Path,
  classifier: text_classifiers.TextClassifier,
  dataset: text_classification.TextDataset,
  weights: Sequence[np.ndarray],
) -> None:
  """Writes a trained classifier, with its labels and features, to a folder."""
  with files.writing_folder(path) as folder:
    serving.export(
      folder,
      classifier,
      weights,
      features=dataset.features,
      description={
        'labels': dataset.label_names,
        'features': dataset.features.config(),
      },
    )
