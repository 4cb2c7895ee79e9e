"""The clients of published algorithms in NumPy, for a logistic regression.

The model and the cohorts are those of the contract suites: uneven clients, one
without examples, three rounds. Weights are float64[4], the intercept last.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples

RATE = 0.3
SERVER_RATE = 0.9
# Of NumPy's float64 and TensorFlow's float32, after three rounds.
TOLERANCE = 1e-5

AGGREGATORS = {
  'weighted': tff.aggregators.MeanFactory,
  'unweighted': tff.aggregators.UnweightedMeanFactory,
}
# A client: batches of (inputs with a column of ones, labels).
Client = list[tuple[np.ndarray, np.ndarray]]


def build(algorithm: Any, weighting: str, **options: Any) -> Any:
  """Builds a learning process of the common model and rates."""
  optimizers = tff.learning.optimizers
  given = {
    'client_optimizer': optimizers.build_sgdm(RATE),
    'server_optimizer': optimizers.build_sgdm(SERVER_RATE),
    'aggregator': AGGREGATORS[weighting](),
  }
  return algorithm.build(samples.hand_written_model(), **(given | options))


def even_rounds() -> list:
  """Three rounds of clients that all take two steps."""
  return [samples.batches([8, 5, 7], seed=r) for r in range(3)]


def weights_after(process: Any, rounds: list) -> np.ndarray:
  """Returns the model's weights after each round, [rounds, 4]."""
  state = process.initialize()
  found = []
  for batches in rounds:
    state = process.next(state, batches).state
    trainable = process.get_model_weights(state).trainable
    found.append(np.concatenate([np.ravel(t) for t in trainable]))
  return np.array(found)


def clients(batches: Any) -> list[Client]:
  """Returns the clients of a cohort."""
  x, y = (batches.elements[name].astype(np.float64) for name in 'xy')

  def batch(k: int) -> tuple[np.ndarray, np.ndarray]:
    size = batches.batch_sizes[k]
    ones = np.ones([size, 1])
    return np.concatenate([x[k, :size], ones], axis=1), y[k, :size, 0]

  return [
    [batch(k) for k in range(*batches.offsets[c : c + 2])]
    for c in range(batches.num_clients)
  ]


def gradient(w: np.ndarray, batch: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
  inputs, labels = batch
  return inputs.T @ (1 / (1 + np.exp(-inputs @ w)) - labels) / len(labels)


def pooled(client: Client) -> tuple[np.ndarray, np.ndarray]:
  """Returns all examples of a client as one batch."""
  inputs, labels = zip(*client, strict=True)
  return np.concatenate(inputs), np.concatenate(labels)


def loss(w: np.ndarray, client: Client) -> float:
  """Returns the mean loss over a client's examples, 0 of none."""
  if not client:
    return 0.0
  inputs, labels = pooled(client)
  score = inputs @ w
  return float(np.mean(np.logaddexp(0, score) - labels * score))


def num_examples(client: Client) -> int:
  return sum(len(labels) for _, labels in client)


def trained(
  w: np.ndarray,
  client: Client,
  direction: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda y, g: g,
) -> np.ndarray:
  """Returns what a client has after a step on each batch.

  Args:
    w: What it received.
    client: Its batches.
    direction: From its weights and the gradient to what it steps down along.
  """
  y = w.copy()
  for batch in client:
    y = y - RATE * direction(y, gradient(y, batch))
  return y


def client_weights(cohort: list[Client], weighting: str) -> np.ndarray:
  """Returns weights that sum to 1."""
  if weighting == 'unweighted':
    return np.full(len(cohort), 1 / len(cohort))
  sizes = np.array([num_examples(client) for client in cohort], np.float64)
  return sizes / sizes.sum()
