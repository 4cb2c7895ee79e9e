"""Kill a task at any moment, start it again: nothing has happened.

Every run is a process of its own that is really killed. They are forked from
one process that has imported the libraries, which takes ten seconds, and then
execute the task's module as `python -m` does.
"""

from collections.abc import Callable
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
import uuid

import pytest

from tests.integration import command_lines

# Of the same in one process, programs/training_test always runs.
pytestmark = pytest.mark.slow

TASK = 'tasks.spam_classification'
FLAGS = (
  '--people=6',
  '--rounds=12',
  '--clients_per_round=3',
  '--checkpoint_every=2',
  '--system=federated',
)

# Forks a process for each line of standard input, tells its id, waits for its
# end, and tells its exit code. Whatever the task's module does is left to it.
_SERVER = f"""
import importlib, json, os, runpy, sys

for module in json.loads(sys.argv[1]):
  importlib.import_module(module)
assert '{TASK}' not in sys.modules
print('ready', flush=True)
for line in sys.stdin:
  command = json.loads(line)
  process = os.fork()
  if not process:
    for descriptor, path in enumerate(
      [os.devnull, command['stdout'], command['stderr']]
    ):
      flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
      os.dup2(os.open(path, flags if descriptor else os.O_RDONLY), descriptor)
    sys.argv = ['{TASK}', *command['arguments']]
    runpy.run_module('{TASK}', run_name='__main__', alter_sys=True)
    raise AssertionError('A task ends with an exit code.')
  print(process, flush=True)
  _, status = os.waitpid(process, 0)
  print(os.waitstatus_to_exitcode(status), flush=True)
"""
_IMPORTED = (
  'tff_pipelines',
  'tensorflow_federated',
  'tff_pipelines.cli.comparison',
  'tff_pipelines.cli.run_flags',
  'tff_pipelines.cli.text_flags',
  'tff_pipelines.cli.training_flags',
  'tff_pipelines.models.serving',
)


class Run:
  """A task's process while it runs."""

  def __init__(self, server: subprocess.Popen, arguments, log: pathlib.Path):
    self._server, self._log = server, log
    self._deadline = time.monotonic() + command_lines.PATIENCE_SECONDS
    command = {
      'arguments': [str(argument) for argument in arguments],
      'stdout': f'{log}.out',
      'stderr': f'{log}.err',
    }
    server.stdin.write(json.dumps(command).encode() + b'\n')
    self.process_id = int(server.stdout.readline())

  @property
  def stdout(self) -> str:
    return pathlib.Path(f'{self._log}.out').read_text()

  @property
  def stderr(self) -> str:
    return pathlib.Path(f'{self._log}.err').read_text()

  def has_ended(self, within_seconds: float = 0.0) -> bool:
    return bool(select.select([self._server.stdout], [], [], within_seconds)[0])

  def wait(self) -> int:
    """Returns the exit code, negative for a signal; fails if it hangs."""
    if not self.has_ended(self._deadline - time.monotonic()):
      self.send(signal.SIGKILL)
      self._server.stdout.readline()
      pytest.fail(f'The run did not end in time: {self.stdout} {self.stderr}')
    return int(self._server.stdout.readline())

  def send(self, number: signal.Signals) -> None:
    os.kill(self.process_id, number)

  def end_when(self, moment: Callable[[], object], number) -> int:
    """Sends a signal as soon as the moment has come; returns the exit code."""
    while not moment():
      if self.has_ended(0.001) or time.monotonic() > self._deadline:
        self.send(signal.SIGKILL)
        self._server.stdout.readline()
        pytest.fail(f'The moment never came: {self.stdout} {self.stderr}')
    self.send(number)
    return self.wait()


class Tasks:
  """Starts runs, and finds every process that they have left."""

  def __init__(self, folder: pathlib.Path):
    self._folder, self._count = folder, 0
    self._mark = f'TFF_PIPELINES_TEST_MARK={uuid.uuid4()}'
    name, value = self._mark.split('=')
    self._environment = {**os.environ, name: value}
    self._server = subprocess.Popen(
      [sys.executable, '-c', _SERVER, json.dumps(_IMPORTED)],
      cwd=command_lines.REPOSITORY,
      env=self._environment,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      bufsize=0,
    )
    assert select.select(
      [self._server.stdout], [], [], command_lines.PATIENCE_SECONDS
    )[0]
    assert self._server.stdout.readline() == b'ready\n'

  def start(self, *arguments) -> Run:
    self._count += 1
    return Run(self._server, arguments, self._folder / f'{self._count}')

  def start_from_nothing(self, *arguments) -> subprocess.Popen:
    """Starts a run that imports the libraries itself."""
    return command_lines.start(
      TASK,
      *arguments,
      env=self._environment,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )

  def left_processes(self) -> list[str]:
    """Returns the command lines of descendants that do not end by themselves.

    A descendant has the environment of the server, whatever its parent is.
    """
    deadline = time.monotonic() + 20.0
    while (left := self._descendants()) and time.monotonic() < deadline:
      time.sleep(0.05)
    return left

  def _descendants(self) -> list[str]:
    found = []
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
      if folder.name == str(self._server.pid):
        continue
      try:
        if self._mark.encode() in (folder / 'environ').read_bytes():
          found.append((folder / 'cmdline').read_text())
      except OSError:  # It has ended meanwhile, or belongs to somebody else.
        continue
    return found

  def close(self) -> None:
    self._server.stdin.close()
    try:
      self._server.wait(timeout=command_lines.PATIENCE_SECONDS)
    finally:
      self._server.kill()
      self._server.stdout.close()


@pytest.fixture(scope='module')
def tasks(tmp_path_factory):
  started = Tasks(tmp_path_factory.mktemp('logs'))
  yield started
  started.close()


@pytest.fixture(scope='module')
def uninterrupted(tasks, tmp_path_factory) -> pathlib.Path:
  path = tmp_path_factory.mktemp('uninterrupted') / 'run'
  run = tasks.start(*FLAGS, f'--output_dir={path}')
  assert run.wait() == 0, run.stderr
  return path


def rounds_in(path: pathlib.Path) -> int:
  """Returns how many rounds metrics.csv has, round 0 included."""
  try:
    return len(command_lines.table(path / 'metrics.csv'))
  except FileNotFoundError:
    return 0


def assert_same_result(path: pathlib.Path, expected: pathlib.Path) -> None:
  for name in (
    'metrics.csv',
    'model/weights.npz',
    'model/model.keras',
    'model/model.json',
    'simulation_only/clients.csv',
  ):
    assert (path / name).read_bytes() == (expected / name).read_bytes(), name
  tables = []
  for folder in (path, expected):
    table = json.loads((folder / 'results.json').read_text())
    assert table['rows'][0].pop('seconds') > 0
    tables.append(table)
  assert tables[0] == tables[1]
  assert (path / 'report.html').exists()


def assert_nothing_half_written(path: pathlib.Path) -> None:
  left = [
    name
    for pattern in ('*.partial', '*_temp[0-9]*')
    for name in path.rglob(pattern)
  ]
  assert not left


def test_uninterrupted_run_leaves_no_process(tasks, uninterrupted):
  assert rounds_in(uninterrupted) == 13
  assert tasks.left_processes() == []


def test_run_ended_at_seven_moments_ends_like_one_that_never_was(
  tasks, uninterrupted, tmp_path
):
  path = tmp_path / 'run'
  command = (*FLAGS, f'--output_dir={path}')

  importing = tasks.start_from_nothing(*command)
  time.sleep(2.0)
  importing.kill()
  assert (
    importing.wait(timeout=command_lines.PATIENCE_SECONDS) == -signal.SIGKILL
  )
  assert not path.exists()

  def kill_when(moment: Callable[[], object]) -> int:
    run = tasks.start(*command)
    assert run.end_when(moment, signal.SIGKILL) == -signal.SIGKILL
    assert not (path / 'model').exists()
    assert tasks.left_processes() == []
    return rounds_in(path)

  assert kill_when((path / 'manifest.json').exists) < 13
  assert kill_when((path / 'metrics.csv').exists) < 13
  assert kill_when(lambda: [*path.glob('checkpoints/round_*_temp*')]) < 13

  run = tasks.start(*command)
  assert run.end_when(lambda: rounds_in(path) > 3, signal.SIGINT) == 130
  assert run.stderr == (
    'Stopped. The same command with --output_dir=RUN, the run directory, '
    'resumes it.\n'
  )
  assert f'(--output_dir={path} resumes it)' in run.stdout
  assert 3 < rounds_in(path) < 13
  assert tasks.left_processes() == []

  assert 7 < kill_when(lambda: rounds_in(path) > 7) < 13
  # All rounds are done, and of the model there is nothing or all.
  assert kill_when(lambda: [*path.glob('model*.partial')]) == 13

  run = tasks.start(*command)
  assert run.wait() == 0, run.stderr
  assert 'federated: resuming after round 12\n' in run.stdout
  assert_same_result(path, uninterrupted)
  assert_nothing_half_written(path)
  assert tasks.left_processes() == []


def test_other_flags_are_refused_by_name(tasks, uninterrupted):
  before = (uninterrupted / 'metrics.csv').read_bytes()
  run = tasks.start(
    *FLAGS, f'--output_dir={uninterrupted}', '--client_learning_rate=3'
  )
  assert run.wait() == 2
  assert run.stderr == (
    f'Error: Expected the flags of the run in {uninterrupted}, found '
    '--client_learning_rate=3.0 where it has 10.0; use the same flag to resume '
    'it or another --output_dir for a new run.\n'
  )
  assert (uninterrupted / 'metrics.csv').read_bytes() == before


def test_bad_file_of_ones_own_is_one_sentence_and_makes_no_directory(
  tasks, tmp_path
):
  inbox = tmp_path / 'inbox.csv'
  inbox.write_text('client,text,label\nann,hello,ham\nbob,"win a prize,spam\n')
  run = tasks.start(
    '--dataset=csv', f'--csv_path={inbox}', f'--output_dir={tmp_path / "run"}'
  )
  assert run.wait() == 2
  assert run.stdout == ''
  assert run.stderr.startswith(
    f'Error: {inbox}, line 3: expected the quote that opens here to be closed'
  )
  assert run.stderr.count('\n') == 1
  assert not (tmp_path / 'run').exists()
