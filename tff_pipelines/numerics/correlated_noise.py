"""Noise that is correlated between rounds, drawn one round after the other.

A linear map of independent noise z_1, z_2, ... In every round it takes z_t and
its state and gives x_t, the noise of the sum of that round, such that the noise
of the prefix sums, x_1 + ... + x_t, is small. It draws nothing itself.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from tff_pipelines.core import errors


class TooManyRoundsError(errors.PipelineError):
  """More rounds than the noise is made for."""


class Step(NamedTuple):
  """One round.

  Attributes:
    noise: x_t, float64 tensors.
    stddev: Of a coordinate of x_t for fresh noise of stddev 1, float64[].
    state: For the next round.
  """

  noise: list[tf.Tensor]
  stddev: tf.Tensor
  state: Any


class CorrelatedNoise(Protocol):
  """What `tree_noise.Tree` and `banded_noise.Banded` are."""

  @property
  def max_rounds(self) -> int | None:
    """Rounds that it can serve; None if without end."""

  def initial(self, specs: Sequence[tf.TensorSpec]) -> Any:
    """Returns the state before the first round, a NamedTuple of tensors.

    Args:
      specs: Of the noise, a tensor each; its dtype, float32 or float64, is that
        in which the state is kept.
    """

  def step(self, state: Any, fresh: Sequence[tf.Tensor]) -> Step:
    """Returns the noise of the next round.

    Assumes that `fresh` is drawn anew, and stays secret, every round: who knows
    z can take the noise off.

    Args:
      state: Of the round before.
      fresh: z_t, float64 in the shapes of `specs`, independent of everything
        before.

    Raises (when it runs):
      tf.errors.InvalidArgumentError: In a round after `max_rounds`.
    """


def check_rounds(noise: CorrelatedNoise, num_rounds: int) -> None:
  """Raises TooManyRoundsError if the noise cannot serve so many rounds."""
  if noise.max_rounds is not None and num_rounds > noise.max_rounds:
    raise TooManyRoundsError(
      f'Expected at most {noise.max_rounds} rounds, for which the noise was '
      f'made, found {num_rounds}; make it for {num_rounds} rounds.'
    )


def checked_round(
  round_num: tf.Tensor, max_rounds: int, advice: str
) -> tf.Tensor:
  """Returns `round_num`; fails when it runs if that is above `max_rounds`."""
  check = tf.debugging.Assert(
    round_num <= max_rounds,
    [
      f'Expected at most {max_rounds} rounds, for which the noise was made; '
      f'{advice}; found round',
      round_num,
    ],
  )
  with tf.control_dependencies([check]):
    return tf.identity(round_num)


def combined(weights: tf.Tensor, memory: tf.Tensor) -> tf.Tensor:
  """Returns sum_k weights[k] memory[k].

  Computed in the memory's dtype, without another copy of it. What float32
  rounds, 1e-6 of the noise, depends on the noise alone.

  Args:
    weights: float64[slots].
    memory: [slots, ...].

  Returns:
    float64[...].
  """
  flat = tf.reshape(memory, [memory.shape[0], -1])
  row = tf.cast(weights, memory.dtype)[tf.newaxis]
  total = tf.reshape(tf.matmul(row, flat), memory.shape[1:])
  return tf.cast(total, tf.float64)


def stored(
  memory: tf.Tensor, slot: tf.Tensor, noise: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Puts noise into a slot.

  Returns:
    The new memory, and the noise as it is remembered, rounded, in float64.
  """
  rounded = tf.cast(noise, memory.dtype)
  memory = tf.tensor_scatter_nd_update(memory, [[slot]], rounded[tf.newaxis])
  return memory, tf.cast(rounded, tf.float64)
