"""A private run from its command line to the epsilon that it tells."""

import itertools
import json
import pathlib
import subprocess

import pytest

from tests.integration import command_lines
from tff_pipelines.privacy import accounting, guarantee, ledger

# Of the same in one process, programs/private_training_test always runs.
pytestmark = pytest.mark.slow

TASK = 'tasks.spam_classification'
FLAGS = (
  '--people=40',
  '--num_buckets=64',
  '--rounds=8',
  '--clients_per_round=10',
  '--checkpoint_every=3',
  '--system=federated',
  '--aggregator=dp_fixed',
  '--epsilon=2',
)


def run(path: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
  return command_lines.run(TASK, *FLAGS, *arguments, f'--output_dir={path}')


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> tuple[pathlib.Path, str]:
  """A run that nobody interrupted, and what it has printed."""
  path = tmp_path_factory.mktemp('whole') / 'run'
  done = run(path)
  assert (done.returncode, done.stderr) == (0, '')
  return path, done.stdout


def epsilons(path: pathlib.Path) -> list[float]:
  rows = command_lines.table(path / 'metrics.csv')
  return [float(row['privacy/epsilon']) for row in rows]


def spent(path: pathlib.Path) -> guarantee.Guarantee:
  content = json.loads((path / 'privacy.json').read_text())
  return guarantee.Guarantee.from_json(content['guarantee'])


def test_epsilon_grows_from_nothing_to_what_was_asked_for(whole):
  path, _ = whole
  found = epsilons(path)
  assert len(found) == 9 and found[0] == 0.0
  assert all(a < b for a, b in itertools.pairwise(found))
  assert 0.99 * 2 < found[-1] <= 2
  assert spent(path).epsilon == found[-1]


def test_ledger_can_be_read_again_and_gives_the_same_epsilon(whole):
  path, _ = whole
  records = ledger.Ledger.load(path / 'privacy.json')
  assert records.num_rounds == 8
  told = spent(path)
  again = accounting.spent(records, told.delta, told.relation)
  assert again.epsilon == pytest.approx(told.epsilon, rel=1e-9)


def test_promise_comes_before_the_first_round_and_epsilon_with_each(whole):
  _, out = whole
  promise, rounds = out.index('privacy of federated'), out.index('round 2/8')
  assert promise < rounds
  assert 'epsilon' in out[rounds:].splitlines()[0]


def test_final_table_has_epsilon_and_the_cohort_it_takes(whole):
  path, _ = whole
  content = json.loads((path / 'results.json').read_text())
  assert 'epsilon' in [column['key'] for column in content['columns']]
  (row,) = content['rows']
  assert row['epsilon'] == spent(path).epsilon
  assert any(
    'with 10 of 40 clients a round (poisson)' in note
    for note in content['notes']
  )
  assert (path / 'report.html').exists()


def test_a_run_killed_and_resumed_has_the_same_ledger(whole, tmp_path):
  path = tmp_path / 'run'
  process = command_lines.start(
    TASK,
    *FLAGS,
    f'--output_dir={path}',
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
  )
  for line in process.stdout:
    if 'round 4/8' in line:
      break
  process.kill()
  process.stdout.close()
  process.wait(timeout=command_lines.PATIENCE_SECONDS)
  assert 3 < len(epsilons(path)) <= 9
  done = run(path)
  assert (done.returncode, done.stderr) == (0, '')
  assert 'federated: resuming after round ' in done.stdout
  expected, _ = whole
  assert (path / 'privacy.json').read_bytes() == (
    expected / 'privacy.json'
  ).read_bytes()
  assert epsilons(path) == epsilons(expected)


def test_report_of_the_ledger_agrees(whole):
  path, _ = whole
  done = command_lines.run('tasks.privacy_report', path, '--epsilon=9')
  assert (done.returncode, done.stderr) == (0, '')
  assert ', the same\n' in done.stdout
  assert 'more rounds like the last within epsilon 9' in done.stdout
