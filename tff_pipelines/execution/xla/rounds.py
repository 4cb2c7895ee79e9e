"""A round: the parts of a computation, run on a whole cohort.

For an aggregation, with the parts of TFF's map-reduce form:

  context, nobodys = prepare(state), zero()
  for each shard of the cohort, in a thread of its own:
    accumulator = nobodys
    for each block of the shard:          # one call of the compiled program
      for each client of the block:
        accumulator = accumulate(accumulator, work(client, context))
  state, result = update(state, report(merge of the accumulators))

Where there are secure sums and they are masked, each client's summands come out
of the blocks and go through the protocol; clients that drop out are left out of
the accumulators, too.

The first line and the last are one plain function each: what they draw comes
from TensorFlow's generators, not from XLA's, which has a seed of 32 bits.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
import dataclasses
import itertools
import os
import re
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import errors
from tff_pipelines.execution import masked_sums
from tff_pipelines.execution.xla import (
  cohorts,
  failures,
  graphs,
  programs,
  splitting,
  values,
)

# One block of a shard: from the carried tensors and the block's arguments to
# the program's results.
_RunBlock = Callable[[Any, cohorts.Block, list[Any]], Any]


class ClientWorkError(errors.PipelineError):
  """A client's work failed; the message names the client and the batch."""


class _FailedCheckError(Exception):
  """A check in client work did not hold."""


class Round:
  """A federated computation with client data, ready to run.

  Attributes:
    compilations: How many programs have been built so far.
  """

  def __init__(
    self,
    computation: tff.Computation,
    parts: splitting.Aggregation | splitting.ClientMap,
    *,
    compiled: bool = True,
    threads: int | None = None,
    secure_sums: masked_sums.MaskedSum | None = None,
  ):
    """Initializes the round.

    Args:
      computation: What was split.
      parts: Its parts.
      compiled: Whether with XLA; otherwise the same loops as a plain function.
      threads: How many threads share the clients; None for one a core.
      secure_sums: What sums the integers of secure sums; None is in the clear.
    """
    self.compilations = 0
    self._where = splitting.arguments(computation)
    self._types = splitting.argument_types(computation)
    self._result_type = computation.type_signature.result
    self._parts = parts
    self._threads = threads or os.cpu_count() or 1
    # One shard is for the caller's own thread.
    self._pool = futures.ThreadPoolExecutor(max(1, self._threads - 1))
    self._capacity: cohorts.Capacity | None = None
    self._batching = programs.Batching.FULL
    self._program: programs.Program | None = None
    self._sums: programs.SecureSums | None = None
    if isinstance(parts, splitting.Aggregation):
      self._sums = programs.SecureSums(parts)
      self._pack = values.packer(self._result_type)
    self._masked = None
    if self._sums is not None and self._sums.types:
      self._masked = secure_sums
    self._begin = self._beginning(parts)
    self._finish: dict[int, programs.Program] = {}
    self._loop = self._new_loop(compiled=compiled)

  def __call__(self, arguments: Sequence[Any]) -> Any:
    """Runs the computation on its arguments and returns its result.

    Raises:
      NotCompilableError: If XLA refuses the program.
      ClientWorkError: If a client's work fails.
      ArgumentError: If an argument is not of its type.
    """
    server, cohort = self._split_by_placement(arguments)
    state = [tf.convert_to_tensor(value) for value in server]
    given = self._begin(*state)
    self._make_room(cohort)
    if self._sums is None:
      return self._map(cohort, given)
    if self._masked is None:
      of_shards, _ = self._aggregate(cohort, given)
      sums: list[np.ndarray] = []
    else:
      of_shards, sums = self._masked_aggregate(self._masked, cohort, given)
    finish = self._finishing(len(of_shards))
    flat = finish(*state, *itertools.chain(*of_shards), *sums)
    return self._pack(values.to_numpy(flat))

  def _split_by_placement(
    self, arguments: Sequence[Any]
  ) -> tuple[list[Any], cohorts.Cohort]:
    """Returns the flat arguments at the server, and those at the clients."""
    server: list[Any] = []
    try:
      for position in self._where.server:
        server += values.flatten(arguments[position], self._types[position])
      cohort = cohorts.collect(
        [arguments[p] for p in self._where.clients],
        [self._types[p].member for p in self._where.clients],
      )
    except (TypeError, ValueError, NotImplementedError) as error:
      raise graphs.ArgumentError from error
    return server, cohort

  def check_compilable(self) -> None:
    """Compiles the program for a tiny block.

    Raises:
      NotCompilableError: If XLA refuses it.
      NotLowerableError: If its client work cannot be lowered.
    """
    template = cohorts.empty(
      [self._types[p].member for p in self._where.clients]
    )
    capacity = cohorts.choose_capacity(template, 1)
    # Of two examples: one of an unknown size of at most one, which no cohort
    # needs, can end XLA.
    capacity = dataclasses.replace(
      capacity,
      batch_sizes=tuple(n and max(n, 2) for n in capacity.batch_sizes),
    )
    program = self._loop.build(capacity, programs.Batching.LAST_SHORT, template)
    self._call(
      program,
      [
        tf.zeros([n or 1 for n in spec.shape], spec.dtype)
        for spec in program.signature
      ],
    )

  def _make_room(self, cohort: cohorts.Cohort) -> None:
    """Builds a program for the cohort unless there is one that suits it."""
    capacity = self._capacity
    if capacity is None or not capacity.holds(cohort):
      capacity = cohorts.choose_capacity(cohort, self._threads)
      if self._capacity is not None:
        capacity = capacity.merged(self._capacity)
    batching = max(self._batching, programs.needed_batching(cohort, capacity))
    if (capacity, batching) != (self._capacity, self._batching) or (
      self._program is None
    ):
      self._program = self._loop.build(capacity, batching, cohort)
      self._capacity, self._batching = capacity, batching
      self.compilations += 1

  def _masked_aggregate(
    self,
    masked: masked_sums.MaskedSum,
    cohort: cohorts.Cohort,
    given: list[tf.Tensor],
  ) -> tuple[list[list[tf.Tensor]], list[np.ndarray]]:
    """Returns accumulators of each shard and secure sums, of the survivors."""
    clients = masked.expected(cohort.num_clients)
    of_shards, columns = self._aggregate(cohorts.chosen(cohort, clients), given)
    inputs = {
      client: [column[k] for column in columns]
      for k, client in enumerate(clients)
    }
    total = masked.total(cohort.num_clients, inputs, self._sums.summands)
    if total.survivors != clients:
      # Some left that were not expected to: they are in no sum of the round.
      of_shards, _ = self._aggregate(
        cohorts.chosen(cohort, total.survivors), given
      )
    return of_shards, [
      s.astype(t.dtype)
      for s, t in zip(total.sums, self._sums.types, strict=True)
    ]

  def _aggregate(
    self, cohort: cohorts.Cohort, given: list[tf.Tensor]
  ) -> tuple[list[list[tf.Tensor]], list[np.ndarray]]:
    """Returns what is summed, of each shard, and what clients hand in.

    The latter are arrays [num_clients, ...], one a summand.
    """
    num_context = self._num_context()
    context, nobodys = given[:num_context], given[num_context:]

    def run(carried: Any, block: cohorts.Block, arguments: list[Any]) -> Any:
      sums, handed_in = carried or (nobodys, [])
      results = self._run([*context, *sums], nobodys, arguments, cohort, block)
      rows = [r.numpy()[: block.num_clients] for r in results[len(nobodys) :]]
      return results[: len(nobodys)], [*handed_in, rows]

    of_shards = self._over_shards(cohort, run)
    blocks = [rows for _, handed_in in of_shards for rows in handed_in]
    columns = [np.concatenate(c) for c in zip(*blocks, strict=True)]
    return [sums for sums, _ in of_shards] or [nobodys], columns

  def _map(self, cohort: cohorts.Cohort, context: list[tf.Tensor]) -> Any:
    def run(carried: Any, block: cohorts.Block, arguments: list[Any]) -> Any:
      results = self._run(context, [], arguments, cohort, block)
      results = [r.numpy()[: block.num_clients] for r in results]
      return [*(carried or []), results]

    by_block = [b for shard in self._over_shards(cohort, run) for b in shard]
    columns = [
      [value for results in by_block for value in results[k]]
      for k in range(len(values.leaves(self._result_type)))
    ]
    return values.pack_clients(columns, cohort.num_clients, self._result_type)

  def _over_shards(self, cohort: cohorts.Cohort, run: _RunBlock) -> list[Any]:
    """Runs the blocks of each shard in order, the shards side by side."""
    shards = cohorts.shards(cohort, self._threads)

    def over_blocks(clients: range) -> Any:
      carried = None
      blocks = cohorts.blocks(cohort, clients, self._capacity)
      for block, arguments in _packed_ahead(blocks, clients.stop):
        carried = run(carried, block, arguments)
      return carried

    others = [self._pool.submit(over_blocks, shard) for shard in shards[1:]]
    first = [over_blocks(shard) for shard in shards[:1]]
    return first + [other.result() for other in others]

  def _run(
    self,
    given: list[tf.Tensor],
    nobodys: list[tf.Tensor],
    arguments: list[Any],
    cohort: cohorts.Cohort,
    block: cohorts.Block,
  ) -> list[tf.Tensor]:
    try:
      results = self._call(
        self._program,
        [
          *given,
          np.int32(block.num_clients),
          *arguments,
          *self._loop.randomness(self._capacity),
        ],
      )
      if self._loop.watches and not results.pop():
        raise _FailedCheckError
      return results
    except (tf.errors.OpError, _FailedCheckError) as error:
      message = failures.describe(
        self._new_loop(compiled=False),
        [*given[: self._num_context()], *nobodys],
        cohort,
        range(block.first, block.first + block.num_clients),
      )
      raise ClientWorkError(message) from error

  @staticmethod
  def _call(program: programs.Program, arguments: list[Any]) -> list[tf.Tensor]:
    try:
      return program(*arguments)
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as e:
      if 'unsupported operations' in e.message or 'XLA' in e.message:
        raise graphs.NotCompilableError(_unsupported(e.message)) from e
      raise

  def _new_loop(self, *, compiled: bool) -> programs.ClientLoop:
    return programs.ClientLoop(
      self._parts,
      self._sums,
      compiled=compiled,
      hand_in=self._masked is not None,
    )

  def _num_context(self) -> int:
    """Returns how many tensors the clients get from the server."""
    return len(values.leaves(self._parts.prepare.type_signature.result))

  def _beginning(
    self, parts: splitting.Aggregation | splitting.ClientMap
  ) -> programs.Program:
    """Returns (state...) -> context..., accumulators and sums of nobody...."""

    def begin(*state: tf.Tensor) -> list[tf.Tensor]:
      context = parts.prepare(state)
      if self._sums is None:
        return context
      summed = [] if self._masked else self._sums.zeros()
      return [*context, *parts.zero([]), *summed]

    of_state = values.leaves(parts.prepare.parameter_type)
    return programs.Program(begin, [values.spec(t) for t in of_state])

  def _finishing(self, num_shards: int) -> programs.Program:
    """Returns (state..., what is summed of the shards..., sums...) -> result.

    The last are the secure sums, where they are not summed with the rest.
    """
    if num_shards not in self._finish:
      self._finish[num_shards] = self._build_finishing(num_shards)
    return self._finish[num_shards]

  def _build_finishing(self, num_shards: int) -> programs.Program:
    parts, sums = self._parts, self._sums
    of_state = values.leaves(parts.prepare.parameter_type)
    of_accumulator = values.leaves(parts.accumulator_type)
    of_shard = [*of_accumulator, *([] if self._masked else sums.types)]
    of_sums = sums.types if self._masked else []
    plain = len(of_accumulator)

    def finish(*tensors: tf.Tensor) -> list[tf.Tensor]:
      state, rest = tensors[: len(of_state)], list(tensors[len(of_state) :])
      summed = rest[len(of_shard) * num_shards :]
      shards = [
        rest[len(of_shard) * k : len(of_shard) * (k + 1)]
        for k in range(num_shards)
      ]
      merged, *others = shards
      for shard in others:
        added = [] if of_sums else sums.add(merged[plain:], shard[plain:])
        merged = [*parts.merge([*merged[:plain], *shard[:plain]]), *added]
      report = parts.report(merged[:plain])
      # The wrapped computation gives the state back before the result.
      result = parts.update([*state, *report, *merged[plain:], *summed])
      return result[len(of_state) :]

    types = [*of_state, *(of_shard * num_shards), *of_sums]
    return programs.Program(finish, [values.spec(t) for t in types])


def function(part: graphs.TensorFlowPart) -> programs.Program:
  """Returns a part as a plain function of flat tensors."""
  signature = [values.spec(t) for t in values.leaves(part.parameter_type)]
  return programs.Program(lambda *tensors: part(tensors), signature)


# Packs the blocks of all rounds; a round has at most a shard a core.
_packers = futures.ThreadPoolExecutor(os.cpu_count() or 1)


def _packed_ahead(
  blocks: Iterator[cohorts.Block], stop: int
) -> Iterator[tuple[cohorts.Block, list[Any]]]:
  """Yields blocks with their arrays, the next one packed meanwhile.

  Args:
    blocks: The blocks of a shard, packed when they are asked for.
    stop: The client after the shard's last.
  """

  def pack() -> tuple[cohorts.Block, list[Any]]:
    block = next(blocks)
    return block, programs.flat_arrays(block)

  packed = pack()
  while packed[0].first + packed[0].num_clients < stop:
    ahead = _packers.submit(pack)
    yield packed
    packed = ahead.result()
  yield packed


def _unsupported(message: str) -> str:
  """Returns what XLA refuses, from its message."""
  operations = sorted(set(re.findall(r'(\w+) \(No registered', message)))
  if operations:
    return f'XLA has no kernel for {", ".join(operations)}'
  return 'XLA says: ' + ' '.join(message.split('\n')[0].split())[:300]
