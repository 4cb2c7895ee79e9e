"""How a secure mean turns updates into integers, and how many bits it needs."""

import dataclasses
from typing import Literal

from tff_pipelines.aggregators import adaptive_range, composition
from tff_pipelines.core import errors

_ROUNDINGS = ('nearest', 'stochastic')
MAX_MODULUS_BITS = 62
# Integers that float64 holds exactly.
_EXACT_BITS = 53
# Counts of clients are summed with room for cohorts that are too large, so that
# these are seen.
COUNT_BITS = 31


class SecureMeanConfigError(errors.PipelineError):
  """A secure mean that could not work."""


@dataclasses.dataclass(frozen=True)
class SecureMeanConfig:
  """How updates become integers.

  Attributes:
    bits: Of a coordinate of an update of weight 1: integers from -L to L, with
      L = 2^(bits-1) - 1, times a step of range / L.
    clip_range: Coordinates are clipped to its negative and it; the first range
      of every tensor if ranges are adaptive.
    adaptive: Whether each tensor's range follows the updates.
    target_share: Of the clients, whose largest absolute value of a tensor the
      adaptive range is to hold with room for twice that value.
    rounding: `nearest`, the same in every run; or `stochastic`, unbiased, for
      few bits.
    max_clients: Largest cohort whose sums cannot wrap around.
    max_weight: Largest weight (number of examples); larger ones are clipped.
  """

  bits: int = 16
  clip_range: float = 1.0
  adaptive: bool = True
  target_share: float = 0.9
  rounding: Literal['nearest', 'stochastic'] = 'nearest'
  max_clients: int = 10_000
  max_weight: int = 10_000

  def __post_init__(self) -> None:
    self._check_numbers()
    if self.modulus_bits > MAX_MODULUS_BITS:
      raise SecureMeanConfigError(
        f'Expected bits + log2(max_clients) + log2(max_weight) of at most '
        f'{MAX_MODULUS_BITS}, found {self.bits} bits, {self.max_clients} '
        f'clients and weights up to {self.max_weight}, which need '
        f'{self.modulus_bits}; take fewer bits, smaller cohorts or a smaller '
        'max_weight.'
      )
    if (self.levels * self.max_weight).bit_length() > _EXACT_BITS:
      raise SecureMeanConfigError(
        f'Expected weighted integers of at most {_EXACT_BITS} bits, found '
        f'{self.bits} bits with weights up to {self.max_weight}; take fewer '
        'bits or a smaller max_weight.'
      )

  def _check_numbers(self) -> None:
    limits = adaptive_range.MIN_RANGE, adaptive_range.MAX_RANGE
    for name, is_right, expected in (
      ('bits', self.bits >= 2, 'at least 2'),
      (
        'clip_range',
        limits[0] <= self.clip_range <= limits[1],
        'between 2^-60 and 2^60',
      ),
      ('target_share', 0 < self.target_share <= 1, 'above 0, at most 1'),
      ('rounding', self.rounding in _ROUNDINGS, ' or '.join(_ROUNDINGS)),
      (
        'max_clients',
        2 <= self.max_clients < 2**COUNT_BITS,
        'at least 2, below 2^31',
      ),
      (
        'max_weight',
        1 <= self.max_weight < 2**COUNT_BITS,
        'at least 1, below 2^31',
      ),
    ):
      if not is_right:
        raise SecureMeanConfigError(
          f'Expected {name} {expected}, found {getattr(self, name)}.'
        )

  @property
  def levels(self) -> int:
    """L: the largest integer of a coordinate of weight 1."""
    return 2 ** (self.bits - 1) - 1

  @property
  def input_span(self) -> int:
    """A client's integers are -L max_weight to L max_weight."""
    return 2 * self.levels * self.max_weight

  @property
  def modulus_bits(self) -> int:
    """Bits of the least power of 2 above max_clients * input_span.

    A power of 2, since the masks of those wrap around by themselves.
    """
    return (self.max_clients * self.input_span).bit_length()

  def stack(self) -> composition.Stack:
    """The layers of this mean, for `composition.check`."""
    return (
      composition.CLIP_COORDINATES,
      *([composition.WEIGHT] if self.max_weight > 1 else []),
      composition.QUANTIZE,
      composition.secure_sum(self.input_span, 2**self.modulus_bits),
    )
