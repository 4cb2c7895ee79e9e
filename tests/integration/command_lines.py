"""Tasks run from their command lines, in processes of their own or in this one.

Every module is one that `python -m` takes, such as `tasks.digits`.
"""

from collections.abc import Iterator
import contextlib
import csv
import importlib
import io
import logging as std_logging
import pathlib
import subprocess
import sys
from typing import Any

from absl import (
  app,  # noqa: F401  (Its own flags have to outlive a run.)
  logging,
)
from absl.testing import flagsaver
import pytest

REPOSITORY = pathlib.Path(__file__).parents[2]
PATIENCE_SECONDS = 600


def run(
  module: str, *arguments: object, patience_seconds: float = PATIENCE_SECONDS
) -> subprocess.CompletedProcess[str]:
  """Runs a task in a process of its own until it ends."""
  return subprocess.run(
    _command(module, arguments),
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    timeout=patience_seconds,
  )


def start(
  module: str, *arguments: object, **options: Any
) -> subprocess.Popen[Any]:
  """Starts a task in a process of its own, with options of `Popen`."""
  return subprocess.Popen(
    _command(module, arguments), cwd=REPOSITORY, **options
  )


def run_here(module: str, *arguments: object) -> tuple[int, str, str]:
  """Runs a task in this process: exit code, stdout, stderr.

  Its flags, its module, its execution context and what it has set of logging
  are gone afterwards. Libraries stay imported, without the flags that they
  define: a test of a task that needs TFF imports it first.
  """
  out, err = io.StringIO(), io.StringIO()
  with (
    _logging_restored(),
    flagsaver.flagsaver(),
    pytest.MonkeyPatch.context() as patch,
    contextlib.redirect_stdout(out),
    contextlib.redirect_stderr(err),
  ):
    patch.setenv('COLUMNS', '80')
    patch.delitem(sys.modules, module, raising=False)
    task = importlib.import_module(module)
    patch.delitem(sys.modules, module)
    patch.setattr(sys, 'argv', [module, *map(str, arguments)])
    with _context_restored(), pytest.raises(SystemExit) as raised:
      task.APP.run(task.main)
  return raised.value.code or 0, out.getvalue(), err.getvalue()


def table(path: pathlib.Path) -> list[dict[str, str]]:
  """Returns the rows of a CSV file."""
  with open(path, newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def _command(module: str, arguments: tuple[object, ...]) -> list[str]:
  return [sys.executable, '-m', module, *map(str, arguments)]


@contextlib.contextmanager
def _logging_restored() -> Iterator[None]:
  root, tensorflow = (
    std_logging.getLogger(),
    std_logging.getLogger('tensorflow'),
  )
  handlers, level = root.handlers[:], tensorflow.level
  verbosity = logging.get_verbosity()
  try:
    yield
  finally:
    root.handlers[:] = handlers
    tensorflow.setLevel(level)
    logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _context_restored() -> Iterator[None]:
  """Ends the execution context that a task installs, if it needs TFF at all."""
  tff = sys.modules.get('tensorflow_federated')
  if tff is None:
    yield
    return
  stack = tff.framework.get_context_stack()
  before = stack.current
  try:
    yield
  finally:
    if stack.current is not before:
      stack.current.close()
      tff.framework.set_default_context(before)
