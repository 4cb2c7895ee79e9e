"""How one client's examples become batches.

Done in NumPy from (seed, round, client id), so that every execution context
sees the same batches in the same order.
"""

import dataclasses

import numpy as np

from tff_pipelines.core import errors, seeds


class BatchingError(errors.PipelineError):
  """A batching that cannot be carried out."""


@dataclasses.dataclass(frozen=True)
class Batching:
  """Epochs, batch size, a cap on examples, and shuffling.

  Epochs follow each other without a break, as with TFF's usual
  `dataset.shuffle().repeat(epochs).batch(batch_size)`: only the last batch of
  all can be short.

  Attributes:
    batch_size: Examples in a full batch.
    epochs: Passes over the client's examples in one round, unless `num_steps`
      says when to stop.
    max_examples: Cap on a client's examples per round, before epochs; None
      takes all. With `shuffle` each round draws its own subset.
    shuffle: Whether each epoch has its own random order.
    num_steps: Full batches of every client that has an example, in as many
      passes as they take; None counts passes.
  """

  batch_size: int
  epochs: int = 1
  max_examples: int | None = None
  shuffle: bool = True
  num_steps: int | None = None

  def __post_init__(self) -> None:
    for name in ('batch_size', 'epochs', 'max_examples', 'num_steps'):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise BatchingError(f'Expected {name} of at least 1, found {value}.')

  def order(
    self, num_examples: int, *, seed: int, round_num: int, client_id: str
  ) -> np.ndarray:
    """Returns which examples a client visits in a round, in order.

    Args:
      num_examples: How many the client has.
      seed: The run's seed.
      round_num: The round.
      client_id: The client's name.

    Returns:
      int64[epochs * min(num_examples, max_examples)], indices of examples, or
      int64[num_steps * batch_size] (none if there is no example).
    """
    visited = num_examples
    if self.max_examples is not None:
      visited = min(visited, self.max_examples)
    epochs, end = self.epochs, None
    if self.num_steps is not None and visited:
      end = self.num_steps * self.batch_size
      epochs = -(-end // visited)
    if not self.shuffle:
      return np.tile(np.arange(visited), epochs)[:end]
    rng = seeds.generator(seed, 'batching', round_num, client_id)
    chosen = rng.permutation(num_examples)[:visited]
    later = [rng.permutation(chosen) for _ in range(epochs - 1)]
    return np.concatenate([chosen, *later])[:end]
