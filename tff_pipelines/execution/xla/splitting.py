"""Any federated computation as the TensorFlow parts of one round.

TFF's compiler splits computations of one particular signature,
`(<S@SERVER, {C}@CLIENTS> -> <S@SERVER, R@SERVER>)`. Others are wrapped so that
they have it.
"""

import dataclasses
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.execution.xla import graphs, values

_mapreduce = tff.backends.mapreduce


@dataclasses.dataclass(frozen=True)
class Arguments:
  """Where a computation's arguments are placed.

  Attributes:
    server: Positions of the arguments at the server.
    clients: Positions of those at the clients.
    single: Whether there is just one, which is not in a struct.
  """

  server: tuple[int, ...]
  clients: tuple[int, ...]
  single: bool


@dataclasses.dataclass(frozen=True)
class Aggregation:
  """The parts of a computation whose result is at the server.

  Types: prepare S -> B; work <C, B> -> <update, bitwidth, maximum, modular>;
  zero -> A; accumulate <A, update> -> A; merge <A, A> -> A; report A -> U;
  update <S, <U, sums...>> -> <S, R>. What secure sums may hold: `bitwidth`,
  `max_input` and `modulus`, without arguments.
  """

  prepare: graphs.TensorFlowPart
  work: graphs.TensorFlowPart
  zero: graphs.TensorFlowPart
  accumulate: graphs.TensorFlowPart
  merge: graphs.TensorFlowPart
  report: graphs.TensorFlowPart
  bitwidth: graphs.TensorFlowPart
  max_input: graphs.TensorFlowPart
  modulus: graphs.TensorFlowPart
  update: graphs.TensorFlowPart

  @property
  def accumulator_type(self) -> tff.Type:
    """The type A; that of `zero` can be narrower, [0] of a list that grows."""
    return self.merge.type_signature.parameter[0]


@dataclasses.dataclass(frozen=True)
class ClientMap:
  """The parts of a computation whose result is at the clients.

  Types: prepare S -> B; work <B, C> -> R.
  """

  prepare: graphs.TensorFlowPart
  work: graphs.TensorFlowPart


def arguments(computation: tff.Computation) -> Arguments:
  """Returns where the arguments of a computation are.

  Raises:
    NotLowerableError: If one is neither at the server nor at the clients.
  """
  single = isinstance(computation.type_signature.parameter, tff.FederatedType)
  placements: dict[tff.framework.PlacementLiteral, list[int]] = {
    tff.SERVER: [],
    tff.CLIENTS: [],
  }
  for position, argument in enumerate(argument_types(computation)):
    if not isinstance(argument, tff.FederatedType):
      raise graphs.NotLowerableError(
        f'its argument {position} is neither at the server nor at the clients'
      )
    placements[argument.placement].append(position)
  return Arguments(
    tuple(placements[tff.SERVER]), tuple(placements[tff.CLIENTS]), single
  )


def has_clients(computation: tff.Computation) -> bool:
  """Whether a computation has an argument at the clients."""
  if not values.is_federated(computation.type_signature.parameter):
    return False
  return bool(arguments(computation).clients)


def argument_types(computation: tff.Computation) -> list[tff.Type]:
  """Returns the types of a computation's arguments."""
  parameter = computation.type_signature.parameter
  if isinstance(parameter, tff.FederatedType):
    return [parameter]
  if not isinstance(parameter, tff.StructType):
    raise graphs.NotLowerableError(f'its parameter is of the type {parameter}')
  return [element for _, element in tff.structure.iter_elements(parameter)]


def split(computation: tff.Computation) -> Aggregation | ClientMap:
  """Splits a federated computation with client data into its parts.

  Raises:
    NotLowerableError: If TFF's compiler cannot split it.
  """
  where = arguments(computation)
  try:
    if _placement(computation.type_signature.result) is tff.CLIENTS:
      form = _mapreduce.get_broadcast_form_for_computation(
        _wrap(computation, where, with_state=False), _without_grappler()
      )
      return ClientMap(
        graphs.read(form.compute_server_context),
        graphs.read(form.client_processing),
      )
    form = _mapreduce.get_map_reduce_form_for_computation(
      _wrap(computation, where, with_state=True), _without_grappler()
    )
  except (TypeError, ValueError, NotImplementedError) as error:
    raise graphs.NotLowerableError(
      f"TFF's compiler finds no map-reduce form of it ({_first_line(error)})"
    ) from error
  return Aggregation(
    prepare=graphs.read(form.prepare),
    work=graphs.read(form.work),
    zero=graphs.read(form.zero),
    accumulate=graphs.read(form.accumulate),
    merge=graphs.read(form.merge),
    report=graphs.read(form.report),
    bitwidth=graphs.read(form.secure_sum_bitwidth),
    max_input=graphs.read(form.secure_sum_max_input),
    modulus=graphs.read(form.secure_modular_sum_modulus),
    update=graphs.read(form.update),
  )


def local(computation: tff.Computation) -> graphs.TensorFlowPart:
  """Returns what a computation without client data computes, as one part.

  Its arguments and results are at the server, or have no placement.

  Raises:
    NotLowerableError: If TFF's compiler finds it is not plain TensorFlow.
  """
  try:
    block = _mapreduce.consolidate_and_extract_local_processing(
      _at_one_place(computation).to_building_block(), _without_grappler()
    )
  except (TypeError, ValueError, NotImplementedError) as error:
    raise graphs.NotLowerableError(
      f'its result is not made at one place alone ({_first_line(error)})'
    ) from error
  extracted = tff.framework.ConcreteComputation.from_building_block(block)
  return graphs.read(extracted)


def _at_one_place(computation: tff.Computation) -> tff.Computation:
  """Returns it with one argument and one result at the server, if placed."""
  signature = computation.type_signature
  if not values.is_federated(signature.parameter) and not values.is_federated(
    signature.result
  ):
    return computation
  if _placement(signature.result) is not tff.SERVER:
    raise graphs.NotLowerableError(
      'its result is at the clients, and it has no argument there'
    )
  if signature.parameter is None:

    @tff.federated_computation
    def made():
      return _zipped(computation())

    return made
  where = arguments(computation)
  types = argument_types(computation)
  members = tff.StructType([types[p].member for p in where.server])

  @tff.federated_computation(tff.FederatedType(members, tff.SERVER))
  def mapped(server):
    return _zipped(computation(*[server[k] for k in range(len(types))]))

  return mapped


def _wrap(
  computation: tff.Computation, where: Arguments, *, with_state: bool
) -> tff.Computation:
  types = argument_types(computation)

  def packed(positions: tuple[int, ...]) -> tff.StructType:
    return tff.StructType([types[p].member for p in positions])

  @tff.federated_computation(
    tff.FederatedType(packed(where.server), tff.SERVER),
    tff.FederatedType(packed(where.clients), tff.CLIENTS),
  )
  def wrapped(server, clients):
    given = {p: server[k] for k, p in enumerate(where.server)}
    given |= {p: clients[k] for k, p in enumerate(where.clients)}
    result = computation(*[given[p] for p in range(len(types))])
    result = _zipped(result)
    return (server, result) if with_state else result

  return wrapped


def _first_line(error: Exception) -> str:
  """Returns how an error's message begins, or its kind if it has none."""
  lines = str(error).strip().splitlines()
  return lines[0][:200] if lines else type(error).__name__


def _zipped(result: Any) -> Any:
  """Returns a struct of federated values as one federated value."""
  if isinstance(result.type_signature, tff.FederatedType):
    return result
  return tff.federated_zip(result)


def _placement(type_spec: tff.Type) -> tff.framework.PlacementLiteral:
  """Returns the one placement of a result."""
  found = set()

  def visit(part: tff.Type) -> None:
    if isinstance(part, tff.FederatedType):
      found.add(part.placement)
      if part.placement is tff.CLIENTS and part.all_equal:
        raise graphs.NotLowerableError(
          'a result of it is the same at all clients'
        )
    elif isinstance(part, tff.StructType):
      for _, element in tff.structure.iter_elements(part):
        visit(element)
    else:
      found.add(None)

  visit(type_spec)
  if len(found) != 1 or None in found:
    raise graphs.NotLowerableError(
      'its results are not all at the server or all at the clients'
    )
  return found.pop()


def _without_grappler() -> tf.compat.v1.ConfigProto:
  # Grappler would lower `If` to Switch and Merge, which XLA does not take.
  config = tf.compat.v1.ConfigProto()
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  return config
