"""Each architecture as a layer of Keras and for TensorFlow Lite."""

import numpy as np
import pytest
import tensorflow as tf

from tests import slow_cases
from tff_pipelines.core import tokens as marks
from tff_pipelines.models import (
  character_lstm,
  cifg_lstm,
  gru,
  keyboards,
  next_token_layer,
  suggestions,
  tflite_models,
  transformer,
)

ARCHITECTURES = {
  'cifg_lstm': cifg_lstm.CifgLstm(40, 5, embedding_size=8, units=16),
  'gru': gru.Gru(40, 5, embedding_size=8, units=16),
  'character_lstm': character_lstm.CharacterLstm(
    40, 5, embedding_size=8, units=16, layers=2
  ),
  'transformer': transformer.Transformer(
    40, 5, embedding_size=8, heads=2, layers=1, hidden=16
  ),
}


def rows() -> np.ndarray:
  x = np.random.default_rng(1).integers(1, 40, [6, 5]).astype(np.int32)
  x[:, 0] = marks.START
  x[1:, 3] = [marks.START, 0, 7, 7, 0]
  x[2:, 4] = 0
  return x


def logits(architecture) -> np.ndarray:
  weights = [tf.constant(w) for w in architecture.initial_weights(seed=2)]
  return architecture.logits(weights, tf.constant(rows())).numpy()


def test_every_architecture_is_known():
  assert set(next_token_layer.ARCHITECTURES) == set(ARCHITECTURES)
  for name, architecture in ARCHITECTURES.items():
    assert architecture.name == name


@pytest.mark.parametrize('name', ARCHITECTURES)
def test_a_layer_is_made_again_from_its_configuration(name):
  architecture = ARCHITECTURES[name]
  weights = architecture.initial_weights(seed=2)
  model = next_token_layer.to_keras(architecture, weights)
  np.testing.assert_allclose(model(rows()), logits(architecture), atol=1e-6)
  again = tf.keras.Model.from_config(model.get_config())
  again.set_weights(model.get_weights())
  np.testing.assert_array_equal(again(rows()), model(rows()))


@pytest.mark.parametrize(
  'name', slow_cases.all_but(['character_lstm'], ARCHITECTURES)
)
def test_a_telephone_computes_the_same(name):
  architecture = ARCHITECTURES[name]
  one = keyboards.NextWords(architecture, architecture.initial_weights(2), 1)
  model = tflite_models.convert(one.suggest, one, 'float32')
  found = tflite_models.run(model, rows())['log_probabilities']
  expected = suggestions.after_last(logits(architecture), rows())
  np.testing.assert_allclose(found, expected, atol=1e-5)
