"""What a run has spent, computed again from its ledger; loads no TensorFlow."""

from collections.abc import Iterator, Sequence
import dataclasses
import json
import math
import os
import pathlib
import statistics
import textwrap

from tff_pipelines.cli import flag_groups
from tff_pipelines.core import errors
from tff_pipelines.privacy import (
  accounting,
  composition,
  contributions,
  guarantee,
  ledger,
)

_METHODS: tuple[composition.Method, ...] = ('gaussian', 'pld', 'rdp', 'pure')
_MOST_ROUNDS = 10_000
_WIDTH = 80
# Two computations of the same number, on other machines.
_SAME = 1e-6


class NoPrivacyError(errors.PipelineError):
  """A folder without the privacy of a run."""


@dataclasses.dataclass(frozen=True)
class Stored:
  """A privacy.json.

  Attributes:
    system: The folder it lies in, relative to the run's.
    ledger: What was released.
    spent: What the run said that it guarantees.
  """

  system: str
  ledger: ledger.Ledger
  spent: guarantee.Guarantee


class PrivacyReportFlags(flag_groups.FlagGroup):
  """`--run_dir`, `--delta` and `--epsilon`."""

  def __init__(self) -> None:
    super().__init__('The report')
    self._run_dir = self.define(
      'run_dir', None, 'the run directory; may be given without the flag'
    )
    self._deltas = self.define(
      'delta', [], "further deltas, comma separated, beside the run's own"
    )
    self._epsilon = self.define(
      'epsilon',
      None,
      'tells how many rounds like the last one still fit into this budget',
      kind=float,
    )

  @property
  def run_dir(self) -> pathlib.Path:
    """The run directory."""
    if not self._run_dir.value:
      raise flag_groups.FlagError(
        'Expected a run directory, found none; give it as --run_dir=RUN.'
      )
    return pathlib.Path(self._run_dir.value).expanduser()

  @property
  def deltas(self) -> tuple[float, ...]:
    """Further deltas."""
    try:
      return tuple(float(delta) for delta in self._deltas.value)
    except ValueError as error:
      raise flag_groups.FlagError(
        'Expected numbers in --delta, such as 1e-5,1e-6, found '
        f'{",".join(self._deltas.value)}.'
      ) from error

  @property
  def epsilon(self) -> float | None:
    """The budget that is asked about."""
    return self._epsilon.value


def read(run_dir: pathlib.Path) -> list[Stored]:
  """Reads a run's privacy.json, and those of the systems in it.

  Raises:
    NoPrivacyError: If there is none, or one cannot be read.
  """
  paths = [
    path
    for path in (
      run_dir / ledger.FILE_NAME,
      *sorted(run_dir.glob(f'*/{ledger.FILE_NAME}')),
    )
    if path.is_file()
  ]
  if not paths:
    raise NoPrivacyError(
      f'Expected {ledger.FILE_NAME} in {run_dir} or in a folder of it, found '
      'none; give the directory of a run with a private aggregator.'
    )
  return [_read(run_dir, path) for path in paths]


def _read(run_dir: pathlib.Path, path: pathlib.Path) -> Stored:
  try:
    text = path.read_text(encoding='utf-8')
    return Stored(
      os.path.relpath(path.parent, run_dir),
      ledger.Ledger.from_json(text),
      guarantee.Guarantee.from_json(json.loads(text)['guarantee']),
    )
  except (
    errors.PipelineError,
    OSError,
    KeyError,
    TypeError,
    ValueError,
  ) as error:
    raise NoPrivacyError(
      f'Expected the privacy of a run in {path}, found that it cannot be read '
      f'({error}); give the directory of another run.'
    ) from error


def lines(
  stored: Stored, deltas: Sequence[float] = (), budget: float | None = None
) -> Iterator[str]:
  """Yields the report on one ledger, line by line.

  Args:
    stored: The ledger.
    deltas: Further deltas, beside that of the run.
    budget: The epsilon for which the rounds that are left are told.

  Raises:
    PipelineError: If the ledger has no guarantee at a delta.
  """
  records, spent = stored.ledger.records, stored.spent
  yield f'{stored.system}: {spent}' if stored.system != '.' else f'{spent}'
  yield from _what_ran(records)
  again = accounting.spent(records, spent.delta, spent.relation)
  yield _row('stored', f'epsilon {spent.epsilon:.6g}')
  yield _row(
    'recomputed', f'epsilon {again.epsilon:.6g}, {_agreement(spent, again)}'
  )
  for delta in (spent.delta, *deltas):
    yield _row(f'delta {delta:.3g}', _by_method(records, delta, spent.relation))
  yield _row('trusting', spent.trust.value)
  for number, sentence in enumerate(spent.assumptions):
    yield _row('' if number else 'assuming', sentence)
  if budget is not None:
    yield _row('left', _left(stored, budget))


def _agreement(spent: guarantee.Guarantee, again: guarantee.Guarantee) -> str:
  if (
    math.isclose(spent.epsilon, again.epsilon, rel_tol=_SAME, abs_tol=_SAME)
    and spent.num_rounds == again.num_rounds
  ):
    return 'the same'
  return 'which DIFFERS: the file was changed, or another version wrote it'


def _what_ran(records: Sequence[ledger.Record]) -> Iterator[str]:
  """Consecutive rounds with one setting in a line each."""
  start = 0
  for end in range(1, len(records) + 1):
    if end < len(records) and _setting(records[end]) == _setting(
      records[start]
    ):
      continue
    yield _row(
      f'rounds {records[start].round_num}-{records[end - 1].round_num}',
      _describe(records[start:end]),
    )
    start = end


def _setting(record: ledger.Record) -> tuple:
  return (
    record.query,
    record.mechanism,
    record.participation,
    record.secret_cohort,
  )


def _describe(records: Sequence[ledger.Record]) -> str:
  first, last = records[0], records[-1]
  plan, ran = first.participation, first.mechanism
  counts = [record.num_contributors for record in records]
  limits = last.limits
  kept = (
    'nobody counted participations'
    if limits is None
    else f'at most {limits.max_participations} of one client'
    + (
      f', at least {limits.min_separation} rounds apart'
      if limits.max_participations > 1
      else ''
    )
  )
  secret = 'secret' if first.secret_cohort else 'not secret'
  return (
    f'{ran.kind} ({ran.noise_field} {ran.noise:.6g}) of {first.query}; '
    f'contributors {min(counts)} / {statistics.median(counts):g} / '
    f'{max(counts)} (min / median / max), {plan.scheme} '
    f'{plan.clients_per_round} of {plan.population_size}, {secret}; {kept}'
  )


def _by_method(
  records: Sequence[ledger.Record], delta: float, relation: guarantee.Relation
) -> str:
  found = []
  rho = None
  for method in _METHODS:
    try:
      result = accounting.spent(records, delta, relation, method)
    except (accounting.UnaccountableError, guarantee.GuaranteeError):
      continue
    found.append(f'{method} {result.epsilon:.6g}')
    rho = result.rho if rho is None else rho
  if rho is not None and delta > 0.0:
    found.append(f'zcdp {accounting.zcdp_to_epsilon(rho, delta):.6g}')
  return 'epsilon by ' + ', '.join(found) if found else 'no guarantee'


def _left(stored: Stored, budget: float) -> str:
  if not len(stored.ledger):
    return 'no round to go by'
  rounds = rounds_left(stored, budget)
  if rounds >= _MOST_ROUNDS:
    return f'{_MOST_ROUNDS} rounds or more like the last within {budget:g}'
  return f'{rounds} more rounds like the last within epsilon {budget:g}'


def rounds_left(stored: Stored, budget: float) -> int:
  """Returns how many rounds like the last one fit, at most 10,000.

  Clients come back as soon as the scheme allows, so it is never too many.
  """

  def fits(rounds: int) -> bool:
    records = [*stored.ledger, *_more(stored.ledger.records[-1], rounds)]
    try:
      found = accounting.spent(
        records, stored.spent.delta, stored.spent.relation
      )
    except guarantee.GuaranteeError:
      return False
    return found.epsilon <= budget

  low, high = 0, 1
  if not fits(0):
    return 0
  while high < _MOST_ROUNDS and fits(high):
    low, high = high, 2 * high
  if high >= _MOST_ROUNDS:
    if fits(_MOST_ROUNDS):
      return _MOST_ROUNDS
    high = _MOST_ROUNDS
  while high - low > 1:
    middle = (low + high) // 2
    if fits(middle):
      low = middle
    else:
      high = middle
  return low


def _more(last: ledger.Record, rounds: int) -> Iterator[ledger.Record]:
  for more in range(1, rounds + 1):
    limits = last.limits
    if limits is not None:
      by_plan = contributions.planned_limits(
        last.participation, last.round_num + more
      )
      comes_back = last.participation.scheme == 'cyclic'
      limits = contributions.ContributionLimits(
        max(limits.max_participations, by_plan.max_participations)
        if comes_back
        else limits.max_participations + more,
        min(limits.min_separation, by_plan.min_separation)
        if limits.max_participations > 1
        else by_plan.min_separation,
      )
    yield dataclasses.replace(
      last, round_num=last.round_num + more, limits=limits
    )


def _row(label: str, text: str) -> str:
  return textwrap.fill(
    text,
    _WIDTH,
    initial_indent=f'  {label:<15} ',
    subsequent_indent=' ' * 18,
  )
