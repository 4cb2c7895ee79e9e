import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import training_steps
from tff_pipelines.models import place_models

NET = place_models.TanhNet(2, is_bounded=False)
MODEL = place_models.build(NET)
X = np.array([[0.1, 0.9], [0.6, 0.2]], np.float32)
Y = np.array([1.0, 0.0], np.float32)


def after(steps: int, momentum: float | None = None):
  sgd = tff.learning.optimizers.build_sgdm(0.5, momentum)
  start = tuple(tf.constant(w) for w in NET.initial_weights(0))
  state = training_steps.initial_state(sgd, start)
  step = training_steps.build(MODEL, sgd, ())
  for _ in range(steps):
    state = step(state, (X, Y))
  return [w.numpy() for w in state[0]]


def test_no_step_leaves_the_weights_as_they_are():
  for found, start in zip(after(0), NET.initial_weights(0), strict=True):
    np.testing.assert_array_equal(found, start)


def test_a_step_goes_down_the_gradient():
  kernel, bias, last_kernel, last_bias = NET.initial_weights(0)
  hidden = np.tanh(X @ kernel + bias)
  above = hidden @ last_kernel[:, 0] + last_bias - Y  # Times 2, over 2 places.
  np.testing.assert_allclose(
    after(1)[3], last_bias - 0.5 * above.sum(), rtol=1e-5
  )
  np.testing.assert_allclose(
    after(1)[2][:, 0], last_kernel[:, 0] - 0.5 * above @ hidden, rtol=1e-5
  )


def test_the_optimizer_keeps_its_state_between_steps():
  plain, with_momentum = after(2), after(2, momentum=0.9)
  np.testing.assert_array_equal(after(1)[0], after(1, momentum=0.9)[0])
  assert np.abs(plain[0] - with_momentum[0]).max() > 1e-3
