"""FedJAX: its federated averaging on its jit back end.

Of its back ends that is the faster one here: pmap with a device for each of two
cores took 1.2 (2nn) to 3.3 (softmax) times as long on every job, and needs
jax_pmap_no_rank_reduction off with a jax of this age. JAX 0.5.3 is the newest
tried that still has jax.tree_map, which FedJAX 0.0.17 calls.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import fedjax
from fedjax.algorithms import fed_avg
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import jobs


class _InOrder(fedjax.ClientDataset):
  """Client data that stay in order.

  FedJAX fills a short last batch with examples of the next pass; here it is
  padded, and the padding masked.
  """

  def shuffle_repeat_batch(
    self, hparams: fedjax.ShuffleRepeatBatchHParams
  ) -> Iterable[Mapping[str, np.ndarray]]:
    padded = self.padded_batch(batch_size=hparams.batch_size)
    for _ in range(hparams.num_epochs):
      yield from padded


def _mlp(weights: list[jax.Array], x: jax.Array) -> jax.Array:
  for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
    x = jax.nn.relu(x @ kernel + bias)
  return x @ weights[-2] + weights[-1]


def _lstm(weights: list[jax.Array], x: jax.Array) -> jax.Array:
  embedding, kernel, recurrent, bias, output, output_bias = weights

  def step(carry: Any, projection: jax.Array) -> tuple[Any, jax.Array]:
    h, c = carry
    i, f, g, o = jnp.split(projection + h @ recurrent, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h

  zero = jnp.zeros((len(x), len(recurrent)))
  projections = embedding[x.T] @ kernel + bias
  states = jax.lax.scan(step, (zero, zero), projections)[1]
  return jnp.swapaxes(states @ output + output_bias, 0, 1)


class FedJax:
  """Federated averaging, a client after the other."""

  def __init__(self, job: jobs.Job):
    logits = _lstm if isinstance(job.model, jobs.CharacterLstm) else _mlp

    def loss(weights: Any, batch: Any, rng: Any) -> jax.Array:
      del rng  # Unused.
      losses = fedjax.metrics.unreduced_cross_entropy_loss(
        batch['y'], logits(weights, batch['x'])
      )
      return losses.reshape(len(losses), -1).mean(axis=1)

    with fedjax.for_each_client_backend('jit'):
      self._algorithm = fed_avg.federated_averaging(
        fedjax.grad(loss),
        fedjax.optimizers.sgd(job.learning_rate),
        fedjax.optimizers.sgd(1.0),
        fedjax.ShuffleRepeatBatchHParams(job.batch_size, job.epochs),
      )
    self._state = self._algorithm.init(
      [jnp.asarray(w) for w in job.model.weights()]
    )
    key = jax.random.PRNGKey(0)
    self._clients = [
      (str(c), _InOrder({'x': x, 'y': y}), key)
      for c, (x, y) in enumerate(job.clients())
    ]

  def round(self) -> None:
    self._state, _ = self._algorithm.apply(self._state, self._clients)
    jax.block_until_ready(self._state.params)

  def weights(self) -> list[np.ndarray]:
    return [np.asarray(w) for w in self._state.params]
