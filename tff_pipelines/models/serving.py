"""Exporting a trained text classifier, and using it again.

A folder `model/` holds
  weights.npz    the trained arrays, the same bytes for the same weights;
  model.keras    a Keras model of stock layers: {ids, weights} -> probability;
  saved_model/   a SavedModel that takes plain texts: `serve(texts: string[n])`
                 -> {probability: float32[n]}, the text features inside;
  model.json     what they are: model, labels, features.
"""

from collections.abc import Callable, Mapping, Sequence
import json
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.models import keras_files, text_classifiers


class ModelNotFoundError(errors.PipelineError):
  """A folder without an exported model."""


def export(
  folder: pathlib.Path,
  classifier: text_classifiers.TextClassifier,
  weights: Sequence[np.ndarray],
  *,
  features: Callable[[tf.Tensor], Mapping[str, tf.Tensor]],
  description: Mapping[str, Any],
) -> None:
  """Writes a trained classifier into an existing, empty folder.

  Args:
    folder: Where to.
    classifier: The model.
    weights: Its trained weights.
    features: From string[n] to the model's input, in TensorFlow operations.
    description: Plain values for model.json: labels, features, ...
  """
  np.savez(
    folder / 'weights.npz',
    **{f'weight_{i}': np.asarray(w) for i, w in enumerate(weights)},
  )
  keras_model = classifier.to_keras(weights)
  keras_model.save(folder / 'model.keras')
  keras_files.forget_date(folder / 'model.keras')

  module = tf.Module()
  module.model = keras_model

  @tf.function(input_signature=[tf.TensorSpec([None], tf.string, 'texts')])
  def serve(texts: tf.Tensor) -> dict[str, tf.Tensor]:
    probability = keras_model(dict(features(texts)))
    return {'probability': tf.squeeze(probability, 1)}

  module.serve = serve
  tf.saved_model.save(
    module, str(folder / 'saved_model'), signatures={'serving_default': serve}
  )
  text = json.dumps({'model': classifier.name, **description}, indent=2)
  (folder / 'model.json').write_text(text + '\n', encoding='utf-8')


def predict(
  folder: pathlib.Path, texts: Sequence[str]
) -> tuple[list[str], np.ndarray]:
  """Classifies texts with an exported model.

  Args:
    folder: A folder that `export` has written.
    texts: What to classify.

  Returns:
    A label for each text, and the probability of the second label.

  Raises:
    ModelNotFoundError: If there is no model in the folder.
  """
  try:
    description = json.loads((folder / 'model.json').read_text('utf-8'))
    labels = description['labels']
    module = tf.saved_model.load(str(folder / 'saved_model'))
  except (OSError, ValueError, KeyError) as error:
    raise ModelNotFoundError(
      f'Expected an exported model in {folder}, found none that can be read; '
      'train one first, or name its run with --output_dir.'
    ) from error
  probability = module.serve(tf.constant(list(texts), tf.string))[
    'probability'
  ].numpy()
  return [labels[int(p >= 0.5)] for p in probability], probability
