"""Noise that the server adds to a sum; the server is trusted."""

import dataclasses
from typing import ClassVar

from tff_pipelines.privacy import losses, mechanism


@dataclasses.dataclass(frozen=True)
class Gaussian(mechanism.RoundMechanism):
  """Gaussian noise on a sum of vectors clipped in L2.

  Attributes:
    noise_multiplier: Noise stddev of a coordinate over the clip norm.
  """

  noise_multiplier: float

  def __post_init__(self) -> None:
    mechanism.check_positive(noise_multiplier=self.noise_multiplier)

  @property
  def assumptions(self) -> tuple[str, ...]:
    """See base class."""
    return (mechanism.CONTINUOUS_NOISE,)

  def loss(self, num_contributors: int, sensitivity: int) -> losses.Loss:
    """See base class."""
    return losses.Gaussian(sensitivity / self.noise_multiplier)


@dataclasses.dataclass(frozen=True)
class AdaptiveClippingGaussian(mechanism.RoundMechanism):
  """Gaussian noise on a sum, and on the count of clients below the clip norm.

  The count is of b - 1/2, b in {0, 1}, so a client moves it by 1/2. Both
  together cost what one Gaussian of `effective_noise_multiplier` does.

  Attributes:
    noise_multiplier: z_delta: the sum's noise stddev over the clip norm.
    count_noise_stddev: sigma_b, of the count of clients (not the fraction).

  Source: Andrew et al. 2021, "Differentially Private Learning with Adaptive
  Clipping", arXiv 1905.03871, theorem 1.
  """

  noise_multiplier: float
  count_noise_stddev: float

  def __post_init__(self) -> None:
    mechanism.check_positive(
      noise_multiplier=self.noise_multiplier,
      count_noise_stddev=self.count_noise_stddev,
    )

  @property
  def assumptions(self) -> tuple[str, ...]:
    """See base class."""
    return (mechanism.CONTINUOUS_NOISE,)

  @property
  def effective_noise_multiplier(self) -> float:
    """z = (z_delta^-2 + (2 sigma_b)^-2)^(-1/2)."""
    return (
      self.noise_multiplier**-2 + (2 * self.count_noise_stddev) ** -2
    ) ** -0.5

  def loss(self, num_contributors: int, sensitivity: int) -> losses.Loss:
    """See base class."""
    return losses.Gaussian(sensitivity / self.effective_noise_multiplier)


def split_for_adaptive_clipping(
  noise_multiplier: float, count_noise_stddev: float
) -> AdaptiveClippingGaussian:
  """Returns the mechanism whose effective noise multiplier is the one given.

  Inverse of `effective_noise_multiplier`. Andrew et al. take a count noise of a
  twentieth of the clients per round.

  Raises:
    MechanismError: If the count's noise alone spends more.
  """
  mechanism.check_positive(
    noise_multiplier=noise_multiplier, count_noise_stddev=count_noise_stddev
  )
  rest = noise_multiplier**-2 - (2 * count_noise_stddev) ** -2
  if rest <= 0.0:
    raise mechanism.MechanismError(
      f'Expected a count_noise_stddev above {noise_multiplier / 2} (half the '
      f'noise multiplier), found {count_noise_stddev}: the count alone would '
      'spend the whole budget.'
    )
  return AdaptiveClippingGaussian(rest**-0.5, count_noise_stddev)


@dataclasses.dataclass(frozen=True)
class Laplace(mechanism.RoundMechanism):
  """Laplace noise on a sum of vectors clipped in L1.

  Attributes:
    noise_multiplier: Noise scale b (stddev over sqrt 2) over the L1 clip norm.
    num_coordinates: Length of the vector; one number is accounted exactly,
      vectors as any pure mechanism.
  """

  noise_multiplier: float
  num_coordinates: int = 1

  def __post_init__(self) -> None:
    mechanism.check_positive(noise_multiplier=self.noise_multiplier)
    mechanism.check_count(num_coordinates=self.num_coordinates)

  @property
  def assumptions(self) -> tuple[str, ...]:
    """See base class."""
    return (mechanism.CONTINUOUS_NOISE,)

  def loss(self, num_contributors: int, sensitivity: int) -> losses.Loss:
    """See base class."""
    epsilon = sensitivity / self.noise_multiplier
    if self.num_coordinates == 1:
      return losses.ScalarLaplace(epsilon)
    return losses.Pure(epsilon)


@dataclasses.dataclass(frozen=True)
class Geometric(mechanism.RoundMechanism):
  """Two-sided geometric noise, P(x) ~ e^(-|x| / scale), on sums of integers.

  Attributes:
    noise_scale: In the integers' units.
    l1_sensitivity: By how much one client moves the sum in L1.
    num_coordinates: Length of the vector; as for `Laplace`.
  """

  noise_scale: float
  l1_sensitivity: int = 1
  num_coordinates: int = 1

  noise_field: ClassVar[str] = 'noise_scale'

  def __post_init__(self) -> None:
    mechanism.check_positive(noise_scale=self.noise_scale)
    mechanism.check_count(
      l1_sensitivity=self.l1_sensitivity, num_coordinates=self.num_coordinates
    )

  def loss(self, num_contributors: int, sensitivity: int) -> losses.Loss:
    """See base class."""
    moved = sensitivity * self.l1_sensitivity
    epsilon = moved / self.noise_scale
    if self.num_coordinates == 1:
      return losses.ScalarGeometric(epsilon, moved)
    return losses.Pure(epsilon)


@dataclasses.dataclass(frozen=True)
class CentralDiscreteGaussian(mechanism.RoundMechanism):
  """Discrete Gaussian noise of the server on sums of integer vectors.

  Attributes:
    noise_stddev: The parameter sigma, in the integers' units.
    l2_sensitivity: By how much one client moves the sum in L2, after rounding.

  Source: Canonne, Kamath, Steinke 2020, arXiv 2004.00010, theorem 14 (zCDP of
  l2_sensitivity^2 / (2 sigma^2), as for the continuous one).
  """

  noise_stddev: float
  l2_sensitivity: float

  noise_field: ClassVar[str] = 'noise_stddev'

  def __post_init__(self) -> None:
    mechanism.check_positive(
      noise_stddev=self.noise_stddev, l2_sensitivity=self.l2_sensitivity
    )

  def loss(self, num_contributors: int, sensitivity: int) -> losses.Loss:
    """See base class."""
    l2 = sensitivity * self.l2_sensitivity / self.noise_stddev
    return losses.DiscreteGaussian(l2, tau=0.0, num_coordinates=1)
