"""The norm to which clients' updates are clipped: fixed, or adaptive."""

import dataclasses
import math

import tensorflow as tf

from tff_pipelines.core import errors

# An adaptive norm stays in between, whatever its noise does.
MIN_NORM = 2.0**-60
MAX_NORM = 2.0**60


class ClipNormError(errors.PipelineError):
  """A clip norm that bounds nothing."""


@dataclasses.dataclass(frozen=True)
class FixedClip:
  """The same norm in every round.

  Attributes:
    clip_norm: L2 norm that no client's contribution exceeds.
  """

  clip_norm: float

  def __post_init__(self) -> None:
    _check_norm('clip_norm', self.clip_norm)

  @property
  def initial(self) -> float:
    """The norm in the first round."""
    return self.clip_norm


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptiveClip:
  """A norm that follows a quantile of the updates' norms.

  After a round, C <- C exp(-learning_rate (b - target_quantile)), where b is
  the fraction of clients with a norm of at most C: the sum of +1/2 for each of
  them and -1/2 for each other client, plus noise, over the planned clients a
  round, plus 1/2.

  Privacy: a client moves that sum by 1/2. It is a release of its own; with
  the updates' it costs what `privacy.central.AdaptiveClippingGaussian` says.

  Attributes:
    initial_clip_norm: The norm in the first round.
    target_quantile: Of the clients, the share whose norm is to be below.
    learning_rate: eta_C.
    count_noise_stddev: Of the noise on the sum; sigma_b. The source takes a
      twentieth of the clients a round.

  Source: Andrew, Thakkar, McMahan, Ramaswamy 2021, "Differentially Private
  Learning with Adaptive Clipping", arXiv 1905.03871, algorithm 1.
  """

  initial_clip_norm: float = 0.1
  target_quantile: float = 0.5
  learning_rate: float = 0.2
  count_noise_stddev: float

  def __post_init__(self) -> None:
    _check_norm('initial_clip_norm', self.initial_clip_norm)
    if not 0.0 < self.target_quantile < 1.0:
      raise ClipNormError(
        'Expected a target_quantile above 0 and below 1, found '
        f'{self.target_quantile}; 0.5 is the median.'
      )
    for name in ('learning_rate', 'count_noise_stddev'):
      value = getattr(self, name)
      if not (value > 0.0 and math.isfinite(value)):
        raise ClipNormError(f'Expected a finite {name} above 0, found {value}.')

  @property
  def initial(self) -> float:
    """The norm in the first round."""
    return self.initial_clip_norm

  def updated(
    self, clip_norm: tf.Tensor, noisy_sum: tf.Tensor, denominator: float
  ) -> tf.Tensor:
    """Returns the norm of the next round.

    Args:
      clip_norm: Of this round, float64[].
      noisy_sum: The sum of +-1/2 with its noise, float64[].
      denominator: Planned clients a round.
    """
    fraction = noisy_sum / denominator + 0.5
    step = -self.learning_rate * (fraction - self.target_quantile)
    return tf.clip_by_value(clip_norm * tf.exp(step), MIN_NORM, MAX_NORM)


def _check_norm(name: str, value: float) -> None:
  if not MIN_NORM <= value <= MAX_NORM:
    raise ClipNormError(
      f'Expected {name} between 2^-60 and 2^60, found {value}; without a bound '
      'on what one client can change, no noise hides it.'
    )
