import json
import pathlib
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from tests import slow_cases
from tff_pipelines.core import errors
from tff_pipelines.data import text_features
from tff_pipelines.models import serving, text_classifiers

FEATURES = text_features.TextFeatures(num_buckets=50, max_features=12)
BATCH_SPEC = (
  {
    'ids': tf.TensorSpec([None, 12], tf.int32),
    'weights': tf.TensorSpec([None, 12], tf.float32),
  },
  tf.TensorSpec([None], tf.int32),
)
BUILDERS = {
  'logistic_regression': text_classifiers.build_logistic_regression,
  'embedding_bag': text_classifiers.build_embedding_bag,
}
TEXTS = (
  '',
  'WIN £500 now!! Call 0800 123456 or www.prize.com',
  'see you at tea',
  'ÉTÉ 🍵 СРОЧНО',
  'more words than there is room for ' * 9,
)
DESCRIPTION = {'labels': ['ham', 'spam'], 'features': FEATURES.config()}


def random_weights(classifier, scale: float = 1.0) -> tuple[np.ndarray, ...]:
  rng = np.random.default_rng(4)
  return tuple(
    (scale * rng.normal(size=np.shape(w))).astype(np.float32)
    for w in classifier.functional.initial_weights[0]
  )


def export(folder: pathlib.Path, classifier, weights) -> None:
  folder.mkdir()
  serving.export(
    folder, classifier, weights, features=FEATURES, description=DESCRIPTION
  )


@pytest.fixture(
  scope='module', params=slow_cases.all_but(['embedding_bag'], BUILDERS)
)
def classifier(request) -> text_classifiers.TextClassifier:
  return BUILDERS[request.param](FEATURES.num_ids, BATCH_SPEC)


@pytest.fixture(scope='module')
def folder(classifier, tmp_path_factory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('exported') / 'model'
  export(folder, classifier, random_weights(classifier))
  return folder


def expected_probability(classifier) -> np.ndarray:
  """What the functional model says of features computed as for training."""
  logits = classifier.functional.predict_on_batch(
    (random_weights(classifier), ()), FEATURES.compute(TEXTS)
  )
  return 1 / (1 + np.exp(-np.float64(logits)))


def test_an_exported_model_predicts_as_the_trained_one(classifier, folder):
  labels, probability = serving.predict(folder, TEXTS)
  expected = expected_probability(classifier)
  np.testing.assert_allclose(probability, expected, atol=1e-6)
  assert labels == [['ham', 'spam'][int(p >= 0.5)] for p in expected]
  assert set(labels) == {'ham', 'spam'}


def test_the_saved_model_is_served_by_its_signature(classifier, folder):
  loaded = tf.saved_model.load(str(folder / 'saved_model'))
  served = loaded.signatures['serving_default'](texts=tf.constant(TEXTS))
  np.testing.assert_allclose(
    served['probability'], expected_probability(classifier), atol=1e-6
  )


def test_the_keras_file_predicts_from_features(classifier, folder):
  keras_model = tf.keras.models.load_model(folder / 'model.keras')
  probability = keras_model(dict(FEATURES.compute(TEXTS)))
  np.testing.assert_allclose(
    probability[:, 0], expected_probability(classifier), atol=1e-6
  )


def test_the_weights_are_those_that_were_given(classifier, folder):
  with np.load(folder / 'weights.npz') as arrays:
    for i, weight in enumerate(random_weights(classifier)):
      np.testing.assert_array_equal(arrays[f'weight_{i}'], weight)
    assert len(arrays.files) == i + 1


def test_the_description_names_model_labels_and_features(classifier, folder):
  description = json.loads((folder / 'model.json').read_text('utf-8'))
  assert description == {'model': classifier.name, **DESCRIPTION}
  features = text_features.TextFeatures.from_config(description['features'])
  assert features == FEATURES


def test_equal_weights_are_equal_files(classifier, folder, tmp_path):
  export(tmp_path / 'again', classifier, random_weights(classifier))
  for name in ('weights.npz', 'model.keras', 'model.json'):
    again = tmp_path / 'again' / name
    assert again.read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.parametrize('name', ['weights.npz', 'model.keras'])
def test_no_file_knows_when_it_was_written(folder, name):
  # Two exports within a second would be equal in spite of a time stamp.
  with zipfile.ZipFile(folder / name) as archive:
    assert len(archive.filelist) > 1
    dates = {member.date_time for member in archive.filelist}
    contents = b''.join(archive.read(m) for m in archive.filelist)
  assert dates == {(1980, 1, 1, 0, 0, 0)}
  assert b'date_saved' not in contents


def test_other_weights_are_other_files(classifier, folder, tmp_path):
  export(tmp_path / 'other', classifier, random_weights(classifier, scale=2))
  for name in ('weights.npz', 'model.keras'):
    other = tmp_path / 'other' / name
    assert other.read_bytes() != (folder / name).read_bytes(), name


def test_no_texts_have_no_labels(folder):
  labels, probability = serving.predict(folder, [])
  assert labels == []
  assert probability.shape == (0,)


def test_a_probability_of_one_half_is_the_second_label(tmp_path):
  classifier = BUILDERS['logistic_regression'](FEATURES.num_ids, BATCH_SPEC)
  export(
    tmp_path / 'model', classifier, classifier.functional.initial_weights[0]
  )
  labels, probability = serving.predict(tmp_path / 'model', ['tea'])
  np.testing.assert_array_equal(probability, [0.5])
  assert labels == ['spam']


def write_nothing(folder: pathlib.Path) -> None:
  """A folder that is empty from the start."""


def write_only_a_description(folder: pathlib.Path) -> None:
  (folder / 'model.json').write_text(json.dumps(DESCRIPTION))


def write_no_json(folder: pathlib.Path) -> None:
  (folder / 'model.json').write_text('{"labels": ')


def write_no_labels(folder: pathlib.Path) -> None:
  (folder / 'model.json').write_text('{}')


@pytest.mark.parametrize(
  'write',
  [write_nothing, write_only_a_description, write_no_json, write_no_labels],
)
def test_a_folder_without_a_model_is_named(tmp_path, write):
  write(tmp_path)
  with pytest.raises(serving.ModelNotFoundError) as raised:
    serving.predict(tmp_path, ['tea'])
  assert str(raised.value) == (
    f'Expected an exported model in {tmp_path}, found none that can be read; '
    'train one first, or name its run with --output_dir.'
  )
  assert isinstance(raised.value, errors.PipelineError)
