"""The practical limit: the same mathematics by hand in JAX, one process.

A shard of the cohort for each core, which is a device of its own. In a shard
one scan over its clients, and in it one loop over a client's steps that updates
weights in place. Gradients of the LSTM are written out, so that those of its
weights are one product each and not a sum over time.
"""

from collections.abc import Callable, Sequence
import functools
import os
from typing import Any

os.environ['XLA_FLAGS'] = ' '.join(
  (
    f'--xla_force_host_platform_device_count={os.cpu_count()}',
    # XLA would split the small products over all cores.
    '--xla_cpu_multi_thread_eigen=false',
    os.environ.get('XLA_FLAGS', ''),
  )
)

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import jobs

_Weights = list[jax.Array]


def _mean_cross_entropy(
  logits: jax.Array, y: jax.Array, mask: jax.Array
) -> jax.Array:
  """Returns the mean over what mask float32[n] chooses of y int32[n, ...]."""
  picked = jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1)
  losses = picked.reshape(len(mask), -1).mean(axis=1)
  return -jnp.sum(losses * mask) / jnp.sum(mask)


def _mlp_loss(weights: _Weights, x: Any, y: Any, mask: Any) -> jax.Array:
  for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
    x = jax.nn.relu(x @ kernel + bias)
  return _mean_cross_entropy(x @ weights[-2] + weights[-1], y, mask)


def _lstm_loss(weights: _Weights, x: Any, y: Any, mask: Any) -> jax.Array:
  embedding, kernel, recurrent, bias, output, output_bias = weights
  # Embedding and projection in one: a table that a product looks up, because
  # the gradient of a gather is a slow scatter.
  table = embedding @ kernel + bias
  chosen = jax.nn.one_hot(x.T, len(embedding))  # [length, n, v]
  states = _lstm(chosen @ table, recurrent)  # [length, n, u]
  logits = states @ output + output_bias
  return _mean_cross_entropy(jnp.swapaxes(logits, 0, 1), y, mask)


@jax.custom_vjp
def _lstm(projections: jax.Array, recurrent: jax.Array) -> jax.Array:
  """Returns states [length, n, u] for projected inputs [length, n, 4u]."""
  return _lstm_forward(projections, recurrent)[0]


def _lstm_forward(projections: Any, recurrent: Any) -> tuple[Any, Any]:
  units = recurrent.shape[0]
  # sigmoid(z) is 1/2 + tanh(z/2) / 2: one tanh does for all gates.
  half = jnp.repeat(jnp.float32([0.5, 0.5, 1, 0.5]), units)
  offset = jnp.repeat(jnp.float32([0.5, 0.5, 0, 0.5]), units)

  def step(carry: Any, projection: Any) -> tuple[Any, Any]:
    h, c = carry
    z = projection + h @ recurrent
    gates = jnp.tanh(z * half) * half + offset
    i, f, g, o = jnp.split(gates, 4, axis=1)
    new_c = f * c + i * g
    squashed = jnp.tanh(new_c)
    new_h = o * squashed
    return (new_h, new_c), (new_h, gates, c, squashed)

  zero = jnp.zeros((projections.shape[1], units))
  states, *rest = jax.lax.scan(step, (zero, zero), projections)[1]
  return states, (recurrent, states, *rest)


def _lstm_backward(saved: Any, gradient: jax.Array) -> tuple[Any, Any]:
  recurrent, states, gates, cells, squashed = saved
  _, n, units = states.shape
  i, f, g, o = jnp.split(gates, 4, axis=2)
  # dz is (dc, dc, dc, dh) times what only the forward pass decides.
  factors = (
    g * i * (1 - i),
    cells * f * (1 - f),
    i * (1 - g * g),
    squashed * o * (1 - o),
  )
  of_cell = o * (1 - squashed * squashed)

  def step(carry: Any, inputs: Any) -> tuple[Any, Any]:
    dh, dc = carry
    from_above, of_cell, f, factors = inputs
    dh = dh + from_above
    dc = dc + dh * of_cell
    di, df, dg, do = factors
    dz = jnp.concatenate([dc * di, dc * df, dc * dg, dh * do], axis=1)
    return (dz @ transposed, dc * f), dz

  transposed = recurrent.T
  zero = jnp.zeros((n, units))
  dz = jax.lax.scan(
    step, (zero, zero), (gradient, of_cell, f, factors), reverse=True
  )[1]
  before = states[:-1].reshape(-1, units)
  return dz, before.T @ dz[1:].reshape(-1, 4 * units)


_lstm.defvjp(_lstm_forward, _lstm_backward)


def _steps(
  clients: Sequence[tuple[np.ndarray, ...]], job: jobs.Job
) -> tuple[Any, Any]:
  """Returns batches (x, y, mask) and for each client (first, end, weight)."""
  size, rows, spans = job.batch_size, [], []
  for x, y in clients:
    first = len(rows)
    for start in list(range(0, len(y), size)) * job.epochs:
      n = min(size, len(y) - start)
      x_batch, y_batch = (
        np.resize(a[start : start + n], (size, *a.shape[1:])) for a in (x, y)
      )
      mask = (np.arange(size) < n).astype(np.float32)
      rows.append((x_batch, y_batch, mask))
    spans.append((first, len(rows), len(y)))
  batches = [np.stack(column) for column in zip(*rows, strict=True)]
  first, end, weight = np.array(spans, np.int32).T
  return batches, (first, end, weight.astype(np.float32))


def _balanced(job: jobs.Job, count: int) -> list[list[int]]:
  """Returns clients of `count` shards of about as many steps each."""
  shards: list[list[int]] = [[] for _ in range(count)]
  steps = [0] * count
  for client in sorted(
    range(len(job.examples)), key=lambda c: -job.examples[c]
  ):
    least = steps.index(min(steps))
    shards[least].append(client)
    steps[least] += -(-job.examples[client] // job.batch_size)
  return [sorted(shard) for shard in shards if shard]


def _shard(
  start: _Weights, batches: Any, spans: Any, *, loss: Any, learning_rate: float
) -> _Weights:
  """Returns the sum of the weights of a shard's clients, by examples."""

  def step(index: jax.Array, weights: _Weights) -> _Weights:
    batch = [
      jax.lax.dynamic_index_in_dim(b, index, keepdims=False) for b in batches
    ]
    gradients = jax.grad(loss)(weights, *batch)
    return [
      w - learning_rate * g for w, g in zip(weights, gradients, strict=True)
    ]

  def client(total: _Weights, span: Any) -> tuple[_Weights, None]:
    first, end, weight = span
    weights = jax.lax.fori_loop(first, end, step, start)
    total = [t + weight * w for t, w in zip(total, weights, strict=True)]
    return total, None

  return jax.lax.scan(client, [jnp.zeros_like(w) for w in start], spans)[0]


def _mean(totals: Sequence[_Weights], examples: float) -> _Weights:
  return [sum(parts) / examples for parts in zip(*totals, strict=True)]


class JaxScan:
  """Federated averaging as one scan a core."""

  def __init__(self, job: jobs.Job):
    is_lstm = isinstance(job.model, jobs.CharacterLstm)
    clients = job.clients()
    shards = _balanced(job, len(jax.devices()))
    self._devices = jax.devices()[: len(shards)]
    self._weights = [jnp.asarray(w) for w in job.model.weights()]
    self._shards = [
      jax.device_put(_steps([clients[c] for c in shard], job), device)
      for shard, device in zip(shards, self._devices, strict=True)
    ]
    self._run: Callable[..., _Weights] = jax.jit(
      functools.partial(
        _shard,
        loss=_lstm_loss if is_lstm else _mlp_loss,
        learning_rate=job.learning_rate,
      )
    )
    self._mean = jax.jit(
      functools.partial(_mean, examples=float(sum(job.examples)))
    )

  def round(self) -> None:
    # Dispatch does not wait, so the devices work at the same time.
    totals = [
      self._run(jax.device_put(self._weights, device), *shard)
      for shard, device in zip(self._shards, self._devices, strict=True)
    ]
    totals = jax.device_put(totals, self._devices[0])
    self._weights = jax.block_until_ready(self._mean(totals))

  def weights(self) -> list[np.ndarray]:
    return [np.asarray(w) for w in self._weights]
