"""How a run came about, as HTML: command, settings, versions, data."""

from collections.abc import Iterator, Mapping
import html
from typing import Any

from tff_pipelines.reports import formats, tables


def provenance_html(manifest: Mapping[str, Any]) -> str:
  """Builds the parts of the page that the manifest tells; absent ones not.

  Args:
    manifest: The content of manifest.json.
  """
  parts = []
  if manifest.get('command'):
    # A line breaks between arguments, not after their dashes.
    command = ' '.join(
      f'<span>{html.escape(argument)}</span>'
      for argument in str(manifest['command']).split()
    )
    parts.append(f'<h3>Command</h3>\n<pre><code>{command}</code></pre>')
  general = [
    (title, _text(manifest[key]))
    for key, title in (('task', 'task'), ('seed', 'seed'))
    if manifest.get(key) is not None
  ]
  if general:
    parts.append(_settings(general))
  parts.append(
    settings_html(manifest.get('configuration') or {}, 'Configuration')
  )
  for key, title in (
    ('data', 'Data'),
    ('versions', 'Versions'),
    ('machine', 'Machine'),
  ):
    rows = list(_flatten(manifest.get(key) or {}))
    if rows:
      parts.append(f'<h3>{title}</h3>\n{_settings(rows)}')
  return '\n'.join(part for part in parts if part)


def settings_html(
  settings: Mapping[str, Any], title: str = 'This figure'
) -> str:
  """Builds a folded table of settings, '' if there are none."""
  rows = list(_flatten(settings))
  if not rows:
    return ''
  return (
    f'<details><summary>{html.escape(title)}: {len(rows)} settings</summary>\n'
    f'{_settings(rows)}\n</details>'
  )


def _settings(rows: list[tuple[str, str]]) -> str:
  table = tables.plain_html_table((), rows)
  return f'<div class="settings">{table}</div>'


def _flatten(content: Any, path: str = '') -> Iterator[tuple[str, str]]:
  """Walks nested values: {'a': {'b': 1}} gives 'a: b', '1'."""
  if isinstance(content, Mapping) and (content or not path):
    for key, value in content.items():
      yield from _flatten(value, f'{path}: {key}' if path else str(key))
  elif isinstance(content, list) and any(
    isinstance(each, Mapping | list) for each in content
  ):
    for index, value in enumerate(content, start=1):
      yield from _flatten(value, f'{path} {index}'.strip())
  else:
    yield path, _text(content)


def _text(value: Any) -> str:
  if value is None or value == '' or value == {} or value == []:
    return formats.MISSING
  if isinstance(value, bool):
    return 'true' if value else 'false'
  if isinstance(value, list):
    return ', '.join(_text(each) for each in value)
  return str(value)
