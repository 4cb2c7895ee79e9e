"""Recurrent layers whose loops XLA compiles fast and runs well.

Back-propagation through time is written by hand. TensorFlow's own gradient of a
loop needs static batch sizes, and an unrolled loop takes half a minute to
compile. Here the forward loop keeps what the backward loop needs; everything
that does not depend on the step before is computed for all steps at once:
derivatives of the gates before the backward loop, and the gradient of the
recurrent kernel as one product after it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def lstm(projections: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
  """Runs a long short-term memory over all steps, from a zero state.

  With `z = projections[t] + h @ kernel`, cut into i, f, g, o (the order of
  `tf.keras.layers.LSTM`):

    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)

  Args:
    projections: float32[num_steps, n, 4 * units], the inputs times the input
      kernel plus the bias, of all steps (Hochreiter and Schmidhuber 1997, with
      the forget gate of Gers et al. 2000).
    kernel: float32[units, 4 * units].

  Returns:
    float32[num_steps, n, units], h of each step. Has a gradient to both
    arguments, and no second one.
  """
  return _lstm(projections, kernel)


@tf.custom_gradient
def _lstm(projections: tf.Tensor, kernel: tf.Tensor) -> Any:
  units = kernel.shape[0]
  zero = tf.zeros([tf.shape(projections)[1], units])

  def step(inputs: Any, h: tf.Tensor, c: tf.Tensor) -> Any:
    (projection,) = inputs
    # add_n: the gradient of + asks for static shapes.
    z = tf.add_n([projection, tf.matmul(h, kernel)])
    i, f, g, o = tf.split(z, 4, axis=-1)
    i, f, o = tf.sigmoid(i), tf.sigmoid(f), tf.sigmoid(o)
    g = tf.tanh(g)
    c = f * c + i * g
    h = o * tf.tanh(c)
    return (h, c), (h, c, tf.concat([i, f, g, o], axis=-1))

  _, (hs, cs, gates) = _over_steps(
    step, (projections,), (zero, zero), (units, units, 4 * units)
  )

  def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    i, f, g, o = tf.split(gates, 4, axis=-1)
    tanh_c = tf.tanh(cs)
    # dz is (dc, dc, dc, dh) times what only the forward pass decides.
    of_z = tf.concat(
      [
        g * i * (1 - i),
        _previous(cs) * f * (1 - f),
        i * (1 - g * g),
        tanh_c * o * (1 - o),
      ],
      axis=-1,
    )
    of_c = o * (1 - tanh_c * tanh_c)
    transposed = tf.transpose(kernel)

    def step(inputs: Any, dh: tf.Tensor, dc: tf.Tensor) -> Any:
      from_above, z_factor, c_factor, forget = inputs
      dh = tf.add_n([dh, from_above])
      dc = tf.add_n([dc, dh * c_factor])
      dz = tf.concat([dc, dc, dc, dh], axis=-1) * z_factor
      return (tf.matmul(dz, transposed), dc * forget), (dz,)

    _, (dz,) = _over_steps(
      step,
      (upstream, of_z, of_c, f),
      (zero, zero),
      (4 * units,),
      backwards=True,
    )
    of_kernel = tf.matmul(
      tf.reshape(_previous(hs), [-1, units]),
      tf.reshape(dz, [-1, 4 * units]),
      transpose_a=True,
    )
    return dz, of_kernel

  return hs, gradient


def _over_steps(
  step: Callable[..., Any],
  inputs: Sequence[tf.Tensor],
  state: Sequence[tf.Tensor],
  sizes: Sequence[int],
  *,
  backwards: bool = False,
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
  """Runs (inputs of the step, *state) -> (new state, outputs) for each step.

  Args:
    step: What to run.
    inputs: [num_steps, n, ...] each.
    state: [n, ...] each.
    sizes: Last dimension of each output [n, size].
    backwards: Whether from the last step to the first.

  Returns:
    The final state, and the outputs [num_steps, n, size] of all steps, the
    first step first.
  """
  num_steps = inputs[0].shape[0]
  # Indexing a tensor by a loop's counter makes XLA copy it whole; reading a
  # TensorArray does not.
  sources = [
    tf.TensorArray(x.dtype, num_steps, element_shape=x.shape[1:]).unstack(x)
    for x in inputs
  ]
  results = [
    tf.TensorArray(tf.float32, num_steps, element_shape=[None, size])
    for size in sizes
  ]
  num_states = len(state)

  def body(k: tf.Tensor, *carried: Any) -> Any:
    t = num_steps - 1 - k if backwards else k
    new, outputs = step([s.read(t) for s in sources], *carried[:num_states])
    written = [
      array.write(t, output)
      for array, output in zip(carried[num_states:], outputs, strict=True)
    ]
    return (k + 1, *new, *written)

  _, *carried = tf.while_loop(
    lambda k, *_: k < num_steps,
    body,
    (tf.constant(0), *state, *results),
    parallel_iterations=1,
    maximum_iterations=num_steps,
  )
  return carried[:num_states], [a.stack() for a in carried[num_states:]]


def _previous(steps: tf.Tensor) -> tf.Tensor:
  """Returns the values of the steps before, zeros for the first."""
  return tf.concat([tf.zeros_like(steps[:1]), steps[:-1]], axis=0)
