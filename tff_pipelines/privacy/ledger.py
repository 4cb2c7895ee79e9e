"""What ran, round by round: append-only, written to privacy.json."""

from collections.abc import Iterable, Iterator, Mapping
import dataclasses
import json
import os
import pathlib
from typing import Any

from tff_pipelines.core import errors
from tff_pipelines.core import participation as participation_lib
from tff_pipelines.privacy import (  # noqa: F401  (registers the mechanisms)
  central,
  contributions,
  correlated,
  distributed,
  local,
)
from tff_pipelines.privacy import mechanism as mechanism_lib

FILE_NAME = 'privacy.json'
_FORMAT = 1


class LedgerError(errors.PipelineError):
  """A ledger that does not tell what happened."""


@dataclasses.dataclass(frozen=True)
class Record:
  """One release of one round.

  Attributes:
    round_num: From 1.
    mechanism: What ran, with the noise it ran with.
    participation: How the cohort was drawn.
    num_contributors: Clients whose contribution entered; dropouts did not.
    secret_cohort: Whether the cohort was drawn at random anew and stays secret
      from everyone the guarantee is against; without it, no amplification.
    limits: What every client has really kept up to and with this round; None if
      nobody counted, then only what the scheme ensures is used.
    query: Which of the round's releases; noise is independent between them.
      Correlated noise that begins anew, its state lost, is another query.
  """

  round_num: int
  mechanism: mechanism_lib.Mechanism
  participation: participation_lib.Participation
  num_contributors: int
  secret_cohort: bool = False
  limits: contributions.ContributionLimits | None = None
  query: str = 'update'

  def __post_init__(self) -> None:
    if self.round_num < 1 or self.num_contributors < 0:
      raise LedgerError(
        'Expected a round_num of at least 1 and at least 0 contributors, found '
        f'{self.round_num} and {self.num_contributors}.'
      )
    if self.num_contributors > self.participation.population_size:
      raise LedgerError(
        'Expected at most as many contributors as the population of '
        f'{self.participation.population_size}, found {self.num_contributors}.'
      )


class Ledger:
  """The records of a run, in order; equal if the records are."""

  def __init__(self, records: Iterable[Record] = ()):
    self._records: list[Record] = []
    self._last_rounds: dict[str, int] = {}
    for record in records:
      self.append(record)

  def append(self, record: Record) -> None:
    """Adds a release.

    Raises:
      LedgerError: If its query already has this round or a later one: a second
        release of the same round would have to be counted too, as a query of
        another name.
    """
    last = self._last_rounds.get(record.query, 0)
    if record.round_num <= last:
      raise LedgerError(
        f'Expected a round after {last} for the query {record.query!r}, found '
        f'round {record.round_num}; the ledger is append-only.'
      )
    self._records.append(record)
    self._last_rounds[record.query] = record.round_num

  @property
  def records(self) -> tuple[Record, ...]:
    """All records so far."""
    return tuple(self._records)

  @property
  def num_rounds(self) -> int:
    """The last round that is in it, 0 for none."""
    return max(self._last_rounds.values(), default=0)

  def up_to(self, round_num: int) -> 'Ledger':
    """Returns the ledger of the rounds up to and with the one given.

    For a run that resumes from a checkpoint of that round and has released
    nothing of the later ones.
    """
    return Ledger(r for r in self._records if r.round_num <= round_num)

  def __len__(self) -> int:
    return len(self._records)

  def __iter__(self) -> Iterator[Record]:
    return iter(self._records)

  def __eq__(self, other: object) -> bool:
    return isinstance(other, Ledger) and self._records == other._records

  __hash__ = None  # type: ignore[assignment]

  def to_json(self, further: Mapping[str, Any] | None = None) -> str:
    """Returns text from which `from_json` makes an equal ledger.

    What stays the same between rounds is written once, as a setting; a row is
    [round, setting, contributors, max_participations, min_separation].

    Args:
      further: Plain values to write under other keys, which `from_json` skips.
    """
    settings: list[dict[str, Any]] = []
    numbers: dict[Any, int] = {}
    rows = []
    for record in self._records:
      key = (
        record.query,
        record.mechanism,
        record.participation,
        record.secret_cohort,
      )
      if key not in numbers:
        numbers[key] = len(settings)
        settings.append(
          {
            'query': record.query,
            'mechanism': record.mechanism.to_json(),
            'participation': dataclasses.asdict(record.participation),
            'secret_cohort': record.secret_cohort,
          }
        )
      limits = record.limits
      rows.append(
        [
          record.round_num,
          numbers[key],
          record.num_contributors,
          *((None, None) if limits is None else dataclasses.astuple(limits)),
        ]
      )
    others = ''.join(
      f',\n{json.dumps(key)}: {json.dumps(value, indent=1, allow_nan=False)}'
      for key, value in (further or {}).items()
    )
    return (
      '{\n'
      f'"format": {_FORMAT},\n"unit": "client",\n"settings": '
      + json.dumps(settings, indent=1, allow_nan=False)
      + ',\n"rounds": [\n'
      + ',\n'.join(json.dumps(row) for row in rows)
      + '\n]'
      + others
      + '\n}\n'
    )

  @classmethod
  def from_json(cls, text: str) -> 'Ledger':
    """Reads what `to_json` wrote.

    Raises:
      LedgerError: If it is no ledger.
    """
    try:
      values = json.loads(text)
      if values['format'] != _FORMAT:
        raise LedgerError(
          f'Expected a ledger of format {_FORMAT}, found {values["format"]!r}.'
        )
      settings = [
        {
          'query': setting['query'],
          'mechanism': mechanism_lib.from_json(setting['mechanism']),
          'participation': participation_lib.Participation(
            **setting['participation']
          ),
          'secret_cohort': setting['secret_cohort'],
        }
        for setting in values['settings']
      ]
      return cls(
        Record(
          round_num=round_num,
          num_contributors=num_contributors,
          limits=None
          if most is None
          else contributions.ContributionLimits(most, separation),
          **settings[number],
        )
        for round_num, number, num_contributors, most, separation in values[
          'rounds'
        ]
      )
    except (KeyError, TypeError, ValueError, IndexError) as error:
      raise LedgerError(
        f'Expected a ledger as Ledger.to_json writes it, found something else: '
        f'{error!r}.'
      ) from error

  @classmethod
  def load(cls, path: str | os.PathLike[str]) -> 'Ledger':
    """Reads the file that holds what `to_json` wrote."""
    return cls.from_json(pathlib.Path(path).read_text(encoding='utf-8'))
