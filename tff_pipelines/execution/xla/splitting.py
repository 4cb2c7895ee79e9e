"""Any federated computation as the TensorFlow parts of one round.

TFF's compiler splits computations of one particular signature,
`(<S@SERVER, {C}@CLIENTS> -> <S@SERVER, R@SERVER>)`. Others are wrapped so that
they have it.
"""

import dataclasses

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.execution.xla import graphs

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
  update <S, <U, sums...>> -> <S, R>. Secure sums: `modulus` of the modular.
  """

  prepare: graphs.TensorFlowPart
  work: graphs.TensorFlowPart
  zero: graphs.TensorFlowPart
  accumulate: graphs.TensorFlowPart
  merge: graphs.TensorFlowPart
  report: graphs.TensorFlowPart
  modulus: graphs.TensorFlowPart
  update: graphs.TensorFlowPart


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
  if not where.clients:
    raise graphs.NotLowerableError('it has no argument at the clients')
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
    reason = str(error).strip().splitlines()[0][:200]
    raise graphs.NotLowerableError(
      f"TFF's compiler finds no map-reduce form of it ({reason})"
    ) from error
  return Aggregation(
    prepare=graphs.read(form.prepare),
    work=graphs.read(form.work),
    zero=graphs.read(form.zero),
    accumulate=graphs.read(form.accumulate),
    merge=graphs.read(form.merge),
    report=graphs.read(form.report),
    modulus=graphs.read(form.secure_modular_sum_modulus),
    update=graphs.read(form.update),
  )


def initialization(computation: tff.Computation) -> graphs.TensorFlowPart:
  """Returns what a computation without arguments computes at the server.

  Raises:
    NotLowerableError: If that is not plain TensorFlow.
  """
  try:
    return graphs.read(
      _mapreduce.get_state_initialization_computation(
        computation, _without_grappler()
      )
    )
  except (TypeError, ValueError, NotImplementedError) as error:
    reason = str(error).strip().splitlines()[0][:200]
    raise graphs.NotLowerableError(
      f'its result is not made at the server alone ({reason})'
    ) from error


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
    values = {p: server[k] for k, p in enumerate(where.server)}
    values |= {p: clients[k] for k, p in enumerate(where.clients)}
    result = computation(*[values[p] for p in range(len(types))])
    if not isinstance(result.type_signature, tff.FederatedType):
      result = tff.federated_zip(result)
    return (server, result) if with_state else result

  return wrapped


def _placement(type_spec: tff.Type) -> tff.framework.PlacementLiteral:
  """Returns the one placement of a result."""
  found = set()

  def visit(part: tff.Type) -> None:
    if isinstance(part, tff.FederatedType):
      found.add(part.placement)
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
