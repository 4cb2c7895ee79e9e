"""Learning rates that change from round to round, on either side.

The round is counted in the state of the learning process, so that a run that
was interrupted goes on with the rate that it would have had.
"""

import dataclasses
import math
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import errors

Decay = Literal[
  'constant', 'linear', 'cosine', 'exponential', 'inverse_sqrt', 'step'
]


class ScheduleError(errors.PipelineError):
  """A schedule that makes no sense."""


@dataclasses.dataclass(frozen=True)
class Schedule:
  """The learning rate of each round, counted from 0.

  In the warm-up of w rounds the rate is `learning_rate` times (round + 1) / w.
  After it, s = round - w rounds later, with d = `decay_rounds`, times
    constant:      1
    linear:        1 - (1 - final_share) min(s / d, 1)
    cosine:        final_share + (1 - final_share) (1 + cos(pi min(s/d, 1))) / 2
    exponential:   decay_factor^(s / d)
    inverse_sqrt:  1 / sqrt(1 + s / d)
    step:          decay_factor^floor(s / d)

  Reference: cosine Loshchilov, Hutter 2017, equation 5, without restarts;
  inverse_sqrt with d = w is that of Vaswani et al. 2017, equation 3.

  Attributes:
    learning_rate: The rate after the warm-up.
    decay: How it falls.
    warmup_rounds: Rounds in which it rises; 0 is none.
    decay_rounds: The scale of the fall, in rounds; unused by constant.
    decay_factor: Of exponential and step, from above 0 to 1.
    final_share: What linear and cosine come down to, a share from 0 to 1.

  Raises:
    ScheduleError: If a value is out of its range.
  """

  learning_rate: float
  decay: Decay = 'constant'
  warmup_rounds: int = 0
  decay_rounds: int = 0
  decay_factor: float = 0.1
  final_share: float = 0.0

  def __post_init__(self) -> None:
    if self.decay not in get_args(Decay):
      raise ScheduleError(
        f'Expected a schedule out of {", ".join(get_args(Decay))}, found '
        f'{self.decay!r}.'
      )
    least = 0 if self.decay == 'constant' else 1
    for name, fits, expected in (
      ('learning_rate', 0 < self.learning_rate < math.inf, 'above 0'),
      ('warmup_rounds', self.warmup_rounds >= 0, 'of at least 0'),
      ('decay_rounds', self.decay_rounds >= least, f'of at least {least}'),
      ('decay_factor', 0 < self.decay_factor <= 1, 'above 0 and at most 1'),
      ('final_share', 0 <= self.final_share <= 1, 'from 0 to 1'),
    ):
      if not fits:
        raise ScheduleError(
          f'Expected {name} {expected} with the schedule {self.decay}, found '
          f'{getattr(self, name)}.'
        )

  def rate(self, round_num: Any) -> tf.Tensor:
    """Returns the learning rate, float32[], of a round, int32[], from 0."""
    number = tf.cast(round_num, tf.float32)
    after = tf.maximum(number - float(self.warmup_rounds), 0.0)
    share = self._share(after / float(max(self.decay_rounds, 1)))
    if self.warmup_rounds:
      risen = (number + 1.0) / float(self.warmup_rounds)
      share *= tf.minimum(risen, 1.0)
    return self.learning_rate * share

  def build_rate(self) -> tff.Computation:
    """Builds (int32 -> float32), the rate after so many rounds."""

    @tff.tensorflow.computation(np.int32)
    def rate_of(rounds_done):
      return self.rate(rounds_done)

    return rate_of

  def _share(self, time: tf.Tensor) -> tf.Tensor:
    """Returns the decay, float32[], after a time in units of decay_rounds."""
    until_end = tf.minimum(time, 1.0)
    if self.decay == 'constant':
      return tf.ones([])
    if self.decay == 'linear':
      return 1.0 - (1.0 - self.final_share) * until_end
    if self.decay == 'cosine':
      wave = (1.0 + tf.cos(math.pi * until_end)) / 2.0
      return self.final_share + (1.0 - self.final_share) * wave
    if self.decay == 'exponential':
      return tf.pow(self.decay_factor, time)
    if self.decay == 'inverse_sqrt':
      return tf.math.rsqrt(1.0 + time)
    return tf.pow(self.decay_factor, tf.floor(time))


class FixedRate(tff.learning.optimizers.Optimizer):
  """An optimizer at another learning rate, which a computation brings."""

  def __init__(
    self, optimizer: tff.learning.optimizers.Optimizer, rate: tf.Tensor
  ):
    """Initializes the optimizer.

    Args:
      optimizer: What it does with the rate, which it keeps in its state.
      rate: The rate, float32[].
    """
    self._optimizer = optimizer
    self._rate = rate

  def initialize(self, specs: Any) -> Any:
    """See base class."""
    state = self._optimizer.initialize(specs)
    key = tff.learning.optimizers.LEARNING_RATE_KEY
    if key not in state:
      raise ScheduleError(
        f'Expected an optimizer with a {key} in its state, found '
        f'{", ".join(state)}.'
      )
    state[key] = self._rate
    return state

  def next(self, state: Any, weights: Any, gradients: Any) -> Any:
    """See base class."""
    return self._optimizer.next(state, weights, gradients)


def at_server(
  optimizer: tff.learning.optimizers.Optimizer, schedule: Schedule | None
) -> tff.learning.optimizers.Optimizer:
  """Returns a server's optimizer on a schedule; itself if there is none."""
  if schedule is None:
    return optimizer
  return tff.learning.optimizers.schedule_learning_rate(
    optimizer, schedule.rate
  )


def at_clients(
  optimizer: tff.learning.optimizers.Optimizer, schedule: Schedule | None
) -> Schedule:
  """Returns a schedule; if there is none, the optimizer's own rate for ever.

  Raises:
    ScheduleError: If it has no rate above 0.
  """
  if schedule is not None:
    return schedule
  state = optimizer.initialize(tf.TensorSpec([], tf.float32))
  return Schedule(float(state[tff.learning.optimizers.LEARNING_RATE_KEY]))


def build_counter() -> tff.Computation:
  """Builds (int32 -> int32), the rounds done after one more."""

  @tff.tensorflow.computation(np.int32)
  def one_more(rounds_done):
    return rounds_done + 1

  return one_more
