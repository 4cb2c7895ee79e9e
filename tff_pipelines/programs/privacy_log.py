"""What a run spends of its clients' privacy, told round by round.

privacy.json holds the ledger, what it guarantees so far ("guarantee") and what
the plan was ("planned"). A round is written there before anything of it is
released, so that no moment is a bad one to be killed in: there is never a
release that the ledger does not know of.
"""

from collections.abc import Callable
import dataclasses
import json
import math
import pathlib

import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.core import participation as participation_lib
from tff_pipelines.privacy import (
  accounting,
  contributions,
  ledger,
  mechanism,
)
from tff_pipelines.privacy import (
  guarantee as guarantee_lib,
)
from tff_pipelines.programs import files, stop_rules

EPSILON = 'privacy/epsilon'

COVERS_MODELS = (
  'The guarantee covers the models that are released. The training metrics in '
  'metrics.csv (losses of clients, sizes of cohorts, clipped clients) are for '
  'the experimenter and not covered.'
)
REPEATED_ROUNDS = (
  'Rounds that were repeated after an interruption replace what the first '
  'attempt left in the run directory, which nobody but the server had read.'
)
SIMULATED_COHORTS = (
  "In this simulation cohorts follow from the run's --seed, which has to stay "
  'secret with them; a deployment has to draw them secretly.'
)

# From a round and the attempts at it that failed to the cohort's clients.
Cohort = Callable[[int, int], np.ndarray]


class PrivacyTermsError(errors.PipelineError):
  """Terms that cannot be kept."""


class PrivacyLogError(errors.PipelineError):
  """A privacy.json that does not tell what its run has released."""


@dataclasses.dataclass(frozen=True)
class PrivacyTerms:
  """On what terms clients take part.

  Attributes:
    mechanism: What runs in every round.
    participation: How cohorts are drawn.
    delta: Of the guarantee.
    planned: What the run guarantees if all goes as planned; its neighbouring
      relation is the run's.
    secret_cohort: Whether cohorts stay secret, so that sampling amplifies.
    stop_at_epsilon: Stops before the round that would exceed it; None: never.
    tolerated_dropout: Share of a cohort that may be missing from a sum that is
      released; the round ahead is counted with so many missing. Matters to
      noise that the clients add in shares.
    assumed: Further sentences that the guarantee rests on.
  """

  mechanism: mechanism.Mechanism
  participation: participation_lib.Participation
  delta: float
  planned: guarantee_lib.Guarantee
  secret_cohort: bool = False
  stop_at_epsilon: float | None = None
  tolerated_dropout: float = 0.0
  assumed: tuple[str, ...] = ()

  def __post_init__(self) -> None:
    guarantee_lib.check_delta(self.delta)
    if self.stop_at_epsilon is not None:
      stop_rules.check_budget(self.stop_at_epsilon)
    if not 0.0 <= self.tolerated_dropout < 1.0:
      raise PrivacyTermsError(
        'Expected a tolerated_dropout from 0 to below 1, found '
        f'{self.tolerated_dropout}.'
      )
    if self.planned.delta != self.delta:
      raise PrivacyTermsError(
        f'Expected a plan for the delta {self.delta}, found one for '
        f'{self.planned.delta}.'
      )

  def record(
    self,
    round_num: int,
    num_contributors: int,
    limits: contributions.ContributionLimits,
  ) -> ledger.Record:
    """Returns the record of a round on these terms."""
    return ledger.Record(
      round_num=round_num,
      mechanism=self.mechanism,
      participation=self.participation,
      num_contributors=num_contributors,
      secret_cohort=self.secret_cohort,
      limits=limits,
    )

  @property
  def is_amplified(self) -> bool:
    """Whether a cohort's secrecy is part of the guarantee."""
    nobody = contributions.ContributionLimits(0)
    planned = self.participation.clients_per_round
    return accounting.is_amplified(self.record(1, planned, nobody))

  @property
  def assumptions(self) -> tuple[str, ...]:
    """What the guarantee rests on, beyond what the accountant knows of."""
    of_cohorts = (SIMULATED_COHORTS,) if self.is_amplified else ()
    return (COVERS_MODELS, REPEATED_ROUNDS, *of_cohorts, *self.assumed)


class PrivacyLog:
  """The ledger of a run, its guarantee so far, and what the next round costs.

  Every client of a cohort counts as having taken part, which is an upper bound:
  some may have dropped out.
  """

  def __init__(
    self,
    path: pathlib.Path,
    terms: PrivacyTerms,
    cohort: Cohort,
    num_attempts: int = 1,
  ):
    """Initializes the log of no round; writes nothing.

    Args:
      path: The run's privacy.json.
      terms: The terms.
      cohort: What draws the cohorts, a pure function.
      num_attempts: How often a round may be tried, each time on a cohort of its
        own.
    """
    self._path = path
    self._terms = terms
    self._cohort = cohort
    self._num_attempts = num_attempts
    self._history = contributions.ParticipationHistory()
    self._ledger = ledger.Ledger()
    self._guarantee = self._spent(self._ledger)
    # Guarantees of the ledger with one record more, by that record.
    self._ahead: dict[ledger.Record, guarantee_lib.Guarantee] = {}

  @property
  def guarantee(self) -> guarantee_lib.Guarantee:
    """What has been spent so far."""
    return self._guarantee

  @property
  def metrics(self) -> dict[str, float]:
    """What metrics.csv tells of it."""
    return {EPSILON: self._guarantee.epsilon}

  @property
  def history(self) -> np.ndarray:
    """int32[population_size, 2], by client its rounds and the last of them."""
    size = self._terms.participation.population_size
    history = np.zeros([size, 2], np.int32)
    state = self._history.state
    history[state[:, 0]] = state[:, 1:]
    return history

  def start(self) -> None:
    """Writes the privacy.json of a run that has released nothing.

    Raises:
      SavingFailedError: If it cannot be written.
    """
    self._write()

  def restore(self, round_num: int, history: np.ndarray) -> None:
    """Goes back to a checkpoint; later rounds leave privacy.json.

    Args:
      round_num: Of the checkpoint.
      history: The `history` of that moment.

    Raises:
      PrivacyLogError: If privacy.json is damaged, does not have these rounds,
        or is of a run on other terms.
      SavingFailedError: If it cannot be written.
    """
    text = self._read(round_num)
    try:
      whole = ledger.Ledger.from_json(text)
      planned = json.loads(text)['planned']
    except (errors.PipelineError, KeyError, ValueError) as error:
      raise self._unlike(round_num, f'that it cannot be read ({error})') from (
        error
      )
    found = whole.up_to(round_num)
    rounds = [record.round_num for record in found]
    if rounds != list(range(1, round_num + 1)):
      raise self._unlike(round_num, f'{len(rounds)} of them')
    terms = self._terms
    if planned != terms.planned.to_json() or any(
      r != terms.record(r.round_num, r.num_contributors, _limits(r))
      for r in found
    ):
      raise self._unlike(round_num, 'those of a run on other terms')
    limits = (
      _limits(found.records[-1])
      if len(found)
      else contributions.ContributionLimits(0)
    )
    # Of the clients that took part: number, count, last round.
    shape = (terms.participation.population_size, 2)
    if history.shape != shape or limits.max_participations != np.max(
      history[:, 0]
    ):
      raise self._unlike(round_num, 'other participants than in it')
    clients = np.flatnonzero(history[:, 0])
    self._history = contributions.ParticipationHistory.from_state(
      np.column_stack([clients, history[clients]]), limits
    )
    self._ledger = found
    self._guarantee = self._spent(found)
    self._ahead = {}
    if self._text() != text:
      self._write()

  def append(
    self, round_num: int, clients: np.ndarray, num_contributors: int
  ) -> None:
    """Adds a round and writes privacy.json, before the round is released.

    Args:
      round_num: The round.
      clients: Its cohort.
      num_contributors: Those of them whose contribution entered.

    Raises:
      PipelineError: If the round has no guarantee; it must not be released.
      SavingFailedError: If it cannot be written; nor then.
    """
    record = self._terms.record(
      round_num,
      num_contributors,
      self._history.limits_with(round_num, clients),
    )
    self._guarantee = self._with(record)
    self._history.add(round_num, clients)
    self._ledger.append(record)
    self._ahead = {}
    self._write()

  def next_epsilon(self) -> float:
    """Returns epsilon after one round more, at the most.

    Its cohort is known ahead; if the round may be tried again, that of any
    attempt. As many clients are missing as may be.
    """
    return max(self._epsilon_with(record) for record in self._next_records())

  def _next_records(self) -> set[ledger.Record]:
    round_num = self._ledger.num_rounds + 1
    records = set()
    for attempt in range(self._num_attempts):
      clients = self._cohort(round_num, attempt)
      missing = math.floor(self._terms.tolerated_dropout * len(clients))
      limits = self._history.limits_with(round_num, clients)
      records.add(self._terms.record(round_num, len(clients) - missing, limits))
    return records

  def _epsilon_with(self, record: ledger.Record) -> float:
    try:
      return self._with(record).epsilon
    except (guarantee_lib.GuaranteeError, mechanism.MechanismError):
      return math.inf  # No guarantee at all.

  def _with(self, record: ledger.Record) -> guarantee_lib.Guarantee:
    """Returns the guarantee of the ledger and one record more."""
    if record not in self._ahead:
      self._ahead[record] = self._spent([*self._ledger, record])
    return self._ahead[record]

  def _spent(
    self, records: ledger.Ledger | list[ledger.Record]
  ) -> guarantee_lib.Guarantee:
    planned = self._terms.planned
    found = accounting.spent(records, self._terms.delta, planned.relation)
    return dataclasses.replace(
      found,
      trust=found.trust if len(records) else planned.trust,
      assumptions=(*found.assumptions, *self._terms.assumptions),
    )

  def _text(self) -> str:
    return self._ledger.to_json(
      {
        'guarantee': self._guarantee.to_json(),
        'planned': self._terms.planned.to_json(),
      }
    )

  def _write(self) -> None:
    files.write_text(self._path, self._text())

  def _read(self, round_num: int) -> str:
    try:
      return self._path.read_text(encoding='utf-8')
    except FileNotFoundError as error:
      raise self._unlike(round_num, 'no such file') from error
    except (OSError, UnicodeDecodeError) as error:
      raise self._unlike(round_num, f'that it cannot be read ({error})') from (
        error
      )

  def _unlike(self, round_num: int, found: str) -> PrivacyLogError:
    return PrivacyLogError(
      f'Expected the releases of the rounds 1 to {round_num} in {self._path}, '
      f'as there is a checkpoint of that round, found {found}; choose another '
      '--output_dir.'
    )


def _limits(record: ledger.Record) -> contributions.ContributionLimits:
  return record.limits or contributions.ContributionLimits(0)
