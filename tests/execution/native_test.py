"""TFF's native worker: computes, and is gone when the program ends."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tff_pipelines.core import client_batches
from tff_pipelines.execution import contexts, native, worker

_REPOSITORY = pathlib.Path(__file__).parents[2]

# Starts a worker, prints its process group, then ends as argv[1] says.
_PROGRAM = """
import sys, time
import numpy as np
from tff_pipelines.execution import contexts
import tensorflow_federated as tff
context = contexts.install('native')

INT = tff.TensorType(np.int32)

@tff.federated_computation(tff.FederatedType(INT, tff.CLIENTS))
def total(values):
  return tff.federated_sum(values)

assert total([1, 2, 3]) == 6
print(context.worker.process_group, flush=True)
if sys.argv[1] == 'exception':
  raise RuntimeError('deliberate')
if sys.argv[1] == 'wait':
  time.sleep(600)
"""


def _start(ending: str) -> subprocess.Popen:
  return subprocess.Popen(
    [sys.executable, '-W', 'ignore', '-c', _PROGRAM, ending],
    cwd=_REPOSITORY,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
  )


def _is_gone(process_group: int, within_seconds: float = 20.0) -> bool:
  deadline = time.monotonic() + within_seconds
  while time.monotonic() < deadline:
    try:
      os.killpg(process_group, 0)
    except ProcessLookupError:
      return True
    time.sleep(0.05)
  return False


@pytest.mark.parametrize(
  ('ending', 'sent'),
  slow_cases.all_but(
    [('return', None), ('wait', signal.SIGKILL)],
    [
      ('return', None),
      ('exception', None),
      ('wait', signal.SIGINT),
      ('wait', signal.SIGKILL),
    ],
  ),
)
def test_no_process_outlives_the_program(ending, sent):
  with _start(ending) as program:
    group = int(program.stdout.readline())
    if sent is not None:
      os.killpg(group, 0)  # The worker runs until then.
      program.send_signal(sent)
    # The pipe behind a program ends with it: nobody else holds it open.
    assert program.stdout.read() == ''
    program.wait(timeout=300)
  assert _is_gone(group)


@tff.federated_computation(
  tff.FederatedType(
    tff.SequenceType(tff.TensorType(np.int32, [None])), tff.CLIENTS
  )
)
def _sum_of_all(batches):
  @tff.tensorflow.computation
  def sum_of_client(dataset):
    return dataset.reduce(0, lambda total, batch: total + tf.reduce_sum(batch))

  return tff.federated_sum(tff.federated_map(sum_of_client, batches))


def _batches() -> client_batches.ClientBatches:
  # Client a holds 1 2 3 in batches of two, b nothing, c 10.
  return client_batches.ClientBatches(
    elements=np.array([[1, 2], [3, 0], [10, 0]], np.int32),
    batch_sizes=np.array([2, 1, 1], np.int32),
    offsets=np.array([0, 2, 2, 3], np.int32),
    client_ids=('a', 'b', 'c'),
  )


def test_client_batches_are_accepted_where_tff_takes_datasets(native_context):
  assert _sum_of_all(_batches()) == 16
  assert _sum_of_all(_batches().datasets()) == 16


def test_closed_worker_is_gone_and_the_next_call_starts_another():
  context = native.NativeContext()
  assert not context.worker.started
  with tff.framework.get_context_stack().install(context):
    assert _sum_of_all(_batches()) == 16
    first = context.worker.process_group
    context.close()
    assert _is_gone(first, within_seconds=5)


def test_worker_that_died_is_replaced():
  with contexts.using('native') as context:
    assert _sum_of_all(_batches()) == 16
    first = context.worker.process_group
    os.killpg(first, signal.SIGKILL)
    while context.worker.started:
      time.sleep(0.05)
    assert _sum_of_all(_batches()) == 16
    assert context.worker.process_group not in (None, first)


def test_worker_that_cannot_start_says_what_it_wrote(monkeypatch):
  monkeypatch.setattr(worker, 'worker_binary', lambda: pathlib.Path('/bin/ls'))
  with pytest.raises(worker.WorkerStartError, match=r'it wrote: .*option'):
    worker.Worker().stub()


def test_missing_worker_says_what_to_install(monkeypatch, tmp_path):
  monkeypatch.setattr(worker, 'worker_binary', lambda: tmp_path / 'none')
  with pytest.raises(worker.WorkerStartError, match='install tensorflow-fed'):
    worker.Worker().stub()


def test_unknown_context_is_refused_with_those_that_exist():
  with pytest.raises(
    contexts.UnknownContextError, match="native, xla, found 'x'"
  ):
    contexts.install('x')


def test_the_context_before_is_current_again_after_using():
  before = tff.framework.get_context_stack().current
  with contexts.using('native') as context:
    assert tff.framework.get_context_stack().current is context
  assert tff.framework.get_context_stack().current is before
