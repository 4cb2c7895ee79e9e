"""How attacks on a run went: privacy_audit.json, checked."""

from collections.abc import Mapping, Sequence
import dataclasses
import itertools
import math
from typing import Any

from tff_pipelines.core import errors

FILE_NAME = 'privacy_audit.json'


class MalformedAuditError(errors.PipelineError):
  """A privacy_audit.json without what every one has."""


@dataclasses.dataclass(frozen=True)
class OneShot:
  """What canaries, made-up clients in the run itself, tell about epsilon.

  Attributes:
    canaries: How many.
    dimension: Length of their directions: the model's parameters.
    delta: At which epsilon is meant.
    estimate: Measured epsilon; infinite if no noise explains what was seen.
    lower_bound: What epsilon is at least, with `confidence`.
    confidence: As a probability.
    accountant: What the accountant says at the same delta; None if nothing.
    cosines: Between what was released and each canary's direction.
    null_stddev: What they would scatter by without the canaries.
    by_round: Rounds and their own estimates, in order; may be empty.
  """

  canaries: int
  dimension: int
  delta: float
  estimate: float
  lower_bound: float
  confidence: float
  accountant: float | None
  cosines: tuple[float, ...]
  null_stddev: float
  by_round: tuple[tuple[int, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Point:
  """A point of an attack's curve, with an interval for the rate."""

  fpr: float
  tpr: float
  low: float
  high: float


@dataclasses.dataclass(frozen=True)
class Attack:
  """One way to guess who took part.

  Attributes:
    name: Its name.
    knowledge: What the attacker has.
    fpr: Share of those who did not take part that are accused, ascending.
    tpr: Share of those who did that are found.
    auc: Area under that curve.
    points: Rates at the few false positives that count.
    promise: Epsilon and delta of the training that was attacked; None if it
      promised nothing.
  """

  name: str
  knowledge: str
  fpr: tuple[float, ...]
  tpr: tuple[float, ...]
  auc: float
  points: tuple[Point, ...]
  promise: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class OutlierSystem:
  """Models with and without one unusual client, trained from many seeds.

  Attributes:
    name: How they were trained.
    metric: What was measured on each.
    inside: Of the models with the client.
    outside: Of those without.
    told_apart: The share of pairs, one model of each kind, in which the one
      with the client has the lower value, equal ones for a half.
  """

  name: str
  metric: str
  inside: tuple[float, ...]
  outside: tuple[float, ...]
  told_apart: float


@dataclasses.dataclass(frozen=True)
class Audit:
  """All attacks that were made; each part may be missing."""

  one_shot: OneShot | None = None
  membership: tuple[Attack, ...] = ()
  outlier: tuple[OutlierSystem, ...] = ()


def parse(content: Mapping[str, Any]) -> Audit:
  """Reads the content of privacy_audit.json.

  Raises:
    MalformedAuditError: If a part that is there has the wrong form.
  """
  try:
    one_shot, outlier = content.get('one_shot'), content.get('outlier')
    return Audit(
      one_shot=None if one_shot is None else _one_shot(one_shot),
      membership=tuple(_attack(a) for a in content.get('membership') or ()),
      outlier=tuple(_outlier(s) for s in (outlier or {}).get('systems', ())),
    )
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise MalformedAuditError(
      'Expected an audit with one_shot, membership and outlier as the audit '
      f'writes them, found a mistake: {type(error).__name__} {error}; run the '
      'audit again.'
    ) from error


def _one_shot(content: Mapping[str, Any]) -> OneShot:
  cosines = content['cosines']
  accountant = content.get('accountant')
  found = OneShot(
    canaries=int(content['canaries']),
    dimension=int(content['dimension']),
    delta=float(content['delta']),
    estimate=float(content['estimate']),
    lower_bound=float(content['lower_bound']),
    confidence=float(content['confidence']),
    accountant=None if accountant is None else float(accountant),
    cosines=_finite('cosines', cosines['observed']),
    null_stddev=float(cosines['null_stddev']),
    by_round=tuple(
      (int(round_num), float(estimate))
      for round_num, estimate in content.get('by_round') or ()
      if estimate is not None
    ),
  )
  if not found.cosines or not 0.0 < found.null_stddev < math.inf:
    raise ValueError('no cosines, or no scatter to compare them with')
  if math.isnan(found.estimate) or not 0.0 <= found.lower_bound < math.inf:
    raise ValueError(
      f'estimate {found.estimate}, lower_bound {found.lower_bound}'
    )
  return found


def _attack(content: Mapping[str, Any]) -> Attack:
  roc, promise = content['roc'], content.get('promise')
  fpr, tpr = _rates('fpr', roc['fpr']), _rates('tpr', roc['tpr'])
  if len(fpr) != len(tpr) or len(fpr) < 2:
    raise ValueError(f'{len(fpr)} rates fpr and {len(tpr)} rates tpr')
  return Attack(
    name=str(content['name']),
    knowledge=str(content['knowledge']),
    fpr=fpr,
    tpr=tpr,
    auc=float(content['auc']),
    points=tuple(
      Point(**{name: float(each[name]) for name in
               ('fpr', 'tpr', 'low', 'high')})
      for each in content.get('tpr_at') or ()
    ),
    promise=None
    if promise is None
    else (float(promise['epsilon']), float(promise['delta'])),
  )  # fmt: skip


def _outlier(content: Mapping[str, Any]) -> OutlierSystem:
  found = OutlierSystem(
    name=str(content['name']),
    metric=str(content['metric']),
    inside=_finite('with', content['with']),
    outside=_finite('without', content['without']),
    told_apart=float(content['told_apart']),
  )
  if not 0.0 <= found.told_apart <= 1.0:
    raise ValueError(f'told_apart {found.told_apart}')
  if not found.inside or not found.outside:
    raise ValueError(f'no seeds of {found.name!r}')
  return found


def _rates(name: str, content: Sequence[Any]) -> tuple[float, ...]:
  found = _finite(name, content)
  # Both rates only grow as the attacker accuses more.
  if any(b < a for a, b in itertools.pairwise(found)):
    raise ValueError(f'{name} that is not ascending')
  if found and not 0.0 <= found[0] <= found[-1] <= 1.0:
    raise ValueError(f'{name} outside of [0, 1]')
  return found


def _finite(name: str, content: Sequence[Any]) -> tuple[float, ...]:
  found = tuple(float(value) for value in content)
  if not all(map(math.isfinite, found)):
    raise ValueError(f'{name} with a value that is not finite')
  return found
