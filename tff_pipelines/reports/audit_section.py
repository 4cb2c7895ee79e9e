"""The section of the page that tells how attacks on the run went."""

import html
import math

import numpy as np

from tff_pipelines.reports import (
  attack_curves,
  audit_record,
  formats,
  results,
  run_reader,
  tables,
)


def canaries_html(found: audit_record.OneShot) -> str:
  """Says what the canaries were and what they show."""
  percent = f'{100 * found.confidence:.3g} %'
  sentences = [
    f'{found.canaries:,} made-up clients, canaries, took part in the run. Each '
    'pushed the model in a random direction of its own, of '
    f'{found.dimension:,} numbers, and did nothing else. The more of that push '
    'is left in what was released, the less private the run is.',
  ]
  if math.isfinite(found.estimate):
    sentences.append(
      f'What is left amounts to an epsilon of {formats.epsilon(found.estimate)}'
      f' at delta {formats.small(found.delta)}, and, with {percent} '
      f'confidence, to at least {formats.epsilon(found.lower_bound)}.'
    )
  else:
    sentences.append(
      'So much is left that no finite epsilon explains it; with '
      f'{percent} confidence epsilon is at least '
      f'{formats.epsilon(found.lower_bound)} at delta '
      f'{formats.small(found.delta)}.'
    )
  sentences.append(_verdict(found))
  return f'<p>{html.escape(" ".join(sentences))}</p>'


def attacks_html(run: run_reader.Run) -> str:
  """Builds the sentence and the table of the attacks."""
  assert run.audit is not None
  attacks = run.audit.membership
  rates = sorted({point.fpr for attack in attacks for point in attack.points})
  rows = []
  for attack in attacks:
    points = {point.fpr: point for point in attack.points}
    rows.append(
      (
        attack.name,
        attack.knowledge,
        *(_found(points.get(rate)) for rate in rates),
        formats.number(attack.auc, 'ratio'),
      )
    )
  head = (
    'attack',
    'what it knows',
    *(f'found at {_percent(rate)} wrongly accused' for rate in rates),
    'area under the curve',
  )
  sentences = [
    'Each attack says of every client whether it took part. What counts is '
    'whom it finds while it accuses hardly anyone wrongly: an attack that '
    'names a few clients for certain does more harm than one that is a little '
    'better than a coin about everyone. By guessing, the shares found and '
    'wrongly accused are the same, and the area is 0.5.'
  ]
  bound = attack_curves.guaranteed(run)
  if bound is not None and rates:
    most = attack_curves.most_found(np.array(rates), *bound)
    limits = ' and '.join(
      f'{_percent(float(share))} at {_percent(rate)} wrongly accused'
      for share, rate in zip(most, rates, strict=True)
    )
    sentences.append(
      f'Under epsilon {formats.epsilon(bound[0])} and delta '
      f'{formats.small(bound[1])} no attack whatever finds more than {limits}.'
    )
  return (
    f'<p>{html.escape(" ".join(sentences))}</p>\n'
    f'<div class="wrap">{tables.plain_html_table(head, rows)}</div>'
  )


def outlier_html(systems: tuple[audit_record.OutlierSystem, ...]) -> str:
  """Says what the outlier experiment was and how it came out."""
  seeds = min(min(len(s.inside), len(s.outside)) for s in systems)
  shares = '; '.join(f'{_name(s)}: {_told_apart(s)}' for s in systems)
  text = (
    f'One client whose data is unlike all others is left in or out, {seeds} '
    'times each with other random numbers. Who takes the one of two models '
    'whose loss on that data is lower for the one that was trained on it is '
    f'right in 50 % by chance alone. {shares[:1].upper()}{shares[1:]}.'
  )
  return f'<p>{html.escape(text)}</p>'


def _name(system: audit_record.OutlierSystem) -> str:
  return results.display_name(system.name)


def _told_apart(system: audit_record.OutlierSystem) -> str:
  return formats.number(system.told_apart, 'percent')


def _verdict(found: audit_record.OneShot) -> str:
  if found.accountant is None or not math.isfinite(found.accountant):
    return 'The run itself promises nothing that this could be compared with.'
  accountant = formats.epsilon(found.accountant)
  if found.lower_bound > found.accountant:
    return (
      f'That is more than the {accountant} that the accountant computed: the '
      'promise is broken, or an assumption of it is.'
    )
  return (
    f'The accountant computed at most {accountant}: nothing here contradicts '
    'it.'
  )


def _found(point: audit_record.Point | None) -> str:
  if point is None:
    return formats.MISSING
  low, high = (_percent(rate)[:-2] for rate in (point.low, point.high))
  return f'{_percent(point.tpr)} ({low} to {high})'


def _percent(rate: float) -> str:
  """Percentages that keep their digits below 1 %: '0.1 %', '0.034 %'."""
  return f'{100 * rate:.2g} %' if rate < 0.01 else f'{100 * rate:.3g} %'
