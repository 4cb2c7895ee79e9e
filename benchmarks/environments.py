"""Python environments for systems that cannot share this one.

uv makes and keeps most of them. A build that only pip finds (PyTorch for CPUs,
from an index or a folder in pip's configuration) needs one that pip fills; it
stays in the user's cache.
"""

from collections.abc import Sequence
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys


class InstallError(Exception):
  """An environment that could not be made."""


def python(requirements: Sequence[str], installer: str) -> list[str]:
  """Returns a command that runs Python where the requirements are installed.

  Args:
    requirements: Pinned packages; none for the environment that runs this.
    installer: 'uv' or 'pip'.

  Raises:
    InstallError: If pip fails. Failures of uv show when the command runs.
  """
  if not requirements:
    return [sys.executable]
  if installer == 'pip':
    return [str(_pip_environment(requirements) / 'bin' / 'python')]
  # Isolated: else packages of a .venv here would show through.
  command = ['uv', 'run', '--quiet', '--no-project', '--isolated']
  command += ['--python', '3.11']
  for requirement in requirements:
    command += ['--with', requirement]
  return [*command, 'python']


def _pip_environment(requirements: Sequence[str]) -> pathlib.Path:
  cache = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  version = f'{sys.version_info.major}.{sys.version_info.minor}'
  key = hashlib.sha256(' '.join([version, *requirements]).encode()).hexdigest()
  folder = pathlib.Path(cache) / 'tff_pipelines_benchmarks' / key[:16]
  done = folder / 'requirements.txt'
  if not done.exists():
    # What an interrupted install left.
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, '-m', 'venv', str(folder)])
    pip = [str(folder / 'bin' / 'python'), '-m', 'pip', 'install', '--quiet']
    _run([*pip, *requirements])
    done.write_text('\n'.join(requirements) + '\n')
  return folder


def _run(command: Sequence[str]) -> None:
  result = subprocess.run(command, capture_output=True, text=True, check=False)
  if result.returncode:
    errors = [
      line for line in result.stderr.splitlines() if line.startswith('ERROR')
    ]
    raise InstallError('\n'.join(errors or result.stderr.splitlines()[-5:]))
