"""Processes that run the jobs of a reproduction, seen from its driver."""

from collections.abc import Sequence
import contextlib
import dataclasses
import json
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import time
from typing import Any, Self

_ROOT = pathlib.Path(__file__).parents[2]
# From Ctrl-C until a job has ended by itself.
_PATIENCE_SECONDS = 20.0
# Of jobs in one process: TensorFlow forgets no graph.
_JOBS_A_PROCESS = 30
# The process of a job that ends so can have another.
_CLEAN_EXITS = (0, 2, 130)


@dataclasses.dataclass(frozen=True)
class Order:
  """What a worker is to do.

  Attributes:
    task: The task; a worker has one.
    arguments: Its command line.
    optional: Flags that are given to it where they have an effect.
    smoke: Whether small data take the place of those of the command line.
    log: The file that gets what it prints.
  """

  task: str
  arguments: tuple[str, ...]
  optional: tuple[str, ...] = ()
  smoke: bool = False
  log: pathlib.Path | None = None


class _Worker:
  """One process, which has a job or is idle."""

  def __init__(self, task: str, log: pathlib.Path):
    self.task = task
    self.job: Any = None
    self.num_jobs = 0
    path = os.pathsep.join(
      [str(_ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    )
    with open(log, 'ab') as file:
      self._process = subprocess.Popen(
        [sys.executable, '-m', 'tff_pipelines.cli.reproduction_worker', task],
        env={**os.environ, 'PYTHONPATH': path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=file,
        bufsize=0,  # What is buffered here no selector sees.
        # Ctrl-C reaches the driver only, which then tells whom it concerns.
        start_new_session=True,
      )
    assert self._process.stdout is not None
    self.answers = self._process.stdout

  def send(self, content: dict[str, Any]) -> None:
    assert self._process.stdin is not None
    text = memoryview(json.dumps(content).encode() + b'\n')
    with contextlib.suppress(BrokenPipeError):  # Its end is noticed later.
      while text:
        text = text[self._process.stdin.write(text) :]

  def receive(self) -> dict[str, Any] | None:
    """Returns the next answer; None if the process has ended."""
    line = self.answers.readline()
    return json.loads(line) if line else None

  def interrupt(self) -> None:
    with contextlib.suppress(ProcessLookupError):
      self._process.send_signal(signal.SIGINT)

  def stop_reading(self) -> None:
    assert self._process.stdin is not None
    with contextlib.suppress(OSError):
      self._process.stdin.close()

  def end(self, seconds: float) -> int:
    """Ends the process and all that it has started; returns its exit code."""
    self.stop_reading()
    with contextlib.suppress(subprocess.TimeoutExpired):
      self._process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
      os.killpg(self._process.pid, signal.SIGKILL)
    self.answers.close()
    return self._process.wait()


class Workers(contextlib.AbstractContextManager['Workers']):
  """Some processes that each run one job at a time.

  None of them outlives the block.
  """

  def __init__(self, count: int, log: pathlib.Path):
    """Initializes them; a process starts with its first job.

    Args:
      count: How many jobs run at a time.
      log: The file that gets what they print between jobs.
    """
    self._count, self._log = count, log
    self._workers: list[_Worker] = []
    self._selector = selectors.DefaultSelector()

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *exception: object) -> None:
    for worker in self._workers:
      worker.interrupt()
      worker.stop_reading()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for worker in self._workers:
      busy = worker.job is not None
      worker.end(max(0.0, deadline - time.monotonic()) if busy else 0.0)
    self._workers.clear()
    self._selector.close()

  @property
  def has_room(self) -> bool:
    """Whether another job can be started."""
    return sum(w.job is not None for w in self._workers) < self._count

  @property
  def running(self) -> list[Any]:
    """The jobs that run."""
    return [w.job for w in self._workers if w.job is not None]

  def start(self, job: Any, order: Order) -> None:
    """Starts a job; there has to be room.

    Args:
      job: Whatever `wait` is to call it.
      order: What to do.
    """
    worker = self._idle(order.task)
    worker.job = job
    worker.num_jobs += 1
    worker.send(
      {
        'arguments': order.arguments,
        'optional': order.optional,
        'smoke': order.smoke,
        'log': str(order.log),
      }
    )

  def check(
    self, job: Any, task: str, command_lines: Sequence[Sequence[str]]
  ) -> None:
    """Starts a check of command lines of a task."""
    worker = self._idle(task)
    worker.job = job
    worker.send({'check': command_lines})

  def interrupt(self, job: Any) -> None:
    """Interrupts a job as Ctrl-C does; it still ends by itself."""
    for worker in self._workers:
      if worker.job == job:
        worker.interrupt()

  def wait(self, seconds: float) -> list[tuple[Any, dict[str, Any]]]:
    """Returns the jobs that ended, at the latest after some time.

    Returns:
      Pairs of a job and its answer, `exit` for those that were started: the
      exit code, negative for the signal that killed its process.
    """
    ended = []
    for key, _ in self._selector.select(seconds):
      worker: _Worker = key.data
      answer = worker.receive()
      if answer is None:
        answer = {'exit': self._remove(worker)}
      elif (
        answer.get('exit', 0) not in _CLEAN_EXITS
        or worker.num_jobs >= _JOBS_A_PROCESS
      ):
        self._remove(worker)
      job, worker.job = worker.job, None
      if job is not None:
        ended.append((job, answer))
    return ended

  def _idle(self, task: str) -> _Worker:
    idle = [worker for worker in self._workers if worker.job is None]
    for worker in idle:
      if worker.task == task:
        return worker
    if len(self._workers) >= self._count:
      self._remove(idle[0])
    worker = _Worker(task, self._log)
    self._workers.append(worker)
    self._selector.register(worker.answers, selectors.EVENT_READ, worker)
    return worker

  def _remove(self, worker: _Worker) -> int:
    self._selector.unregister(worker.answers)
    self._workers.remove(worker)
    return worker.end(0.5)
