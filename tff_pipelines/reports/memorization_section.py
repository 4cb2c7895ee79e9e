"""The section of the page that tells what models keep of secret sentences."""

import html

from tff_pipelines.reports import (
  formats,
  memorization_record,
  results,
  tables,
)

# Below, chance is no explanation.
SIGNIFICANT = 0.01


def memorization_html(found: memorization_record.Memorization) -> str:
  """Says what was done and what came of it, in words."""
  count = formats.number(found.candidates, 'count')
  how = (
    'Some people were given made-up sentences to type, secrets that appear '
    f'nowhere else. Each is one of {count} sentences of the same form, and '
    'the model says which of these it takes for the likeliest. If the secret '
    'comes first, whoever has the model can find it by searching. Exposure '
    'counts this in bits: 0 for the last place, and one bit more each time '
    f'that only half as many come before it, up to {found.most:.1f} for the '
    'first. Controls are secrets that nobody typed: they show what chance '
    'does.'
  )
  verdicts = ''.join(
    f'<li>{html.escape(verdict(system, found.candidates))}</li>'
    for system in found.systems
  )
  return f'<p>{html.escape(how)}</p>\n<ul>{verdicts}</ul>'


def table_html(found: memorization_record.Memorization) -> str:
  """Builds a table with a row for each system."""
  head = (
    'system',
    'epsilon',
    'median exposure, typed',
    'median exposure, control',
    'typed ones that come first',
    'p-value, typed',
    'p-value, control',
  )
  rows = [
    (
      results.display_name(system.system),
      _epsilon(system),
      _bits(memorization_record.median(system.inserted)),
      _bits(memorization_record.median(system.controls)),
      f'{system.first} of {len(system.inserted)}',
      _p_value(system.p_value_inserted),
      _p_value(system.p_value_control),
    )
    for system in found.systems
  ]
  return (
    f'<div class="wrap">{tables.plain_html_table(head, rows)}</div>\n'
    '<p class="context">p-value: how often chance alone would bring these '
    f'secrets as far to the front. Below {SIGNIFICANT}, chance is a poor '
    'explanation.</p>'
  )


def verdict(system: memorization_record.System, candidates: int) -> str:
  """What the measurement means for one system, in a sentence or two."""
  name = results.display_name(system.system)
  start = f'{name[:1].upper()}{name[1:]}'
  if system.epsilon is not None:
    start += f' (epsilon {formats.epsilon(system.epsilon)})'
  if not system.inserted or system.p_value_inserted is None:
    return f'{start}: nobody typed a secret, so nothing can be said.'
  total = len(system.inserted)
  if system.p_value_inserted >= SIGNIFICANT:
    text = (
      f'{start}: as far as this can tell, what people typed is found no more '
      'easily than by chance.'
    )
  elif system.first:
    text = (
      f'{start}: {system.first} of {total} secrets are found by searching for '
      'the likeliest sentence; chance would find one in '
      f'{formats.number(candidates, "count")}.'
    )
  else:
    text = (
      f'{start}: the model takes what people typed for likelier than chance '
      'would, but no secret comes first.'
    )
  if (
    system.p_value_control is not None and system.p_value_control < SIGNIFICANT
  ):
    text += (
      ' But so it does with secrets that nobody typed: the sentences are not '
      'equally likely from the outset, and this proves nothing.'
    )
  return text


def _epsilon(system: memorization_record.System) -> str:
  if system.epsilon is None or system.delta is None:
    return 'no promise'
  return (
    f'{formats.epsilon(system.epsilon)} (delta {formats.small(system.delta)})'
  )


def _bits(value: float | None) -> str:
  return formats.MISSING if value is None else f'{value:.2f}'


def _p_value(value: float | None) -> str:
  return formats.MISSING if value is None else formats.small(value)
