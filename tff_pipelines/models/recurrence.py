"""Recurrent layers whose loops XLA compiles fast and runs well.

Back-propagation through time is written by hand. TensorFlow's own gradient of a
loop needs static batch sizes, and an unrolled loop takes half a minute to
compile. Here the forward loop keeps the gates for the backward loop, and the
gradients of the kernels are one product each, over all steps, after it.

Every layer comes twice: as such a loop, and with `unrolled` as plain operations
step after step, whose gradient is TensorFlow's: what other formats convert, and
what the hand-written gradients are checked against.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tff_pipelines.core import tokens


def lstm(
  projections: tf.Tensor, kernel: tf.Tensor, *, unrolled: bool = False
) -> tf.Tensor:
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
    unrolled: Whether as plain operations.

  Returns:
    float32[num_steps, n, units], h of each step. Has a gradient to both
    arguments, and, unless unrolled, no second one.
  """
  if not unrolled:
    return _lstm(projections, kernel)
  h = c = _zeros(projections, kernel.shape[0])
  states = []
  for projection in tf.unstack(projections):
    h, c, _ = _lstm_step(projection, h, c, kernel)
    states.append(h)
  return tf.stack(states)


def _lstm_step(
  projection: tf.Tensor, h: tf.Tensor, c: tf.Tensor, kernel: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
  """Returns h, c and the gates i, f, g, o."""
  # add_n: the gradient of + asks for static shapes.
  z = tf.add_n([projection, tf.matmul(h, kernel)])
  i, f, g, o = tf.split(z, 4, axis=-1)
  i, f, o = tf.sigmoid(i), tf.sigmoid(f), tf.sigmoid(o)
  g = tf.tanh(g)
  c = f * c + i * g
  return o * tf.tanh(c), c, [i, f, g, o]


@tf.custom_gradient
def _lstm(projections: tf.Tensor, kernel: tf.Tensor) -> Any:
  units = kernel.shape[0]
  zero = _zeros(projections, units)

  def step(inputs: Any, h: tf.Tensor, c: tf.Tensor) -> Any:
    h, c, gates = _lstm_step(*inputs, h, c, kernel)
    return (h, c), (h, c, *gates)

  _, (hs, cs, i, f, g, o) = _over_steps(
    step, (projections,), (zero, zero), (units,) * 6
  )

  def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    kernels = _transposed_gates(kernel, 4)

    def step(inputs: Any, dh: tf.Tensor, dc: tf.Tensor) -> Any:
      from_above, before, i, f, g, o, tanh_c = inputs
      dh = tf.add_n([dh, from_above])
      dc = tf.add_n([dc, dh * (o * (1 - tanh_c * tanh_c))])
      of_gates = (
        dc * (g * i * (1 - i)),
        dc * (before * f * (1 - f)),
        dc * (i * (1 - g * g)),
        dh * (tanh_c * o * (1 - o)),
      )
      return (_product(of_gates, kernels), dc * f), of_gates

    _, of_gates = _over_steps(
      step,
      (upstream, _previous(cs), i, f, g, o, tf.tanh(cs)),
      (zero, zero),
      (units,) * 4,
      backwards=True,
    )
    dz = tf.concat(of_gates, axis=-1)
    return dz, _summed_products(_previous(hs), dz)

  return hs, gradient


def cifg_lstm(
  projections: tf.Tensor,
  kernel: tf.Tensor,
  projection: tf.Tensor,
  kept: tf.Tensor,
  *,
  unrolled: bool = False,
) -> tf.Tensor:
  """Runs an LSTM with coupled gates and a recurrent projection.

  With `r` and `c` of the step before times `kept[t]`, and
  `z = projections[t] + r @ kernel`, cut into f, g, o:

    c = sigmoid(f) * c + (1 - sigmoid(f)) * tanh(g)
    r = (sigmoid(o) * tanh(c)) @ projection

  Reference: Greff et al. 2017, section 3 (coupled input and forget gate); Sak
  et al. 2014, equations 1 to 7 (recurrent projection). Deviation from the
  latter: no peepholes.

  Args:
    projections: float32[num_steps, n, 3 * units], the inputs times the input
      kernel plus the bias.
    kernel: float32[size, 3 * units].
    projection: float32[units, size].
    kept: float32[num_steps, n], 0 where a step starts from a zero state, 1
      elsewhere. Has no gradient.
    unrolled: Whether as plain operations.

  Returns:
    float32[num_steps, n, size], r of each step. Has a gradient to the first
    three arguments, and, unless unrolled, no second one.
  """
  if not unrolled:
    return _cifg_lstm(projections, kernel, projection, kept)
  r = _zeros(projections, kernel.shape[0])
  c = _zeros(projections, projection.shape[0])
  states = []
  for inputs in zip(tf.unstack(projections), tf.unstack(kept), strict=True):
    r, c, *_ = _cifg_lstm_step(*inputs, r, c, kernel, projection)
    states.append(r)
  return tf.stack(states)


def _cifg_lstm_step(
  given: tf.Tensor,
  kept: tf.Tensor,
  r: tf.Tensor,
  c: tf.Tensor,
  kernel: tf.Tensor,
  projection: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
  """Returns r, c and the gates f, g, o."""
  # Not given as [n, 1]: XLA does not read that of a batch of unknown size.
  kept = tf.expand_dims(kept, 1)
  z = tf.add_n([given, tf.matmul(r * kept, kernel)])
  f, g, o = tf.split(z, 3, axis=-1)
  f, g, o = tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
  c = f * (c * kept) + (1 - f) * g
  return tf.matmul(o * tf.tanh(c), projection), c, [f, g, o]


@tf.custom_gradient
def _cifg_lstm(
  projections: tf.Tensor,
  kernel: tf.Tensor,
  projection: tf.Tensor,
  kept: tf.Tensor,
) -> Any:
  units, size = projection.shape
  no_r, no_c = _zeros(projections, size), _zeros(projections, units)

  def step(inputs: Any, r: tf.Tensor, c: tf.Tensor) -> Any:
    r, c, gates = _cifg_lstm_step(*inputs, r, c, kernel, projection)
    return (r, c), (r, c, *gates)

  _, (rs, cs, f, g, o) = _over_steps(
    step, (projections, kept), (no_r, no_c), (size, *[units] * 4)
  )

  def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
    kernels = _transposed_gates(kernel, 3)
    transposed = tf.transpose(projection)
    tanh_c = tf.tanh(cs)

    def step(inputs: Any, dr: tf.Tensor, dc: tf.Tensor) -> Any:
      from_above, kept, before, f, g, o, tanh_c = inputs
      kept = tf.expand_dims(kept, 1)
      dr = tf.add_n([dr, from_above])
      dh = tf.matmul(dr, transposed)
      dc = tf.add_n([dc, dh * (o * (1 - tanh_c * tanh_c))])
      of_gates = (
        dc * ((before * kept - g) * f * (1 - f)),
        dc * ((1 - f) * (1 - g * g)),
        dh * (tanh_c * o * (1 - o)),
      )
      earlier = _product(of_gates, kernels) * kept, dc * f * kept
      return earlier, (*of_gates, dr)

    _, (*of_gates, dr) = _over_steps(
      step,
      (upstream, kept, _previous(cs), f, g, o, tanh_c),
      (no_r, no_c),
      (*[units] * 3, size),
      backwards=True,
    )
    dz = tf.concat(of_gates, axis=-1)
    return (
      dz,
      _summed_products(_previous(rs) * tf.expand_dims(kept, 2), dz),
      _summed_products(o * tanh_c, dr),
      None,
    )

  return rs, gradient


def gru(
  projections: tf.Tensor,
  kernel: tf.Tensor,
  bias: tf.Tensor,
  kept: tf.Tensor,
  *,
  unrolled: bool = False,
) -> tf.Tensor:
  """Runs gated recurrent units over all steps.

  With `h` of the step before times `kept[t]`, `projections[t]` cut into a, b, d
  and `h @ kernel + bias` into p, q, s (the order of `tf.keras.layers.GRU`):

    u = sigmoid(a + p)
    h = u * h + (1 - u) * tanh(d + sigmoid(b + q) * s)

  Reference: Cho et al. 2014, equations 5 to 8. Deviation: the reset gate acts
  after the product, so that there is one product a step.

  Args:
    projections: float32[num_steps, n, 3 * units], the inputs times the input
      kernel plus the input bias.
    kernel: float32[units, 3 * units].
    bias: float32[3 * units], of the state.
    kept: float32[num_steps, n], 0 where a step starts from a zero state, 1
      elsewhere. Has no gradient.
    unrolled: Whether as plain operations.

  Returns:
    float32[num_steps, n, units], h of each step. Has a gradient to the first
    three arguments, and, unless unrolled, no second one.
  """
  if not unrolled:
    return _gru(projections, kernel, bias, kept)
  h = _zeros(projections, kernel.shape[0])
  states = []
  for inputs in zip(tf.unstack(projections), tf.unstack(kept), strict=True):
    h, _ = _gru_step(*inputs, h, kernel, bias)
    states.append(h)
  return tf.stack(states)


def _gru_step(
  given: tf.Tensor,
  kept: tf.Tensor,
  h: tf.Tensor,
  kernel: tf.Tensor,
  bias: tf.Tensor,
) -> tuple[tf.Tensor, list[tf.Tensor]]:
  """Returns h, and u, the reset gate, the candidate and s."""
  h = h * tf.expand_dims(kept, 1)
  a, b, d = tf.split(given, 3, axis=-1)
  p, q, s = tf.split(tf.matmul(h, kernel) + bias, 3, axis=-1)
  update, reset = tf.sigmoid(tf.add_n([a, p])), tf.sigmoid(tf.add_n([b, q]))
  candidate = tf.tanh(tf.add_n([d, reset * s]))
  return update * h + (1 - update) * candidate, [update, reset, candidate, s]


@tf.custom_gradient
def _gru(
  projections: tf.Tensor,
  kernel: tf.Tensor,
  bias: tf.Tensor,
  kept: tf.Tensor,
) -> Any:
  units = kernel.shape[0]
  zero = _zeros(projections, units)

  def step(inputs: Any, h: tf.Tensor) -> Any:
    h, kinds = _gru_step(*inputs, h, kernel, bias)
    return (h,), (h, *kinds)

  _, (hs, *kinds) = _over_steps(
    step, (projections, kept), (zero,), (units,) * 5
  )

  def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
    kernels = _transposed_gates(kernel, 3)

    def step(inputs: Any, dh: tf.Tensor) -> Any:
      from_above, kept, before, update, reset, candidate, s = inputs
      kept = tf.expand_dims(kept, 1)
      dh = tf.add_n([dh, from_above])
      da = dh * ((before * kept - candidate) * update * (1 - update))
      dd = dh * ((1 - update) * (1 - candidate * candidate))
      db = dd * (s * reset * (1 - reset))
      ds = dd * reset
      earlier = tf.add_n([dh * update, _product((da, db, ds), kernels)])
      return (earlier * kept,), (da, db, dd, ds)

    _, (da, db, dd, ds) = _over_steps(
      step,
      (upstream, kept, _previous(hs), *kinds),
      (zero,),
      (units,) * 4,
      backwards=True,
    )
    of_product = tf.concat([da, db, ds], axis=-1)
    return (
      tf.concat([da, db, dd], axis=-1),
      _summed_products(_previous(hs) * tf.expand_dims(kept, 2), of_product),
      tf.reduce_sum(of_product, axis=[0, 1]),
      None,
    )

  return hs, gradient


def kept(steps: tf.Tensor) -> tf.Tensor:
  """Returns float32[num_steps, n], 0 where tokens [num_steps, n] begin."""
  return tf.cast(tf.not_equal(steps, tokens.START), tf.float32)


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


def _zeros(projections: tf.Tensor, size: int) -> tf.Tensor:
  """Returns the state [n, size] before the first step."""
  return tf.zeros([tf.shape(projections)[1], size])


def _previous(steps: tf.Tensor) -> tf.Tensor:
  """Returns the values of the steps before, zeros for the first."""
  return tf.concat([tf.zeros_like(steps[:1]), steps[:-1]], axis=0)


def _transposed_gates(kernel: tf.Tensor, count: int) -> list[tf.Tensor]:
  """Returns the kernel of each gate, transposed: [units, size]."""
  return tf.split(tf.transpose(kernel), count, axis=0)


def _product(
  of_gates: Sequence[tf.Tensor], kernels: Sequence[tf.Tensor]
) -> tf.Tensor:
  """Returns the gates side by side times their kernels stacked.

  Gate by gate: XLA fills arrays side by side one number at a time.
  """
  return tf.add_n([tf.matmul(*p) for p in zip(of_gates, kernels, strict=True)])


def _summed_products(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
  """Returns the sum over steps and rows of their outer products."""
  return tf.matmul(
    tf.reshape(left, [-1, left.shape[-1]]),
    tf.reshape(right, [-1, right.shape[-1]]),
    transpose_a=True,
  )
