"""What every mechanism is: data that an accountant interprets."""

import abc
import dataclasses
import math
from typing import Any, ClassVar, Self

from tff_pipelines.core import errors
from tff_pipelines.privacy import contributions, guarantee, losses

# Of every mechanism whose noise is made of floating point numbers.
CONTINUOUS_NOISE = (
  'Noise is continuous and computed in floating point; the attack of Mironov '
  '2012 on its low bits is not defended against.'
)


class MechanismError(errors.PipelineError):
  """Parameters with which a mechanism cannot run."""


_KINDS: dict[str, type['Mechanism']] = {}


class Mechanism:
  """A mechanism; subclasses are frozen dataclasses of numbers.

  Attributes:
    trust: Whom the clients have to trust.
    noise_field: The field in which more is noisier; calibration moves it.
    max_noise: The most that makes sense in it.
  """

  trust: ClassVar[guarantee.Trust] = guarantee.Trust.SERVER
  noise_field: ClassVar[str] = 'noise_multiplier'
  max_noise: ClassVar[float] = 1e8

  def __init_subclass__(cls, **kwargs: Any) -> None:
    super().__init_subclass__(**kwargs)
    _KINDS[cls.__name__] = cls

  @property
  def kind(self) -> str:
    """The name under which it is written down."""
    return type(self).__name__

  @property
  def noise(self) -> float:
    """The value of `noise_field`."""
    return float(getattr(self, self.noise_field))

  def with_noise(self, noise: float) -> Self:
    """Returns the same mechanism with another `noise_field`."""
    changes: dict[str, Any] = {self.noise_field: noise}
    return dataclasses.replace(self, **changes)  # type: ignore[type-var]

  @property
  def assumptions(self) -> tuple[str, ...]:
    """Sentences that its guarantee rests on."""
    return ()

  def to_json(self) -> dict[str, Any]:
    """Returns plain values that `from_json` reads back exactly."""
    return {'kind': self.kind} | dataclasses.asdict(self)  # type: ignore[call-overload]


class RoundMechanism(Mechanism, abc.ABC):
  """A mechanism whose rounds are independent of each other."""

  @abc.abstractmethod
  def loss(self, num_contributors: int, sensitivity: int) -> losses.Loss:
    """Returns what one round costs a client that contributes to it.

    Args:
      num_contributors: Clients whose contribution, and share of the noise,
        entered the sum.
      sensitivity: By how many clip norms a client moves the sum: 1, or 2 under
        `Relation.REPLACE`.
    """


class CorrelatedMechanism(Mechanism, abc.ABC):
  """A Gaussian mechanism over all rounds at once."""

  @abc.abstractmethod
  def mu_squared(
    self, num_rounds: int, limits: contributions.ContributionLimits
  ) -> float:
    """Returns squared sensitivity over noise variance, 2 rho.

    For clients that contribute zeros instead (sensitivity 1 a round).

    Args:
      num_rounds: Rounds since the noise began.
      limits: What every client keeps.
    """


def from_json(values: dict[str, Any]) -> Mechanism:
  """Reads what `Mechanism.to_json` wrote.

  Raises:
    MechanismError: If the kind is unknown.
  """
  fields = dict(values)
  kind = fields.pop('kind', None)
  if kind not in _KINDS:
    raise MechanismError(
      f'Expected a mechanism out of {", ".join(sorted(_KINDS))}, found '
      f'{kind!r}.'
    )
  return _KINDS[kind](**fields)


def check_positive(**values: float) -> None:
  """Raises MechanismError unless all are finite numbers above 0."""
  for name, value in values.items():
    if not (value > 0.0 and math.isfinite(value)):
      raise MechanismError(
        f'Expected a finite {name} above 0, found {value}; without noise there '
        'is no privacy to account for.'
      )


def check_count(**values: int) -> None:
  """Raises MechanismError unless all are at least 1."""
  for name, value in values.items():
    if value < 1:
      raise MechanismError(f'Expected a {name} of at least 1, found {value}.')
