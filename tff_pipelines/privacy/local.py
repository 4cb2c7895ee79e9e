"""Reports that are noisy before they leave the client; nobody is trusted.

One report is private by itself (`report_epsilon`); a client that sends several
a round, or comes back, composes them. Sampling does not amplify: the server
knows who reports.
"""

import dataclasses
import math
from typing import ClassVar

from tff_pipelines.privacy import guarantee, losses, mechanism


class LocalMechanism(mechanism.RoundMechanism):
  """A randomizer of one client's report, under replacement of its data.

  Attributes:
    num_reports: Reports of one client in one round.
  """

  num_reports: int
  trust: ClassVar[guarantee.Trust] = guarantee.Trust.NOTHING

  def loss(self, num_contributors: int, sensitivity: int) -> losses.Loss:
    """What one report costs; `sensitivity` is fixed by the randomizer."""
    del num_contributors, sensitivity  # Unused: nobody else's noise helps.
    return self.report_loss

  @property
  def report_loss(self) -> losses.Loss:
    """What one report costs."""
    raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class RandomizedResponse(LocalMechanism):
  """Tells the truth, or a value drawn uniformly from all of them.

  Attributes:
    noise_probability: Of the uniform value, in (0, 1].
    num_values: Values to choose from, k.
    num_reports: Reports of one client in one round.
  """

  noise_probability: float
  num_values: int = 2
  num_reports: int = 1

  noise_field: ClassVar[str] = 'noise_probability'
  max_noise: ClassVar[float] = 1.0

  def __post_init__(self) -> None:
    _check_response(self.noise_probability, self.num_values)
    mechanism.check_count(num_reports=self.num_reports)

  @property
  def report_epsilon(self) -> float:
    """log((1 - p + p/k) / (p/k)), of one report."""
    p, k = self.noise_probability, self.num_values
    return math.log1p((1 - p) * k / p)

  @property
  def report_loss(self) -> losses.Loss:
    """See base class."""
    return losses.RandomizedResponse(self.report_epsilon, self.num_values)


@dataclasses.dataclass(frozen=True)
class UnaryEncoding(LocalMechanism):
  """Tells of each value by itself whether it is one's own, or a random bit.

  Marks the own value with probability p, each other with q = noise_probability
  / 2; p = 1 - q is RAPPOR's permanent response once, with one hash function.

  Attributes:
    noise_probability: Of a uniform bit instead of the true one, in (0, 1].
    num_values: Values to choose from, k; the loss does not depend on it.
    num_reports: Reports of one client in one round.
    optimized: Whether p = 1/2: the bit of the own value is always uniform, and
      `noise_probability` is of the others.

  Source: Erlingsson, Pihur, Korolova 2014, arXiv 1407.6981, theorem 1; Wang et
  al. 2017, USENIX Security, "Locally Differentially Private Protocols for
  Frequency Estimation", section 4.3.
  """

  noise_probability: float
  num_values: int = 2
  num_reports: int = 1
  optimized: bool = False

  noise_field: ClassVar[str] = 'noise_probability'
  max_noise: ClassVar[float] = 1.0

  def __post_init__(self) -> None:
    _check_response(self.noise_probability, self.num_values)
    mechanism.check_count(num_reports=self.num_reports)

  @property
  def report_epsilon(self) -> float:
    """log(p (1 - q) / (q (1 - p))), of one report."""
    f = self.noise_probability
    of_a_bit = math.log1p((1 - f) * 2 / f)
    return of_a_bit if self.optimized else 2 * of_a_bit

  @property
  def report_loss(self) -> losses.Loss:
    """See base class."""
    q = self.noise_probability / 2
    p = 0.5 if self.optimized else 1 - q
    return losses.UnaryEncoding(self.report_epsilon, p * q + (1 - p) * (1 - q))


@dataclasses.dataclass(frozen=True)
class LocalGaussian(LocalMechanism):
  """Gaussian noise on a vector clipped in L2, by the client.

  Attributes:
    noise_multiplier: Noise stddev over the clip norm. Two clipped vectors are
      up to two clip norms apart: the report's mu is 2 / noise_multiplier.
    num_reports: Reports of one client in one round.
  """

  noise_multiplier: float
  num_reports: int = 1

  def __post_init__(self) -> None:
    mechanism.check_positive(noise_multiplier=self.noise_multiplier)
    mechanism.check_count(num_reports=self.num_reports)

  @property
  def assumptions(self) -> tuple[str, ...]:
    """See base class."""
    return (mechanism.CONTINUOUS_NOISE,)

  @property
  def report_loss(self) -> losses.Loss:
    """See base class."""
    return losses.Gaussian(2.0 / self.noise_multiplier)


@dataclasses.dataclass(frozen=True)
class LocalLaplace(LocalMechanism):
  """Laplace noise on a vector clipped in L1, by the client.

  Attributes:
    noise_multiplier: Noise scale over the clip norm; one report's epsilon is
      2 / noise_multiplier.
    num_coordinates: Length of the vector.
    num_reports: Reports of one client in one round.
  """

  noise_multiplier: float
  num_coordinates: int = 1
  num_reports: int = 1

  def __post_init__(self) -> None:
    mechanism.check_positive(noise_multiplier=self.noise_multiplier)
    mechanism.check_count(
      num_coordinates=self.num_coordinates, num_reports=self.num_reports
    )

  @property
  def assumptions(self) -> tuple[str, ...]:
    """See base class."""
    return (mechanism.CONTINUOUS_NOISE,)

  @property
  def report_epsilon(self) -> float:
    """Of one report, at delta 0."""
    return 2.0 / self.noise_multiplier

  @property
  def report_loss(self) -> losses.Loss:
    """See base class."""
    if self.num_coordinates == 1:
      return losses.ScalarLaplace(self.report_epsilon)
    return losses.Pure(self.report_epsilon)


def _check_response(noise_probability: float, num_values: int) -> None:
  if not 0.0 < noise_probability <= 1.0 or num_values < 2:
    raise mechanism.MechanismError(
      'Expected a noise_probability in (0, 1] and at least 2 values, found '
      f'{noise_probability} and {num_values}.'
    )
