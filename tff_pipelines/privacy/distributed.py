"""Noise in shares: every client adds its own, secure aggregation sums it up.

The server is trusted with nothing but the sum. Noise that dropped clients, or
clients who work for the server, would have added is missing: what a round costs
is computed from the contributors that really were.
"""

import dataclasses
import functools
import math
from typing import ClassVar

import numpy as np

from tff_pipelines.privacy import guarantee, losses, mechanism


class MissingNoiseError(mechanism.MechanismError):
  """A sum without enough honest noise shares in it."""


@dataclasses.dataclass(frozen=True)
class DistributedMechanism(mechanism.RoundMechanism):
  """What the noise shares of integer vectors have in common.

  Attributes:
    noise_stddev: Of one client's share, in the integers' units.
    l2_sensitivity: By how much one client moves the sum in L2, in the integers'
      units, after scaling and rounding.
    num_coordinates: Length of the vector, padding included.
    num_colluding: Contributors a round that may leave out their noise, or tell
      the server about it.
  """

  noise_stddev: float
  l2_sensitivity: float
  num_coordinates: int
  num_colluding: int = 0

  trust: ClassVar[guarantee.Trust] = guarantee.Trust.SUM
  noise_field: ClassVar[str] = 'noise_stddev'

  def __post_init__(self) -> None:
    mechanism.check_positive(
      noise_stddev=self.noise_stddev, l2_sensitivity=self.l2_sensitivity
    )
    mechanism.check_count(num_coordinates=self.num_coordinates)

  @property
  def assumptions(self) -> tuple[str, ...]:
    """See base class."""
    return (
      f'At most {self.num_colluding} contributors of a round leave out their '
      'noise or work for the server; the secure aggregation holds.',
      'A client whose data is exchanged still adds its share of the noise.',
    )

  def honest_shares(self, num_contributors: int) -> int:
    """Returns the shares that hide a client.

    Raises:
      MissingNoiseError: If there is none.
    """
    honest = num_contributors - self.num_colluding
    if honest < 1:
      raise MissingNoiseError(
        f'Expected more than {self.num_colluding} contributors, of whom that '
        f'many may leave out their noise, found {num_contributors}; this round '
        'has no guarantee.'
      )
    return honest


@dataclasses.dataclass(frozen=True)
class DistributedDiscreteGaussian(DistributedMechanism):
  """Discrete Gaussian shares; their sum is nearly, not quite, one.

  Attributes: as above.

  Source: Kairouz, Liu, Steinke 2021, arXiv 2102.06387, theorem 1 and
  proposition 14 (tau). The proposition asks for a share's stddev of at least
  1/2.
  """

  def loss(self, num_contributors: int, sensitivity: int) -> losses.Loss:
    """See base class."""
    if self.noise_stddev < 0.5:
      raise mechanism.MechanismError(
        'Expected a noise_stddev of at least 0.5 integers a share, found '
        f'{self.noise_stddev}: the sum of narrower discrete Gaussians cannot '
        'be accounted; scale up before rounding.'
      )
    honest = self.honest_shares(num_contributors)
    return losses.DiscreteGaussian(
      sensitivity
      * self.l2_sensitivity
      / (math.sqrt(honest) * self.noise_stddev),
      _tau(self.noise_stddev, honest),
      self.num_coordinates,
    )


@functools.lru_cache(maxsize=1024)
def _tau(noise_stddev: float, num_shares: int) -> float:
  """How far a sum of shares is from one discrete Gaussian (theorem 1)."""
  k = np.arange(1, num_shares)
  exponents = -2 * (math.pi * noise_stddev) ** 2 * k / (k + 1)
  return 10 * float(np.sum(np.exp(exponents)))


@dataclasses.dataclass(frozen=True)
class DistributedSkellam(DistributedMechanism):
  """Skellam shares, whose sum is exactly Skellam.

  Attributes: as above. The L1 sensitivity of an integer vector is at most
  min(sqrt(num_coordinates) l2, l2^2).

  Source: Agarwal, Kairouz, Liu 2021, arXiv 2110.04995, theorem 3.5.
  """

  def loss(self, num_contributors: int, sensitivity: int) -> losses.Loss:
    """See base class."""
    l2 = sensitivity * self.l2_sensitivity
    return losses.Skellam(
      l1=l2 * min(math.sqrt(self.num_coordinates), l2),
      l2=l2,
      variance=self.honest_shares(num_contributors) * self.noise_stddev**2,
    )
