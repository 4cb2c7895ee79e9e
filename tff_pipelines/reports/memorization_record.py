"""Which secret sentences the models give away: memorization.json, checked."""

from collections.abc import Mapping
import dataclasses
import math
import statistics
from typing import Any

from tff_pipelines.core import errors

FILE_NAME = 'memorization.json'

# An exposure may have been rounded when it was written.
_TOLERANCE = 0.01


class MalformedMemorizationError(errors.PipelineError):
  """A memorization.json without what every one has."""


@dataclasses.dataclass(frozen=True)
class Secret:
  """A made-up sentence that nothing but its own text can give away.

  Attributes:
    sentence: The sentence.
    clients: How many people typed it; 0 for a control.
    copies: How often each of them did; 0 for a control.
    rank: Its place among all candidates, the likeliest to the model first.
    exposure: log2(candidates / rank): what the model tells of it, in bits.
  """

  sentence: str
  clients: int
  copies: int
  rank: int
  exposure: float

  @property
  def times(self) -> int:
    """How often it was typed."""
    return self.clients * self.copies


@dataclasses.dataclass(frozen=True)
class System:
  """What one system's model tells.

  Attributes:
    system: The system.
    inserted: The secrets that somebody typed.
    controls: Those that nobody typed.
    p_value_inserted: The probability that chance places the inserted ones as
      far in front as they are; None if it was not computed.
    p_value_control: The same of the controls.
    epsilon: What its training promises, with `delta`; None if nothing.
    delta: The probability with which the promise may fail; None if there is
      none.
  """

  system: str
  inserted: tuple[Secret, ...]
  controls: tuple[Secret, ...]
  p_value_inserted: float | None
  p_value_control: float | None
  epsilon: float | None
  delta: float | None

  @property
  def first(self) -> int:
    """How many inserted secrets are the likeliest of all candidates."""
    return sum(secret.rank == 1 for secret in self.inserted)


@dataclasses.dataclass(frozen=True)
class Memorization:
  """What was measured.

  Attributes:
    candidates: Sentences of the same form, the secret among them.
    systems: At least one.
  """

  candidates: int
  systems: tuple[System, ...]

  @property
  def most(self) -> float:
    """The exposure of the likeliest candidate, in bits."""
    return math.log2(self.candidates)


def median(secrets: tuple[Secret, ...]) -> float | None:
  """The median exposure, None of no secrets."""
  if not secrets:
    return None
  return statistics.median(secret.exposure for secret in secrets)


def parse(content: Mapping[str, Any]) -> Memorization:
  """Reads the content of memorization.json.

  Raises:
    MalformedMemorizationError: If something is missing or has the wrong form.
  """
  try:
    candidates = _whole(content, 'candidates', 2)
    systems = tuple(_system(each, candidates) for each in content['systems'])
    if not systems:
      raise ValueError('no systems')
    return Memorization(candidates, systems)
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise MalformedMemorizationError(
      'Expected the number of candidates and systems, each with its secrets, '
      f'found a mistake: {type(error).__name__} {error}; let the run write it '
      'again.'
    ) from error


def _system(content: Mapping[str, Any], candidates: int) -> System:
  secrets = [_secret(each, candidates) for each in content['secrets']]
  name = str(content['system'])
  if not secrets:
    raise ValueError(f'no secrets of {name!r}')
  promise = content.get('epsilon')
  epsilon = delta = None
  if promise is not None:
    epsilon, delta = float(promise['epsilon']), float(promise['delta'])
    if not epsilon >= 0.0 or not 0.0 <= delta < 1.0:
      raise ValueError(f'epsilon {epsilon}, delta {delta}')
  return System(
    system=name,
    inserted=tuple(secret for secret in secrets if secret.times),
    controls=tuple(secret for secret in secrets if not secret.times),
    p_value_inserted=_probability(content, 'p_value_inserted'),
    p_value_control=_probability(content, 'p_value_control'),
    epsilon=epsilon,
    delta=delta,
  )


def _secret(content: Mapping[str, Any], candidates: int) -> Secret:
  found = Secret(
    sentence=str(content['sentence']),
    clients=_whole(content, 'clients', 0),
    copies=_whole(content, 'copies', 0),
    rank=_whole(content, 'rank', 1),
    exposure=float(content['exposure']),
  )
  if bool(found.clients) != bool(found.copies):
    raise ValueError(f'{found.clients} clients with {found.copies} copies each')
  if found.rank > candidates:
    raise ValueError(f'rank {found.rank} of {candidates} candidates')
  # Written so that NaN is refused.
  if not abs(found.exposure - math.log2(candidates / found.rank)) < _TOLERANCE:
    raise ValueError(
      f'exposure {found.exposure} of rank {found.rank} of {candidates}'
    )
  return found


def _whole(content: Mapping[str, Any], name: str, least: int) -> int:
  value = content[name]
  if isinstance(value, bool) or not isinstance(value, int) or value < least:
    raise ValueError(f'{name} {value!r}, no whole number of at least {least}')
  return value


def _probability(content: Mapping[str, Any], name: str) -> float | None:
  if content[name] is None:
    return None
  value = float(content[name])
  if not 0.0 <= value <= 1.0:
    raise ValueError(f'{name} {value}')
  return value
