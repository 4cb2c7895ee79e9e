"""Tasks under attack, from the command line to the report."""

import json
import pathlib

import pytest

from tests.integration import command_lines

# Of the same in one process, cli/defence_table_test always runs.
pytestmark = pytest.mark.slow

TASKS = {
  'digits': ('--num_clients=16', '--hidden_sizes='),
  'spam_classification': ('--people=16',),
}
FLAGS = (
  '--rounds=20',
  '--participation=everyone',
  '--evaluate_every=10',
  '--attack=sign_flip,backdoor',
)


@pytest.fixture(scope='module', params=TASKS)
def attacked(request, tmp_path_factory) -> tuple[pathlib.Path, str]:
  """A run directory that `python -m` has made, and what it has printed."""
  path = tmp_path_factory.mktemp('attacked') / 'run'
  done = command_lines.run(
    f'tasks.{request.param}',
    *FLAGS,
    *TASKS[request.param],
    '--aggregator=mean,median',
    f'--output_dir={path}',
  )
  assert (done.returncode, done.stderr) == (0, '')
  return path, done.stdout


def test_a_quarter_that_flips_signs_breaks_the_mean_and_not_the_median(
  attacked,
):
  path, _ = attacked
  found = command_lines.table(path / 'maps' / 'defences' / 'defences.csv')
  rows = {(row['aggregator'], row['attack']): row for row in found}
  assert len(rows) == 6
  accuracy = {pair: float(row['accuracy']) for pair, row in rows.items()}
  assert accuracy['mean', 'sign_flip'] < accuracy['mean', 'none'] - 0.2
  assert accuracy['median', 'sign_flip'] > accuracy['mean', 'sign_flip'] + 0.1
  assert rows['median', 'sign_flip']['expected'] == 'True'
  assert rows['mean', 'sign_flip']['expected'] == 'False'
  # It does what it is for: without attack the trigger changes little.
  success = float(rows['mean', 'backdoor']['attack_success'])
  assert success > float(rows['mean', 'none']['attack_success']) + 0.2


def test_results_terminal_and_report_show_the_table(attacked):
  path, out = attacked
  results = json.loads((path / 'results.json').read_text())
  assert [row['system'] for row in results['rows']] == [
    f'{aggregator}, {attack}'
    for attack in ('none', 'sign_flip', 'backdoor')
    for aggregator in ('mean', 'median')
  ]
  assert results['sentence'].startswith(
    'With 4 of 16 clients attacking, median'
  )
  assert 'mean: attack 3/3' in out
  assert 'median, sign flip' in out
  report = (path / 'report.html').read_text(encoding='utf-8')
  assert results['sentence'] in report
