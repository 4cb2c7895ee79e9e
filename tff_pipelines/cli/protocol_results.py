"""What a protocol that was run alone writes to results.json."""

import collections
from collections.abc import Sequence
import dataclasses
from typing import Any

from tff_pipelines.reports import formats, results
from tff_pipelines.secagg import (
  costs,
  phases,
  random_sum,
  textbook,
  textbook_session,
)

_BEFORE_SUM = (phases.Phase.ADVERTISE, phases.Phase.SHARE, phases.Phase.MASK)
_ALL_PHASES = 'all phases'


def of_sum(
  found: random_sum.RandomSum, *, length: int, bits: int
) -> dict[str, Any]:
  """Returns results.json of a measured sum: costs by role and phase.

  Args:
    found: What came of the session.
    length: Entries of a client's input.
    bits: Bits of an entry.
  """
  num_clients = found.parameters.num_clients
  expansion = found.client_bytes / found.clear_bytes
  moved = formats.number(found.client_bytes, 'bytes')
  exact = 'exact' if found.is_exact else 'WRONG'
  return {
    'title': f'Secure sum: {num_clients:,} clients, {length:,} entries of '
    f'{bits} bits',
    'sentence': f'The sum of {len(found.survivors):,} of {num_clients:,} '
    f'clients is {exact}; a client moved {moved}, {expansion:.2f} times its '
    'input.',
    'primary': 'client_seconds',
    'row_title': 'phase',
    'columns': [
      _column(f'{role}_{quantity}', f'{role} {title}', value_format)
      for role, quantities in (
        ('client', ('seconds', 'sent_bytes', 'received_bytes')),
        ('server', ('seconds', 'received_bytes', 'sent_bytes')),
      )
      for quantity in quantities
      for title, value_format in (_SHOWN[quantity],)
    ],
    'rows': _rows(found.costs),
    'notes': _notes(found),
    'details': {
      'phase_costs': [dataclasses.asdict(row) for row in found.costs],
      'sum': {
        'is_exact': found.is_exact,
        'num_clients': num_clients,
        'num_survivors': len(found.survivors),
        'dropouts': _counts(found),
        'threshold': found.parameters.threshold,
        'degree': found.parameters.degree,
        'malicious': found.parameters.malicious,
        'modulus_bits': (found.modulus - 1).bit_length(),
        'client_bytes': found.client_bytes,
        'clear_bytes': found.clear_bytes,
        'paper_bytes': found.paper_bytes,
        'expansion': expansion,
        'paper_expansion': found.paper_bytes / found.clear_bytes,
      },
    },
  }


_SHOWN: dict[str, tuple[str, results.Format]] = {
  'seconds': ('time', 'milliseconds'),
  'sent_bytes': ('sent', 'bytes'),
  'received_bytes': ('received', 'bytes'),
}


def of_example(
  name: str,
  example: textbook.MaskingExample,
  session: textbook_session.TextbookSession,
) -> dict[str, Any]:
  """Returns results.json of a textbook example and its real session.

  Args:
    name: The example's name.
    example: The picture.
    session: What the same participants got out of the real protocol.
  """
  wanted = 'mean' if name == 'three_devices' else 'total'
  value = example.mean if wanted == 'mean' else example.total
  rows = [
    {
      'system': participant.name,
      'hidden': _plain(participant.hidden),
      'sent': _plain(participant.sent),
      'received': received,
    }
    for participant, received in zip(
      example.participants, session.received, strict=True
    )
  ]
  rows.append(
    {
      'system': 'sum',
      'hidden': _plain(sum(p.hidden for p in example.participants)),
      'sent': _plain(example.total),
      'received': session.integer_sum,
    }
  )
  return {
    'title': f'Secure sum: {name.replace("_", " ")}',
    'sentence': f'The server learns the {wanted}, {_plain(value):g}, and none '
    'of the numbers behind it.',
    'primary': 'sent',
    'row_title': 'who',
    'columns': [
      _column('hidden', 'hides', 'count'),
      _column('sent', 'sends in the picture', 'count'),
      _column('received', 'sends in the real protocol', 'count'),
    ],
    'rows': rows,
    'notes': _example_notes(session),
    'details': {
      'masking_example': {
        'people': [
          {
            'name': participant.name,
            'hidden': _plain(participant.hidden),
            'added': _plain(participant.added),
            'subtracted': _plain(participant.subtracted),
            'sent': _plain(participant.sent),
          }
          for participant in example.participants
        ],
        'masks': [
          dataclasses.asdict(mask) | {'number': _plain(mask.number)}
          for mask in example.masks
        ],
        'total': _plain(example.total),
        'wanted': wanted,
      },
      'session': {
        'modulus': textbook_session.MODULUS,
        'steps': session.steps,
        'received': list(session.received),
        'total': _plain(session.total),
      },
    },
  }


def _column(key: str, title: str, value_format: results.Format) -> dict:
  return {'key': key, 'title': title, 'format': value_format}


def _rows(rows: Sequence[costs.CostRow]) -> list[dict[str, Any]]:
  """A row a phase, roles side by side, and their sums."""
  table: dict[str, dict[str, Any]] = {}
  for row in rows:
    for phase in (row.phase.value, _ALL_PHASES):
      cells = table.setdefault(phase, {'system': phase})
      for quantity in _SHOWN:
        key = f'{row.role}_{quantity}'
        cells[key] = cells.get(key, 0) + getattr(row, quantity)
  # dict keeps the order of insertion, in which the sums come second.
  return [
    *(c for p, c in table.items() if p != _ALL_PHASES),
    table[_ALL_PHASES],
  ]


def _counts(found: random_sum.RandomSum) -> dict[str, int]:
  counts = collections.Counter(found.dropouts.values())
  return {phase.value: counts[phase] for phase in phases.Phase if counts[phase]}


def _notes(found: random_sum.RandomSum) -> list[str]:
  chosen = found.parameters
  size = {
    name: formats.number(value, 'bytes')
    for name, value in (
      ('client', found.client_bytes),
      ('clear', found.clear_bytes),
      ('paper', found.paper_bytes),
    )
  }
  graph = (
    'everyone shares secrets with everyone'
    if chosen.degree is None
    else f'everyone shares secrets with {chosen.degree} neighbours'
  )
  paper = 'Bonawitz et al. 2017, table 1'
  if chosen.malicious:
    paper += ', for a server that follows the protocol'
  return [
    f'survivors: {len(found.survivors):,} of {chosen.num_clients:,} clients '
    f'are in the sum; {_left(found)}',
    'sum: '
    + ('exactly' if found.is_exact else 'WRONG, not')
    + " that of the survivors' inputs, computed beside it in the clear",
    f'bytes: a client that stays moves {size["client"]} up and down, '
    f'{found.client_bytes / found.clear_bytes:.2f} times the {size["clear"]} '
    f"of its input in the clear; by the paper's formula ({paper}) "
    f'{size["paper"]}, {found.paper_bytes / found.clear_bytes:.2f} times',
    f'secrets: {graph}, any {chosen.threshold} shares give one back',
    'columns: a client is the mean of those that answered in the phase, the '
    'server serves all of them; all computed on this machine, one after the '
    'other',
  ]


def _left(found: random_sum.RandomSum) -> str:
  counts = _counts(found)
  if not counts:
    return 'none dropped out'
  early = [p for p in counts if p in _BEFORE_SUM]
  late = [p for p in counts if p not in _BEFORE_SUM]
  parts = [f'{counts[phase]} left before {phase}' for phase in early]
  parts += [
    f'{counts[phase]} of those in the sum left before {phase}' for phase in late
  ]
  return ', '.join(parts)


def _example_notes(session: textbook_session.TextbookSession) -> list[str]:
  modulus = f'{textbook_session.MODULUS:,}'
  unit = (
    f'a fraction is sent as a multiple of 1/{session.steps:,}; '
    if session.steps > 1
    else ''
  )
  total = f'{session.integer_sum:,}'
  if session.steps > 1:
    total += f', which is {_plain(session.total):g}'
  return [
    f'real protocol: {unit}numbers modulo {modulus}, masks from keys that '
    'every two agree on, and one mask more of each. They are drawn anew in '
    'every run, so that what the server receives could hide any number',
    'real protocol: the masks of two cancel as in the picture; the shares of '
    f'those present take the others away, which leaves {total}',
    'a simulation on one machine shows how it works; it protects nobody from '
    "the machine's owner",
  ]


def _plain(number: textbook.Number) -> int | float:
  return number if isinstance(number, int) else float(number)
