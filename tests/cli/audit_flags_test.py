"""Flags of an audit, and the table that it leaves."""

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import (
  audit_flags,
  audit_results,
  canary_attack,
  flag_groups,
  problems,
)
from tff_pipelines.learning import optimizers
from tff_pipelines.programs import run_directory
from tff_pipelines.reports import audit_record


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def check(*arguments: str) -> audit_flags.AuditFlags:
  group = audit_flags.AuditFlags()
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def test_all_attacks_are_made_unless_some_are_chosen():
  assert check().configuration()['attacks'] == [
    'one_shot',
    'membership',
    'outlier',
  ]


@pytest.mark.parametrize('value', ['loss', '', 'outlier,outlier'])
def test_attacks_that_there_are_not_are_refused(value):
  with pytest.raises(
    flag_groups.FlagError,
    match='^Expected different attacks out of one_shot, membership, outlier, '
    f'found --attacks={value}\\.$',
  ):
    check(f'--attacks={value}')


@pytest.mark.parametrize(
  'flag, least',
  [('canaries', 8), ('membership_pairs', 3), ('known_rounds', 1),
   ('outlier_seeds', 4)],
)  # fmt: skip
def test_too_little_effort_is_refused_before_anything_runs(flag, least):
  with pytest.raises(
    flag_groups.FlagError,
    match=f'^Expected --{flag} of at least {least}, found {least - 1}',
  ):
    check(f'--{flag}={least - 1}')


@pytest.mark.parametrize(
  'flag, attack',
  [
    ('canaries', 'outlier'),
    ('membership_pairs', 'one_shot'),
    ('known_rounds', 'outlier'),
    ('outlier_seeds', 'membership'),
  ],
)
def test_effort_without_its_attack_is_refused(flag, attack):
  with pytest.raises(flag_groups.FlagError, match=f'where --{flag} is given'):
    check(f'--{flag}=9', f'--attacks={attack}')


# Canaries.


@pytest.mark.parametrize(
  'optimizer',
  [
    optimizers.OptimizerConfig('adam', 0.1),
    optimizers.OptimizerConfig('sgd', 0.1, momentum=0.9),
  ],
)
def test_canaries_need_plain_sgd(optimizer):
  canary_attack.check(optimizers.OptimizerConfig('sgd', 0.1))
  with pytest.raises(
    flag_groups.FlagError,
    match='^Expected --client_optimizer=sgd without momentum for canaries, '
    f'found {optimizer.name} with momentum {optimizer.momentum:g}: they train',
  ):
    canary_attack.check(optimizer)


# The task that is audited.


@pytest.mark.parametrize(
  'arguments, name',
  [
    ([], 'digits'),
    (['--task=spam_classification'], 'spam_classification'),
    (['-task', 'spam_classification', '--rounds=3'], 'spam_classification'),
    (['--rounds', '3', '--task=spam_classification'], 'spam_classification'),
    (['--task=spam_classification', '--task=digits'], 'digits'),
    (['--nonsense'], 'digits'),
    (['--task=nonsense'], 'digits'),
    (['--flagfile=/nowhere/there.flags'], 'digits'),
  ],
)
def test_the_task_is_known_before_its_flags_are(arguments, name):
  assert problems.TaskFlag(['program', *arguments], 'digits').name == name


def test_a_flag_file_can_name_the_task(tmp_path):
  path = tmp_path / 'a.flags'
  path.write_text('# Comment.\n--rounds=3\n--task=spam_classification\n')
  task = problems.TaskFlag(['program', f'--flagfile={path}'], 'digits')
  assert task.name == 'spam_classification'


def test_an_unknown_task_is_refused_when_flags_are_parsed():
  problems.TaskFlag(['program', '--task=chess'], 'digits')
  with pytest.raises(
    flags.IllegalFlagValueError,
    match=r'value should be one of <spam_classification\|digits>',
  ):
    flags.FLAGS(['program', '--task=chess'])


# The table.

FOUND = {
  'one_shot': {
    'estimate': 1.5,
    'estimate_all_rounds': float('inf'),
    'lower_bound': 0.7,
    'accountant': 4.0,
  },
  'membership': [{'name': 'loss threshold, with noise', 'auc': 0.6}],
  'outlier': {'systems': [{'name': 'with noise', 'told_apart': 0.75}]},
}


def test_every_attack_has_a_row():
  rows = {row.pop('system'): row for row in audit_results.rows(FOUND)}
  empty = dict.fromkeys(c.key for c in audit_results.COLUMNS)
  assert rows == {
    'canaries, final model': empty | {'accountant': 4.0, 'estimate': 1.5},
    'canaries, every round': empty | {'accountant': 4.0, 'lower_bound': 0.7},
    'loss threshold, with noise': empty | {'auc': 0.6},
    'outlier, with noise': empty | {'told_apart': 0.75},
  }


def test_attacks_that_were_not_made_have_no_row():
  assert audit_results.rows({}) == []
  rows = audit_results.rows({'outlier': FOUND['outlier']})
  assert [row['system'] for row in rows] == ['outlier, with noise']


def test_what_was_found_is_where_the_report_looks_for_it(tmp_path):
  audit_results.write(run_directory.RunDirectory(tmp_path), {'outlier': None})
  assert (tmp_path / audit_record.FILE_NAME).read_text() == (
    '{\n  "outlier": null\n}\n'
  )
