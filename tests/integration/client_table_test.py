"""The client table from its command line to its report."""

import csv
import json
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = pathlib.Path(__file__).parents[2]
PATIENCE_SECONDS = 600


def test_a_day_of_digits_one_class_a_client(tmp_path):
  path = tmp_path / 'run'
  done = subprocess.run(
    [
      sys.executable, '-m', 'tasks.client_table',
      '--num_clients=20', '--partition=class_share', '--class_share=1',
      '--participation=diurnal', '--day_rounds=10', '--awake_share=0.1',
      f'--output_dir={path}',
    ],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    timeout=PATIENCE_SECONDS,
  )  # fmt: skip
  assert (done.returncode, done.stderr) == (0, '')
  train, _ = json.loads((path / 'results.json').read_text())['rows']
  assert (train['clients'], train['labels']) == (20, 1)
  # Each of ten labels is nine tenths away from the mix of all.
  assert train['distance'] == pytest.approx(0.9)
  with open(
    path / 'simulation_only' / 'label_mixes.csv', newline='', encoding='utf-8'
  ) as file:
    mixes = list(csv.DictReader(file))
  # In the first round the two who have only zeros are awake, and so on.
  for digit, row in enumerate(mixes):
    assert float(row[f'awake:{digit}']) == 1
    assert float(row[f'cohort:{digit}']) == 1
  assert len(mixes) == 10
  report = (path / 'report.html').read_text()
  assert 'Who holds what: small_digits' in report
  for name in ('client_data', 'label_drift'):
    assert (path / 'figures' / f'{name}.png').exists()
