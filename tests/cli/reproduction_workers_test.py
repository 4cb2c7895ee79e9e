"""Processes that run jobs: what they answer, and that none is left."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

from tff_pipelines.cli import reproduction_workers

# Tasks that load no TensorFlow, so that a process starts within a second.
LIST = 'reproduce'
LONG = 'secure_sum'
PATIENCE_SECONDS = 120.0


def order(tmp_path, *arguments, task=LIST, **changes):
  return reproduction_workers.Order(
    task, arguments, log=tmp_path / 'job.log', **changes
  )


def answer(workers):
  deadline = time.monotonic() + PATIENCE_SECONDS
  while time.monotonic() < deadline:
    ended = workers.wait(1.0)
    if ended:
      return ended
  raise AssertionError('The job did not end.')


@pytest.fixture
def workers(tmp_path):
  with reproduction_workers.Workers(1, tmp_path / 'workers.log') as found:
    yield found


def processes() -> set[int]:
  """Returns the workers that this process has started."""
  found = set()
  for entry in pathlib.Path('/proc').iterdir():
    try:
      after = (entry / 'stat').read_text().rpartition(')')[2].split()
    except (OSError, ValueError):
      continue
    if after[0] != 'Z' and int(after[1]) == os.getpid():
      found.add(int(entry.name))
  return found


def test_job_is_what_the_task_would_do_and_its_output_is_in_a_file(
  workers, tmp_path
):
  workers.start('a', order(tmp_path, '--list'))
  assert (workers.running, workers.has_room) == (['a'], False)
  assert answer(workers) == [('a', {'exit': 0})]
  assert (workers.running, workers.has_room) == ([], True)
  assert 'mcmahan2017' in (tmp_path / 'job.log').read_text()


def test_jobs_of_one_process_know_nothing_of_each_other(workers, tmp_path):
  workers.start('a', order(tmp_path, '--paper=nobody2000'))
  assert answer(workers) == [('a', {'exit': 2})]
  assert 'found --paper=nobody2000' in (tmp_path / 'job.log').read_text()
  before = processes()
  workers.start('b', order(tmp_path, '--list'))
  assert answer(workers) == [('b', {'exit': 0})]
  assert processes() == before


def test_flags_that_do_not_fit_are_refused(workers, tmp_path):
  workers.start('a', order(tmp_path, '--papers=x'))
  assert answer(workers) == [('a', {'exit': 2})]
  assert 'Unknown command line flag' in (tmp_path / 'job.log').read_text()


def test_optional_flags_that_the_task_lacks_are_left_out(workers, tmp_path):
  workers.start(
    'a', order(tmp_path, '--list', optional=('--threads=1', '--workers=1'))
  )
  assert answer(workers) == [('a', {'exit': 0})]


def test_command_lines_are_checked_and_nothing_runs(workers):
  workers.check(
    'a', LIST, [['--list'], ['--all', '--paper=x'], ['--nothing=1']]
  )
  ((_, found),) = answer(workers)
  assert found['refused']['1'].startswith('Expected one of --paper=NAME')
  assert 'nothing' in found['refused']['2']
  assert set(found['refused']) == {'1', '2'}


def test_interrupted_job_ends_and_its_process_takes_another(workers, tmp_path):
  workers.start(
    'a',
    order(
      tmp_path,
      '--clients=1500',
      '--length=100000',
      f'--output_dir={tmp_path / "run"}',
      task=LONG,
    ),
  )
  deadline = time.monotonic() + PATIENCE_SECONDS
  while not (tmp_path / 'run' / 'manifest.json').exists():
    assert time.monotonic() < deadline
    time.sleep(0.02)
  workers.interrupt('a')
  assert answer(workers) == [('a', {'exit': 130})]
  assert 'Stopped.' in (tmp_path / 'job.log').read_text()
  workers.start('b', order(tmp_path, '--clients=0', task=LONG))
  assert answer(workers) == [('b', {'exit': 2})]


def test_killed_process_is_told_by_its_signal_and_replaced(workers, tmp_path):
  workers.start('a', order(tmp_path, '--clients=1500', task=LONG))
  (process,) = {p for p in processes() if b'reproduction_worker' in _command(p)}
  os.kill(process, 9)
  assert answer(workers) == [('a', {'exit': -9})]
  workers.start('b', order(tmp_path, '--list'))
  assert answer(workers) == [('b', {'exit': 0})]


def _command(process: int) -> bytes:
  try:
    return pathlib.Path(f'/proc/{process}/cmdline').read_bytes()
  except OSError:
    return b''


def test_no_process_outlives_the_block(tmp_path):
  before = processes()
  with reproduction_workers.Workers(2, tmp_path / 'workers.log') as workers:
    workers.start('a', order(tmp_path, '--list'))
    answer(workers)
    workers.start(
      'b', order(tmp_path, '--clients=1500', '--length=100000', task=LONG)
    )
    assert processes() > before
  assert processes() == before


def test_no_worker_outlives_a_driver_that_is_killed(tmp_path):
  script = (
    'import pathlib, time\n'
    'from tff_pipelines.cli import reproduction_workers as w\n'
    f'workers = w.Workers(1, pathlib.Path({str(tmp_path / "log")!r}))\n'
    f'workers.start(1, w.Order({LIST!r}, ("--list",), '
    f'log=pathlib.Path({str(tmp_path / "job")!r})))\n'
    'assert workers.wait(60)\n'
    'print(workers._workers[0]._process.pid, flush=True)\n'
    'time.sleep(600)\n'
  )
  driver = subprocess.Popen(
    [sys.executable, '-c', script],
    stdout=subprocess.PIPE,
    cwd=pathlib.Path(__file__).parents[2],
  )
  assert driver.stdout is not None
  worker = int(driver.stdout.readline())
  driver.kill()
  driver.wait()
  driver.stdout.close()
  deadline = time.monotonic() + PATIENCE_SECONDS
  while b'reproduction_worker' in _command(worker):
    assert time.monotonic() < deadline
    time.sleep(0.05)
