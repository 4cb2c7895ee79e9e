"""Small data in place of a paper's, and flags that go with them."""

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import app, flag_groups, reproduction_smoke
from tff_pipelines.core import errors


@pytest.fixture(scope='module')
def task() -> app.Application:
  data = flag_groups.FlagGroup('The data')
  data.define('dataset', 'small_digits', '', choices=('small_digits', 'mnist'))
  data.define('scanner', 'none', '', only_with=('dataset', ('mnist',)))
  data.define('num_clients', 50, '')
  data.define('hidden_sizes', ['32'], '')
  program = flag_groups.FlagGroup('The program')
  program.define('rounds', 5, '')
  program.define('evaluate_every', 5, '')
  program.define('central_epochs', 5, '')
  program.define('stop_at_target', 0.0, '')
  program.define('quiet', False, '')
  return app.Application('digits', '', [data, program])


@pytest.fixture(autouse=True)
def _flags():
  with flagsaver.flagsaver():
    yield


def arguments(task, *given, optional=(), smoke=False, name='digits'):
  return reproduction_smoke.arguments(task, name, given, optional, smoke)


PAPER = (
  '--dataset=mnist', '--scanner=good', '--num_clients=100', '--rounds=300',
  '--hidden_sizes=200,200', '--stop_at_target=0.97', '--noquiet',
)  # fmt: skip


def test_without_smoke_nothing_changes(task):
  assert arguments(task, *PAPER) == list(PAPER)


def test_smoke_takes_small_data_and_drops_what_they_do_not_have(task):
  assert arguments(task, *PAPER, smoke=True) == [
    '--noquiet',
    '--dataset=small_digits',
    '--rounds=2',
    '--evaluate_every=1',
    '--num_clients=12',
    '--hidden_sizes=8,8',
  ]


def test_small_values_stay(task):
  small = arguments(task, '--num_clients=5', smoke=True)
  assert small[0] == '--num_clients=5'


def test_what_is_not_given_is_not_limited(task):
  # central_epochs has no effect where there is no central system.
  assert not any('central' in each for each in arguments(task, smoke=True))
  assert '--central_epochs=1' in arguments(
    task, '--central_epochs=9', smoke=True
  )


def test_optional_flags_are_given_where_they_have_an_effect(task):
  optional = ('--scanner=x', '--unknown=1', '--quiet=true')
  assert arguments(task, '--dataset=mnist', optional=optional) == [
    '--dataset=mnist', '--scanner=x', '--quiet=true',
  ]  # fmt: skip
  assert arguments(task, optional=optional) == ['--quiet=true']


@pytest.mark.parametrize('smoke', [False, True])
def test_flags_of_the_paper_that_do_not_fit_are_refused(task, smoke):
  with pytest.raises(flag_groups.FlagError, match='--dataset=mnist where'):
    arguments(task, '--scanner=x', smoke=smoke)
  with pytest.raises(flags.Error, match='Unknown command line flag'):
    arguments(task, '--scaner=x', smoke=smoke)


def test_task_without_small_data_is_told_where_to_add_them(task):
  with pytest.raises(errors.PipelineError, match='smoke test of cooking, f'):
    arguments(task, smoke=True, name='cooking')


def test_flagfile_is_read(task, tmp_path):
  path = tmp_path / 'a.flags'
  path.write_text('# The paper\n--dataset=mnist\n--rounds=7\n')
  assert arguments(task, f'--flagfile={path}', '--rounds=8') == [
    '--dataset=mnist', '--rounds=7', '--rounds=8',
  ]  # fmt: skip
