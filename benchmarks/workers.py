"""The process that a system runs in, seen from the driver."""

from collections.abc import Iterator, Sequence
import contextlib
import os
import pathlib
import select
import signal
import subprocess

import numpy as np

_ROOT = pathlib.Path(__file__).parents[1]
# Of a start or a round; what takes longer hangs.
_TIMEOUT_SECONDS = 300


class WorkerError(Exception):
  """A worker that gave no answer; the message ends with its last output."""


class Worker(contextlib.AbstractContextManager):
  """Starts a system on a job, runs its rounds, and ends all its processes.

  Out of turn its processes are stopped, so that one that polls costs the others
  nothing.
  """

  def __init__(self, command: Sequence[str], job: str, folder: pathlib.Path):
    """Starts the worker, and returns when it is ready.

    Args:
      command: That runs benchmarks.worker, up to the job.
      job: Its name.
      folder: For the worker's files, its own.

    Raises:
      WorkerError: If it does not get ready.
    """
    folder.mkdir()
    self._weights = folder / 'weights.npz'
    self._errors = folder / 'stderr'
    with self._errors.open('w') as errors:
      self._process = subprocess.Popen(
        [*command, job, str(self._weights)],
        cwd=_ROOT,
        # It is killed, and so leaves its temporary files.
        env={**os.environ, 'TMPDIR': str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
      )
    self.seconds: list[float] = []
    try:
      self._answer()
      self._signal(signal.SIGSTOP)
    except BaseException:
      self._end()
      raise

  def round(self) -> None:
    """Runs a round, and adds its seconds.

    Raises:
      WorkerError: If the round fails.
    """
    self._signal(signal.SIGCONT)
    assert self._process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
      self._process.stdin.write(b'\n')
      self._process.stdin.flush()
    self.seconds.append(float(self._answer()))
    self._signal(signal.SIGSTOP)

  def weights(self) -> list[np.ndarray]:
    """Returns the weights after the second round."""
    with np.load(self._weights) as archive:
      return [archive[name] for name in archive.files]

  def peak_mib(self) -> float:
    """Returns the sum of its processes' peaks of resident memory."""
    kib = 0
    for pid in self._processes():
      with contextlib.suppress(OSError):
        for line in pathlib.Path(f'/proc/{pid}/status').open():
          if line.startswith('VmHWM:'):
            kib += int(line.split()[1])
    return kib / 1024

  def __exit__(self, *exception: object) -> None:
    self._end()

  def _answer(self) -> str:
    assert self._process.stdout is not None
    readable, _, _ = select.select(
      [self._process.stdout], [], [], _TIMEOUT_SECONDS
    )
    line = self._process.stdout.readline() if readable else b''
    if not line:
      why = 'It ended' if readable else f'No answer in {_TIMEOUT_SECONDS} s'
      last = self._errors.read_text(errors='replace').splitlines()[-12:]
      raise WorkerError('\n'.join([f'{why}. Its last output:', *last]))
    return line.decode()

  def _signal(self, number: int) -> None:
    for pid in self._processes():
      with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)

  def _end(self) -> None:
    # Some systems leave processes of their own behind.
    self._signal(signal.SIGKILL)
    self._process.wait()

  def _processes(self) -> list[int]:
    """Returns processes of the worker's session, and what they started."""
    found: set[int] = set()
    parents = dict(_parents_and_sessions())
    for pid in sorted(parents):
      parent, session = parents[pid]
      if session == self._process.pid or parent in found:
        found.add(pid)
    return sorted(found)


def _parents_and_sessions() -> Iterator[tuple[int, tuple[int, int]]]:
  for entry in pathlib.Path('/proc').iterdir():
    with contextlib.suppress(OSError, ValueError):
      # After the name, in parentheses: state, parent, group, session.
      after = (entry / 'stat').read_text().rpartition(')')[2].split()
      yield int(entry.name), (int(after[1]), int(after[3]))
