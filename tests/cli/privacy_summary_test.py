"""The report on a ledger says what can be computed from it, and no less."""

import dataclasses
import json
import subprocess
import sys

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import flag_groups, privacy_summary
from tff_pipelines.core import participation
from tff_pipelines.privacy import (
  accounting,
  calibration,
  central,
  contributions,
  correlated,
  distributed,
  guarantee,
  ledger,
)

COINS = participation.Participation(100, 10, 'poisson')
TURNS = participation.Participation(100, 10, 'cyclic')
DRAWN = participation.Participation(100, 10, 'uniform')
DELTA = 1e-3


def write(path, plan: accounting.Plan, **changes) -> guarantee.Guarantee:
  """Writes the privacy.json of a run that kept a plan."""
  records = plan.ledger()
  spent = accounting.planned(plan, DELTA)
  told = dataclasses.replace(spent, **changes)
  path.mkdir(parents=True, exist_ok=True)
  (path / 'privacy.json').write_text(
    records.to_json({'guarantee': told.to_json(), 'planned': spent.to_json()})
  )
  return spent


def report(path, *arguments) -> str:
  """All lines of all reports, each run of blanks as one."""
  told = []
  for stored in privacy_summary.read(path):
    told += privacy_summary.lines(stored, *arguments)
  return ' '.join(' '.join(told).split())


def test_sampled_gaussian_is_told_round_by_round_and_by_method(tmp_path):
  plan = accounting.Plan(central.Gaussian(2.0), COINS, 12, True)
  spent = write(tmp_path, plan, assumptions=('The moon is round.',))
  told = report(tmp_path)
  by_rdp = accounting.planned(plan, DELTA, method='rdp').epsilon
  assert 'rounds 1-12 Gaussian (noise_multiplier 2) of update' in told
  assert 'contributors 10 / 10 / 10 (min / median / max)' in told
  assert 'poisson 10 of 100, secret; nobody counted participations' in told
  assert f'stored epsilon {spent.epsilon:.6g} ' in told
  assert f'recomputed epsilon {spent.epsilon:.6g}, the same' in told
  assert (
    f'delta 0.001 epsilon by pld {spent.epsilon:.6g}, rdp {by_rdp:.6g} ' in told
  )
  assert 'gaussian' not in told.split('delta 0.001 ', 1)[1].split('trust')[0]
  assert 'trusting server assuming The moon is round.' in told
  assert 'more rounds' not in told


def test_gaussian_as_a_whole_has_a_zcdp_bound_too(tmp_path):
  limits = contributions.ContributionLimits(2, 10)
  plan = accounting.Plan(
    correlated.TreeAggregation(8.0), TURNS, 20, limits=limits
  )
  spent = write(tmp_path, plan)
  told = report(tmp_path)
  zcdp = accounting.zcdp_to_epsilon(spent.rho, DELTA)
  assert f'zcdp {zcdp:.6g}' in told and f'gaussian {spent.epsilon:.6g}' in told
  assert 'at most 2 of one client, at least 10 rounds apart' in told


def test_changes_of_the_setting_are_told_apart(tmp_path):
  records = [
    ledger.Record(i, central.Gaussian(2.0 + (i > 3)), COINS, 8 + i, True)
    for i in range(1, 6)
  ]
  spent = accounting.spent(records, DELTA)
  tmp_path.joinpath('privacy.json').write_text(
    ledger.Ledger(records).to_json({'guarantee': spent.to_json()})
  )
  told = report(tmp_path)
  assert 'rounds 1-3 Gaussian (noise_multiplier 2)' in told
  assert 'contributors 9 / 10 / 11' in told
  assert 'rounds 4-5 Gaussian (noise_multiplier 3)' in told
  assert 'contributors 12 / 12.5 / 13' in told


def test_epsilon_that_is_not_that_of_the_ledger_is_told(tmp_path):
  plan = accounting.Plan(central.Gaussian(2.0), COINS, 12, True)
  spent = write(tmp_path, plan, epsilon=0.5)
  told = report(tmp_path)
  assert 'stored epsilon 0.5 ' in told
  assert f'recomputed epsilon {spent.epsilon:.6g}, which DIFFERS' in told


def test_further_deltas_are_told(tmp_path):
  plan = accounting.Plan(central.Gaussian(2.0), COINS, 12, True)
  write(tmp_path, plan)
  epsilon = accounting.planned(plan, 1e-6).epsilon
  assert f'delta 1e-06 epsilon by pld {epsilon:.6g}' in report(tmp_path, [1e-6])


def test_pure_mechanisms_have_an_epsilon_at_delta_zero(tmp_path):
  limits = contributions.ContributionLimits(2, 1)
  plan = accounting.Plan(central.Laplace(4.0), DRAWN, 5, limits=limits)
  write(tmp_path, plan)
  assert 'delta 0 epsilon by pure 0.5' in report(tmp_path, [0.0])


def test_nothing_without_a_guarantee_is_given_a_number(tmp_path):
  plan = accounting.Plan(central.Gaussian(2.0), COINS, 12, True)
  write(tmp_path, plan)
  assert 'delta 0 no guarantee' in report(tmp_path, [0.0])


@pytest.mark.parametrize(
  'plan',
  [
    accounting.Plan(central.Gaussian(2.0), COINS, 12, True),
    accounting.Plan(
      correlated.TreeAggregation(9.0),
      TURNS,
      12,
      limits=contributions.ContributionLimits(2, 10),
    ),
    accounting.Plan(
      distributed.DistributedSkellam(20.0, 60.0, 8),
      DRAWN,
      12,
      limits=contributions.ContributionLimits(12, 1),
    ),
  ],
  ids=['sampled', 'tree', 'distributed'],
)
def test_rounds_that_are_left_are_those_of_the_calibration(tmp_path, plan):
  spent = write(tmp_path, plan)
  budget = 1.5 * spent.epsilon
  (stored,) = privacy_summary.read(tmp_path)
  # The plan itself, its limits those of the scheme.
  whole = calibration.rounds_for(
    dataclasses.replace(plan, limits=None), budget, DELTA
  )
  left = privacy_summary.rounds_left(stored, budget)
  assert left == whole.num_rounds - 12
  assert f'left {left} more rounds like the last within epsilon' in report(
    tmp_path, [], budget
  )


def test_budget_that_is_spent_leaves_no_round(tmp_path):
  plan = accounting.Plan(central.Gaussian(2.0), COINS, 12, True)
  spent = write(tmp_path, plan)
  (stored,) = privacy_summary.read(tmp_path)
  assert privacy_summary.rounds_left(stored, 0.9 * spent.epsilon) == 0
  assert privacy_summary.rounds_left(stored, spent.epsilon) == 0


def test_a_run_that_released_nothing_has_no_round_to_go_by(tmp_path):
  write(tmp_path, accounting.Plan(central.Gaussian(2.0), COINS, 0, True))
  assert 'left no round to go by' in report(tmp_path, [], 8.0)


def test_systems_of_a_run_are_told_one_by_one(tmp_path):
  plan = accounting.Plan(central.Gaussian(2.0), COINS, 2, True)
  write(tmp_path, plan)
  write(tmp_path / 'dp_b', plan)
  write(tmp_path / 'dp_a', plan)
  assert [s.system for s in privacy_summary.read(tmp_path)] == [
    '.', 'dp_a', 'dp_b',
  ]  # fmt: skip


def test_folder_without_privacy_is_refused(tmp_path):
  with pytest.raises(privacy_summary.NoPrivacyError) as raised:
    privacy_summary.read(tmp_path)
  assert str(raised.value) == (
    f'Expected privacy.json in {tmp_path} or in a folder of it, found none; '
    'give the directory of a run with a private aggregator.'
  )


@pytest.mark.parametrize('content', ['', '[]', '{"format": 1}', 'no guarantee'])
def test_damaged_file_is_one_sentence(tmp_path, content):
  if content == 'no guarantee':
    content = ledger.Ledger().to_json()
  (tmp_path / 'privacy.json').write_text(content)
  with pytest.raises(privacy_summary.NoPrivacyError, match='cannot be read'):
    privacy_summary.read(tmp_path)


def parsed(*arguments) -> privacy_summary.PrivacyReportFlags:
  group = privacy_summary.PrivacyReportFlags()
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def test_flags_arrive():
  with flagsaver.flagsaver():
    group = parsed('--run_dir=a', '--delta=1e-5,1e-6', '--epsilon=8')
    assert (str(group.run_dir), group.deltas, group.epsilon) == (
      'a', (1e-5, 1e-6), 8.0,
    )  # fmt: skip


def test_flags_that_say_nothing_are_refused():
  with flagsaver.flagsaver():
    group = parsed('--delta=small')
    with pytest.raises(
      flag_groups.FlagError, match='found none; give it as --'
    ):
      _ = group.run_dir
    with pytest.raises(
      flag_groups.FlagError, match=r'in --delta, .*found small'
    ):
      _ = group.deltas


def test_task_takes_the_directory_alone_and_loads_no_tensorflow(tmp_path):
  plan = accounting.Plan(central.Gaussian(2.0), COINS, 2, True)
  spent = write(tmp_path, plan)
  program = (
    'import runpy, sys, json\n'
    'sys.argv = ["tasks.privacy_report", sys.argv[1], "--delta=1e-5"]\n'
    'try:\n'
    '  runpy.run_module("tasks.privacy_report", run_name="__main__")\n'
    'finally:\n'
    '  print(json.dumps([m for m in sys.modules if m.startswith("tensorf")]))\n'
  )
  done = subprocess.run(
    [sys.executable, '-W', 'ignore', '-c', program, tmp_path],
    capture_output=True,
    text=True,
    timeout=600,
  )
  assert (done.returncode, done.stderr) == (0, '')
  *told, modules = done.stdout.splitlines()
  assert json.loads(modules) == []
  assert told[0] == str(spent)
  assert any('delta 1e-05' in line for line in told)
