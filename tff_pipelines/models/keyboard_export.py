"""Exporting a trained language model, and measuring what the copies say.

A folder `model/` holds
  weights.npz           the trained arrays, `weight_0` and so on;
  model.keras           a Keras model: tokens int32[n, length] -> logits, loaded
                        after `import tff_pipelines.models.next_token_layer`;
  saved_model/          a SavedModel with the vocabulary inside, its signatures
                        serving_default(sentences: string[n]) -> words
                        string[n, 3], probabilities float32[n, 3], unfinished
                        string[n], and suggest(tokens: int32[n, length]) ->
                        ids, probabilities, log_probabilities;
  model_float32.tflite  for a telephone: suggest(tokens: int32[1, length]);
  model_int8.tflite     the same, a quarter of the size;
  vocabulary.json       the words in the order of their ids, from 4 on;
  model.json            what they are: model, sizes, level, how text is cut;
  export.json           size of each copy and its agreement with the original.
The same weights make the same bytes, but for the SavedModel.

serving_default takes sentences whose tokens are separated by spaces (see
`keyboards.Keyboard`): the tokenizer looks ahead of what it matches, which the
regular expressions of TensorFlow's operations cannot do, and a second tokenizer
would not always agree with the one that the model learned from.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tff_pipelines.models import (
  keras_files,
  keyboards,
  next_token_layer,
  suggestions,
  tflite_models,
)

if TYPE_CHECKING:
  from tff_pipelines.models import language_models

# The logits of a row are length * vocabulary_size values.
_ROWS_AT_ONCE = 32


def export(
  folder: pathlib.Path,
  architecture: 'language_models.Architecture',
  weights: Sequence[np.ndarray],
  *,
  words: Sequence[str],
  level: keyboards.Level,
  prefixes: np.ndarray,
  description: Mapping[str, Any],
) -> list[dict[str, Any]]:
  """Writes a trained language model into an existing, empty folder.

  Args:
    folder: Where to.
    architecture: The model.
    weights: Its trained weights.
    words: The vocabulary, the word of `tokens.FIRST_WORD` first.
    level: Whether these are words or characters.
    prefixes: int32[m, length], held-out text as `suggestions.prefixes` gives
      it, on which the copies are compared with the original.
    description: Plain values for model.json: how text is cut, ...

  Returns:
    A row a copy, as in export.json: format, file, bytes, prefixes (how many),
    same_first (the share of them with the same first suggestion), same_three
    (with the same three in the same order) and largest_difference (of the
    probability of any token after any prefix).

  Raises:
    KeyboardError: If words and model do not fit together.
  """
  keyboard = keyboards.Keyboard(architecture, weights, words=words, level=level)
  np.savez(
    folder / 'weights.npz',
    **{f'weight_{i}': np.asarray(w) for i, w in enumerate(weights)},
  )
  next_token_layer.to_keras(architecture, weights).save(folder / 'model.keras')
  keras_files.forget_date(folder / 'model.keras')
  tf.saved_model.save(
    keyboard,
    str(folder / 'saved_model'),
    signatures={
      'serving_default': keyboard.serve,
      'suggest': keyboard.next_words.suggest,
    },
  )
  # One row: on a telephone one person types.
  one = keyboards.NextWords(architecture, weights, num_prefixes=1)
  for precision in tflite_models.PRECISIONS:
    _tflite(folder, precision).write_bytes(
      tflite_models.convert(one.suggest, one, precision)
    )
  _write_json(folder / 'vocabulary.json', list(words))
  _write_json(
    folder / 'model.json',
    {
      'model': architecture.name,
      'sizes': dataclasses.asdict(architecture),
      'num_parameters': architecture.num_parameters,
      'level': level,
      **description,
    },
  )
  rows = _compare(folder, architecture, weights, prefixes)
  _write_json(folder / 'export.json', rows)
  return rows


def _compare(
  folder: pathlib.Path,
  architecture: 'language_models.Architecture',
  weights: Sequence[np.ndarray],
  prefixes: np.ndarray,
) -> list[dict[str, Any]]:
  """Compares the files in a folder with the model as it was trained."""
  constants = [tf.constant(w) for w in weights]
  nothing = np.zeros([0, architecture.vocabulary_size], np.float32)

  def original(tokens: tf.Tensor) -> tf.Tensor:
    return architecture.logits(constants, tokens)

  expected = _scores(original, prefixes) if len(prefixes) else nothing
  rows = []
  for name, (file, scores) in _COPIES.items():
    path = folder / file
    found = scores(path, prefixes) if len(prefixes) else nothing
    rows.append(
      {
        'format': name,
        'file': file,
        'bytes': _size(path),
        'prefixes': len(prefixes),
        **suggestions.agreement(expected, found),
      }
    )
  return rows


def _scores_of_keras(path: pathlib.Path, prefixes: np.ndarray) -> np.ndarray:
  return _scores(tf.keras.models.load_model(path), prefixes)


def _scores_of_saved_model(
  path: pathlib.Path, prefixes: np.ndarray
) -> np.ndarray:
  suggest = tf.saved_model.load(str(path)).signatures['suggest']
  return _in_portions(lambda t: suggest(t)['log_probabilities'], prefixes)


def _scores_of_tflite(path: pathlib.Path, prefixes: np.ndarray) -> np.ndarray:
  found = tflite_models.run(path.read_bytes(), prefixes)
  return found['log_probabilities']


# Format -> file, and from its path and prefixes int32[m, length] to log
# probabilities float32[m, vocabulary_size].
_COPIES = {
  'Keras': ('model.keras', _scores_of_keras),
  'SavedModel': ('saved_model', _scores_of_saved_model),
  'TFLite float32': ('model_float32.tflite', _scores_of_tflite),
  'TFLite int8': ('model_int8.tflite', _scores_of_tflite),
}


def _scores(
  logits: Callable[[tf.Tensor], tf.Tensor], prefixes: np.ndarray
) -> np.ndarray:
  @tf.function(autograph=False)
  def scores(tokens: tf.Tensor) -> tf.Tensor:
    return suggestions.after_last(logits(tokens), tokens)

  return _in_portions(scores, prefixes)


def _in_portions(
  scores: Callable[[tf.Tensor], tf.Tensor], prefixes: np.ndarray
) -> np.ndarray:
  return np.concatenate(
    [
      scores(tf.constant(prefixes[i : i + _ROWS_AT_ONCE])).numpy()
      for i in range(0, len(prefixes), _ROWS_AT_ONCE)
    ]
  )


def _tflite(folder: pathlib.Path, precision: str) -> pathlib.Path:
  return folder / f'model_{precision}.tflite'


def _size(path: pathlib.Path) -> int:
  """Returns the bytes of a file, or of all files in a folder."""
  files = path.rglob('*') if path.is_dir() else [path]
  return sum(f.stat().st_size for f in files if f.is_file())


def _write_json(path: pathlib.Path, value: Any) -> None:
  text = json.dumps(value, indent=2, ensure_ascii=False)
  path.write_text(text + '\n', encoding='utf-8')
