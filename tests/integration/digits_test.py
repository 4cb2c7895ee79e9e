"""The digits task from its command line to its report."""

import json
import math
import pathlib

import pytest

from tests.integration import command_lines

# The spam task is the one that always runs from end to end.
pytestmark = pytest.mark.slow

TASK = 'tasks.digits'
FLAGS = (
  '--num_clients=12',
  '--rounds=4',
  '--clients_per_round=4',
  '--evaluate_every=2',
  '--central_epochs=2',
  '--local_epochs=2',
)


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> tuple[pathlib.Path, str]:
  """A run directory that `python -m` has made, and what it has printed."""
  path = tmp_path_factory.mktemp('trained') / 'run'
  done = command_lines.run(TASK, *FLAGS, f'--output_dir={path}')
  assert (done.returncode, done.stderr) == (0, '')
  return path, done.stdout


def test_manifest_says_what_was_asked_for(trained):
  manifest = json.loads((trained[0] / 'manifest.json').read_text())
  assert manifest['task'] == 'digits'
  assert manifest['configuration']['num_clients'] == 12
  assert manifest['data']['name'] == 'small_digits'
  assert manifest['data']['partition']['scheme'] == 'iid'


def test_metrics_of_the_rounds_that_were_evaluated(trained):
  rows = command_lines.table(trained[0] / 'metrics.csv')
  tested = {row['round_num']: row for row in rows if row.get('test/accuracy')}
  assert list(tested) == ['0', '2', '4']
  first, last = tested['0'], tested['4']
  # Nothing is known at first: about one in ten right, a loss of about ln 10.
  assert float(first['test/loss']) == pytest.approx(math.log(10), rel=0.25)
  assert float(first['test/accuracy']) < 0.3
  assert float(last['test/accuracy']) > 0.5
  assert last['test/num_examples'] == '359'


def test_results_compare_four_systems(trained):
  results = json.loads((trained[0] / 'results.json').read_text())
  rows = {row['system']: row for row in results['rows']}
  assert list(rows) == ['central', 'local', 'federated', 'secure_federated']
  assert results['primary'] == 'accuracy'
  for row in rows.values():
    assert 0.3 < row['accuracy'] <= 1
    assert row['loss'] > 0
  # The same training, but for updates in 16 bits.
  assert rows['secure_federated']['accuracy'] == pytest.approx(
    rows['federated']['accuracy'], abs=0.05
  )


def test_simulation_only_tells_who_holds_which_digits(trained):
  clients = command_lines.table(trained[0] / 'simulation_only' / 'clients.csv')
  assert [row['client_id'] for row in clients] == [
    *(f'client_{c:04d}' for c in range(12)),
    *(f'test_{c:04d}' for c in range(10)),
  ]
  assert sum(int(row['train_examples']) for row in clients) == 1438
  assert sum(int(row['train:9']) for row in clients) > 0
  models = command_lines.table(
    trained[0] / 'simulation_only' / 'local_models.csv'
  )
  assert {row['num_examples'] for row in models} == {'359.0'}


def test_terminal_and_report_show_the_table(trained):
  path, out = trained
  assert out.startswith('train  12 clients, 1438 examples ')
  assert 'federated: round 4/4  test loss ' in out
  report = (path / 'report.html').read_text(encoding='utf-8')
  assert 'Digits: small_digits' in report
  for system in ('central', 'local', 'federated', 'secure federated'):
    assert system in report
