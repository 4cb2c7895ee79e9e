"""Noise of prefix sums from a binary tree, one round after the other.

The leaves are the rounds. Every node has noise of its own; the noise of a
prefix sum is that of the complete nodes that cover it, one for every 1 in
binary t. Going on to round t with k zeros at its end completes a node of height
k, which replaces those of heights 0..k-1 in the cover:

  x_t = e_k - sum_{h < k} E_h,      then E_k := e_k,

E_h being the estimate kept of height h, e_k the new one. Standard: e_k = z, the
node's noise. Honaker: the best estimate that also uses the nodes below,
e_h = v_h z_h + v_h / (2 v_{h-1}) (E_{h-1} + e_{h-1}), v_h its variance. The
z_0..z_k of the nodes that round t completes appear in e_k alone, so one draw of
their sum's stddev gives noise of the same joint distribution as k + 1 draws.

After `restart_rounds` a new tree begins. The finished one is not subtracted, so
its noise stays in the prefix sums.

Source: Kairouz et al. 2021, "Practical and Private (Deep) Learning without
Sampling or Shuffling", arXiv 2103.00039, section 3, appendices B and D. Honaker
2015, "Efficient use of differentially private binary trees", section 3.
Deviation: noise that was drawn is kept in the state, one tensor a height, not
derived again from seeds, so it can come from the operating system.
"""

from collections.abc import Sequence
import dataclasses
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.numerics import correlated_noise

_VARIANCES = ('standard', 'honaker')


class TreeError(errors.PipelineError):
  """A tree that cannot be built."""


class TreeState(NamedTuple):
  """State between two rounds.

  Attributes:
    steps: Rounds since the last restart, int32[].
    estimates: E_h of each tensor, a tuple of [heights, ...].
  """

  steps: tf.Tensor
  estimates: tuple[tf.Tensor, ...]


@dataclasses.dataclass(frozen=True)
class Tree:
  """Tree noise; a `correlated_noise.CorrelatedNoise`.

  The state has log2(rounds) + 1 values a coordinate. The variance of x_1 + ...
  + x_t is that of `prefix_sum_error.tree` and `honaker_tree`.

  Attributes:
    restart_rounds: Rounds after which a new tree begins; None: never.
    variance: `honaker`, the smaller, or `standard`.
    unrestarted_rounds: The most rounds that a tree without restarts serves.
  """

  restart_rounds: int | None = None
  variance: Literal['standard', 'honaker'] = 'honaker'
  unrestarted_rounds: int = 2**16 - 1

  def __post_init__(self) -> None:
    for name in ('restart_rounds', 'unrestarted_rounds'):
      rounds = getattr(self, name)
      if rounds is not None and not 1 <= rounds < 2**30:
        raise TreeError(
          f'Expected {name} of at least 1 and below 2^30, found {rounds}.'
        )
    if self.variance not in _VARIANCES:
      raise TreeError(
        f'Expected a variance out of {", ".join(_VARIANCES)}, found '
        f'{self.variance!r}.'
      )

  @property
  def max_rounds(self) -> int | None:
    """See base class."""
    return self.unrestarted_rounds if self.restart_rounds is None else None

  @property
  def num_heights(self) -> int:
    """Heights of the nodes that a tree completes."""
    return (self.restart_rounds or self.unrestarted_rounds).bit_length()

  def initial(self, specs: Sequence[tf.TensorSpec]) -> TreeState:
    """See base class."""
    return TreeState(
      tf.constant(0, tf.int32),
      tuple(tf.zeros([self.num_heights, *s.shape], s.dtype) for s in specs),
    )

  def step(
    self, state: TreeState, fresh: Sequence[tf.Tensor]
  ) -> correlated_noise.Step:
    """See base class."""
    steps = state.steps + 1
    if self.restart_rounds is not None:
      steps = tf.where(steps > self.restart_rounds, 1, steps)
    else:
      steps = correlated_noise.checked_round(
        steps, self.unrestarted_rounds, 'let the tree restart'
      )
    bits = tf.bitwise.right_shift(steps, tf.range(self.num_heights)) & 1
    height = tf.argmax(bits, output_type=tf.int32)  # The lowest 1.
    weights, gains, variances = self._tables()
    below = (np.tri(self.num_heights, k=-1) > 0) * 1.0
    noise, estimates = [], []
    for z, kept in zip(fresh, state.estimates, strict=True):
      estimate = tf.gather(gains, height) * z + correlated_noise.combined(
        tf.gather(weights, height), kept
      )
      later, estimate = correlated_noise.stored(kept, height, estimate)
      estimates.append(later)
      noise.append(
        estimate - correlated_noise.combined(tf.gather(below, height), kept)
      )
    # x_t = gain z + sum_h (weight_h - 1) E_h, all independent.
    increments = gains**2 + (weights - below) ** 2 @ variances
    return correlated_noise.Step(
      noise,
      tf.gather(np.sqrt(increments), height),
      TreeState(steps, tuple(estimates)),
    )

  def _tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How an estimate is made: e_k = gains[k] z + sum_h weights[k, h] E_h.

    Returns:
      weights float64[heights, heights], below the diagonal; gains and the
      estimates' variances, float64[heights].
    """
    heights = self.num_heights
    weights, gains = np.zeros([heights, heights]), np.ones(heights)
    if self.variance == 'standard':
      return weights, gains, np.ones(heights)
    variances = 1.0 / (2.0 - 0.5 ** np.arange(heights))
    for height in range(1, heights):
      from_below = variances[height] / (2.0 * variances[height - 1])
      weights[height] = from_below * weights[height - 1]
      weights[height, height - 1] = from_below
      gains[height] = np.hypot(
        variances[height], from_below * gains[height - 1]
      )
    return weights, gains, variances
