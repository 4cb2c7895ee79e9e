"""The practical limit: the same mathematics by hand in JAX, one process.

A scan over all steps of all clients of a shard, one shard a core by pmap-free
threads: weights are reset where a client begins, and added up where it ends.
"""

from concurrent import futures
import os

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import jobs


class JaxScan:
  """Federated averaging as one scan."""

  def __init__(self, job: jobs.Job):
    self._job = job
    self._weights = [jnp.asarray(w) for w in job.weights()]
    clients = job.clients()
    count = os.cpu_count() or 1
    order = np.array_split(np.arange(len(clients)), count)
    self._shards = [self._steps([clients[c] for c in shard]) for shard in order]
    self._total = float(sum(len(y) for _, y in clients))
    self._run = jax.jit(self._shard)

  def _steps(self, clients):
    size, rows = self._job.batch_size, []
    for x, y in clients:
      x = np.concatenate([x] * self._job.epochs)
      y = np.concatenate([y] * self._job.epochs)
      for first in range(0, len(y), size):
        n = min(size, len(y) - first)
        pad = [(0, size - n), (0, 0)]
        is_last = first + size >= len(y)
        rows.append(
          (
            np.pad(x[first : first + n], pad),
            np.pad(y[first : first + n], pad[:1]),
            (np.arange(size) < n).astype(np.float32),
            np.float32(first == 0),
            np.float32(len(y) / self._job.epochs if is_last else 0),
          )
        )
    return tuple(jnp.asarray(np.stack(c)) for c in zip(*rows, strict=True))

  def _loss(self, weights, x, y, mask):
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
      x = jax.nn.relu(x @ kernel + bias)
    logits = x @ weights[-2] + weights[-1]
    picked = jnp.take_along_axis(
      jax.nn.log_softmax(logits), y[:, None], axis=1
    )[:, 0]
    return -jnp.sum(picked * mask) / jnp.sum(mask)

  def _shard(self, start, steps):
    def step(carry, batch):
      weights, total = carry
      x, y, mask, is_first, weight = batch
      weights = jax.lax.cond(is_first > 0, lambda: start, lambda: weights)
      gradients = jax.grad(self._loss)(weights, x, y, mask)
      weights = [
        w - self._job.learning_rate * g
        for w, g in zip(weights, gradients, strict=True)
      ]
      total = jax.lax.cond(
        weight > 0,
        lambda: [t + weight * w for t, w in zip(total, weights, strict=True)],
        lambda: total,
      )
      return (weights, total), None

    zero = [jnp.zeros_like(w) for w in start]
    return jax.lax.scan(step, (start, zero), steps)[0][1]

  def round(self) -> None:
    with futures.ThreadPoolExecutor(len(self._shards)) as pool:
      totals = list(
        pool.map(lambda steps: self._run(self._weights, steps), self._shards)
      )
    self._weights = [
      sum(parts) / self._total for parts in zip(*totals, strict=True)
    ]
    jax.block_until_ready(self._weights)

  def weights(self) -> list[np.ndarray]:
    return [np.asarray(w) for w in self._weights]
