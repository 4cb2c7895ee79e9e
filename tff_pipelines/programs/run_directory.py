"""The folder of one run: what it was asked to do, and all that came of it."""

from collections.abc import Mapping
import contextlib
import dataclasses
import datetime
import fcntl
import importlib.metadata
import json
import os
import pathlib
import platform
import sys
from typing import IO, Any

from tff_pipelines.core import errors
from tff_pipelines.privacy import ledger
from tff_pipelines.programs import files

_VERSIONED = (
  'tensorflow-federated',
  'tensorflow',
  'tensorflow-privacy',
  'dp-accounting',
  'numpy',
  'jaxlib',
)


class RunDirectoryMismatchError(errors.PipelineError):
  """A run directory that belongs to another run."""


class RunDirectoryInUseError(errors.PipelineError):
  """A run directory that another process writes to."""


@dataclasses.dataclass(frozen=True)
class RunDirectory:
  """Paths of a run directory.

  Attributes:
    path: The folder. For a system other than the task's main one, a folder of
      that name in it, laid out the same.
  """

  path: pathlib.Path

  @property
  def metrics_csv(self) -> pathlib.Path:
    """A row a round: what a server sees."""
    return self.path / 'metrics.csv'

  @property
  def privacy_json(self) -> pathlib.Path:
    """What was released and what it spends, where a run is private."""
    return self.path / ledger.FILE_NAME

  @property
  def checkpoints(self) -> pathlib.Path:
    """Program states to resume from."""
    return self.path / 'checkpoints'

  @property
  def tensorboard(self) -> pathlib.Path:
    """TensorBoard's event files."""
    return self.path / 'tensorboard'

  @property
  def model(self) -> pathlib.Path:
    """The trained model, exported."""
    return self.path / 'model'

  @property
  def results_json(self) -> pathlib.Path:
    """The final table."""
    return self.path / 'results.json'

  @property
  def simulation_only(self) -> pathlib.Path:
    """What no server could see: single clients' data and models."""
    return self.path / 'simulation_only'

  @property
  def server_view(self) -> pathlib.Path:
    """What the server of each system sees, beyond the metrics."""
    return self.path / 'server_view'

  def system(self, name: str) -> 'RunDirectory':
    """The folder of a system beside the main one, such as a baseline."""
    return RunDirectory(self.path / name)


@contextlib.contextmanager
def opened(
  path: pathlib.Path,
  *,
  task: str,
  configuration: Mapping[str, Any],
  seed: int,
  data: Mapping[str, Any],
):
  """Opens a new run directory, or one of the same run to resume it.

  Only one process at a time has a directory open.

  Args:
    path: The folder; made if it is not there.
    task: The task's name.
    configuration: Every flag that the result depends on, plain values.
    seed: The run's seed.
    data: The data set's provenance, plain values.

  Yields:
    A `RunDirectory`.

  Raises:
    RunDirectoryMismatchError: If the folder holds a run with another
      configuration (the message names what differs), or no run at all.
    RunDirectoryInUseError: If another process has it open.
    SavingFailedError: If nothing can be written there.
  """
  manifest = {
    'task': task,
    'command': ' '.join(['python', '-m', f'tasks.{task}', *sys.argv[1:]]),
    'configuration': dict(configuration),
    'seed': seed,
    'versions': _versions(),
    'machine': {
      'cores': os.cpu_count(),
      'system': platform.system(),
      'architecture': platform.machine(),
    },
    'data': dict(data),
    'started_utc': datetime.datetime.now(datetime.UTC).isoformat(
      timespec='seconds'
    ),
  }
  manifest_json = path / 'manifest.json'
  with files.saving('a run', path):
    path.mkdir(parents=True, exist_ok=True)
  with _locked(path):
    if manifest_json.exists():
      _check_same_run(manifest_json, manifest)
    else:
      strangers = [
        p.name
        for p in path.iterdir()
        if p.name != '.lock' and not p.name.endswith('.partial')
      ]
      if strangers:
        raise RunDirectoryMismatchError(
          f'Expected {path} to be empty or a run directory, found '
          f'{sorted(strangers)[0]} and no manifest.json; choose another '
          '--output_dir.'
        )
      files.write_json(manifest_json, manifest)
    directory = RunDirectory(path)
    for folder in (path, directory.simulation_only):
      files.remove_leftovers(folder)
    yield directory


def fresh_path(task: str, parent: pathlib.Path) -> pathlib.Path:
  """Returns a path for a new run, named for the task and the time."""
  stamp = datetime.datetime.now().strftime('%Y%m%d-%H%M%S')
  path = parent / f'{task}-{stamp}'
  number = 2
  while path.exists():
    path = parent / f'{task}-{stamp}-{number}'
    number += 1
  return path


def _versions() -> dict[str, str]:
  versions = {'python': platform.python_version()}
  for package in _VERSIONED:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions[package] = importlib.metadata.version(package)
  return versions


def _check_same_run(
  manifest_json: pathlib.Path, manifest: Mapping[str, Any]
) -> None:
  folder = manifest_json.parent
  try:
    found = json.loads(manifest_json.read_text(encoding='utf-8'))
    then = {'seed': found['seed'], **found['configuration']}
    task, data = found['task'], found['data']
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise RunDirectoryMismatchError(
      f'Expected {manifest_json} to describe a run, found that it cannot be '
      f'read ({error}); choose another --output_dir.'
    ) from error
  if task != manifest['task']:
    raise RunDirectoryMismatchError(
      f'Expected {folder} to hold a run of {manifest["task"]}, found '
      f'{task}; choose another --output_dir.'
    )
  # Through JSON, so that tuples and lists compare equal.
  now = json.loads(
    json.dumps({'seed': manifest['seed'], **manifest['configuration']})
  )
  for name in sorted({*then, *now}):
    if then.get(name) != now.get(name):
      raise RunDirectoryMismatchError(
        f'Expected the flags of the run in {folder}, found --{name}='
        f'{_shown(now.get(name))} where it has {_shown(then.get(name))}; use '
        'the same flag to resume it or another --output_dir for a new run.'
      )
  if data != json.loads(json.dumps(manifest['data'])):
    raise RunDirectoryMismatchError(
      f'Expected the data of the run in {folder}, found data with another '
      'provenance or checksum; choose another --output_dir for a new run.'
    )


def _shown(value: Any) -> str:
  return 'nothing' if value is None else f'{value}'


@contextlib.contextmanager
def _locked(path: pathlib.Path):
  with files.saving('a lock', path):
    lock: IO[str] = open(path / '.lock', 'w', encoding='utf-8')
  with lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
      raise RunDirectoryInUseError(
        f'Expected {path} to be free, found that another process runs in it; '
        'wait for it or choose another --output_dir.'
      ) from error
    yield
