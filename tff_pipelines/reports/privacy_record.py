"""What a run promises and what it spent for it: privacy.json, checked."""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any, Literal, get_args

from tff_pipelines.core import errors

Relation = Literal['add_or_remove', 'replace', 'zero_out']
Trust = Literal['server', 'sum', 'nothing']

FILE_NAME = 'privacy.json'
METRIC = 'privacy/epsilon'


class MalformedPrivacyError(errors.PipelineError):
  """A privacy.json without what every one has."""


@dataclasses.dataclass(frozen=True)
class Guarantee:
  """(epsilon, delta) differential privacy of everything that was released.

  Attributes:
    epsilon: Upper bound, finite.
    delta: In [0, 1).
    relation: Which two sets of clients cannot be told apart.
    trust: Whom it rests on.
    method: How it was computed.
    num_rounds: Rounds that it covers.
    assumptions: Sentences; where one is false, so is the guarantee.
    unit: What is protected.
  """

  epsilon: float
  delta: float
  relation: Relation
  trust: Trust
  method: str
  num_rounds: int
  assumptions: tuple[str, ...] = ()
  unit: str = 'client'


@dataclasses.dataclass(frozen=True)
class Setting:
  """What stayed the same between rounds.

  Attributes:
    query: Which of a round's releases it is about.
    kind: Name of the mechanism.
    numbers: The mechanism's fields.
    population_size: Clients that can be chosen.
    clients_per_round: Planned size of a cohort.
    scheme: How cohorts are drawn.
    secret_cohort: Whether nobody learns who is in one.
  """

  query: str
  kind: str
  numbers: Mapping[str, Any]
  population_size: int
  clients_per_round: int
  scheme: str
  secret_cohort: bool


@dataclasses.dataclass(frozen=True)
class Release:
  """One release of one round.

  Attributes:
    round_num: From 1.
    setting: Index of its setting.
    contributors: Clients whose contribution is in it.
    max_participations: Rounds of one client so far, at the most; None if
      nobody counted.
    min_separation: Rounds between two of them, at the least; None likewise.
  """

  round_num: int
  setting: int
  contributors: int
  max_participations: int | None
  min_separation: int | None


@dataclasses.dataclass(frozen=True)
class PrivacyRecord:
  """The privacy of one system of a run.

  Attributes:
    settings: What ran, in the order of first use.
    releases: What was released, in order.
    spent: What is guaranteed after the last round; None if nothing is.
    planned: What would be after all planned rounds; None if nobody planned.
  """

  settings: tuple[Setting, ...]
  releases: tuple[Release, ...]
  spent: Guarantee | None
  planned: Guarantee | None

  def of_setting(self, index: int) -> tuple[Release, ...]:
    """The releases of one setting, in order."""
    return tuple(each for each in self.releases if each.setting == index)


def parse(content: Mapping[str, Any]) -> PrivacyRecord:
  """Reads the content of privacy.json.

  Raises:
    MalformedPrivacyError: If something is missing or has the wrong form.
  """
  try:
    if content['format'] != 1:
      raise MalformedPrivacyError(
        f'Expected a privacy record of format 1, found {content["format"]!r}; '
        'read it with the version that wrote it.'
      )
    settings = tuple(_setting(each) for each in content['settings'])
    releases = tuple(_release(each) for each in content['rounds'])
    for release in releases:
      if not 0 <= release.setting < len(settings):
        raise ValueError(f'round {release.round_num} has no setting')
    return PrivacyRecord(
      settings=settings,
      releases=releases,
      spent=_guarantee(content.get('guarantee')),
      planned=_guarantee(content.get('planned')),
    )
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise MalformedPrivacyError(
      'Expected a privacy record with settings, rounds and a guarantee, found '
      f'a mistake: {type(error).__name__} {error}; let the run write it again.'
    ) from error


def _setting(content: Mapping[str, Any]) -> Setting:
  mechanism = dict(content['mechanism'])
  participation = content['participation']
  return Setting(
    query=str(content['query']),
    kind=str(mechanism.pop('kind')),
    numbers=mechanism,
    population_size=int(participation['population_size']),
    clients_per_round=int(participation['clients_per_round']),
    scheme=str(participation['scheme']),
    secret_cohort=bool(content['secret_cohort']),
  )


def _release(content: Any) -> Release:
  round_num, setting, contributors, most, separation = content
  return Release(
    round_num=int(round_num),
    setting=int(setting),
    contributors=int(contributors),
    max_participations=None if most is None else int(most),
    min_separation=None if separation is None else int(separation),
  )


def _guarantee(content: Mapping[str, Any] | None) -> Guarantee | None:
  if content is None:
    return None
  epsilon, delta = float(content['epsilon']), float(content['delta'])
  if not (math.isfinite(epsilon) and epsilon >= 0.0 and 0.0 <= delta < 1.0):
    raise ValueError(f'epsilon {epsilon}, delta {delta}')
  relation, trust = content['relation'], content['trust']
  if relation not in get_args(Relation) or trust not in get_args(Trust):
    raise ValueError(f'relation {relation!r}, trust {trust!r}')
  return Guarantee(
    epsilon=epsilon,
    delta=delta,
    relation=relation,
    trust=trust,
    method=str(content['method']),
    num_rounds=int(content['num_rounds']),
    assumptions=tuple(str(each) for each in content.get('assumptions') or ()),
    unit=str(content.get('unit') or 'client'),
  )
