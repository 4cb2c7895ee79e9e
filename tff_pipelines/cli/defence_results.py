"""What came of aggregators under attack: a table, sentences and files.

Files, in maps/defences/ of the run directory:
  figure.json   the pairs of attack and aggregator, `curves`, with what came of
                each
  server.csv    the accuracy round by round; `curve` is an index into these
  defences.csv  the table
"""

import dataclasses
from typing import Any

from tff_pipelines.programs import (
  files,
  map_records,
  results,
  run_directory,
)

# No attack, with which the others are compared.
NONE = 'none'
BACKDOOR = 'backdoor'
_COLUMNS = (
  results.Column('accuracy', 'accuracy', 'accuracy', 'percent', 'higher'),
  results.Column('lost', 'lost', 'lost to the attack', 'percent', 'lower'),
  results.Column(
    'attack_success', 'attack_success', 'backdoor works', 'percent', 'lower'
  ),
)
_SERVER_HEADER = ('curve', 'seed', 'step', 'round_num', 'accuracy')
_TABLE_HEADER = (
  'attack', 'aggregator', 'accuracy', 'lost', 'attack_success', 'expected',
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Defence:
  """An aggregator under an attack.

  Attributes:
    attack: The attack, or `NONE`.
    aggregator: The aggregator.
    accuracy: Of the last model, on honest test examples; this and the following
      two are means over the repeats.
    lost: What it is below the same without attack, from 0 to 1.
    attack_success: The share of test examples with the backdoor's trigger that
      the last model takes for its target; None where there is no backdoor to
      compare with.
    expected: Whether it should hold by theory.
    by_round: The seed of a repeat, a round and the accuracy after it, where it
      was measured.
  """

  attack: str
  aggregator: str
  accuracy: float
  lost: float
  attack_success: float | None
  expected: bool
  by_round: tuple[tuple[int, int, float], ...]

  @property
  def name(self) -> str:
    """What a table calls it."""
    return f'{self.aggregator}, {self.attack}'


@dataclasses.dataclass(frozen=True)
class Defences:
  """Every aggregator under every attack, and without.

  Attributes:
    defences: A pair each, attack by attack, none first.
    num_clients: Of the population.
    num_attackers: Of these.
    most_attackers: Of a round, with its clients.
    settings: Plain values, for a reader.
    backdoor: What its trigger is and does; None if there is none.
  """

  defences: tuple[Defence, ...]
  num_clients: int
  num_attackers: int
  most_attackers: tuple[int, int]
  settings: dict[str, Any]
  backdoor: str | None

  @property
  def attacked(self) -> list[Defence]:
    """Those with an attack."""
    return [each for each in self.defences if each.attack != NONE]

  @property
  def columns(self) -> list[results.Column]:
    """Of the final table."""
    without = () if self.backdoor else ('attack_success',)
    return [column for column in _COLUMNS if column.key not in without]

  @property
  def rows(self) -> list[dict[str, Any]]:
    """Of the final table."""
    return [
      results.row(each.name, dataclasses.asdict(each), self.columns)
      for each in self.defences
    ]

  @property
  def sentence(self) -> str:
    """The worst that happens to the best aggregator, and to the worst."""
    worst: dict[str, Defence] = {}
    for each in self.attacked:
      known = worst.setdefault(each.aggregator, each)
      if each.lost > known.lost:
        worst[each.aggregator] = each
    ranked = sorted(worst.values(), key=lambda each: each.lost)
    parts = [
      f'{each.aggregator} loses up to {_points(each.lost)} of accuracy '
      f'({each.attack})'
      for each in (ranked[0], ranked[-1])[: len(ranked)]
    ]
    return (
      f'With {self.num_attackers} of {self.num_clients} clients attacking, '
      f'{" and ".join(parts)}.'
    )

  @property
  def notes(self) -> list[str]:
    """Sentences for below the table."""
    most, clients = self.most_attackers
    notes = [
      f'{self.num_attackers} of {self.num_clients} clients attack, at the most '
      f'{most} of the {clients} in a round; the experiment knows who, a server '
      'would not'
    ]
    names = list(dict.fromkeys(each.aggregator for each in self.attacked))
    hold = {each.aggregator for each in self.attacked if each.expected}
    if hold:
      worst = max(
        (each for each in self.attacked if each.expected),
        key=lambda each: each.lost,
      )
      notes.append(
        'by theory so many are withstood by '
        f'{", ".join(name for name in names if name in hold)}, the better the '
        'more alike honest clients are; most is lost by '
        f'{worst.aggregator}, {_points(worst.lost)} of accuracy to '
        f'{worst.attack}'
      )
    if len(hold) < len(names):
      notes.append(
        'by theory so many are not withstood by '
        f'{", ".join(name for name in names if name not in hold)}'
      )
    return [*notes, *([self.backdoor] if self.backdoor else [])]


def write(directory: run_directory.RunDirectory, found: Defences) -> None:
  """Writes maps/defences/."""
  folder = directory.path / 'maps' / 'defences'
  map_records.write_head(
    folder,
    'defences',
    'defences',
    'What withstands which attack',
    settings=found.settings,
    curves=[_curve(each) for each in found.defences],
    notes=found.notes,
  )
  files.write_text(
    folder / 'server.csv',
    files.csv_text(
      _SERVER_HEADER,
      [
        # A step is a round: all that a server can count.
        (curve, seed, round_num, round_num, accuracy)
        for curve, each in enumerate(found.defences)
        for seed, round_num, accuracy in each.by_round
      ],
    ),
  )
  files.write_text(
    folder / 'defences.csv',
    files.csv_text(
      _TABLE_HEADER,
      [
        [getattr(each, key) for key in _TABLE_HEADER] for each in found.defences
      ],
    ),
  )


def _curve(defence: Defence) -> dict[str, Any]:
  values = dataclasses.asdict(defence)
  del values['by_round']  # In server.csv.
  return {'name': defence.name, **values}


def _points(share: float) -> str:
  return f'{max(0.0, 100 * share):.1f} points'
