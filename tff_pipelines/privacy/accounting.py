"""From what ran to what it guarantees.

Releases on a random, secret cohort are amplified; for the others, query by
query, a client pays for the rounds it can have been in, by the limits that it
kept. All compose. How: all Gaussian, exactly; else with privacy loss
distributions where every part has one; else with Renyi divergences. A release
that none of these covers is refused by name.
"""

import collections
from collections.abc import Iterable
import dataclasses
import math

from dp_accounting import rdp as rdp_lib
import numpy as np
from scipy import special

from tff_pipelines.core import errors
from tff_pipelines.core import participation as participation_lib
from tff_pipelines.privacy import (
  composition,
  contributions,
  distributed,
  guarantee,
  ledger,
  local,
  losses,
  mechanism,
)

Relation = guarantee.Relation
Trust = guarantee.Trust


class UnaccountableError(errors.PipelineError):
  """A release for which no bound is known here."""


class MixedRelationsError(errors.PipelineError):
  """Releases whose guarantees speak of different neighbours."""


# A Poisson cohort this unlikely was not drawn by the stated scheme.
_IMPLAUSIBLE = 1e-12


@dataclasses.dataclass(frozen=True)
class Plan:
  """A run to be: the same mechanism in every round.

  Attributes:
    mechanism: What runs.
    participation: How cohorts are drawn.
    num_rounds: How many.
    secret_cohort: Whether cohorts stay secret, so that sampling amplifies.
    limits: What every client is made to keep; None: what the scheme ensures.
    num_contributors: Contributors a round that are counted on, after dropouts;
      None: all that are drawn.
  """

  mechanism: mechanism.Mechanism
  participation: participation_lib.Participation
  num_rounds: int
  secret_cohort: bool = False
  limits: contributions.ContributionLimits | None = None
  num_contributors: int | None = None

  def ledger(self) -> ledger.Ledger:
    """Returns the ledger that the run will have if all goes as planned."""
    num_contributors = (
      self.participation.clients_per_round
      if self.num_contributors is None
      else self.num_contributors
    )
    return ledger.Ledger(
      ledger.Record(
        round_num=round_num,
        mechanism=self.mechanism,
        participation=self.participation,
        num_contributors=num_contributors,
        secret_cohort=self.secret_cohort,
        limits=self.limits,
      )
      for round_num in range(1, self.num_rounds + 1)
    )


def spent(
  records: Iterable[ledger.Record],
  delta: float,
  relation: Relation | None = None,
  method: composition.Method | None = None,
) -> guarantee.Guarantee:
  """Returns what all releases together guarantee to every client.

  Never below the truth under the assumptions that the result names; no
  assumption is silent. Releases may depend on earlier ones, the choice of
  mechanisms beforehand only (as they are written down).

  Args:
    records: A ledger, or some of its records.
    delta: In [0, 1); there is no default. At 0 only pure mechanisms count.
    relation: The neighbours; None: those that the releases ask for, else
      `ZERO_OUT`.
    method: To compare; None: the tightest that applies.

  Raises:
    MixedRelationsError: If releases cannot share a neighbouring relation.
    UnaccountableError: If a release, or the method, has no known bound.
    GuaranteeError: If epsilon is infinite at this delta, or delta no delta.
  """
  guarantee.check_delta(delta)
  records = sorted(records, key=lambda record: record.round_num)
  relation = _common_relation(records, relation)
  notes: dict[str, None] = {}
  for record in records:
    notes.update(dict.fromkeys(record.mechanism.assumptions))
  sampled = [r for r in records if _amplified(r) is not None]
  parts = _sampled_parts(sampled, relation, notes)
  rest = [r for r in records if _amplified(r) is None]
  for query in sorted({record.query for record in rest}):
    mine = [record for record in rest if record.query == query]
    parts += _unsampled_parts(mine, relation, notes)
  try:
    result = composition.compose(parts, delta, method)
  except composition.NoMethodError as error:
    raise UnaccountableError(str(error)) from error
  return guarantee.Guarantee(
    epsilon=result.epsilon,
    delta=delta,
    relation=relation,
    trust=_trust(records),
    method=result.method,
    num_rounds=max((record.round_num for record in records), default=0),
    assumptions=tuple(notes),
    rho=result.rho,
  )


def planned(
  plan: Plan,
  delta: float,
  relation: Relation | None = None,
  method: composition.Method | None = None,
) -> guarantee.Guarantee:
  """Returns what a plan guarantees if it is kept; see `spent`."""
  return spent(plan.ledger(), delta, relation, method)


def is_amplified(record: ledger.Record) -> bool:
  """Whether the record's random, secret cohort makes its release cheaper."""
  return _amplified(record) is not None


def zcdp_to_epsilon(rho: float, delta: float) -> float:
  """Bounds epsilon of any rho-zCDP mechanism (not only Gaussian ones).

  Source: Canonne, Kamath, Steinke 2020, arXiv 2004.00010, proposition 12 with
  the best order.
  """
  orders = 1 + np.logspace(-3, 4, 2000)
  epsilon, _ = rdp_lib.rdp_privacy_accountant.compute_epsilon(
    orders, orders * rho, delta
  )
  return float(epsilon)


def _amplified(record: ledger.Record) -> losses.Sampling | None:
  """Returns the sampling that amplifies a record, None for none."""
  participation = record.participation
  if not record.secret_cohort or not isinstance(
    record.mechanism, mechanism.RoundMechanism
  ):
    return None
  if isinstance(record.mechanism, local.LocalMechanism):
    return None
  if participation.scheme == 'diurnal':
    raise UnaccountableError(
      'Expected cohorts out of the whole population where their secrecy is to '
      'amplify privacy, found those of the scheme diurnal, out of clients of '
      'whom everyone knows that they are awake; draw them by the scheme '
      'poisson or uniform, or do without amplification (secret_cohort=False).'
    )
  rate = participation.sampling_rate
  if rate == 1.0:
    return None
  drawn, population = record.num_contributors, participation.population_size
  if participation.scheme == 'poisson':
    if drawn > rate * population:
      # P[at least `drawn`] of a binomial.
      tail = special.bdtrc(drawn - 1, population, rate)
      if tail < _IMPLAUSIBLE:
        return None
    return losses.Sampling('poisson', rate)
  if participation.scheme == 'uniform':
    if drawn == population:
      return None
    return losses.Sampling('fixed_size', max(rate, drawn / population))
  return None


def _common_relation(
  records: list[ledger.Record], wanted: Relation | None
) -> Relation:
  """Returns the relation under which every record can be accounted."""
  needed: dict[Relation, str] = {}
  for record in records:
    sampling = _amplified(record)
    if sampling is not None:
      scheme = sampling.scheme.replace('_', '-')
      needed.setdefault(
        Relation.ADD_OR_REMOVE
        if sampling.scheme == 'poisson'
        else Relation.REPLACE,
        f'{record.mechanism.kind} with {scheme} sampling',
      )
    elif isinstance(record.mechanism, local.LocalMechanism):
      needed.setdefault(Relation.REPLACE, f'local {record.mechanism.kind}')
  asked = dict(needed)
  if wanted is not None:
    asked.setdefault(wanted, 'the caller')
  if len(asked) > 1:
    found = '; '.join(f'{why} is for {r.value}' for r, why in asked.items())
    raise MixedRelationsError(
      'Expected releases that can be accounted for the same neighbours, found: '
      f'{found}. Account for them without amplification (secret_cohort=False) '
      'or draw all cohorts alike.'
    )
  return next(iter(asked), Relation.ZERO_OUT)


def _trust(records: list[ledger.Record]) -> Trust:
  """Returns the most that any record asks for."""
  trusts = set()
  for record in records:
    amplified = _amplified(record) is not None
    trusts.add(Trust.SERVER if amplified else record.mechanism.trust)
  for trust in (Trust.SERVER, Trust.SUM):
    if trust in trusts:
      return trust
  return Trust.NOTHING if trusts else Trust.SERVER


def _sampled_parts(
  records: list[ledger.Record],
  relation: Relation,
  notes: dict[str, None],
) -> list[composition.Part]:
  """Returns what a client pays for the rounds on random, secret cohorts.

  Releases of one round share its cohort, so they are sampled together. Against
  releases of the same cohort that are not amplified, nothing is missing: the
  product bounds the joint release, since its density ratio (1 - q) b + q a b
  exceeds (1 - q) + q a b in convex order.
  """
  if not records:
    return []
  notes.setdefault(
    'Cohorts are drawn at random as stated and stay secret from whoever sees '
    'the releases; who drops out does not depend on data.'
  )
  rounds: dict[int, list[ledger.Record]] = {}
  for record in records:
    rounds.setdefault(record.round_num, []).append(record)
  counts: collections.Counter[tuple[losses.Loss, losses.Sampling]]
  counts = collections.Counter()
  for round_num, together in rounds.items():
    samplings = {_amplified(record) for record in together}
    if len(samplings) > 1:
      raise UnaccountableError(
        f'Expected one cohort in round {round_num}, found releases on cohorts '
        'that were drawn differently; how they overlap is unknown. Account for '
        'one of them without amplification (secret_cohort=False).'
      )
    (sampling,) = samplings
    assert sampling is not None
    costs = [_loss(record, relation) for record in together]
    known = [cost for cost in costs if cost is not None]
    if known:
      counts[losses.joint(known), sampling] += 1
  return [
    composition.Part(loss, count, sampling)
    for (loss, sampling), count in counts.items()
  ]


def _unsampled_parts(
  records: list[ledger.Record],
  relation: Relation,
  notes: dict[str, None],
) -> list[composition.Part]:
  """Returns what a client pays for one query's rounds within its limits."""
  limits = _limits(records)
  notes.setdefault(
    f'No client contributed more than {limits.max_participations} times to '
    f'{records[0].query}, and at least {limits.min_separation} rounds apart.'
  )
  parts = []
  streams: dict[mechanism.CorrelatedMechanism, list[ledger.Record]] = {}
  independent = []
  for record in records:
    if isinstance(record.mechanism, mechanism.CorrelatedMechanism):
      streams.setdefault(record.mechanism, []).append(record)
    else:
      independent.append(record)
  for stream, steps in streams.items():
    mu_squared = _sensitivity(relation) ** 2 * stream.mu_squared(
      len(steps), _in_steps(limits, steps)
    )
    if mu_squared > 0.0:
      parts.append(composition.Part(losses.Gaussian(math.sqrt(mu_squared))))
  if independent:
    parts += _worst_rounds(independent, relation, limits)
  return parts


def _in_steps(
  limits: contributions.ContributionLimits, steps: list[ledger.Record]
) -> contributions.ContributionLimits:
  """Returns limits that hold when steps are counted instead of rounds."""
  if steps[-1].round_num - steps[0].round_num + 1 == len(steps):
    return limits
  return dataclasses.replace(limits, min_separation=1)


def _sensitivity(relation: Relation) -> int:
  return 2 if relation is Relation.REPLACE else 1


def _loss(record: ledger.Record, relation: Relation) -> losses.Loss | None:
  """Returns a contributor's cost; None if there is no release about anyone."""
  assert isinstance(record.mechanism, mechanism.RoundMechanism)
  sampling = _amplified(record)
  if isinstance(record.mechanism, distributed.DistributedMechanism):
    if sampling is not None and sampling.scheme == 'poisson':
      raise UnaccountableError(
        f'{record.mechanism.kind} with Poisson sampling cannot be accounted: '
        'the noise depends on how many clients were drawn. Draw cohorts of a '
        'fixed size (scheme uniform), or do without amplification '
        '(secret_cohort=False).'
      )
    if record.num_contributors == 0:
      return None
  # A random cohort that came out empty tells that nobody was in it.
  if record.num_contributors == 0 and sampling is None:
    return None
  return record.mechanism.loss(record.num_contributors, _sensitivity(relation))


def _limits(records: list[ledger.Record]) -> contributions.ContributionLimits:
  """Returns what every client kept: as counted, else as the scheme ensures."""
  counted = [r.limits for r in records if r.limits is not None]
  if len(counted) == len(records):
    # Counts grow and separations shrink; nobody is hurt by the extremes. As
    # long as nobody has come twice, nothing is said about separations.
    return contributions.ContributionLimits(
      max(limits.max_participations for limits in counted),
      min(
        (
          limits.min_separation
          for limits in counted
          if limits.max_participations > 1
        ),
        default=1,
      ),
    )
  span = records[-1].round_num - records[0].round_num + 1
  plans = {record.participation for record in records}
  if len(plans) > 1 or counted:
    # Counts of a part of the rounds cannot vouch for the plan in the others.
    return contributions.ContributionLimits(len(records), 1)
  by_plan = contributions.planned_limits(next(iter(plans)), span)
  most = min(by_plan.max_participations, len(records))
  return dataclasses.replace(by_plan, max_participations=most)


def _worst_rounds(
  records: list[ledger.Record],
  relation: Relation,
  limits: contributions.ContributionLimits,
) -> list[composition.Part]:
  """Returns the rounds that cost a client most within its limits."""
  first = records[0].round_num
  span = records[-1].round_num - first + 1
  # Round since the first, cost of one report, reports.
  costs: list[tuple[int, losses.Loss, int]] = []
  for record in records:
    loss = _loss(record, relation)
    if loss is not None:
      costs.append((record.round_num - first, loss, _num_reports(record)))
  count = min(limits.participations_in(span), len(costs))
  kinds = {(loss, reports) for _, loss, reports in costs}
  if len(kinds) <= 1:
    return [composition.Part(loss, count * n) for loss, n in kinds]
  if all(math.isfinite(loss.pure_epsilon) for loss, _ in kinds):
    costs.sort(key=lambda cost: -cost[1].pure_epsilon * cost[2])
    # Of several kinds, as any pure mechanism of that epsilon.
    return [
      composition.Part(losses.Pure(loss.pure_epsilon), n)
      for _, loss, n in costs[:count]
    ]
  if all(isinstance(loss, losses.Gaussian) for loss, _ in kinds):
    width = 1
  else:
    width = len(losses.ORDERS)
  weights = np.zeros((span, width))
  curves: dict[losses.Loss, np.ndarray] = {}
  for step, loss, n in costs:
    if loss not in curves:
      curves[loss] = (
        np.array([loss.mu**2])
        if width == 1 and isinstance(loss, losses.Gaussian)
        else loss.rdp(None)
      )
    weights[step] = n * curves[loss]
  total = contributions.max_total(weights, limits)
  if width == 1:
    return [composition.Part(losses.Gaussian(math.sqrt(total[0])))]
  return [composition.Part(losses.Curve(tuple(total.tolist())))]


def _num_reports(record: ledger.Record) -> int:
  if isinstance(record.mechanism, local.LocalMechanism):
    return record.mechanism.num_reports
  return 1
