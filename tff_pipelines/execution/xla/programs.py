"""The loop over the clients of a block, as one compiled program."""

from collections.abc import Sequence
import enum
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import system_randomness
from tff_pipelines.execution import masked_sums
from tff_pipelines.execution.xla import (
  _tff_internals,
  cohorts,
  graphs,
  lowering,
  splitting,
  values,
)

# Of flat tensors, compiled or plain.
Program = _tff_internals.FlatFunction


class Batching(enum.IntEnum):
  """How even the batches of a program are; the next one handles more."""

  FULL = 0  # Every batch is full: all shapes are static.
  LAST_SHORT = 1  # A client's last batch can be short.
  ANY = 2  # Every batch can have its own size.


class SecureSums:
  """The secure sums of an aggregation.

  Attributes:
    types: Of the integers that a client hands in.
    summands: What each of these may hold.
  """

  def __init__(self, parts: splitting.Aggregation):
    """Initializes the sums of an aggregation."""
    by_kind = _secure_types(parts)
    self.types = [leaf for kind in by_kind for leaf in values.leaves(kind)]
    bits, limits, moduli = (
      _spread(_constants(part), part.type_signature.result, kind)
      for part, kind in zip(
        (parts.bitwidth, parts.max_input, parts.modulus), by_kind, strict=True
      )
    )
    self.summands = [
      *(masked_sums.Summand(max_input=2 ** int(b) - 1) for b in bits),
      *(masked_sums.Summand(max_input=int(limit)) for limit in limits),
      *(masked_sums.Summand(modulus=int(m)) for m in moduli),
    ]

  def zeros(self) -> list[tf.Tensor]:
    """Returns sums of nobody's values."""
    return [tf.zeros(t.shape, t.dtype) for t in self.types]

  def add(
    self, sums: Sequence[tf.Tensor], more: Sequence[tf.Tensor]
  ) -> list[tf.Tensor]:
    """Returns the sums with more values added, in the clear."""
    return [
      a + b
      if summand.modulus is None
      else tf.math.floormod(a + b, summand.modulus)
      for a, b, summand in zip(sums, more, self.summands, strict=True)
    ]


class ClientLoop:
  """Builds the programs that run a computation's work on blocks of clients.

  Attributes:
    watches: Whether the programs' last result says if all checks of the clients
      have held: XLA has no way to fail.
  """

  def __init__(
    self,
    parts: splitting.Aggregation | splitting.ClientMap,
    sums: SecureSums | None,
    *,
    compiled: bool,
    hand_in: bool = False,
  ):
    """Initializes the loop.

    Args:
      parts: The parts of the computation.
      sums: The secure sums of an aggregation.
      compiled: Whether with XLA.
      hand_in: Whether each client's summands of the secure sums are results;
        otherwise they are summed here, in the clear.
    """
    self._parts = parts
    self._sums = sums
    self._compiled = compiled
    self._hand_in = hand_in
    checked = parts.work.operations
    if isinstance(parts, splitting.Aggregation):
      checked = checked | parts.accumulate.operations
    self.watches = compiled and not checked.isdisjoint(lowering.CHECKS)
    self._num_reads = 0
    if compiled:
      self._num_reads = parts.work.count(system_randomness.OPERATION)
    context = values.leaves(parts.prepare.type_signature.result)
    self._context_specs = [values.spec(t) for t in context]

  def build(
    self,
    capacity: cohorts.Capacity,
    batching: Batching,
    template: cohorts.Cohort,
  ) -> Program:
    """Traces a program for blocks of the given capacity.

    Args:
      capacity: Of the blocks.
      batching: How even the batches are.
      template: A cohort whose arrays have the right types.

    Returns:
      (context..., carried..., num_clients, arrays of the leaves...,
      `randomness`...) -> carried of an aggregation; results of the clients
      [capacity.clients, ...] of a client map; carried and then the clients'
      summands [capacity.clients, ...] of one whose summands are handed in.
      Then, if `watches`, whether all checks have held, bool[].
    """
    leaf_specs = _leaf_specs(capacity, template)
    carried = self._carried_specs()
    scalar = tf.TensorSpec([], tf.int32)
    flat_leaves = [spec for leaf in leaf_specs for spec in leaf]
    of_system = [
      tf.TensorSpec(array.shape, array.dtype)
      for array in self.randomness(capacity)
    ]

    def program(*arguments: tf.Tensor) -> list[tf.Tensor]:
      remaining = iter(arguments)
      context = [next(remaining) for _ in self._context_specs]
      state = [next(remaining) for _ in carried]
      num_clients = next(remaining)
      leaves = [[next(remaining) for _ in leaf] for leaf in leaf_specs]
      clients = _Clients(
        template, leaves, batching, self._compiled, list(remaining)
      )
      if self._sums is None:
        return self._map(context, num_clients, clients, capacity.clients)
      return self._reduce(
        context, state, num_clients, clients, capacity.clients
      )

    return Program(
      program,
      [*self._context_specs, *carried, scalar, *flat_leaves, *of_system],
      jit_compile=self._compiled,
    )

  def randomness(self, capacity: cohorts.Capacity) -> list[np.ndarray]:
    """Returns the last arguments of a program, fresh for every call.

    What clients read of the operating system's randomness, one array if they
    do, uint8[capacity.clients, num_reads, ...]; outside of XLA they read it
    themselves.
    """
    if not self._num_reads:
      return []
    return [system_randomness.texts(capacity.clients, self._num_reads)]

  def _carried_specs(self) -> list[tf.TensorSpec]:
    if self._sums is None:
      return []
    accumulators = values.leaves(self._parts.accumulator_type)
    summed = [] if self._hand_in else self._sums.types
    return [values.spec(t) for t in [*accumulators, *summed]]

  def _reduce(
    self,
    context: Sequence[tf.Tensor],
    state: Sequence[tf.Tensor],
    num_clients: tf.Tensor,
    clients: '_Clients',
    capacity: int,
  ) -> list[tf.Tensor]:
    num_sums = len(self._sums.types)
    num_plain = len(values.leaves(self._parts.accumulator_type))
    arrays = _arrays(self._sums.types, capacity) if self._hand_in else []

    def one_client(client: tf.Tensor, held: tf.Tensor, *state: Any) -> Any:
      results, work_holds = self._run(
        self._parts.work,
        [*clients.arguments(client), *context],
        clients.randomness(client),
      )
      num_updates = len(results) - num_sums
      updates, summands = results[:num_updates], results[num_updates:]
      plain, sum_holds = self._run(
        self._parts.accumulate, [*state[:num_plain], *updates]
      )
      plain = [
        tf.ensure_shape(n, o.shape)
        for n, o in zip(plain, state[:num_plain], strict=True)
      ]
      if self._hand_in:
        sums = _written(state[num_plain:], client, summands, self._sums.types)
      else:
        sums = self._sums.add(state[num_plain:], summands)
      return (client + 1, held & work_holds & sum_holds, *plain, *sums)

    _, held, *state = tf.while_loop(
      lambda client, *_: client < num_clients,
      one_client,
      (tf.constant(0), tf.constant(True), *state, *arrays),
      parallel_iterations=1,
    )
    handed_in = [a.stack() for a in state[len(state) - len(arrays) :]]
    results = [*state[: len(state) - len(arrays)], *handed_in]
    return [*results, held] if self.watches else results

  def _map(
    self,
    context: Sequence[tf.Tensor],
    num_clients: tf.Tensor,
    clients: '_Clients',
    capacity: int,
  ) -> list[tf.Tensor]:
    types = values.leaves(self._parts.work.type_signature.result)

    def one_client(client: tf.Tensor, held: tf.Tensor, *results: Any) -> Any:
      new, holds = self._run(
        self._parts.work,
        [*context, *clients.arguments(client)],
        clients.randomness(client),
      )
      return (
        client + 1,
        held & holds,
        *_written(results, client, new, types),
      )

    _, held, *arrays = tf.while_loop(
      lambda client, *_: client < num_clients,
      one_client,
      (tf.constant(0), tf.constant(True), *_arrays(types, capacity)),
      parallel_iterations=1,
    )
    results = [array.stack() for array in arrays]
    return [*results, held] if self.watches else results

  def _run(
    self,
    part: graphs.TensorFlowPart,
    arguments: Sequence[Any],
    randomness: tf.Tensor | None = None,
  ) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Returns a part's results, and whether its checks have held."""
    lowered = lowering.Lowering(
      part.library, compiled=self._compiled, randomness=randomness
    )
    return lowered.run(part.body, arguments), lowered.holds


def _arrays(
  types: Sequence[tff.TensorType], capacity: int
) -> list[tf.TensorArray]:
  """Returns room for a value of each type from each client."""
  return [
    tf.TensorArray(values.spec(t).dtype, capacity, element_shape=t.shape)
    for t in types
  ]


def _written(
  arrays: Sequence[tf.TensorArray],
  client: tf.Tensor,
  new: Sequence[tf.Tensor],
  types: Sequence[tff.TensorType],
) -> list[tf.TensorArray]:
  """Returns the arrays with a client's values in them."""
  return [
    array.write(client, tf.ensure_shape(value, type_spec.shape))
    for array, value, type_spec in zip(arrays, new, types, strict=True)
  ]


class _Clients:
  """The clients of a block, as arguments of their work."""

  def __init__(
    self,
    template: cohorts.Cohort,
    leaves: Sequence[Sequence[tf.Tensor]],
    batching: Batching,
    compiled: bool,
    randomness: Sequence[tf.Tensor],
  ):
    self._template = template
    self._leaves = leaves
    self._batching = batching
    self._compiled = compiled
    self._randomness = randomness

  def arguments(self, client: tf.Tensor) -> list[Any]:
    """Returns a tensor or `Batches` for each leaf of the client's type."""
    return [
      self._batches(leaf, tensors, client)
      if isinstance(leaf, cohorts.Sequences)
      else lowering.row(tensors[0], client)
      for leaf, tensors in zip(self._template.leaves, self._leaves, strict=True)
    ]

  def randomness(self, client: tf.Tensor) -> tf.Tensor | None:
    """Returns what the client reads of the operating system's, if it does."""
    if not self._randomness:
      return None
    return lowering.row(self._randomness[0], client)

  def _batches(
    self,
    leaf: cohorts.Sequences,
    tensors: Sequence[tf.Tensor],
    client: tf.Tensor,
  ) -> lowering.Batches:
    offsets, *rest = tensors
    sizes = None
    if leaf.sizes is not None:
      *rest, sizes = rest
      if self._batching is Batching.FULL:
        sizes = None
    return lowering.Batches(
      tuple(rest),
      sizes,
      lowering.row(offsets, client),
      lowering.row(offsets, client + 1),
      compiled=self._compiled,
      only_last_short=self._batching is not Batching.ANY,
    )


def needed_batching(
  cohort: cohorts.Cohort, capacity: cohorts.Capacity
) -> Batching:
  """Returns how uneven the batches of a cohort are in such blocks."""
  needed = Batching.FULL
  for sequences, batch_size in zip(
    cohort.sequences, capacity.batch_sizes, strict=True
  ):
    if sequences.sizes is None:
      continue
    if sequences.all_full and sequences.batch_size == batch_size:
      continue
    padded = sequences.batch_size != batch_size
    single = bool((sequences.offsets[1:] - sequences.offsets[:-1] <= 1).all())
    if sequences.only_last_short and (not padded or single):
      needed = max(needed, Batching.LAST_SHORT)
    else:
      needed = Batching.ANY
  return needed


def flat_arrays(block: cohorts.Block) -> list[Any]:
  """Returns a block's arrays in the order of a program's arguments."""
  flat: list[Any] = []
  for leaf in block.leaves:
    if isinstance(leaf, cohorts.Sequences):
      flat += [leaf.offsets, *leaf.components]
      if leaf.sizes is not None:
        flat.append(leaf.sizes)
    else:
      flat.append(leaf)
  return flat


def _leaf_specs(
  capacity: cohorts.Capacity, template: cohorts.Cohort
) -> list[list[tf.TensorSpec]]:
  rooms = iter(zip(capacity.elements, capacity.batch_sizes, strict=True))
  specs = []
  for leaf in template.leaves:
    if not isinstance(leaf, cohorts.Sequences):
      dtype = tf.as_dtype(leaf.dtype)
      specs.append([tf.TensorSpec([capacity.clients, *leaf.shape[1:]], dtype)])
      continue
    room, batch_size = next(rooms)
    lead = [room] if batch_size is None else [room, batch_size]
    of_leaf = [tf.TensorSpec([capacity.clients + 1], tf.int32)]
    for component in leaf.components:
      shape = [*lead, *component.shape[len(lead) :]]
      dtype = tf.string if component.dtype == object else component.dtype
      of_leaf.append(tf.TensorSpec(shape, dtype))
    if batch_size is not None:
      of_leaf.append(tf.TensorSpec([room], tf.int32))
    specs.append(of_leaf)
  return specs


def has_secure_sums(parts: splitting.Aggregation) -> bool:
  """Whether clients hand in something to secure sums."""
  return any(values.leaves(kind) for kind in _secure_types(parts))


def _secure_types(parts: splitting.Aggregation) -> list[tff.Type]:
  """Returns the types of what goes to each kind of secure sum."""
  return _elements(parts.work.type_signature.result)[1:]


def _constants(part: graphs.TensorFlowPart) -> list[Any]:
  """Returns what a part without arguments computes."""
  return [t.numpy() for t in Program(lambda: part([]), [])()]


def _elements(type_spec: tff.Type) -> list[tff.Type]:
  return [e for _, e in tff.structure.iter_elements(type_spec)]


def _spread(
  limits: Sequence[Any], limits_type: tff.Type, value_type: tff.Type
) -> list[Any]:
  """Returns a limit for each tensor; one limit can be for several."""
  if not isinstance(value_type, tff.StructType):
    return [limits[0]]
  if not isinstance(limits_type, tff.StructType):
    return [limits[0]] * len(values.leaves(value_type))
  spread: list[Any] = []
  remaining = list(limits)
  for of_limits, of_values in zip(
    _elements(limits_type), _elements(value_type), strict=True
  ):
    count = len(values.leaves(of_limits))
    spread += _spread(remaining[:count], of_limits, of_values)
    del remaining[:count]
  return spread
