import itertools

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.models import place_models, sizes

NETS = {
  'tanh': place_models.TanhNet(),
  'linear output': place_models.TanhNet(3, is_bounded=False),
  'waves, tanh': place_models.FourierMlp(5, 1.5, (6, 3)),
  'waves, relu': place_models.FourierMlp(4, 1.0, (7,), 'relu'),
  'waves, linear': place_models.FourierMlp(4, hidden_sizes=()),
}
PLACES = np.random.default_rng(0).random([9, 2]).astype(np.float32)


def in_numpy(net, weights, places) -> np.ndarray:
  """The output, in float64."""
  values = places.astype(float)
  last = np.tanh if net.is_bounded else lambda z: z
  activate = np.tanh
  if isinstance(net, place_models.FourierMlp):
    phases = 2 * np.pi * values @ net.frequencies.astype(float)
    values = np.concatenate([np.sin(phases), np.cos(phases)], axis=1)
    if net.activation == 'relu':
      activate = lambda z: np.maximum(z, 0)  # noqa: E731
  layers = list(zip(weights[::2], weights[1::2], strict=True))
  for k, (kernel, bias) in enumerate(layers):
    values = values @ kernel.astype(float) + bias
    values = (last if k == len(layers) - 1 else activate)(values)
  return values[:, 0]


@pytest.mark.parametrize('name', NETS)
def test_the_output_is_that_of_numpy(name):
  net = NETS[name]
  weights = net.initial_weights(3)
  found = place_models.outputs(net, weights, PLACES)
  assert (found.shape, found.dtype) == ((9,), np.float32)
  np.testing.assert_allclose(found, in_numpy(net, weights, PLACES), atol=1e-5)


@pytest.mark.parametrize('name', NETS)
def test_weights_are_a_pure_function_of_the_seed(name):
  net = NETS[name]
  first, again, other = (net.initial_weights(s) for s in (1, 1, 2))
  for one, same in zip(first, again, strict=True):
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, same)
  assert not np.array_equal(first[0], other[0])
  assert sum(w.size for w in first) == net.num_parameters


def test_the_usual_net_has_17_parameters():
  assert place_models.TanhNet().num_parameters == 17


def test_its_initial_weights_are_standard_normal():
  drawn = np.concatenate(
    [
      np.concatenate(
        list(map(np.ravel, place_models.TanhNet().initial_weights(s)))
      )
      for s in range(1000)
    ]
  )
  # 17000 values: 5 standard errors of mean and variance.
  assert abs(drawn.mean()) < 5 / 17000**0.5
  assert abs(drawn.var() - 1) < 5 * (2 / 17000) ** 0.5


def test_frequencies_have_the_given_deviation():
  drawn = place_models.FourierMlp(5000, waves_across=3.0).frequencies
  assert drawn.shape == (2, 5000)
  assert abs(drawn.std() / 3 - 1) < 5 * (1 / 20000) ** 0.5
  other = place_models.FourierMlp(5000, 3.0, frequency_seed=1).frequencies
  assert not np.array_equal(drawn, other)


def test_a_bounded_output_is_between_minus_one_and_one():
  net = place_models.TanhNet()
  weights = [50 * w for w in net.initial_weights(0)]
  assert np.abs(place_models.outputs(net, weights, PLACES)).max() <= 1.0


@pytest.mark.parametrize('name', NETS)
def test_the_gradient_is_the_slope_of_the_squared_loss(name):
  net = NETS[name]
  model = place_models.build(net, seed=1)
  labels = np.random.default_rng(1).random(9).astype(np.float32)
  weights = [tf.constant(w) for w in model.initial_weights[0]]
  with tf.GradientTape() as tape:
    tape.watch(weights)
    output = model.predict_on_batch((weights, ()), PLACES, training=True)
    loss = model.loss(output=output, label=labels)
  gradients = tape.gradient(loss, weights)

  def loss_of(weights) -> float:
    return np.mean((in_numpy(net, weights, PLACES) - labels) ** 2)

  start = [np.asarray(w, float) for w in model.initial_weights[0]]
  assert float(loss) == pytest.approx(loss_of(start), rel=1e-5)
  step = 1e-6
  for k, gradient in enumerate(gradients):
    index = tuple(0 for _ in gradient.shape)
    up, down = ([w.copy() for w in start] for _ in range(2))
    up[k][index] += step
    down[k][index] -= step
    slope = (loss_of(up) - loss_of(down)) / (2 * step)
    assert float(gradient[index]) == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_the_logistic_loss_by_hand():
  loss = place_models.mean_cross_entropy(
    output=tf.constant([2.0, -1.0]), label=tf.constant([1.0, 1.0])
  )
  expected = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(1.0))) / 2
  assert float(loss) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
  'options, names',
  [
    ({}, ['loss', 'accuracy', 'num_examples']),
    ({'loss': 'logistic'}, ['loss', 'accuracy', 'num_examples']),
    (
      {'task': 'regression'},
      ['loss', 'root_mean_squared_error', 'r_squared', 'num_examples'],
    ),
  ],
  ids=str,
)
def test_metrics_are_those_of_the_task(options, names):
  model = place_models.build(NETS['linear output'], **options)
  state = model.initialize_metrics_state()
  assert list(model.finalize_metrics(state)) == names


@pytest.mark.parametrize('loss, threshold', [('squared', 0.5), ('logistic', 0)])
def test_accuracy_counts_outputs_above_the_threshold_of_the_loss(
  loss, threshold
):
  net = place_models.FourierMlp(2, hidden_sizes=())
  model = place_models.build(net, loss=loss)
  assert place_models.THRESHOLDS[loss] == threshold
  for bias, accuracy in ((threshold - 0.01, 0.0), (threshold + 0.01, 1.0)):
    weights = ([np.zeros([4, 1], 'f4'), np.array([bias], 'f4')], ())
    output = model.predict_on_batch(weights, PLACES, training=False)
    state = model.update_metrics_state(
      model.initialize_metrics_state(),
      labels=tf.ones([9]),
      batch_output=_output(output),
    )
    assert float(model.finalize_metrics(state)['accuracy']) == accuracy


def _output(predictions):
  import tensorflow_federated as tff

  return tff.learning.models.BatchOutput(
    loss=tf.constant(0.0), predictions=predictions, num_examples=9
  )


@pytest.mark.parametrize(
  'build, kind, message',
  [
    (
      lambda: place_models.TanhNet(0),
      sizes.ModelSizeError,
      'Expected hidden_size of at least 1, found 0.',
    ),
    (
      lambda: place_models.FourierMlp(0),
      sizes.ModelSizeError,
      'Expected num_frequencies of at least 1, found 0.',
    ),
    (
      lambda: place_models.FourierMlp(hidden_sizes=(3, 0)),
      sizes.ModelSizeError,
      'Expected hidden_size of at least 1, found 0.',
    ),
    (
      lambda: place_models.FourierMlp(waves_across=0.0),
      place_models.PlaceModelError,
      'Expected waves_across above 0, found 0.0.',
    ),
    (
      lambda: place_models.FourierMlp(activation='gelu'),
      place_models.PlaceModelError,
      "Expected an activation out of tanh, relu, found 'gelu'.",
    ),
    (
      lambda: place_models.build(NETS['tanh'], loss='hinge'),
      place_models.PlaceModelError,
      "Expected a loss out of squared, logistic, found 'hinge'.",
    ),
    (
      lambda: place_models.build(NETS['tanh'], task='ranking'),
      place_models.PlaceModelError,
      "Expected a task out of classification, regression, found 'ranking'.",
    ),
    (
      lambda: place_models.build(
        NETS['waves, tanh'], loss='logistic', task='regression'
      ),
      place_models.PlaceModelError,
      'Expected the loss squared for regression, found logistic, which is for '
      'classification.',
    ),
    (
      lambda: place_models.build(NETS['tanh'], loss='logistic'),
      place_models.PlaceModelError,
      'Expected a network with a linear output for the loss logistic, found '
      'one whose output stays between -1 and 1.',
    ),
  ],
)
def test_what_makes_no_model_is_refused(build, kind, message):
  with pytest.raises(kind) as raised:
    build()
  assert isinstance(raised.value, errors.PipelineError)
  assert str(raised.value) == message


def test_waves_learn_what_a_plain_net_of_their_size_does_not():
  """A checkerboard, gradient descent in full batches, the same steps."""
  line = (np.arange(15) + 0.5) / 15
  places = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2).astype('f4')
  squares = np.floor(3 * places).astype(int).sum(axis=1)
  labels = (squares % 2 == 0).astype(np.float32)

  def accuracy(net) -> float:
    weights = [tf.Variable(w) for w in net.initial_weights(0)]
    optimizer = tf.keras.optimizers.legacy.Adam(0.05)

    @tf.function
    def step():
      with tf.GradientTape() as tape:
        output = net.output(weights, places)
        loss = place_models.mean_squared_error(output, labels)
      optimizer.apply_gradients(
        zip(tape.gradient(loss, weights), weights, strict=True)
      )

    for _ in itertools.repeat(None, 200):
      step()
    return float(np.mean((net.output(weights, places) > 0.5) == labels))

  waves = accuracy(place_models.FourierMlp(16, 1.0, (16,)))
  plain = accuracy(place_models.TanhNet(16))
  assert waves > 0.95
  assert plain < waves - 0.1
