"""The jobs that simulators are compared on: data, initial weights, sizes.

NumPy only, so that every system's own environment can import it. All systems
compute the same mathematics: clients in a fixed order, batches in the order of
the data, client SGD, the mean of the clients' weights by examples.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Job:
  """Federated averaging of a multi-layer perceptron (relu between layers).

  Attributes:
    layers: Sizes, input first.
    examples: Examples of each client of a round.
    batch_size: Examples in a batch; the last of a client can be short.
    epochs: Passes over a client's data.
    learning_rate: Of the clients.
  """

  layers: tuple[int, ...]
  examples: tuple[int, ...]
  batch_size: int
  epochs: int = 1
  learning_rate: float = 0.02

  def weights(self) -> list[np.ndarray]:
    """Returns the initial kernels and biases, float32."""
    rng = np.random.default_rng(0)
    weights = []
    for a, b in zip(self.layers[:-1], self.layers[1:], strict=True):
      kernel = rng.normal(size=(a, b)) / np.sqrt(a)
      weights += [kernel.astype(np.float32), np.zeros(b, np.float32)]
    return weights

  def clients(self) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns for each client x float32[n, inputs] and labels int32[n]."""
    rng = np.random.default_rng(1)
    return [
      (
        rng.normal(size=(n, self.layers[0])).astype(np.float32),
        rng.integers(0, self.layers[-1], n).astype(np.int32),
      )
      for n in self.examples
    ]


def _log_normal(count: int) -> tuple[int, ...]:
  draws = np.random.default_rng(2).normal(size=count)
  sizes = np.exp(0.8 * draws - 0.32) * 60
  return tuple(int(n) for n in np.clip(sizes, 10, 600))


JOBS = {
  'softmax': Job((784, 10), (20,) * 100, 20),
  '2nn': Job((784, 200, 200, 10), (60,) * 100, 10, epochs=5),
  'ragged': Job((784, 200, 200, 10), _log_normal(100), 10),
  'wide': Job((10_000, 2), (10,) * 1000, 10),
}
