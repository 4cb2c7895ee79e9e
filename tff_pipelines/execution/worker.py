"""TFF's native worker process, started when first needed and always ended.

TFF starts its worker as a child that shares the caller's standard output and
outlives it, so that a pipe behind the program never ends. Here a shell
supervises the worker: it holds one end of a pipe whose other end only this
process has, and ends the worker when that pipe closes, however this process
came to its end (return, exception, Ctrl-C, kill -9).
"""

import os
import pathlib
import subprocess
import tempfile
import threading
import time
from typing import IO
import weakref

import grpc
import portpicker
import tensorflow_federated as tff

from tff_pipelines.core import errors

# `read` returns when the pipe on standard input closes; the worker that dies
# by itself ends the supervisor too.
_SUPERVISOR = """
exec 3<&0
"$@" </dev/null 3<&- &
worker=$!
( read -r _ <&3; kill -9 $worker ) 2>/dev/null &
watcher=$!
exec 3<&-
wait $worker
kill -9 $watcher 2>/dev/null
"""

_MAX_MESSAGE_BYTES = 2 * 1000 * 1000 * 1000
_CHANNEL_OPTIONS = (
  ('grpc.max_message_length', _MAX_MESSAGE_BYTES),
  ('grpc.max_receive_message_length', _MAX_MESSAGE_BYTES),
  ('grpc.max_send_message_length', _MAX_MESSAGE_BYTES),
)
_START_SECONDS = 60.0


def worker_binary() -> pathlib.Path:
  """Returns the path of the runtime that TFF's package ships."""
  return pathlib.Path(tff.__file__).parent / 'data' / 'worker_binary'


class WorkerStartError(errors.PipelineError):
  """TFF's native worker does not start."""


class Worker:
  """One worker process and the connection to it.

  The process starts with the first call of `stub`. `close` ends it; so does
  the garbage collection of this object and the end of the program.
  """

  def __init__(self, max_concurrent_calls: int = -1):
    """Initializes the worker without starting it.

    Args:
      max_concurrent_calls: How many calls of one computation the worker runs
        at the same time; -1 sets no limit.
    """
    self._max_concurrent_calls = max_concurrent_calls
    self._lock = threading.Lock()
    self._stub: tff.framework.RemoteExecutorGrpcStub | None = None
    self._process: subprocess.Popen[bytes] | None = None
    self._finalizer: weakref.finalize | None = None

  @property
  def started(self) -> bool:
    """Whether a worker process runs."""
    return self._process is not None and self._process.poll() is None

  @property
  def process_group(self) -> int | None:
    """The process group of the worker and its supervisor, if it runs."""
    return self._process.pid if self.started and self._process else None

  def stub(self) -> 'tff.framework.RemoteExecutorGrpcStub':
    """Returns the connection to a worker that runs, starting it if needed.

    Raises:
      WorkerStartError: If the worker ends or does not answer in time.
    """
    with self._lock:
      if self._stub is None or not self.started:
        self._start()
      return self._stub

  def close(self) -> None:
    """Ends the worker process; returns when it is gone."""
    with self._lock:
      if self._finalizer is not None:
        self._finalizer()
      self._process = self._stub = self._finalizer = None

  def _start(self) -> None:
    if self._finalizer is not None:
      self._finalizer()
    binary = worker_binary()
    if not binary.is_file():
      raise WorkerStartError(
        f"Expected TFF's worker at {binary}, found no such file; install "
        'tensorflow-federated 0.87.0 again.'
      )
    port = portpicker.pick_unused_port()
    with tempfile.TemporaryFile() as log:
      # A session of its own: Ctrl-C reaches this process only, which then ends
      # the worker at a moment of its choice.
      self._process = subprocess.Popen(
        [
          '/bin/sh',
          '-c',
          _SUPERVISOR,
          'tff-worker-supervisor',
          str(binary),
          f'--port={port}',
          f'--max_concurrent_computation_calls={self._max_concurrent_calls}',
        ],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
      )
      self._finalizer = weakref.finalize(self, _end, self._process)
      self._stub = self._connect(self._process, port, log)

  def _connect(
    self, process: subprocess.Popen[bytes], port: int, log: IO[bytes]
  ) -> tff.framework.RemoteExecutorGrpcStub:
    channel = grpc.insecure_channel(f'localhost:{port}', _CHANNEL_OPTIONS)
    stub = tff.framework.RemoteExecutorGrpcStub(channel)
    deadline = time.monotonic() + _START_SECONDS
    while not stub.is_ready:
      if process.poll() is not None or time.monotonic() > deadline:
        _end(process)
        log.seek(0, os.SEEK_SET)
        last_words = log.read()[-2000:].decode(errors='replace').strip()
        raise WorkerStartError(
          f"Expected TFF's worker to answer on port {port} within "
          f'{_START_SECONDS:.0f} s, found that it did not; it wrote: '
          f'{last_words or "nothing"}'
        )
      time.sleep(0.02)
    return stub


def _end(process: subprocess.Popen[bytes]) -> None:
  if process.stdin is not None:
    process.stdin.close()
  process.wait()
