"""A run directory belongs to one run, and to one process at a time."""

import datetime
import fcntl
import json
import os
import pathlib
import platform
import re

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.programs import files, run_directory

FLAGS = {'rounds': 4, 'labels': ('spam', '1'), 'data_dir': None}


def opened(path: pathlib.Path, **changes):
  arguments = {
    'task': 'mail',
    'configuration': FLAGS,
    'seed': 7,
    'data': {'sha256': 'abc', 'shape': (2, 3)},
  }
  return run_directory.opened(path, **{**arguments, **changes})


@pytest.fixture
def run(tmp_path) -> pathlib.Path:
  """A run directory that was opened once."""
  path = tmp_path / 'run'
  with opened(path):
    pass
  return path


def refusal(path: pathlib.Path, **changes) -> str:
  """Returns the message; a directory that is refused is left as it was."""
  before = {p: p.read_bytes() for p in path.rglob('*') if p.is_file()}
  with (
    pytest.raises(run_directory.RunDirectoryMismatchError) as raised,
    opened(path, **changes),
  ):
    pass
  after = {p: p.read_bytes() for p in path.rglob('*') if p.is_file()}
  after.pop(path / '.lock')
  before.pop(path / '.lock', None)
  assert after == before
  assert isinstance(raised.value, errors.PipelineError)
  message = str(raised.value)
  assert '\n' not in message and message.endswith('.')
  return message


def test_fresh_directory_says_what_was_asked_for(tmp_path, monkeypatch):
  monkeypatch.setattr('sys.argv', ['tasks/mail.py', '--rounds=4'])
  path = tmp_path / 'a' / 'run'
  with opened(path) as directory:
    assert directory == run_directory.RunDirectory(path)
    manifest = json.loads((path / 'manifest.json').read_text())
  started = datetime.datetime.fromisoformat(manifest.pop('started_utc'))
  assert started.utcoffset() == datetime.timedelta(0)
  versions = manifest.pop('versions')
  assert versions['numpy'] == np.__version__
  assert versions['python'] == platform.python_version()
  assert manifest == {
    'task': 'mail',
    'command': 'python -m tasks.mail --rounds=4',
    'configuration': {'rounds': 4, 'labels': ['spam', '1'], 'data_dir': None},
    'seed': 7,
    'machine': {
      'cores': os.cpu_count(),
      'system': 'Linux',
      'architecture': platform.machine(),
    },
    'data': {'sha256': 'abc', 'shape': [2, 3]},
  }


def test_paths_of_a_baseline_are_laid_out_like_those_of_the_run(tmp_path):
  directory = run_directory.RunDirectory(tmp_path)
  for laid_out, folder in (
    (directory, tmp_path),
    (directory.system('central'), tmp_path / 'central'),
  ):
    assert laid_out.metrics_csv == folder / 'metrics.csv'
    assert laid_out.checkpoints == folder / 'checkpoints'
    assert laid_out.tensorboard == folder / 'tensorboard'
    assert laid_out.model == folder / 'model'
    assert laid_out.results_json == folder / 'results.json'
    assert laid_out.simulation_only == folder / 'simulation_only'


def test_same_flags_resume_and_leave_the_manifest_as_it_was(run):
  before = (run / 'manifest.json').read_bytes()
  with opened(run) as directory:
    assert directory.path == run
  assert (run / 'manifest.json').read_bytes() == before


def test_flag_that_is_new_and_not_given_resumes(run):
  with opened(run, configuration={**FLAGS, 'momentum': None}) as directory:
    assert directory.path == run


@pytest.mark.parametrize(
  'changed, told',
  [
    ({'rounds': 5}, '--rounds=5 where it has 4'),
    ({'labels': ('spam',)}, "--labels=['spam'] where it has ['spam', '1']"),
    ({'data_dir': 'x'}, '--data_dir=x where it has nothing'),
    ({'momentum': 0.9}, '--momentum=0.9 where it has nothing'),
  ],
)
def test_other_flags_are_refused_by_name(run, changed, told):
  message = refusal(run, configuration={**FLAGS, **changed})
  assert message == (
    f'Expected the flags of the run in {run}, found {told}; use the same flag '
    'to resume it or another --output_dir for a new run.'
  )


def test_flag_that_is_gone_is_refused_by_name(run):
  message = refusal(run, configuration={'labels': FLAGS['labels']})
  assert 'found --rounds=nothing where it has 4;' in message


def test_other_seed_is_refused(run):
  assert 'found --seed=8 where it has 7;' in refusal(run, seed=8)


def test_other_task_is_refused_by_name(run):
  assert refusal(run, task='maps') == (
    f'Expected {run} to hold a run of maps, found mail; choose another '
    '--output_dir.'
  )


@pytest.mark.parametrize(
  'data', [{'sha256': 'abd', 'shape': (2, 3)}, {'sha256': 'abc'}]
)
def test_other_data_are_refused(run, data):
  assert 'found data with another provenance or checksum' in refusal(
    run, data=data
  )


def test_folder_with_somebody_elses_files_is_refused(tmp_path):
  (tmp_path / 'thesis.tex').write_text('years of work')
  (tmp_path / 'zoo').mkdir()
  assert refusal(tmp_path) == (
    f'Expected {tmp_path} to be empty or a run directory, found thesis.tex '
    'and no manifest.json; choose another --output_dir.'
  )


@pytest.mark.parametrize(
  'content',
  [
    b'',
    b'{"task": "mail", "conf',
    b'\xff\xfe',
    b'[]',
    b'null',
    b'{"task": "mail"}',
    b'{"task": "mail", "seed": 7, "configuration": [], "data": {}}',
    b'{"task": "mail", "seed": 7, "configuration": null, "data": {}}',
  ],
)
def test_unreadable_manifest_is_refused(run, content):
  (run / 'manifest.json').write_bytes(content)
  message = refusal(run)
  assert message.startswith(
    f'Expected {run / "manifest.json"} to describe a run, found that it cannot '
    'be read ('
  )


def test_manifest_that_is_a_folder_is_refused(tmp_path):
  (tmp_path / 'manifest.json').mkdir()
  assert 'found that it cannot be read' in refusal(tmp_path)


def test_directory_in_use_is_refused_and_free_again_afterwards(run):
  with opened(run):
    with (
      pytest.raises(
        run_directory.RunDirectoryInUseError,
        match=f'Expected {re.escape(str(run))} to be free, found that another '
        'process runs in it',
      ),
      opened(run),
    ):
      pass
  with pytest.raises(KeyError), opened(run):
    raise KeyError('a failed run frees it too')
  with opened(run) as directory:
    assert directory.path == run


def test_lock_of_another_process_is_respected_until_that_process_is_killed(run):
  reading, writing = os.pipe()
  other = os.fork()
  if not other:
    # The child may not return into pytest, whatever happens.
    try:
      lock = open(run / '.lock', 'w')
      fcntl.flock(lock, fcntl.LOCK_EX)
      os.write(writing, b'locked')
      os.read(os.pipe()[0], 1)  # Waits for ever.
    finally:
      os._exit(1)
  os.close(writing)
  try:
    assert os.read(reading, 6) == b'locked'  # Nothing if the child has failed.
    with pytest.raises(run_directory.RunDirectoryInUseError), opened(run):
      pass
  finally:
    os.kill(other, 9)
    os.waitpid(other, 0)
    os.close(reading)
  with opened(run) as directory:
    assert directory.path == run


def test_what_a_killed_process_left_half_written_is_removed(run):
  (run / 'metrics.csv_temp1234').write_text('round')
  (run / 'results.json3x.partial').write_text('{')
  (run / 'model9.partial').mkdir()
  (run / 'model9.partial' / 'weights').write_text('0')
  (run / 'simulation_only').mkdir()
  (run / 'simulation_only' / 'clients.csvq2.partial').write_text('client')
  with opened(run):
    assert sorted(p.name for p in run.rglob('*')) == [
      '.lock',
      'manifest.json',
      'simulation_only',
    ]


def test_run_killed_before_its_manifest_was_whole_starts_afresh(tmp_path):
  (tmp_path / '.lock').write_text('')
  (tmp_path / 'manifest.jsonk1.partial').write_text('{"task": "ma')
  with opened(tmp_path):
    assert sorted(p.name for p in tmp_path.iterdir()) == [
      '.lock',
      'manifest.json',
    ]


def test_place_below_a_file_is_refused(tmp_path):
  (tmp_path / 'blocked').write_text('a file, not a folder')
  for path in (tmp_path / 'blocked', tmp_path / 'blocked' / 'run'):
    with (
      pytest.raises(files.SavingFailedError, match=f'write a run at {path}, f'),
      opened(path),
    ):
      pass


def test_place_whose_lock_cannot_be_written_is_refused(tmp_path):
  (tmp_path / '.lock').mkdir()
  with (
    pytest.raises(files.SavingFailedError, match=r'write a lock at .*direct'),
    opened(tmp_path),
  ):
    pass


def test_fresh_paths_are_named_for_task_and_time_and_never_taken(
  tmp_path, monkeypatch
):
  class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
      return cls(2024, 5, 6, 7, 8, 9, tzinfo=tz)

  monkeypatch.setattr(datetime, 'datetime', Clock)
  for name in ('', '-2', '-3'):
    path = run_directory.fresh_path('mail', tmp_path)
    assert path == tmp_path / f'mail-20240506-070809{name}'
    path.mkdir()
