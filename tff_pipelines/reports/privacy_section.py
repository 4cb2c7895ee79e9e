"""What a run promises: the section of the page, in words and tables."""

from collections.abc import Iterable, Sequence
import html

import numpy as np

from tff_pipelines.reports import (
  curves,
  formats,
  mechanism_words,
  privacy_promise,
  privacy_record,
  results,
  run_reader,
  tables,
)

_NO_BREAK = '\N{NO-BREAK SPACE}'
_SCHEMES = {
  'uniform': 'drawn anew, fixed size',
  'poisson': 'drawn anew, each by chance',
  'cyclic': 'in turn',
  'everyone': 'everyone',
  'diurnal': 'drawn of those awake',
}
_NOISE = (
  'Noise is its standard deviation in the sum, in units of the most that one '
  'client can contribute.'
)
_CORRELATED = (
  ' For a tree and a banded matrix it is that of the independent parts from '
  'which the noise of several rounds is mixed.'
)


def privacy_html(run: run_reader.Run) -> str:
  """Builds the text above the pictures; '' for a run without privacy.json.

  One private system gets its promise in full. Several get a table, and their
  promises one by one below it.

  Args:
    run: The run.
  """
  if not run.privacy:
    return ''
  if len(run.privacy) == 1:
    (record,) = run.privacy.values()
    parts = [_promise_html(record), _planned_html(record)]
  else:
    parts = [_systems_html(run)]
    for system, record in _records(run):
      spent = None if record.spent is None else record.spent.epsilon
      parts.append(
        f'<details><summary>{_text(results.display_name(system))}: epsilon '
        f'{formats.epsilon(spent)}</summary>\n'
        f'{_promise_html(record)}\n{_planned_html(record)}\n</details>'
      )
  return '\n'.join(part for part in parts if part)


def settings_html(run: run_reader.Run) -> str:
  """Builds the tables of noise against contributors, '' without any."""
  rows = [
    _setting_row(run, system, index)
    for system, record in _records(run)
    for index in range(len(record.settings))
  ]
  if not rows:
    return ''
  head = (
    *(('system',) if len(run.privacy) > 1 else ()),
    'rounds',
    'mechanism',
    'noise',
    'contributors in a round',
    'noise per contributor',
    'population',
    'cohorts',
    'one client',
  )
  return (
    '<h3>What hides one among how many</h3>\n'
    f'<div class="wrap">{tables.plain_html_table(head, rows)}</div>\n'
    f'<p class="context">{_text(_noise_note(run))}</p>'
  )


def _promise_html(record: privacy_record.PrivacyRecord) -> str:
  if not record.releases:
    return '<p>Nothing was released.</p>'
  if record.spent is None:
    return (
      '<p>Nothing is promised: no bound is known for what this run released.'
      '</p>'
    )
  paragraphs = [
    f'<p>{_text(text)}</p>'
    for text in (
      privacy_promise.promise(record.spent),
      privacy_promise.meaning(record.spent),
      _delta_warning(record, record.spent),
    )
    if text
  ]
  if record.spent.assumptions:
    items = ''.join(f'<li>{_text(a)}</li>' for a in record.spent.assumptions)
    paragraphs.append(
      '<p>All of this has to be true for it:</p>\n'
      f'<ul class="notes">{items}</ul>'
    )
  return '\n'.join(paragraphs)


def _delta_warning(
  record: privacy_record.PrivacyRecord, spent: privacy_record.Guarantee
) -> str:
  population = min(
    (setting.population_size for setting in record.settings), default=1
  )
  if spent.delta * population <= 1.0:
    return ''
  return (
    f'Delta is above 1 in the population of {population:,}: to publish one '
    'client outright would not break this promise.'
  )


def _planned_html(record: privacy_record.PrivacyRecord) -> str:
  if record.planned is None or record.spent is None:
    return ''
  spent, planned = record.spent, record.planned
  text = (
    f'Planned: epsilon {formats.epsilon(planned.epsilon)} after '
    f'{planned.num_rounds:,} rounds. Spent: '
    f'{formats.epsilon(spent.epsilon)} after {spent.num_rounds:,}, counted '
    'from the clients that really took part.'
  )
  return f'<p>{_text(text)}</p>'


def _systems_html(run: run_reader.Run) -> str:
  column = curves.curve_column(run) or run.results.primary_column
  rows = [
    _system_row(run, system, record, column) for system, record in _records(run)
  ]
  head = ('', 'mechanism', 'noise', 'clip', 'cohort', 'population', 'epsilon',
          'delta', 'trusted', column.title)  # fmt: skip
  explanation = (
    'Epsilon bounds what the models tell about one client: what the client '
    'contributes changes the probability of any conclusion by at most the '
    'factor e^epsilon, plus delta. Smaller is safer; 0 would tell nothing.'
  )
  return '\n'.join(
    (
      f'<p>{_text(explanation)}</p>',
      f'<div class="wrap">{tables.plain_html_table(head, rows)}</div>',
      f'<p class="context">{_text(_noise_note(run))} Cohort: clients in a '
      'round, as planned.</p>',
    )
  )


def _system_row(
  run: run_reader.Run,
  system: str,
  record: privacy_record.PrivacyRecord,
  column: results.Column,
) -> tuple[str, ...]:
  settings, spent = record.settings, record.spent
  noises = [
    text
    for index in range(len(settings))
    if (text := _noise(record, index)) != formats.MISSING
  ]
  return (
    results.display_name(system),
    _distinct(mechanism_words.name(each) for each in settings),
    _distinct(noises),
    _clip(run, system),
    _distinct(f'{each.clients_per_round:,}' for each in settings),
    _distinct(f'{each.population_size:,}' for each in settings),
    formats.epsilon(None if spent is None else spent.epsilon),
    formats.MISSING if spent is None else formats.small(spent.delta),
    formats.MISSING if spent is None else privacy_promise.TRUSTED[spent.trust],
    formats.number(
      results.value(run.results.row(system), column.key), column.format
    ),
  )


def _setting_row(
  run: run_reader.Run, system: str, index: int
) -> tuple[str, ...]:
  record = run.privacy[system]
  setting = record.settings[index]
  releases = record.of_setting(index)
  rounds = [release.round_num for release in releases]
  name = _span(rounds, '{:,.0f}') if rounds else formats.MISSING
  if len({each.query for each in record.settings}) > 1:
    name = f'{name} ({setting.query})'
  counts = [release.contributors for release in releases]
  contributors = _span(counts, '{:,.0f}') if counts else formats.MISSING
  planned = f'{setting.clients_per_round:,}'
  if contributors != planned:
    contributors += f' (planned {planned})'
  shares = [
    noise / count
    for count in counts
    if count and (noise := mechanism_words.noise(setting, count)) is not None
  ]
  return (
    *((results.display_name(system),) if len(run.privacy) > 1 else ()),
    name,
    mechanism_words.name(setting),
    _noise(record, index),
    contributors,
    _span(shares, '{:.3g}') if shares else formats.MISSING,
    f'{setting.population_size:,}',
    _SCHEMES.get(setting.scheme, setting.scheme)
    + (', secret' if setting.secret_cohort else ''),
    _limits(releases),
  )


def _noise(record: privacy_record.PrivacyRecord, index: int) -> str:
  """The noise of a setting's rounds, or the mechanism's own probability."""
  setting = record.settings[index]
  found = [
    noise
    for release in record.of_setting(index)
    if (noise := mechanism_words.noise(setting, release.contributors))
    is not None
  ]
  if found:
    return _span(found, '{:.3g}')
  chance = results.value(setting.numbers, 'noise_probability')
  if chance is None:
    return formats.MISSING
  return f'a random answer in {formats.number(chance, "percent")}'


def _limits(releases: Sequence[privacy_record.Release]) -> str:
  """How often, and how far apart, one client contributed at the most."""
  counted = [each for each in releases if each.max_participations is not None]
  if not counted:
    return formats.MISSING
  most = max(each.max_participations or 0 for each in counted)
  text = 'at most ' + ('once' if most == 1 else f'{most:,} times')
  apart = min((each.min_separation or 1 for each in counted), default=1)
  if most > 1 and apart > 1:
    text += f', {apart:,} rounds apart'
  return text


def _clip(run: run_reader.Run, system: str) -> str:
  """The clip norm that was measured, or else the one that was asked for."""
  table = run.metrics.get(system)
  for name in () if table is None else table.columns:
    if name.rpartition('/')[2] == 'clip_norm':
      assert table is not None
      values = table[name].to_numpy(float)
      values = values[np.isfinite(values)]
      if len(values):
        first, last = f'{values[0]:.3g}', f'{values[-1]:.3g}'
        return (
          first
          if first == last
          else _NO_BREAK.join((first, '\N{RIGHTWARDS ARROW}', last))
        )
  asked = (run.manifest.get('configuration') or {}).get('clip_norm')
  return f'{asked:.3g}' if isinstance(asked, int | float) else formats.MISSING


def _span(values: Sequence[float], spelling: str) -> str:
  low, high = spelling.format(min(values)), spelling.format(max(values))
  return low if low == high else f'{low} to {high}'.replace(' ', _NO_BREAK)


def _distinct(texts: Iterable[str]) -> str:
  return ', '.join(dict.fromkeys(texts)) or formats.MISSING


def _records(
  run: run_reader.Run,
) -> list[tuple[str, privacy_record.PrivacyRecord]]:
  """The private systems in the order of the final table."""
  return [
    (system, run.privacy[system])
    for system in dict.fromkeys((*curves.run_systems(run), *run.privacy))
    if system in run.privacy
  ]


def _noise_note(run: run_reader.Run) -> str:
  correlated = any(
    mechanism_words.is_correlated(setting)
    for record in run.privacy.values()
    for setting in record.settings
  )
  return _NOISE + (_CORRELATED if correlated else '')


def _text(text: str) -> str:
  return html.escape(text)
