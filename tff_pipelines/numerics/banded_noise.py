"""Noise x = C^-1 z of a banded strategy, one round after the other.

x_t = (z_t - sum_{d=1}^{b-1} C[t, t-d] x_{t-d}) / C[t, t], so a round needs the
last b - 1 outputs and fresh independent noise, whatever the number of rounds.

Cost: b - 1 numbers a coordinate, of which a round reads all, once, and copies
all, once, since graphs do not write in place. For 400 bands and 200,000
parameters that is 320 MB in float32 and 0.3 s of one core a round, 1.3 s where
the state leaves TensorFlow between rounds.

Source: Choquette-Choo et al. 2023, arXiv 2306.08153, section 4.1 (algorithm 9).
Deviation: the history is a ring; x_t takes the place of x_{t-b+1}.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tff_pipelines.numerics import banded_factorization, correlated_noise


class BandedState(NamedTuple):
  """State between two rounds.

  Attributes:
    round_num: Rounds so far, t, int32[]; the newest output is in slot
      (t - 1) mod (b - 1).
    history: The outputs of each tensor, a tuple of [b - 1, ...]; zeros where
      there was no round yet; an empty tuple for one band.
  """

  round_num: tf.Tensor
  history: tuple[tf.Tensor, ...]


class Banded:
  """Banded noise; a `correlated_noise.CorrelatedNoise`.

  The variance of x_1 + ... + x_t is that of `prefix_sum_error.banded`.

  Attributes:
    strategy: C. Its rows are a constant in the graph, 8 bytes an entry.
  """

  def __init__(self, strategy: banded_factorization.BandedStrategy):
    """Initializes the noise."""
    self.strategy = strategy
    self._rows = np.stack(
      [strategy.row(index) for index in range(strategy.num_rounds)]
    )
    # Rows of C^-1 = rows of A C^-1 less the ones before.
    sums = banded_factorization.right_factor(strategy)
    inverse = np.diff(sums, axis=0, prepend=np.zeros([1, len(sums)]))
    self._stddevs = np.linalg.norm(inverse, axis=1)

  @property
  def max_rounds(self) -> int:
    """See base class."""
    return self.strategy.num_rounds

  def initial(self, specs: Sequence[tf.TensorSpec]) -> BandedState:
    """See base class."""
    slots = self.strategy.num_bands - 1
    history = [tf.zeros([slots, *s.shape], s.dtype) for s in specs]
    return BandedState(
      tf.constant(0, tf.int32), tuple(history) if slots else ()
    )

  def step(
    self, state: BandedState, fresh: Sequence[tf.Tensor]
  ) -> correlated_noise.Step:
    """See base class."""
    index = state.round_num  # t, from 0.
    round_num = correlated_noise.checked_round(
      index + 1, self.max_rounds, 'make the strategy for more rounds'
    )
    row = tf.gather(self._rows, round_num - 1)
    slots = self.strategy.num_bands - 1
    if slots:
      # Slot s holds x_{t-d} for d = (t - 1 - s) mod (b - 1) + 1.
      weights = tf.gather(
        row[1:], tf.math.floormod(index - 1 - tf.range(slots), slots)
      )
      slot = tf.math.floormod(index, slots)
      noise, history = [], []
      for z, kept in zip(fresh, state.history, strict=True):
        x = (z - correlated_noise.combined(weights, kept)) / row[0]
        later, x = correlated_noise.stored(kept, slot, x)
        noise.append(x)
        history.append(later)
    else:
      noise, history = [z / row[0] for z in fresh], []
    return correlated_noise.Step(
      noise,
      tf.gather(self._stddevs, round_num - 1),
      BandedState(round_num, tuple(history)),
    )
