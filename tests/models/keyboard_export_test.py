import json
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.core import tokens as marks
from tff_pipelines.models import (
  cifg_lstm,
  keyboard_export,
  loaded_keyboards,
  suggestions,
  tflite_models,
)

ARCHITECTURE = cifg_lstm.CifgLstm(
  vocabulary_size=200, length=5, embedding_size=16, units=32
)
WORDS = tuple(f'w{i}' for i in range(196))
SENTENCES = {'cased': False}
COPIES = {
  'Keras': 'model.keras',
  'SavedModel': 'saved_model',
  'TFLite float32': 'model_float32.tflite',
  'TFLite int8': 'model_int8.tflite',
}


def weights(scale: float = 1.0) -> list[np.ndarray]:
  return [scale * w for w in ARCHITECTURE.initial_weights(seed=3)]


def prefixes(num: int = 40) -> np.ndarray:
  rng = np.random.default_rng(5)
  x = rng.integers(1, 200, [num, 5]).astype(np.int32)
  x[:, 0] = marks.START
  return np.where(np.arange(5) <= rng.integers(0, 5, [num, 1]), x, 0)


def export(folder: pathlib.Path, **changed) -> list[dict]:
  folder.mkdir()
  arguments = {
    'weights': weights(),
    'words': WORDS,
    'level': 'word',
    'prefixes': prefixes(),
    'description': {'vocabulary': 'a list', 'sentences': SENTENCES},
    **changed,
  }
  return keyboard_export.export(folder, ARCHITECTURE, **arguments)


@pytest.fixture(scope='module')
def exported(tmp_path_factory) -> tuple[pathlib.Path, list[dict]]:
  folder = tmp_path_factory.mktemp('exported') / 'model'
  return folder, export(folder)


@pytest.fixture(scope='module')
def folder(exported) -> pathlib.Path:
  return exported[0]


@pytest.fixture(scope='module')
def expected() -> np.ndarray:
  """Log probabilities by the model as it is trained: with loops."""
  tokens = prefixes()
  logits = ARCHITECTURE.logits([tf.constant(w) for w in weights()], tokens)
  return suggestions.after_last(logits, tokens).numpy()


def test_the_table_tells_size_and_agreement_of_each_copy(exported):
  folder, rows = exported
  assert rows == json.loads((folder / 'export.json').read_text('utf-8'))
  assert {row['format']: row['file'] for row in rows} == COPIES
  for row in rows:
    path = folder / row['file']
    if path.is_dir():
      assert row['bytes'] > (folder / 'weights.npz').stat().st_size
    else:
      assert row['bytes'] == path.stat().st_size
    assert row['prefixes'] == 40
    if row['format'] != 'TFLite int8':
      assert row['same_first'] == row['same_three'] == 1.0
      assert row['largest_difference'] < 1e-5
  assert rows[3]['same_first'] >= 0.9
  assert 0 < rows[3]['largest_difference'] < 0.01


def test_the_saved_model_suggests_from_tokens_and_from_words(folder, expected):
  signatures = tf.saved_model.load(str(folder / 'saved_model')).signatures
  found = signatures['suggest'](tokens=tf.constant(prefixes()))
  np.testing.assert_allclose(found['log_probabilities'], expected, atol=1e-5)
  ids, probabilities = suggestions.likeliest(expected)
  np.testing.assert_array_equal(found['ids'], ids)
  np.testing.assert_allclose(found['probabilities'], probabilities, atol=1e-6)

  # The same prefixes in words: unknown ones are unknown.
  names = dict(enumerate(WORDS, start=marks.FIRST_WORD))
  sentences = [
    ' '.join(names.get(i, '?') for i in row[1:] if i) + ' '
    for row in np.where(prefixes() < marks.FIRST_WORD, 1, prefixes())
    * (prefixes() != 0)
  ]
  known = np.all((prefixes()[:, 1:] == 0) | (prefixes()[:, 1:] >= 4), axis=1)
  assert known.sum() > 20
  served = signatures['serving_default'](sentences=tf.constant(sentences))
  np.testing.assert_array_equal(
    served['words'].numpy()[known].astype(str),
    np.vectorize(names.get)(ids)[known],
  )


def test_keras_gives_the_logits_of_every_place(folder):
  model = tf.keras.models.load_model(folder / 'model.keras')
  np.testing.assert_allclose(
    model(prefixes()),
    ARCHITECTURE.logits([tf.constant(w) for w in weights()], prefixes()),
    atol=1e-5,
  )
  assert model.count_params() == ARCHITECTURE.num_parameters
  assert model.name == 'cifg_lstm'


def test_keras_can_train_it_further(folder):
  model = tf.keras.models.load_model(folder / 'model.keras')
  with tf.GradientTape() as tape:
    loss = tf.reduce_mean(tf.square(model(prefixes(4))))
  gradients = tape.gradient(loss, model.trainable_variables)
  assert len(gradients) == len(weights())
  for gradient in gradients:
    assert np.abs(tf.convert_to_tensor(gradient)).max() > 0


@pytest.mark.parametrize('precision', tflite_models.PRECISIONS)
def test_tensorflow_lite_needs_built_in_operations_only(
  folder, precision, expected
):
  content = (folder / f'model_{precision}.tflite').read_bytes()
  assert b'Flex' not in content
  interpreter = tf.lite.Interpreter(model_content=content)
  assert interpreter.get_signature_list() == {
    'serving_default': {
      'inputs': ['tokens'],
      'outputs': ['ids', 'log_probabilities', 'probabilities'],
    }
  }
  found = tflite_models.run(content, prefixes())
  atol = {'float32': 1e-5, 'int8': 0.05}[precision]
  np.testing.assert_allclose(found['log_probabilities'], expected, atol=atol)
  ids, probabilities = suggestions.likeliest(found['log_probabilities'])
  np.testing.assert_array_equal(found['ids'], ids)
  np.testing.assert_allclose(found['probabilities'], probabilities, rtol=1e-4)


def test_int8_is_smaller(folder):
  sizes = [
    (folder / f'model_{precision}.tflite').stat().st_size
    for precision in tflite_models.PRECISIONS
  ]
  # What is no weight is in both, and weighs more the smaller the model is.
  num_quantized = 200 * 16 + 2 * 16 * 96
  assert sizes[0] - sizes[1] > 0.7 * 3 * num_quantized


def test_the_description_names_the_model_and_how_text_is_cut(folder):
  description = json.loads((folder / 'model.json').read_text('utf-8'))
  assert description == {
    'model': 'cifg_lstm',
    'sizes': {
      'vocabulary_size': 200,
      'length': 5,
      'embedding_size': 16,
      'units': 32,
    },
    'num_parameters': ARCHITECTURE.num_parameters,
    'level': 'word',
    'vocabulary': 'a list',
    'sentences': SENTENCES,
  }
  words = json.loads((folder / 'vocabulary.json').read_text('utf-8'))
  assert tuple(words) == WORDS
  with np.load(folder / 'weights.npz') as arrays:
    assert len(arrays.files) == len(weights())
    for i, weight in enumerate(weights()):
      np.testing.assert_array_equal(arrays[f'weight_{i}'], weight)


@pytest.mark.slow
def test_equal_weights_are_equal_files(folder, tmp_path):
  rows = export(tmp_path / 'again', prefixes=prefixes(0))
  for name in (
    'weights.npz',
    'model.keras',
    'model_float32.tflite',
    'model_int8.tflite',
    'model.json',
    'vocabulary.json',
  ):
    again = tmp_path / 'again' / name
    assert again.read_bytes() == (folder / name).read_bytes(), name
  with zipfile.ZipFile(folder / 'model.keras') as archive:
    dates = {member.date_time for member in archive.filelist}
  assert dates == {(1980, 1, 1, 0, 0, 0)}
  # Without held-out words nothing is compared.
  assert {row['same_first'] for row in rows} == {None}


def test_a_loaded_keyboard_suggests(folder):
  keyboard = loaded_keyboards.LoadedKeyboard(folder)
  assert keyboard.is_of_words
  assert keyboard.description['sentences'] == SENTENCES
  shown = keyboard.suggest('w1 w2')
  tokens = np.int32([[marks.START, 5, 6, 0, 0]])
  logits = ARCHITECTURE.logits([tf.constant(w) for w in weights()], tokens)
  ids, probabilities = suggestions.likeliest(
    suggestions.after_last(logits, tokens)
  )
  assert shown.words == tuple(WORDS[i - 4] for i in ids[0])
  np.testing.assert_allclose(shown.probabilities, probabilities[0], atol=1e-6)
  assert shown.unfinished == ''
  assert keyboard.suggest('w1 w2 ') == shown
  shown = keyboard.suggest('w1 w')
  assert len(shown.words) == 3
  assert shown.unfinished == 'w'
  # Half of a surrogate pair is no character.
  assert len(keyboard.suggest('w1 \ud800').words) == 3


def write_nothing(folder: pathlib.Path) -> None:
  """A folder that is empty from the start."""


def write_only_a_description(folder: pathlib.Path) -> None:
  (folder / 'model.json').write_text('{"level": "word"}')


def write_another_model(folder: pathlib.Path) -> None:
  (folder / 'model.json').write_text('{"model": "logistic_regression"}')


def write_no_json(folder: pathlib.Path) -> None:
  (folder / 'model.json').write_text('{"level": ')


@pytest.mark.parametrize(
  'write',
  [write_nothing, write_only_a_description, write_another_model, write_no_json],
)
def test_a_folder_without_a_keyboard_is_named(tmp_path, write):
  write(tmp_path)
  with pytest.raises(loaded_keyboards.KeyboardNotFoundError) as raised:
    loaded_keyboards.LoadedKeyboard(tmp_path)
  assert str(raised.value) == (
    f'Expected an exported language model in {tmp_path}, found none that can '
    'be read; train one first, or name its run with --output_dir.'
  )
  assert isinstance(raised.value, errors.PipelineError)


def test_another_process_needs_no_tensorflow_federated(folder):
  program = """
import sys
import tff_pipelines.cli.keyboard_flags
import tff_pipelines.models.next_token_layer
from tff_pipelines.models import loaded_keyboards
import pathlib, tensorflow as tf
folder = pathlib.Path(sys.argv[1])
model = tf.keras.models.load_model(folder / 'model.keras')
print(model(tf.constant([[3, 5, 6, 0, 0]])).shape)
print(loaded_keyboards.LoadedKeyboard(folder).suggest('w1').words)
print('tensorflow_federated' in sys.modules)
"""
  done = subprocess.run(
    [sys.executable, '-c', program, str(folder)],
    cwd=pathlib.Path(__file__).parents[2],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  words = loaded_keyboards.LoadedKeyboard(folder).suggest('w1').words
  assert done.stdout.splitlines() == ['(1, 5, 200)', str(words), 'False']
