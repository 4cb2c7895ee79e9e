"""The convolutional classifier, and its training on both contexts."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.models import image_classifiers, image_cnn, sizes

SMALL = image_cnn.Cnn(64, 3, channels=(2, 3), hidden_size=5)


def examples(count, seed=0):
  rng = np.random.default_rng(seed)
  return (
    rng.uniform(size=[count, 64]).astype(np.float32),
    rng.integers(0, 3, count).astype(np.int32),
  )


def random_weights(cnn):
  rng = np.random.default_rng(2)
  return [
    w + 0.1 * rng.normal(size=w.shape).astype(np.float32)
    for w in cnn.initial_weights(0)
  ]


def keras_of(cnn, weights):
  """The layers of the paper, by Keras."""
  layers = tf.keras.layers
  first, second = cnn.channels
  keras = tf.keras.Sequential(
    [
      layers.InputLayer([cnn.num_inputs]),
      layers.Reshape([cnn.side, cnn.side, 1]),
      layers.Conv2D(first, 5, padding='same', activation='relu'),
      layers.MaxPool2D(),
      layers.Conv2D(second, 5, padding='same', activation='relu'),
      layers.MaxPool2D(),
      layers.Flatten(),
      layers.Dense(cnn.hidden_size, activation='relu'),
      layers.Dense(cnn.num_classes),
    ]
  )
  keras.set_weights(weights)
  return keras


def test_it_has_its_published_size():
  # McMahan et al. 2017, section 3: "1,663,370 total parameters".
  cnn = image_cnn.Cnn(784, 10)
  assert cnn.num_parameters == 1_663_370
  assert cnn.kernels == (
    (5, 5, 1, 32), (5, 5, 32, 64), (3136, 512), (512, 10),
  )  # fmt: skip


def test_small_digits_have_one_too():
  cnn = image_cnn.Cnn(64, 10)
  assert cnn.kernels[2] == (2 * 2 * 64, 512)
  assert cnn.num_parameters == sum(w.size for w in cnn.initial_weights(0))


def test_initial_weights_keep_the_variance():
  weights = image_cnn.Cnn(784, 10).initial_weights(0)
  for kernel, variance in zip(
    weights[::2], (2 / 25, 2 / 800, 2 / 3136, 1 / 512), strict=True
  ):
    # A mean of n squares of normals: chi-squared tails (Laurent and Massart
    # 2000, lemma 1) beyond 2 sqrt(t / n) + 2 t / n have probability 2 e^-t
    # relatively, 4e-9 for t = 20.
    bound = 2 * math.sqrt(20 / kernel.size) + 2 * 20 / kernel.size
    assert abs(np.mean(np.float64(kernel) ** 2) / variance - 1) < bound
  assert not any(np.any(bias) for bias in weights[1::2])


def test_initial_weights_are_a_pure_function_of_the_seed():
  one, same, other = (SMALL.initial_weights(seed) for seed in (3, 3, 4))
  for a, b, c in zip(one[::2], same[::2], other[::2], strict=True):
    np.testing.assert_array_equal(a, b)
    assert np.all(a != c)


def gradients_and_logits(logits, weights, x, y):
  with tf.GradientTape() as tape:
    tape.watch(weights)
    found = logits(weights, x)
    loss = image_classifiers.mean_cross_entropy(found, y)
  return found, tape.gradient(loss, weights)


def test_it_computes_what_the_layers_of_keras_compute():
  weights = random_weights(SMALL)
  keras = keras_of(SMALL, weights)
  assert keras.count_params() == SMALL.num_parameters
  x, y = examples(6)
  found, gradients = gradients_and_logits(
    SMALL.logits, [tf.constant(w) for w in weights], x, y
  )
  with tf.GradientTape() as tape:
    expected = keras(x)
    loss = image_classifiers.mean_cross_entropy(expected, y)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  for one, other in zip(
    gradients, tape.gradient(loss, keras.trainable_weights), strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('pixels', [10, 36, 49, 2])
def test_images_that_cannot_be_halved_twice_are_refused(pixels):
  with pytest.raises(sizes.ModelSizeError) as raised:
    image_cnn.Cnn(pixels, 10)
  assert str(raised.value) == (
    'Expected square images with a side that can be halved twice, found '
    f'{pixels} pixels; take a multi-layer perceptron.'
  )


@pytest.mark.parametrize(
  ('changed', 'message'),
  [
    ({'num_classes': 0}, 'Expected num_classes of at least 1, found 0.'),
    ({'channels': (0, 2)}, 'Expected first_channels of at least 1, found 0.'),
    ({'channels': (2, -1)}, 'Expected second_channels of at least 1, fou'),
    ({'hidden_size': 0}, 'Expected hidden_size of at least 1, found 0.'),
  ],
)
def test_sizes_that_make_no_model_are_refused(changed, message):
  with pytest.raises(sizes.ModelSizeError, match=f'^{message}'):
    image_cnn.Cnn(**{'num_inputs': 64, 'num_classes': 3, **changed})


# Training: XLA gives what TFF's own runtime gives.


@pytest.fixture(scope='module')
def pair():
  from tff_pipelines.execution.xla import context

  contexts = samples.Pair(
    samples.Reference(), context.XlaContext(threads=2, secure_sums='insecure')
  )
  yield contexts
  contexts.reference.close()
  contexts.xla.close()


@pytest.mark.slow
def test_federated_averaging_of_it_is_that_of_tff(pair):
  # Full batches, a short last one, a client without examples.
  sgd = tff.learning.optimizers.build_sgdm
  process = tff.learning.algorithms.build_weighted_fed_avg(
    image_cnn.build_cnn(SMALL, seed=1), sgd(0.1), sgd(1.0)
  )
  rounds = [samples.batches(samples.COHORTS[0], seed=10, make=examples)]
  last = pair.same_rounds(process, rounds)
  assert pair.way(process.next) == 'xla'
  metrics = last.metrics['client_work']['train']
  assert metrics['num_examples'] == sum(samples.COHORTS[0])
