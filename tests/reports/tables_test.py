import io
import json

import pytest
import rich.console

from tff_pipelines.reports import results, tables

pytestmark = pytest.mark.filterwarnings('error')


def _printed(table, width=200):
  stream = io.StringIO()
  rich.console.Console(file=stream, width=width, color_system=None).print(table)
  return stream.getvalue()


def _results(write_run, **changes):
  return json.loads((write_run(**changes) / 'results.json').read_text())


def test_console_table_holds_the_cells(write_run):
  lines = _printed(tables.console_table(_results(write_run))).splitlines()
  assert lines[0].rstrip() == 'Spam classification: sms_spam'
  assert lines[1].split() == [
    *('system', 'accuracy', 'ham', 'blocked', 'AUC', 'rounds'),
  ]
  assert lines[3].split() == [
    'federated',
    '98.7',
    '%',
    '0.4',
    '%',
    '0.991',
    '4',
  ]
  assert lines[4].split() == [
    *('central', '98.9', '%', '0.3', '%', '\N{EN DASH}', '2'),
  ]
  assert lines[5].split() == ['local', '92.6', '%', *(3 * '\N{EN DASH}')]
  assert lines[6].split() == ['(50.0', 'to', '97.0)']


def test_console_table_cuts_no_word_at_80_columns():
  keys = ['accuracy', 'spam caught', 'ham blocked', 'Matthews corr.', 'AUC']
  values = {key: 0.913 for key in keys}
  extents = {f'{key}_min': 0.504 for key in keys}
  extents |= {f'{key}_max': 0.971 for key in keys}
  printed = _printed(
    tables.console_table(
      {
        'columns': [
          *({'key': key, 'format': 'percent'} for key in keys[:3]),
          *({'key': key} for key in keys[3:]),
          {'key': 'rounds', 'format': 'count'},
        ],
        'rows': [
          {'system': 'secure_federated', **values, 'rounds': 60},
          {'system': 'local', **values, **extents},
        ],
      }
    ),
    width=80,
  )
  for word in (
    *' '.join(keys).split(),
    'federated',
    'rounds',
    '0.913',
    '97.1)',
  ):
    assert word in printed
  assert max(len(line) for line in printed.splitlines()) <= 80


def test_console_table_takes_brackets_for_text():
  table = tables.console_table(
    {
      'title': '[bold]t[/]',
      'columns': [{'key': 'x', 'title': '[red]'}],
      'rows': [{'system': '[/nothing]', 'x': '[link]'}],
    }
  )
  printed = _printed(table)
  for text in ('[bold]t[/]', '[red]', '[/nothing]', '[link]'):
    assert text in printed


def test_html_table_escapes_every_part():
  evil = '<script>"&\''
  table = tables.html_table(
    {
      'columns': [{'key': 'x', 'title': evil, 'better': 'lower'}],
      'rows': [{'system': evil, 'x': evil}],
    }
  )
  assert '<script>' not in table
  assert table.count('&lt;script&gt;&quot;&amp;&#x27;') == 3


def test_html_table_prints_the_best_bold_and_ties_too():
  rows = (
    {'system': 'a', 'x': 0.98701, 'y': 1.0},
    {'system': 'b', 'x': 0.98699, 'y': 2.0},
    {'system': 'c', 'x': 0.9, 'x_min': 0.5, 'x_max': 1.0, 'y': None},
  )
  columns = (
    results.Column('x', 'x', 'percent', 'higher'),
    results.Column('y', 'y', 'ratio', 'lower'),
  )
  table = tables.html_table(results.Results('t', 'x', columns, rows))
  assert table.count('<strong>98.7 %</strong>') == 2
  assert table.count('<strong>1.000</strong>') == 1
  assert table.count('<strong>') == 3
  assert '<td>90.0 % <small>(50.0 to 100.0)</small></td>' in table


def test_one_system_has_no_best():
  table = tables.html_table(
    {
      'columns': [{'key': 'x', 'better': 'higher'}],
      'rows': [{'system': 'a', 'x': 1.0}],
    }
  )
  assert '<strong>' not in table
