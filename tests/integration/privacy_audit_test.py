"""The audit of private training from its command line to its report."""

import functools
import json
import pathlib

import pytest

from tests.integration import command_lines
from tff_pipelines.reports import audit_record

pytestmark = pytest.mark.slow

FLAGS = (
  '--num_clients=25',
  '--hidden_sizes=8',
  '--rounds=3',
  '--clients_per_round=8',
  '--aggregator=dp_fixed',
  '--noise_multiplier=1',
  '--allow_weak_privacy',
  '--canaries=30',
  '--membership_pairs=3',
  '--known_rounds=2',
  '--outlier_seeds=4',
)
run = functools.partial(command_lines.run, 'tasks.privacy_audit')


@pytest.fixture(scope='module')
def audited(tmp_path_factory) -> tuple[pathlib.Path, str]:
  """A run directory, and what was printed."""
  path = tmp_path_factory.mktemp('audited') / 'run'
  done = run(*FLAGS, f'--output_dir={path}')
  assert (done.returncode, done.stderr) == (0, '')
  return path, done.stdout


def test_every_attack_is_recorded(audited):
  path, _ = audited
  content = json.loads((path / 'privacy_audit.json').read_text())
  found = audit_record.parse(content)
  guarantee = json.loads((path / 'privacy.json').read_text())['guarantee']
  # Cohorts are secret: all canaries count, whether in a cohort or not.
  assert found.one_shot.canaries == 30
  assert found.one_shot.accountant == guarantee['epsilon']
  assert found.one_shot.delta == guarantee['delta']
  assert [attack.name for attack in found.membership] == [
    'loss threshold, without noise',
    'likelihood ratio, without noise',
    'loss threshold, with noise',
    'likelihood ratio, with noise',
    'knowing all others, with noise',
  ]
  # A promise that takes cohorts for secret is none to who knows them.
  assert [a.promise is None for a in found.membership] == [
    True, True, False, False, True,
  ]  # fmt: skip
  assert [system.name for system in found.outlier] == [
    'without noise',
    'with noise',
  ]
  assert all(len(s.inside) == len(s.outside) == 4 for s in found.outlier)


def test_the_table_has_a_row_for_every_attack(audited):
  path, _ = audited
  content = json.loads((path / 'results.json').read_text())
  assert len(content['rows']) == 2 + 5 + 2
  assert any(
    note.startswith('membership: 1 of 25 clients left out')
    for note in content['notes']
  )


def test_the_report_has_a_part_for_every_attack(audited):
  text = (audited[0] / 'report.html').read_text(encoding='utf-8')
  for title in ('Canaries', 'Who took part?', 'One unusual client'):
    assert f'<h3>{title}</h3>' in text


def test_long_work_tells_how_far_it_is(audited):
  _, out = audited
  assert 'training with canaries: round 2/3' in out
  # And what it promises, before.
  assert out.index('privacy of federated') < out.index('round 2/3')


@pytest.mark.parametrize(
  'arguments, told',
  [
    (
      ['--epsilon=4', '--client_momentum=0.9'],
      'Expected --client_optimizer=sgd without momentum for canaries, found sgd'
      ' with momentum 0.9',
    ),
  ],
)
def test_flags_that_make_no_audit_are_refused(tmp_path, arguments, told):
  done = run(*arguments, f'--output_dir={tmp_path / "run"}')
  assert done.returncode == 2
  assert done.stderr.startswith('Error: ') and told in done.stderr
  assert 'Traceback' not in done.stderr
  assert not (tmp_path / 'run' / 'metrics.csv').exists()
