"""The client table from its command line to its report."""

import json

import pytest

from tests.integration import command_lines

pytestmark = pytest.mark.slow


def test_a_day_of_digits_one_class_a_client(tmp_path):
  path = tmp_path / 'run'
  done = command_lines.run(
    'tasks.client_table',
    '--num_clients=20', '--partition=class_share', '--class_share=1',
    '--participation=diurnal', '--day_rounds=10', '--awake_share=0.1',
    f'--output_dir={path}',
  )  # fmt: skip
  assert (done.returncode, done.stderr) == (0, '')
  train, _ = json.loads((path / 'results.json').read_text())['rows']
  assert (train['clients'], train['labels']) == (20, 1)
  # Each of ten labels is nine tenths away from the mix of all.
  assert train['distance'] == pytest.approx(0.9)
  mixes = command_lines.table(path / 'simulation_only' / 'label_mixes.csv')
  # In the first round the two who have only zeros are awake, and so on.
  for digit, row in enumerate(mixes):
    assert float(row[f'awake:{digit}']) == 1
    assert float(row[f'cohort:{digit}']) == 1
  assert len(mixes) == 10
  report = (path / 'report.html').read_text()
  assert 'Who holds what: small_digits' in report
  for name in ('client_data', 'label_drift'):
    assert (path / 'figures' / f'{name}.png').exists()
