import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import errors
from tff_pipelines.models import sizes as sizes_lib
from tff_pipelines.models import text_classifiers

LENGTH = 4
BATCH_SPEC = (
  {
    'ids': tf.TensorSpec([None, LENGTH], tf.int32),
    'weights': tf.TensorSpec([None, LENGTH], tf.float32),
  },
  tf.TensorSpec([None], tf.int32),
)
BUILDERS = {
  'logistic_regression': text_classifiers.build_logistic_regression,
  'embedding_bag': text_classifiers.build_embedding_bag,
}


@pytest.fixture(params=BUILDERS)
def classifier(request) -> text_classifiers.TextClassifier:
  return BUILDERS[request.param](11, BATCH_SPEC)


def random_weights(classifier) -> tuple[np.ndarray, ...]:
  rng = np.random.default_rng(0)
  return tuple(
    rng.normal(size=np.shape(w)).astype(np.float32)
    for w in classifier.functional.initial_weights[0]
  )


def random_bags(num_texts: int) -> dict[str, np.ndarray]:
  rng = np.random.default_rng(1)
  return {
    'ids': rng.integers(0, 11, [num_texts, LENGTH]).astype(np.int32),
    'weights': rng.normal(size=[num_texts, LENGTH]).astype(np.float32),
  }


def bags(ids, weights) -> dict[str, tf.Tensor]:
  return {'ids': tf.constant(ids), 'weights': tf.constant(weights)}


def predict(classifier, weights, x) -> np.ndarray:
  return classifier.functional.predict_on_batch((weights, ()), x).numpy()


@pytest.mark.parametrize('num_ids', [1, 11])
def test_parameters_of_logistic_regression(num_ids):
  classifier = text_classifiers.build_logistic_regression(num_ids, BATCH_SPEC)
  assert classifier.num_parameters == num_ids + 1
  assert classifier.name == 'logistic_regression'


@pytest.mark.parametrize(
  ('num_ids', 'e', 'h', 'expected'),
  [(1, 1, 1, 1 + 2 + 2), (11, 3, 5, 33 + 20 + 6), (11, 16, 16, 176 + 272 + 17)],
)
def test_parameters_of_an_embedding_bag(num_ids, e, h, expected):
  classifier = text_classifiers.build_embedding_bag(
    num_ids, BATCH_SPEC, embedding_size=e, hidden_size=h
  )
  assert expected == num_ids * e + (e + 1) * h + h + 1
  assert classifier.num_parameters == expected
  assert classifier.name == 'embedding_bag'


def test_keras_and_functional_models_predict_the_same(classifier):
  weights, x = random_weights(classifier), random_bags(50)
  logits = predict(classifier, weights, x)
  assert logits.shape == (50,)
  probability = classifier.to_keras(weights)(x).numpy()
  assert probability.shape == (50, 1)
  np.testing.assert_allclose(
    probability[:, 0], 1 / (1 + np.exp(-np.float64(logits))), atol=1e-6
  )


def test_keras_models_of_stock_layers_count_the_same_parameters(classifier):
  keras_model = classifier.to_keras(random_weights(classifier))
  # Logistic regression has a factor of 1 behind its bag in Keras.
  factors = int(classifier.name == 'logistic_regression')
  assert keras_model.count_params() == classifier.num_parameters + factors
  modules = {type(layer).__module__ for layer in keras_model.layers}
  assert all(module.startswith('keras.src.') for module in modules)


def test_a_second_keras_model_has_the_same_configuration(classifier):
  weights = random_weights(classifier)
  first, second = classifier.to_keras(weights), classifier.to_keras(weights)
  assert first.get_config() == second.get_config()


def test_logistic_regression_starts_undecided():
  classifier = BUILDERS['logistic_regression'](11, BATCH_SPEC)
  weights, x = classifier.functional.initial_weights[0], random_bags(5)
  logits = predict(classifier, weights, x)
  np.testing.assert_array_equal(logits, np.zeros(5))
  for label in (0, 1):
    loss = classifier.functional.loss(
      output=tf.constant(logits), label=tf.fill([5], label)
    )
    assert loss.numpy() == pytest.approx(math.log(2))


def test_a_step_of_logistic_regression_by_hand():
  classifier = text_classifiers.build_logistic_regression(3, BATCH_SPEC)
  model = classifier.functional
  table = tf.constant([[0.0], [1.0], [-1.0]])
  intercept = tf.constant(0.5)
  x = bags(
    [[1, 2, 0, 0], [2, 0, 0, 0]], [[0.6, 0.8, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
  )
  y = tf.constant([1, 0])
  with tf.GradientTape() as tape:
    tape.watch([table, intercept])
    output = model.predict_on_batch(((table, intercept), ()), x)
    loss = model.loss(output=output, label=y)
  gradient = tape.gradient(loss, (table, intercept))
  optimizer = tff.learning.optimizers.build_sgdm(2.0)
  specs = (tf.TensorSpec([3, 1]), tf.TensorSpec([]))
  _, (table, intercept) = optimizer.next(
    optimizer.initialize(specs), (table, intercept), gradient
  )

  # Logits 0.6 - 0.8 + 0.5 and -1 + 0.5; residuals (probability - label) / 2,
  # of which a step of rate 2 subtracts twice.
  np.testing.assert_allclose(output, [0.3, -0.5], rtol=1e-6)
  first = 1 / (1 + math.exp(-0.3)) - 1
  second = 1 / (1 + math.exp(0.5)) - 0
  assert loss.numpy() == pytest.approx(
    (math.log1p(math.exp(-0.3)) + math.log1p(math.exp(-0.5))) / 2, rel=1e-6
  )
  np.testing.assert_allclose(
    table,
    [[0.0], [1.0 - 0.6 * first], [-1.0 - 0.8 * first - second]],
    rtol=1e-6,
  )
  assert intercept.numpy() == pytest.approx(0.5 - first - second, rel=1e-6)


def test_an_embedding_bag_by_hand():
  classifier = text_classifiers.build_embedding_bag(
    3, BATCH_SPEC, embedding_size=2, hidden_size=2
  )
  table = np.float32([[9, 9], [1, 2], [3, -1]])
  hidden = np.float32([[1, -1], [2, 1]])
  weights = (
    table, hidden, np.float32([0.5, 0]), np.float32([[2], [3]]), np.float32(0.1)
  )  # fmt: skip
  x = bags([[1, 2, 0, 0]], [[2.0, 1.0, 0.0, 0.0]])
  # Bag (5, 3); units relu(11.5), relu(-2) = 0; logit 2 * 11.5 + 0.1.
  np.testing.assert_allclose(predict(classifier, weights, x), [23.1], rtol=1e-6)


def test_padding_has_no_influence(classifier):
  weights = random_weights(classifier)
  short = bags([[3, 0, 0, 0]], [[1.0, 0.0, 0.0, 0.0]])
  other = bags([[3, 7, 9, 1]], [[1.0, 0.0, 0.0, 0.0]])
  np.testing.assert_array_equal(
    predict(classifier, weights, short), predict(classifier, weights, other)
  )


def test_initial_weights_are_a_pure_function_of_the_seed():
  def initial(seed):
    model = text_classifiers.build_embedding_bag(5, BATCH_SPEC, seed=seed)
    return np.concatenate(
      [np.ravel(w) for w in model.functional.initial_weights[0]]
    )

  first = initial(0)
  assert not np.array_equal(initial(1), first)
  np.testing.assert_array_equal(initial(0), first)
  assert first.dtype == np.float32


def test_initial_weights_keep_the_variance():
  classifier = text_classifiers.build_embedding_bag(
    2000, BATCH_SPEC, embedding_size=32, hidden_size=64
  )
  table, hidden, hidden_bias, output, output_bias = (
    classifier.functional.initial_weights[0]
  )
  assert not np.any(hidden_bias) and not np.any(output_bias)
  for weights, variance in ((table, 1), (hidden, 2 / 32), (output, 1 / 64)):
    # A mean of n squares of normals has deviation sqrt(2 / n), relatively;
    # chi-squared tails (Laurent and Massart 2000, lemma 1) beyond
    # 2 sqrt(t / n) + 2 t / n have probability 2 e^-t: 4e-9 for t = 20.
    bound = 2 * math.sqrt(20 / weights.size) + 2 * 20 / weights.size
    found = np.mean(np.float64(weights) ** 2)
    assert abs(found / variance - 1) < bound


def test_the_loss_is_the_mean_cross_entropy(classifier):
  logits = np.float32([-200, -1, 0, 3, 200])
  labels = np.array([0, 1, 0, 1, 0])
  # 200 for the last one: no overflow on the way.
  expected = np.logaddexp(0, np.where(labels, -1, 1) * np.float64(logits))
  loss = classifier.functional.loss(
    output=tf.constant(logits), label=tf.constant(labels, tf.int32)
  )
  assert loss.numpy() == pytest.approx(expected.mean(), rel=1e-6)


@pytest.mark.parametrize(
  ('builder', 'sizes', 'message'),
  [
    (
      'logistic_regression',
      {'num_ids': 0},
      'Expected num_ids of at least 1, found 0.',
    ),
    (
      'embedding_bag',
      {'num_ids': -1},
      'Expected num_ids of at least 1, found -1.',
    ),
    (
      'embedding_bag',
      {'embedding_size': 0},
      'Expected embedding_size of at least 1, found 0.',
    ),
    (
      'embedding_bag',
      {'hidden_size': 0},
      'Expected hidden_size of at least 1, found 0.',
    ),
  ],
)
def test_a_size_that_makes_no_model_is_refused(builder, sizes, message):
  with pytest.raises(sizes_lib.ModelSizeError) as raised:
    BUILDERS[builder](**({'num_ids': 3, 'batch_spec': BATCH_SPEC} | sizes))
  assert str(raised.value) == message
  assert isinstance(raised.value, errors.PipelineError)
