"""What is promised to a client, to what extent and on which assumptions."""

import dataclasses
import enum
import math
from typing import Any

from tff_pipelines.core import errors


class GuaranteeError(errors.PipelineError):
  """Numbers that promise nothing."""


class Relation(enum.Enum):
  """Which two data sets no observer can tell apart.

  ADD_OR_REMOVE: with and without one client.
  REPLACE: one client's data exchanged for any other; the only relation when
    the number of clients is fixed by the sampling, and of local mechanisms. The
    sum of clipped vectors then moves by up to two clip norms.
  ZERO_OUT: one client's contributions exchanged for zeros (Kairouz et al. 2021,
    arXiv 2103.00039, definition 1.1).
  """

  ADD_OR_REMOVE = 'add_or_remove'
  REPLACE = 'replace'
  ZERO_OUT = 'zero_out'


class Trust(enum.Enum):
  """Whom a client has to trust.

  SERVER: the server sees updates, or the sum before the noise, and keeps them
    secret (central noise).
  SUM: the server learns the sum and no update (noise of the clients under
    secure aggregation).
  NOTHING: reports are noisy before they leave the client.
  """

  SERVER = 'server'
  SUM = 'sum'
  NOTHING = 'nothing'


@dataclasses.dataclass(frozen=True)
class Guarantee:
  """(epsilon, delta) differential privacy of everything released so far.

  Attributes:
    epsilon: Upper bound, finite, at least 0.
    delta: In [0, 1).
    relation: The neighbouring relation.
    trust: Whom it rests on.
    method: `gaussian` (exact), `pld`, `rdp` or `pure`: how it was computed.
    num_rounds: Rounds that it covers.
    assumptions: Sentences; where one is false, so is the guarantee.
    rho: zCDP of the same release if it is Gaussian as a whole, else None.
    unit: What is protected: a client with all of its examples.
  """

  epsilon: float
  delta: float
  relation: Relation
  trust: Trust
  method: str
  num_rounds: int
  assumptions: tuple[str, ...] = ()
  rho: float | None = None
  unit: str = 'client'

  def __post_init__(self) -> None:
    if not (math.isfinite(self.epsilon) and self.epsilon >= 0.0):
      raise GuaranteeError(
        'Expected a finite epsilon of at least 0, found '
        f'{self.epsilon}: at delta {self.delta} this release has no guarantee; '
        'add noise or allow a larger delta.'
      )
    check_delta(self.delta)

  def __str__(self) -> str:
    return (
      f'({self.epsilon:.4g}, {self.delta:.3g})-DP for each {self.unit} '
      f'({self.relation.value}), trusting {self.trust.value}, '
      f'{self.num_rounds} rounds, by {self.method}'
    )

  def to_json(self) -> dict[str, Any]:
    """Returns plain values that `from_json` reads back exactly."""
    return dataclasses.asdict(self) | {
      'relation': self.relation.value,
      'trust': self.trust.value,
      'assumptions': list(self.assumptions),
    }

  @classmethod
  def from_json(cls, values: dict[str, Any]) -> 'Guarantee':
    """Reads what `to_json` wrote."""
    return cls(
      **values
      | {
        'relation': Relation(values['relation']),
        'trust': Trust(values['trust']),
        'assumptions': tuple(values['assumptions']),
      }
    )


def check_delta(delta: float) -> None:
  """Raises GuaranteeError unless 0 <= delta < 1."""
  if not 0.0 <= delta < 1.0:
    raise GuaranteeError(
      f'Expected a delta from 0 to below 1, found {delta}; choose one below 1 '
      'over the population.'
    )


def default_delta(population_size: int) -> float:
  """Returns population_size^-1.1, always at most 1 / population_size.

  The usual choice (McMahan et al. 2018, arXiv 1710.06963, section 3): a delta
  above 1/population would allow to publish one client outright.
  """
  if population_size < 2:
    raise GuaranteeError(
      f'Expected a population of at least 2 clients, found {population_size}; '
      'give delta itself.'
    )
  return float(population_size) ** -1.1
