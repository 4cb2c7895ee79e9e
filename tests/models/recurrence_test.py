"""The recurrent loops, against Keras and against TensorFlow's own gradient."""

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.models import recurrence

STEPS, UNITS = 7, 5


def _inputs(batch_size, seed=0):
  rng = np.random.default_rng(seed)
  return (
    tf.constant(rng.normal(size=[STEPS, batch_size, 4 * UNITS]), tf.float32),
    tf.constant(rng.normal(size=[UNITS, 4 * UNITS]) / 2, tf.float32),
  )


def _unrolled(projections, kernel):
  """The equations, step by step."""
  h = c = tf.zeros([projections.shape[1], UNITS])
  states = []
  for t in range(STEPS):
    i, f, g, o = tf.split(projections[t] + h @ kernel, 4, axis=-1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    h = tf.sigmoid(o) * tf.tanh(c)
    states.append(h)
  return tf.stack(states)


def _loss_and_gradients(layer, projections, kernel):
  # Not TensorFlow's random numbers: XLA's are others for the same seed.
  shape = [STEPS, projections.shape[1], UNITS]
  weights = np.random.default_rng(1).normal(size=shape).astype(np.float32)
  with tf.GradientTape() as tape:
    tape.watch([projections, kernel])
    loss = tf.reduce_sum(weights * layer(projections, kernel) ** 2)
  return [loss, *tape.gradient(loss, [projections, kernel])]


@pytest.mark.parametrize('batch_size', [1, 3])
@pytest.mark.parametrize('jit_compile', [False, True])
def test_values_and_gradients_are_those_of_the_equations(
  batch_size, jit_compile
):
  @tf.function(jit_compile=jit_compile)
  def ours(projections, kernel):
    return _loss_and_gradients(recurrence.lstm, projections, kernel)

  inputs = _inputs(batch_size)
  expected = _loss_and_gradients(_unrolled, *inputs)
  for found, value in zip(ours(*inputs), expected, strict=True):
    np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-5)


def test_a_batch_of_unknown_size():
  sequence = tf.TensorSpec([STEPS, None, 4 * UNITS], tf.float32)

  @tf.function(
    input_signature=[sequence, tf.TensorSpec([UNITS, 4 * UNITS])],
    jit_compile=True,
  )
  def gradients(projections, kernel):
    with tf.GradientTape() as tape:
      tape.watch(kernel)
      loss = tf.reduce_sum(recurrence.lstm(projections, kernel))
    return tape.gradient(loss, kernel)

  for batch_size in (2, 4):
    projections, kernel = _inputs(batch_size)
    with tf.GradientTape() as tape:
      tape.watch(kernel)
      loss = tf.reduce_sum(_unrolled(projections, kernel))
    np.testing.assert_allclose(
      gradients(projections, kernel),
      tape.gradient(loss, kernel),
      rtol=1e-4,
      atol=1e-5,
    )


def test_it_is_the_lstm_of_keras():
  layer = tf.keras.layers.LSTM(UNITS, return_sequences=True)
  x = tf.random.stateless_normal([3, STEPS, 4], seed=[3, 4])
  expected = layer(x)
  kernel, recurrent, bias = layer.get_weights()
  projections = tf.transpose(x @ kernel + bias, [1, 0, 2])
  found = tf.transpose(recurrence.lstm(projections, recurrent), [1, 0, 2])
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_later_step_does_not_reach_an_earlier_one():
  projections, kernel = _inputs(2)
  with tf.GradientTape() as tape:
    tape.watch(projections)
    third = tf.reduce_sum(recurrence.lstm(projections, kernel)[2])
  gradient = tape.gradient(third, projections).numpy()
  assert np.all(gradient[3:] == 0)
  assert np.all(np.any(gradient[:3] != 0, axis=(1, 2)))


def test_the_gru_is_that_of_keras():
  layer = tf.keras.layers.GRU(UNITS, return_sequences=True)
  x = tf.random.stateless_normal([3, STEPS, 4], seed=[3, 4])
  expected = layer(x)
  kernel, recurrent, (bias, state_bias) = layer.get_weights()
  projections = tf.transpose(x @ kernel + bias, [1, 0, 2])
  kept = tf.ones([STEPS, 3])
  found = recurrence.gru(projections, recurrent, state_bias, kept)
  np.testing.assert_allclose(
    tf.transpose(found, [1, 0, 2]), expected, rtol=1e-4, atol=1e-5
  )


def test_a_state_that_is_not_kept_starts_afresh():
  rng = np.random.default_rng(0)
  given, kernel, projection = (
    rng.normal(size=size).astype(np.float32)
    for size in ([STEPS, 1, 3 * UNITS], [2, 3 * UNITS], [UNITS, 2])
  )
  kept = np.ones([STEPS, 1], np.float32)
  kept[4] = 0
  together = recurrence.cifg_lstm(given, kernel, projection, tf.constant(kept))
  alone = recurrence.cifg_lstm(
    given[4:], kernel, projection, tf.constant(kept[4:])
  )
  np.testing.assert_allclose(together[4:], alone, rtol=1e-5, atol=1e-6)
