"""How a program starts, and each way in which it ends."""

import importlib
import json
import logging as std_logging
import pathlib
import sys

from absl import flags, logging
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import app, flag_groups
from tff_pipelines.core import errors

REPOSITORY = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def process_state():
  """What absl's `app.run` changes in a process, put back afterwards."""
  root, tensorflow = (
    std_logging.getLogger(),
    std_logging.getLogger('tensorflow'),
  )
  before = root.handlers[:], root.level, tensorflow.level
  verbosity = logging.get_verbosity()
  with flagsaver.flagsaver():
    yield
  root.handlers[:] = before[0]
  root.setLevel(before[1])
  tensorflow.setLevel(before[2])
  logging.set_verbosity(verbosity)


@pytest.fixture
def application() -> app.Application:
  meal = flag_groups.FlagGroup('The meal')
  meal.define('dish', 'soup', 'what to eat', choices=('soup', 'fish'))
  meal.define('wine', 'red', 'to drink', only_with=('dish', ('fish',)))
  table = flag_groups.FlagGroup('The table')
  table.define('guests', 2, 'how many people are coming to the table tonight')
  table.define('room', None, 'where', identifies_run=False)
  return app.Application('dinner', '\nCooks a dinner.\n', [meal, table])


@pytest.fixture
def exit_of(monkeypatch, capsys):
  """Runs an application on a command line: exit code, stdout, stderr."""

  def exit_of_application(application, main, *arguments):
    monkeypatch.setattr(sys, 'argv', ['tasks/dinner.py', *arguments])
    with pytest.raises(SystemExit) as raised:
      application.run(main)
    return raised.value.code or 0, *capsys.readouterr()

  return exit_of_application


@pytest.fixture
def run(application, exit_of):
  """Runs the dinner on a command line: exit code, stdout, stderr."""

  def run_dinner(*arguments: str, main=lambda: None) -> tuple[int, str, str]:
    return exit_of(application, main, *arguments)

  return run_dinner


def test_main_runs_with_the_flags_of_the_command_line(run, application):
  def main() -> None:
    print(json.dumps(application.configuration()))

  code, out, err = run('--dish=fish', '--guests', '3', '--room=hall', main=main)
  assert (code, err) == (0, '')
  assert json.loads(out) == {'dish': 'fish', 'wine': 'red', 'guests': 3}


def test_help_lists_the_groups_in_order_and_runs_nothing(run, monkeypatch):
  monkeypatch.setenv('COLUMNS', '40')

  def main() -> None:
    raise AssertionError('Help is not a run.')

  for arguments in (('--help',), ('-h',), ('-help',), ('--x', '--help')):
    code, out, err = run(*arguments, main=main)
    assert (code, err) == (0, '')
    assert out == (
      'Cooks a dinner.\n'
      '\n'
      'The meal:\n'
      '  --dish=soup\n'
      '      <soup|fish>: what to eat\n'
      '  --wine=red\n'
      '      to drink (with --dish=fish)\n'
      '\n'
      'The table:\n'
      '  --guests=2\n'
      '      how many people are coming to the\n'
      '      table tonight\n'
      '  --room\n'
      '      where\n'
      '\n'
      '--flagfile=FILE reads flags from a file, one a line; --helpfull lists '
      'those of all libraries.\n'
    )


def failure(run, *arguments: str, main=lambda: None) -> str:
  """Returns the message of an expected failure: exit code 2, no trace."""
  code, out, err = run(*arguments, main=main)
  assert (code, out) == (2, '')
  assert 'Traceback' not in err
  assert err.startswith('Error: ') and err.endswith('\n')
  return err.removeprefix('Error: ').removesuffix('\n')


def test_unknown_flag_is_refused_with_a_suggestion(run):
  message = failure(run, '--gests=3')
  # Other libraries in the process may have flags that are like it, too.
  assert message.startswith(
    "Unknown command line flag 'gests'. Did you mean: guests"
  )
  assert message.endswith('\n`python -m tasks.dinner --help` lists the flags.')


def test_value_of_another_type_is_refused_by_name(run):
  assert failure(run, '--guests=many').startswith('flag --guests=many: ')


def test_positional_argument_is_refused(run):
  assert failure(run, '--guests=3', 'dish=fish') == (
    "Expected flags only, found 'dish=fish'; write --flag=value."
  )


def test_flag_without_an_effect_is_refused_before_main_runs(run):
  def main() -> None:
    raise AssertionError('Flags are checked first.')

  message = failure(run, '--wine=white', main=main)
  assert message.startswith('Expected --dish=fish where --wine is given')


def test_flagfile_is_read_and_the_command_line_wins(run, application, tmp_path):
  preset = tmp_path / 'preset.flags'
  preset.write_text('# For two.\n--dish=fish\n\n--guests=5\n')
  found = {}
  code, _, err = run(
    f'--flagfile={preset}',
    '--guests=7',
    main=lambda: found.update(application.configuration()),
  )
  assert (code, err) == (0, '')
  assert found == {'dish': 'fish', 'wine': 'red', 'guests': 7}


def test_flagfile_that_does_not_exist_is_refused(run, tmp_path):
  path = tmp_path / 'none.flags'
  assert str(path) in failure(run, f'--flagfile={path}')


def test_expected_failure_is_its_sentence(run):
  def main() -> None:
    raise errors.PipelineError('Expected bread, found none; bake some.')

  assert failure(run, main=main) == 'Expected bread, found none; bake some.'


def test_ctrl_c_says_how_to_go_on(run):
  def main() -> None:
    print('cooking')
    raise KeyboardInterrupt

  assert run(main=main) == (
    130,
    'cooking\n',
    'Stopped. The same command with --output_dir=RUN, the run directory, '
    'resumes it.\n',
  )


def test_bug_keeps_its_stack_trace(run):
  def main() -> None:
    raise KeyError('a bug')

  with pytest.raises(KeyError, match='a bug'):
    run(main=main)


def test_libraries_are_quiet_unless_verbosity_is_given(run):
  levels = []

  def main() -> None:
    levels.append(logging.get_verbosity())

  run(main=main)
  run('--verbosity=1', main=main)
  assert levels == [logging.WARNING, logging.DEBUG]


# The tasks and their presets.

PRESETS = sorted((REPOSITORY / 'tasks' / 'flagfiles').glob('*/*.flags'))


def test_there_are_presets():
  assert PRESETS


def load_task(task: str, monkeypatch) -> app.Application:
  """Loads a task; its flags and its module are gone after the test.

  Another task may have flags of the same names.
  """
  monkeypatch.delitem(sys.modules, f'tasks.{task}', raising=False)
  module = importlib.import_module(f'tasks.{task}')
  monkeypatch.delitem(sys.modules, f'tasks.{task}')
  return module.APP


@pytest.mark.parametrize(
  'preset', PRESETS, ids=lambda p: f'{p.parent.name}/{p.stem}'
)
def test_preset_fits_its_task_and_every_line_of_it_counts(
  preset, monkeypatch, exit_of
):
  # One task's flags depend on its command line.
  monkeypatch.setattr(sys, 'argv', ['task', f'--flagfile={preset}'])
  application = load_task(preset.parent.name, monkeypatch)
  found = {}
  with flagsaver.flagsaver():
    code, _, err = exit_of(
      application,
      lambda: found.update(application.configuration()),
      f'--flagfile={preset}',
    )
  assert (code, err) == (0, '')
  lines = [
    line
    for line in preset.read_text().splitlines()
    if line.strip() and not line.startswith('#')
  ]
  assert lines
  for line in lines:
    name = line.removeprefix('--').split('=')[0]
    with flagsaver.flagsaver():
      flags.FLAGS(['task', line])
      assert found[name] == application.configuration()[name]


def test_configuration_of_a_task_is_what_a_result_depends_on(monkeypatch):
  application = load_task('spam_classification', monkeypatch)
  flags.FLAGS(['task'])
  configuration = application.configuration()
  elsewhere = {'output_dir', 'data_dir', 'predict', 'predict_file'}
  assert elsewhere <= set(flags.FLAGS)
  assert not elsewhere & configuration.keys()
  assert {'seed', 'rounds', 'dataset', 'aggregator'} <= configuration.keys()
  # It can be written to manifest.json and is the same when read back.
  assert json.loads(json.dumps(configuration)) == configuration


@pytest.mark.parametrize(
  'arguments, told',
  [
    (['--dirichlet_alpha=1'], '--dataset=sms_spam where --dirichlet_alpha'),
    (['--people=5', '--dataset=csv'], '--dataset=messages where --people'),
    (['--momentum=1'], "Unknown command line flag 'momentum'"),
    (['--client_momentum=.5', '--client_optimizer=adam'], '_optimizer=sgd whe'),
    (['--server_epsilon=1'], '--server_optimizer=adagrad or --server_optimi'),
    (['--hidden_size=4'], '--model=embedding_bag where --hidden_size'),
    (['--vocabulary_size=9'], '--features=vocabulary where --vocabulary_size'),
    (
      ['--test_fraction=.1', '--split=first_30_percent'],
      '--split=random where --test_fraction',
    ),
    (
      ['--participation=everyone', '--clients_per_round=3'],
      '--participation=diurnal where --clients_per_round',
    ),
    (['--stop_metric=test/auc'], '--stop_at_target or --stop_after_plateau'),
    (['--system=local', '--central_epochs=3'], 'central in --system where --'),
  ],
)
def test_useless_combination_of_a_tasks_flags_is_refused(
  monkeypatch, exit_of, arguments, told
):
  application = load_task('spam_classification', monkeypatch)
  code, out, err = exit_of(application, lambda: None, *arguments)
  assert (code, out) == (2, '')
  assert err.startswith('Error: ') and told in err


@pytest.mark.parametrize('arguments', [['hall'], ['--room=hall']])
def test_flag_that_may_be_given_without_its_name(
  application, exit_of, arguments
):
  dinner = app.Application('dinner', 'Cooks.', application._groups, 'room')
  code, out, err = exit_of(
    dinner, lambda: print(flags.FLAGS['room'].value), *arguments
  )
  assert (code, out, err) == (0, 'hall\n', '')


def test_two_values_without_a_name_are_refused(application, exit_of):
  dinner = app.Application('dinner', 'Cooks.', application._groups, 'room')
  code, _, err = exit_of(dinner, lambda: None, 'hall', 'yard')
  assert code == 2
  assert err.startswith("Error: Expected flags only, found 'hall'")


# Command lines that are checked and not run.


@pytest.fixture
def forgotten():
  with flagsaver.flagsaver():
    yield


def test_checked_command_line_has_flag_files_read(
  application, forgotten, tmp_path
):
  preset = tmp_path / 'preset.flags'
  preset.write_text('# For two.\n--dish=fish\n')
  given = [f'--flagfile={preset}', '--guests=7']
  assert application.check(given) == ['--dish=fish', '--guests=7']
  assert application.configuration()['guests'] == 7
  # The next one knows nothing of it.
  assert application.check([]) == []
  assert application.configuration()['guests'] == 2


def test_checked_command_line_that_does_not_fit_is_refused(
  application, forgotten
):
  with pytest.raises(flag_groups.FlagError, match='--dish=fish where --wine'):
    application.check(['--wine=white'])
  with pytest.raises(flag_groups.FlagError, match="flags only, found 'fish'"):
    application.check(['fish'])
  with pytest.raises(flags.Error, match='Unknown command line flag'):
    application.check(['--gests=3'])


def test_useless_arguments_are_left_out_unless_they_are_needed(
  application, forgotten
):
  given = ['--guests=3', '--wine=white']
  assert application.useful(given) == ['--guests=3']
  assert application.useful([*given, '--dish=fish']) == [*given, '--dish=fish']
  assert application.useful(given, {'wine'}) == given
