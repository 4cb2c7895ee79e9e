import math

import pytest
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.learning import optimizers

RATE, EPSILON = 0.1, 0.01


def descend(config: optimizers.OptimizerConfig, *gradients: float) -> float:
  """Where a weight ends that starts at 1 and has one gradient after another."""
  optimizer = config.build()
  weight = tf.constant(1.0)
  state = optimizer.initialize(tf.TensorSpec([], tf.float32))
  for gradient in gradients:
    state, weight = optimizer.next(state, weight, tf.constant(gradient))
  return float(weight)


def config(name: str, **choices) -> optimizers.OptimizerConfig:
  return optimizers.OptimizerConfig(
    name, **({'learning_rate': RATE, 'epsilon': EPSILON} | choices)
  )


def test_sgd_goes_against_the_gradient():
  assert descend(config('sgd'), 2.0, -5.0) == pytest.approx(1 - RATE * (2 - 5))


def test_momentum_remembers_gradients():
  # The second step is 2 * 0.9 + 1.
  found = descend(config('sgd', momentum=0.9), 2.0, 1.0)
  assert found == pytest.approx(1 - RATE * (2 + 2 * 0.9 + 1))


def test_adagrad_by_hand():
  # The sum of squares starts at 0.1; epsilon is inside the root.
  first = 2 / math.sqrt(0.1 + 4 + EPSILON)
  second = 3 / math.sqrt(0.1 + 4 + 9 + EPSILON)
  found = descend(config('adagrad'), 2.0, 3.0)
  assert found == pytest.approx(1 - RATE * (first + second), rel=1e-6)


def test_rmsprop_by_hand():
  first = 2 / (math.sqrt(0.1 * 4) + EPSILON)
  second = 3 / (math.sqrt(0.9 * 0.1 * 4 + 0.1 * 9) + EPSILON)
  found = descend(config('rmsprop'), 2.0, 3.0)
  assert found == pytest.approx(1 - RATE * (first + second), rel=1e-6)


def test_adam_by_hand():
  def step(mean, square, t):
    correction = math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return correction * mean / (math.sqrt(square) + EPSILON)

  first = step(0.1 * 2, 0.001 * 4, 1)
  second = step(0.9 * 0.2 + 0.1 * 3, 0.999 * 0.004 + 0.001 * 9, 2)
  found = descend(config('adam'), 2.0, 3.0)
  assert found == pytest.approx(1 - RATE * (first + second), rel=1e-5)


def test_yogi_by_hand():
  def step(mean, square, t):
    correction = math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return correction * mean / (math.sqrt(square) + EPSILON)

  # As Adam, but the square moves by 0.001 g^2 up or down; it starts at 1e-6.
  first = step(0.1 * 2, 1e-6 + 0.001 * 4, 1)
  second = step(0.9 * 0.2 + 0.1 * 3, 1e-6 + 0.001 * 4 + 0.001 * 9, 2)
  found = descend(config('yogi'), 2.0, 3.0)
  assert found == pytest.approx(1 - RATE * (first + second), rel=1e-5)


@pytest.mark.parametrize(
  ('choices', 'message'),
  [
    (
      {'name': 'lamb'},
      'Expected an optimizer out of sgd, adagrad, adam, yogi, rmsprop, found '
      "'lamb'.",
    ),
    (
      {'learning_rate': 0.0},
      'Expected a learning rate above 0, found 0.0.',
    ),
    (
      {'learning_rate': math.nan},
      'Expected a learning rate above 0, found nan.',
    ),
    (
      {'momentum': 1.0},
      'Expected a momentum from 0 to below 1, found 1.0.',
    ),
    (
      {'momentum': -0.1},
      'Expected a momentum from 0 to below 1, found -0.1.',
    ),
    (
      {'name': 'adam', 'momentum': 0.9},
      'Expected no momentum with adam, found 0.9; momentum belongs to sgd.',
    ),
  ],
)
def test_what_makes_no_optimizer_is_refused(choices, message):
  with pytest.raises(optimizers.OptimizerError) as raised:
    optimizers.OptimizerConfig(**choices)
  assert str(raised.value) == message
  assert isinstance(raised.value, errors.PipelineError)


@pytest.mark.parametrize('momentum', [0.0, 0.9])
def test_the_momentum_of_sgd_is_known(momentum):
  optimizer = config('sgd', momentum=momentum).build()
  assert optimizers.sgd_momentum(optimizer, 'fed_nova') == momentum


@pytest.mark.parametrize('name', ['adagrad', 'adam', 'yogi', 'rmsprop'])
def test_no_other_optimizer_counts_gradients_alike(name):
  with pytest.raises(
    optimizers.OptimizerError,
    match=r'^Expected sgd at the clients of fed_nova, .* found an optimizer wi',
  ):
    optimizers.sgd_momentum(config(name).build(), 'fed_nova')
