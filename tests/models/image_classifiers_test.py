"""The multi-layer perceptron, its loss, and its training on both contexts."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.core import errors
from tff_pipelines.models import image_classifiers, sizes

SMALL = image_classifiers.Mlp(4, (3, 5), 6)


def examples(count, seed=0):
  rng = np.random.default_rng(seed)
  return (
    rng.uniform(size=[count, 4]).astype(np.float32),
    rng.integers(0, 6, count).astype(np.int32),
  )


def test_the_2nn_has_its_published_size():
  # McMahan et al. 2017, section 3: "199,210 total parameters".
  mlp = image_classifiers.Mlp(784, (200, 200), 10)
  assert mlp.num_parameters == 199_210
  assert mlp.layers == ((784, 200), (200, 200), (200, 10))


@pytest.mark.parametrize(
  ('mlp', 'expected'),
  [
    (image_classifiers.Mlp(784, (), 10), 7_850),
    (image_classifiers.Mlp(64, (32,), 10), 65 * 32 + 33 * 10),
    (SMALL, 5 * 3 + 4 * 5 + 6 * 6),
  ],
)
def test_the_count_of_parameters_is_the_formula(mlp, expected):
  assert mlp.num_parameters == expected
  assert sum(w.size for w in mlp.initial_weights(0)) == expected


def test_weights_are_a_kernel_and_a_bias_a_layer():
  weights = SMALL.initial_weights(0)
  assert [w.shape for w in weights] == [
    (4, 3), (3,), (3, 5), (5,), (5, 6), (6,),
  ]  # fmt: skip
  assert {w.dtype for w in weights} == {np.dtype(np.float32)}
  assert not any(np.any(bias) for bias in weights[1::2])


def test_initial_weights_are_a_pure_function_of_the_seed():
  one, same, other = (SMALL.initial_weights(seed) for seed in (3, 3, 4))
  for a, b, c in zip(one[::2], same[::2], other[::2], strict=True):
    np.testing.assert_array_equal(a, b)
    assert np.all(a != c)


def test_initial_weights_keep_the_variance():
  weights = image_classifiers.Mlp(784, (200, 200), 10).initial_weights(0)
  for kernel, variance in zip(
    weights[::2], (2 / 784, 2 / 200, 1 / 200), strict=True
  ):
    # A mean of n squares of normals: chi-squared tails (Laurent and Massart
    # 2000, lemma 1) beyond 2 sqrt(t / n) + 2 t / n have probability 2 e^-t
    # relatively, 4e-9 for t = 20.
    bound = 2 * math.sqrt(20 / kernel.size) + 2 * 20 / kernel.size
    found = np.mean(np.float64(kernel) ** 2)
    assert abs(found / variance - 1) < bound


def test_two_layers_by_hand():
  mlp = image_classifiers.Mlp(2, (2,), 2)
  weights = (
    np.float32([[1, -1], [2, 1]]), np.float32([0.5, 0]),
    np.float32([[2, 0], [3, 1]]), np.float32([0.1, -1]),
  )  # fmt: skip
  # Units relu(5 + 6 + 0.5), relu(-5 + 3) = 0; logits 23.1 and -1.
  found = mlp.logits(weights, tf.constant([[5.0, 3.0]]))
  np.testing.assert_allclose(found, [[23.1, -1]], rtol=1e-6)


@pytest.mark.parametrize('hidden_sizes', [(), (3,), (3, 5), (7, 2, 3)])
def test_it_computes_what_the_layers_of_keras_compute(hidden_sizes):
  mlp = image_classifiers.Mlp(4, hidden_sizes, 6)
  rng = np.random.default_rng(2)
  weights = [
    rng.normal(size=w.shape).astype(np.float32) for w in mlp.initial_weights(0)
  ]
  keras = tf.keras.Sequential(
    [
      tf.keras.layers.InputLayer([4]),
      *(tf.keras.layers.Dense(n, activation='relu') for n in hidden_sizes),
      tf.keras.layers.Dense(6),
    ]
  )
  keras.set_weights(weights)
  assert keras.count_params() == mlp.num_parameters
  x, y = examples(20)
  model = image_classifiers.build_mlp(mlp)
  found = model.predict_on_batch((tuple(weights), ()), x)
  np.testing.assert_allclose(found, keras(x), rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(
    model.loss(output=found, label=y),
    tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)(
      y, keras(x)
    ),
    rtol=1e-5,
  )


def test_the_loss_is_the_mean_cross_entropy():
  logits = np.float32([[0, 0, 0], [1, 2, 4], [300, 0, -300]])
  found = image_classifiers.mean_cross_entropy(
    tf.constant(logits), tf.constant([1, 0, 2])
  )
  expected = (
    math.log(3) + math.log(1 + math.e + math.exp(3)) + 600  # No overflow.
  ) / 3
  assert float(found) == pytest.approx(expected, rel=1e-6)


def test_a_step_of_softmax_regression_by_hand():
  mlp = image_classifiers.Mlp(2, (), 3)
  kernel, bias = tf.zeros([2, 3]), tf.zeros([3])
  x, y = tf.constant([[1.0, 2.0], [0.0, 4.0]]), tf.constant([0, 2])
  with tf.GradientTape() as tape:
    tape.watch([kernel, bias])
    loss = image_classifiers.mean_cross_entropy(
      mlp.logits((kernel, bias), x), y
    )
  by_kernel, by_bias = tape.gradient(loss, (kernel, bias))
  # All probabilities are 1/3; residuals (probability - label) / 2.
  residuals = (np.full([2, 3], 1 / 3) - np.eye(3)[[0, 2]]) / 2
  np.testing.assert_allclose(by_kernel, x.numpy().T @ residuals, atol=1e-6)
  np.testing.assert_allclose(by_bias, residuals.sum(0), atol=1e-6)
  assert float(loss) == pytest.approx(math.log(3), rel=1e-6)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ((0, (3,), 2), 'Expected num_inputs of at least 1, found 0.'),
    ((4, (3,), 0), 'Expected num_classes of at least 1, found 0.'),
    ((4, (3, 0), 2), 'Expected hidden_size of at least 1, found 0.'),
    ((4, (-1,), 2), 'Expected hidden_size of at least 1, found -1.'),
  ],
)
def test_a_size_that_makes_no_model_is_refused(arguments, message):
  with pytest.raises(sizes.ModelSizeError) as raised:
    image_classifiers.Mlp(*arguments)
  assert str(raised.value) == message
  assert isinstance(raised.value, errors.PipelineError)


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


def _rounds():
  return [
    samples.batches(sizes_, seed=10 + r, make=examples)
    for r, sizes_ in enumerate(samples.COHORTS)
  ]


@pytest.mark.parametrize('weighted', [True, False])
@pytest.mark.slow
def test_federated_averaging_of_it_is_that_of_tff(pair, weighted):
  algorithms, sgd = tff.learning.algorithms, tff.learning.optimizers.build_sgdm
  build = (
    algorithms.build_weighted_fed_avg
    if weighted
    else algorithms.build_unweighted_fed_avg
  )
  process = build(
    image_classifiers.build_mlp(SMALL, seed=1), sgd(0.3), sgd(1.0, momentum=0.9)
  )
  last = pair.same_rounds(process, _rounds())
  assert pair.way(process.next) == 'xla'
  metrics = last.metrics['client_work']['train']
  assert metrics['num_examples'] == sum(samples.COHORTS[-1])


@pytest.mark.slow
def test_secure_metrics_of_it_are_those_of_tff(pair):
  sgd = tff.learning.optimizers.build_sgdm
  process = tff.learning.algorithms.build_weighted_fed_avg(
    image_classifiers.build_mlp(SMALL, seed=1),
    sgd(0.3),
    sgd(1.0),
    metrics_aggregator=tff.learning.metrics.secure_sum_then_finalize,
  )
  last = pair.same_rounds(process, _rounds())
  metrics = last.metrics['client_work']['train']
  assert metrics['num_examples'] == sum(samples.COHORTS[-1])


def test_it_learns_what_a_line_cannot_separate():
  # The parity of two bits, by gradient descent.
  mlp = image_classifiers.Mlp(2, (16,), 2)
  model = image_classifiers.build_mlp(mlp, seed=0)
  x = tf.constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
  y = tf.constant([0, 1, 1, 0])
  weights = tuple(map(tf.constant, mlp.initial_weights(0)))
  for _ in range(300):
    with tf.GradientTape() as tape:
      tape.watch(weights)
      loss = model.loss(
        output=model.predict_on_batch((weights, ()), x), label=y
      )
    gradients = tape.gradient(loss, weights)
    weights = tuple(
      w - 0.5 * g for w, g in zip(weights, gradients, strict=True)
    )
  found = tf.argmax(model.predict_on_batch((weights, ()), x), axis=1)
  np.testing.assert_array_equal(found, y)
