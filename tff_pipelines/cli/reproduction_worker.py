"""Runs many tasks one after the other in a process that is imported once.

  python -m tff_pipelines.cli.reproduction_worker TASK

Reads a job a line and answers each with {"exit": its exit code}, all as JSON. A
job is what the task would do with a command line, its output in a file:

  {"arguments": [...], "optional": [...], "smoke": true, "log": path}

Optional arguments are left out where the task has no such flag or the flag no
effect; for a smoke test small data take the place of the paper's. With
{"check": [[...], ...]} instead, nothing runs: the command lines are parsed and
checked, and the answer is {"refused": {index: sentence}}.
Ends with its input, however its parent ends; SIGINT ends the job only.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from types import ModuleType
from typing import Any

from absl import flags

from tff_pipelines.cli import reproduction_smoke
from tff_pipelines.core import errors

_PR_SET_PDEATHSIG = 1


def main() -> None:
  """Serves jobs until the input ends."""
  task = sys.argv[1]
  # A job that is in TensorFlow when the parent dies reads no input.
  ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  # Graphs are made of many objects that live long.
  gc.set_threshold(50_000, 20, 50)
  # What libraries print goes elsewhere; the answers have it to themselves.
  answers = os.fdopen(os.dup(1), 'w')
  os.dup2(2, 1)
  module: ModuleType | None = None
  for line in sys.stdin:
    job = json.loads(line)
    if module is None:
      # One task's flags depend on its command line.
      sys.argv = [f'tasks/{task}.py', *_first_arguments(job)]
      module = importlib.import_module(f'tasks.{task}')
    if 'check' in job:
      _answer(answers, {'refused': _refused(module, job['check'])})
    else:
      _answer(answers, {'exit': _run(module, task, job)})
      gc.collect()


def _first_arguments(job: dict[str, Any]) -> list[str]:
  return job['arguments'] if 'arguments' in job else job['check'][0]


def _answer(answers: Any, content: dict[str, Any]) -> None:
  print(json.dumps(content), file=answers, flush=True)


def _refused(
  module: ModuleType, command_lines: list[list[str]]
) -> dict[int, str]:
  found = {}
  for index, arguments in enumerate(command_lines):
    try:
      module.APP.check(arguments)
    except (errors.PipelineError, flags.Error) as error:
      found[index] = str(error)
  return found


def _run(module: ModuleType, task: str, job: dict[str, Any]) -> int:
  """Runs a job as the task's own process would; returns its exit code."""
  with _output_in(job['log']):
    try:
      arguments = reproduction_smoke.arguments(
        module.APP, task, job['arguments'], job['optional'], job['smoke']
      )
      sys.argv = [f'tasks/{task}.py', *arguments]
      module.APP.forget_flags()
      signal.signal(signal.SIGINT, signal.default_int_handler)
      module.APP.run(module.main)
    except SystemExit as end:
      return end.code if isinstance(end.code, int) else int(bool(end.code))
    except KeyboardInterrupt:
      return 130
    except (errors.PipelineError, flags.Error) as error:
      print(f'Error: {error}', file=sys.stderr)
      return 2
    except BaseException:
      traceback.print_exc()
      return 1
    finally:
      signal.signal(signal.SIGINT, signal.SIG_IGN)
  return 0


@contextlib.contextmanager
def _output_in(path: str):
  """Sends what is printed in the block to the end of a file."""
  before = os.dup(1), os.dup(2)
  log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
  os.dup2(log, 1)
  os.dup2(log, 2)
  os.close(log)
  try:
    yield
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    for descriptor, saved in zip((1, 2), before, strict=True):
      os.dup2(saved, descriptor)
      os.close(saved)


if __name__ == '__main__':
  main()
