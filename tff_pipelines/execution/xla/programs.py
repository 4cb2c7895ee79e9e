"""The loop over the clients of a block, as one compiled program."""

from collections.abc import Sequence
import enum
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

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


class NotCompilableError(Exception):
  """XLA refuses the program; the message names the operations."""


class SecureSums:
  """Where the integers that clients hand to secure sums are summed.

  This one sums them in the program, in the clear, modulo the modulus where
  there is one: for experiments about learning.
  """

  def __init__(self, parts: splitting.Aggregation):
    """Initializes the sums of an aggregation."""
    results = _elements(parts.work.type_signature.result)
    self.types = [leaf for r in results[1:] for leaf in values.leaves(r)]
    moduli = tf.function(lambda: parts.modulus([]), autograph=False)()
    num_plain = len(self.types) - len(values.leaves(results[3]))
    self._moduli: list[Any] = [None] * num_plain + _spread(
      [m.numpy() for m in moduli],
      parts.modulus.type_signature.result,
      results[3],
    )

  def zeros(self) -> list[tf.Tensor]:
    """Returns sums of nobody's values."""
    return [tf.zeros(t.shape, t.dtype) for t in self.types]

  def add(
    self, sums: Sequence[tf.Tensor], more: Sequence[tf.Tensor]
  ) -> list[tf.Tensor]:
    """Returns the sums with more values added."""
    return [
      a + b if modulus is None else tf.math.floormod(a + b, modulus)
      for a, b, modulus in zip(sums, more, self._moduli, strict=True)
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
  ):
    """Initializes the loop.

    Args:
      parts: The parts of the computation.
      sums: The secure sums of an aggregation.
      compiled: Whether with XLA.
    """
    self._parts = parts
    self._sums = sums
    self._compiled = compiled
    checked = parts.work.operations
    if isinstance(parts, splitting.Aggregation):
      checked = checked | parts.accumulate.operations
    self.watches = compiled and not checked.isdisjoint(lowering.CHECKS)
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
      (context..., carried..., num_clients, arrays of the leaves...) -> carried
      of an aggregation; results of the clients [capacity.clients, ...] of a
      client map; then, if `watches`, whether all checks have held, bool[].
    """
    leaf_specs = _leaf_specs(capacity, template)
    carried = self._carried_specs()
    scalar = tf.TensorSpec([], tf.int32)
    flat_leaves = [spec for leaf in leaf_specs for spec in leaf]

    def program(*arguments: tf.Tensor) -> list[tf.Tensor]:
      remaining = iter(arguments)
      context = [next(remaining) for _ in self._context_specs]
      state = [next(remaining) for _ in carried]
      num_clients = next(remaining)
      leaves = [[next(remaining) for _ in leaf] for leaf in leaf_specs]
      clients = _Clients(template, leaves, batching, self._compiled)
      if self._sums is None:
        return self._map(context, num_clients, clients, capacity.clients)
      return self._reduce(context, state, num_clients, clients)

    return Program(
      program,
      [*self._context_specs, *carried, scalar, *flat_leaves],
      jit_compile=self._compiled,
    )

  def _carried_specs(self) -> list[tf.TensorSpec]:
    if self._sums is None:
      return []
    accumulators = values.leaves(self._parts.accumulator_type)
    return [values.spec(t) for t in [*accumulators, *self._sums.types]]

  def _reduce(
    self,
    context: Sequence[tf.Tensor],
    state: Sequence[tf.Tensor],
    num_clients: tf.Tensor,
    clients: '_Clients',
  ) -> list[tf.Tensor]:
    num_sums = len(self._sums.types)
    num_plain = len(state) - num_sums

    def one_client(
      client: tf.Tensor, held: tf.Tensor, *state: tf.Tensor
    ) -> Any:
      results, work_holds = self._run(
        self._parts.work, [*clients.arguments(client), *context]
      )
      num_updates = len(results) - num_sums
      plain, sum_holds = self._run(
        self._parts.accumulate, [*state[:num_plain], *results[:num_updates]]
      )
      sums = self._sums.add(state[num_plain:], results[num_updates:])
      new = [
        tf.ensure_shape(n, o.shape)
        for n, o in zip([*plain, *sums], state, strict=True)
      ]
      return (client + 1, held & work_holds & sum_holds, *new)

    _, held, *state = tf.while_loop(
      lambda client, *_: client < num_clients,
      one_client,
      (tf.constant(0), tf.constant(True), *state),
      parallel_iterations=1,
    )
    return [*state, held] if self.watches else state

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
        self._parts.work, [*context, *clients.arguments(client)]
      )
      return (
        client + 1,
        held & holds,
        *[
          array.write(client, tf.ensure_shape(value, type_spec.shape))
          for array, value, type_spec in zip(results, new, types, strict=True)
        ],
      )

    arrays = [
      tf.TensorArray(values.spec(t).dtype, capacity, element_shape=t.shape)
      for t in types
    ]
    _, held, *arrays = tf.while_loop(
      lambda client, *_: client < num_clients,
      one_client,
      (tf.constant(0), tf.constant(True), *arrays),
      parallel_iterations=1,
    )
    results = [array.stack() for array in arrays]
    return [*results, held] if self.watches else results

  def _run(
    self, part: graphs.TensorFlowPart, arguments: Sequence[Any]
  ) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Returns a part's results, and whether its checks have held."""
    lowered = lowering.Lowering(part.library, compiled=self._compiled)
    return lowered.run(part.body, arguments), lowered.holds


class _Clients:
  """The clients of a block, as arguments of their work."""

  def __init__(
    self,
    template: cohorts.Cohort,
    leaves: Sequence[Sequence[tf.Tensor]],
    batching: Batching,
    compiled: bool,
  ):
    self._template = template
    self._leaves = leaves
    self._batching = batching
    self._compiled = compiled

  def arguments(self, client: tf.Tensor) -> list[Any]:
    """Returns a tensor or `Batches` for each leaf of the client's type."""
    return [
      self._batches(leaf, tensors, client)
      if isinstance(leaf, cohorts.Sequences)
      else lowering.row(tensors[0], client)
      for leaf, tensors in zip(self._template.leaves, self._leaves, strict=True)
    ]

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


def _elements(type_spec: tff.Type) -> list[tff.Type]:
  return [e for _, e in tff.structure.iter_elements(type_spec)]


def _spread(
  moduli: Sequence[Any], moduli_type: tff.Type, value_type: tff.Type
) -> list[Any]:
  """Returns a modulus for each tensor; one modulus can be for several."""
  if not isinstance(value_type, tff.StructType):
    return [moduli[0]]
  if not isinstance(moduli_type, tff.StructType):
    return [moduli[0]] * len(values.leaves(value_type))
  spread: list[Any] = []
  remaining = list(moduli)
  for of_moduli, of_values in zip(
    _elements(moduli_type), _elements(value_type), strict=True
  ):
    count = len(values.leaves(of_moduli))
    spread += _spread(remaining[:count], of_moduli, of_values)
    del remaining[:count]
  return spread
