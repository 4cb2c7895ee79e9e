"""Which client, and which of its batches, a failure comes from.

A failed block does not say. So its clients are run again, each alone, as a
plain function; then the client that fails, on its first batch, its first two,
and so on.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tff_pipelines.execution.xla import cohorts, programs


def describe(
  loop: programs.ClientLoop,
  given: Sequence[tf.Tensor],
  cohort: cohorts.Cohort,
  clients: range,
) -> str:
  """Returns whose work failed, on which batch, and how.

  Args:
    loop: The client work as a plain function.
    given: The tensors before the number of clients: what the server gives to
      the clients, and of an aggregation the accumulators of nobody.
    cohort: The clients.
    clients: Those of the block that failed.
  """
  for client in clients:
    alone = cohorts.chosen(cohort, [client])
    error = _runner(loop, given, alone)
    if (message := error(alone)) is not None:
      name = cohort.client_ids[client]
      where = _first_batch(alone, error)
      return f'The work of client {name} failed{where}: {message}'
  ids = [cohort.client_ids[c] for c in clients]
  shown = ', '.join(ids[:5]) + (', ...' if len(ids) > 5 else '')
  return f'The work of client {shown} failed, but not when each is alone'


def _runner(
  loop: programs.ClientLoop,
  given: Sequence[tf.Tensor],
  alone: cohorts.Cohort,
) -> Callable[[cohorts.Cohort], str | None]:
  """Returns a function from a client, or a part of it, to how it fails."""
  capacity = cohorts.choose_capacity(alone, 1)
  program = loop.build(capacity, programs.Batching.ANY, alone)

  def error(data: cohorts.Cohort) -> str | None:
    block = next(cohorts.blocks(data, range(1), capacity))
    arguments = [*given, np.int32(1), *programs.flat_arrays(block)]
    try:
      program(*arguments)
    except tf.errors.OpError as failure:
      return _essence(failure.message)
    return None

  return error


def _first_batch(
  alone: cohorts.Cohort, error: Callable[[cohorts.Cohort], str | None]
) -> str:
  """Returns the batch with which a client begins to fail, in words."""
  if len(alone.sequences) != 1:
    return ''
  count = int(alone.sequences[0].offsets[-1])
  for batches in range(count + 1):
    if error(cohorts.first_elements(alone, batches)) is not None:
      return f' on batch {batches} of {count}' if batches else ' on no batch'
  return ''


def _essence(message: str) -> str:
  """Returns the line of TensorFlow's message that says what went wrong."""
  after_traces = message.split('<stack traces unavailable>')[-1]
  about_graph = ('Graph execution error', 'Detected at node', '  File ', '\t')
  lines = [
    line
    for line in after_traces.strip().split('\n')
    if line.strip() and not line.startswith(about_graph)
  ]
  return lines[0].strip() if lines else message
