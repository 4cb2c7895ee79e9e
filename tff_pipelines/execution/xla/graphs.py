"""Reading the TensorFlow inside a TFF computation, and importing parts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
import dataclasses
import itertools
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.execution.xla import _tff_internals


class NotLowerableError(Exception):
  """A computation that this context cannot run itself; the message says why."""


class NotCompilableError(Exception):
  """XLA does not take the program; the message says why."""


class ArgumentError(Exception):
  """An argument is not of its type; the cause says why."""


_part_numbers = itertools.count()


@dataclasses.dataclass(frozen=True)
class Body:
  """A graph with named inputs and outputs.

  Attributes:
    graph: The nodes.
    inputs: Names of the tensors that come from outside, with output index.
    outputs: Names of the results.
  """

  graph: tf.compat.v1.GraphDef
  inputs: tuple[str, ...]
  outputs: tuple[str, ...]


class Library:
  """The functions that a graph's nodes call, by name."""

  def __init__(self, library: Any):
    """Initializes from a FunctionDefLibrary and registers its functions."""
    _tff_internals.register_functions(library)
    self._functions = {f.signature.name: f for f in library.function}
    self._bodies: dict[str, Body] = {}

  def body(self, name: str) -> Body:
    """Returns a function's body."""
    if name not in self._bodies:
      function = self._functions[name]
      graph, names = _tff_internals.function_body(function)
      self._bodies[name] = Body(
        graph,
        tuple(f'{a.name}:0' for a in function.signature.input_arg),
        tuple(
          names[function.ret[o.name]] for o in function.signature.output_arg
        ),
      )
    return self._bodies[name]

  def closure(self, nodes: Iterable[Any]) -> list[Any]:
    """Returns the functions that nodes call, and those that these call."""
    found: dict[str, Any] = {}
    pending = list(nodes)
    while pending:
      for name in called_functions(pending.pop()):
        if name in self._functions and name not in found:
          found[name] = self._functions[name]
          pending.extend(self._functions[name].node_def)
    return list(found.values())


@dataclasses.dataclass(frozen=True)
class TensorFlowPart:
  """A `tff.tensorflow` computation, read.

  Attributes:
    body: Its graph. Inputs and outputs are in the order of TFF's flattened
      types; a sequence is one input.
    library: The functions it calls.
    type_signature: Its TFF type.
  """

  body: Body
  library: Library
  type_signature: tff.FunctionType

  @property
  def parameter_type(self) -> tff.Type:
    """The type of its parameter; of one without, the empty struct."""
    parameter = self.type_signature.parameter
    return tff.StructType([]) if parameter is None else parameter

  @property
  def operations(self) -> set[str]:
    """The kinds of operations, those in functions included."""
    return {node.op for node in self._nodes()}

  def count(self, operation: str) -> int:
    """Returns how many nodes are of a kind, those in functions included."""
    return sum(node.op == operation for node in self._nodes())

  def _nodes(self) -> list[Any]:
    nodes = list(self.body.graph.node)
    for function in self.library.closure(nodes):
      nodes.extend(function.node_def)
    return nodes

  def __call__(self, arguments: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Imports the part into the current graph; flat tensors in and out."""
    env = dict(zip(self.body.inputs, arguments, strict=True))
    return import_tensors(self.body, self.library, env, self.body.outputs)


def read(computation: tff.Computation) -> TensorFlowPart:
  """Reads a TensorFlow computation.

  Raises:
    NotLowerableError: If it is none, or has to initialize something.
  """
  proto = tff.framework.serialize_computation(computation)
  if proto.WhichOneof('computation') != 'tensorflow':
    raise NotLowerableError('it is not made of TensorFlow')
  proto = proto.tensorflow
  if proto.initialize_op:
    raise NotLowerableError(
      'its TensorFlow initializes a table or a variable before it runs'
    )
  graph = tf.compat.v1.GraphDef()
  proto.graph_def.Unpack(graph)
  _rename_functions(graph)
  inputs: list[str] = []
  if proto.HasField('parameter'):
    inputs = _binding_names(proto.parameter)
  return TensorFlowPart(
    Body(graph, tuple(inputs), tuple(_binding_names(proto.result))),
    Library(graph.library),
    computation.type_signature,
  )


def _rename_functions(graph: tf.compat.v1.GraphDef) -> None:
  """Gives a graph's functions names that nothing else in this process has.

  The eager runtime knows functions by name, and forgets one when the Python
  function that it was traced from goes away.
  """
  prefix = f'part_{next(_part_numbers)}_'
  functions = graph.library.function
  renamed = {f.signature.name: prefix + f.signature.name for f in functions}
  for function in functions:
    function.signature.name = renamed[function.signature.name]
  for gradient in graph.library.gradient:
    gradient.function_name = renamed[gradient.function_name]
    gradient.gradient_func = renamed[gradient.gradient_func]
  nodes = [*graph.node, *(n for f in functions for n in f.node_def)]
  for node in nodes:
    if node.op in renamed:
      node.op = renamed[node.op]
    for attribute in node.attr.values():
      for called in (attribute.func, *attribute.list.func):
        if called.name in renamed:
          called.name = renamed[called.name]


def called_functions(node: Any) -> list[str]:
  """Returns the names of the functions in a node's attributes."""
  names = []
  for attribute in node.attr.values():
    if attribute.HasField('func'):
      names.append(attribute.func.name)
    elif attribute.HasField('list'):
      names += [function.name for function in attribute.list.func]
  return names


def tensor_inputs(node: Any) -> list[str]:
  """Returns the names of a node's inputs, with output index."""
  return [full_name(i) for i in node.input if not i.startswith('^')]


def full_name(name: str) -> str:
  """Returns a tensor's name with its output index."""
  return name if ':' in name else f'{name}:0'


def node_name(tensor: str) -> str:
  """Returns the name of the node that a tensor comes from."""
  return tensor.split(':')[0]


def import_tensors(
  body: Body,
  library: Library,
  env: Mapping[str, tf.Tensor],
  wanted: Sequence[str],
) -> list[tf.Tensor]:
  """Returns the tensors `wanted`, emitting the nodes they need into the graph.

  Args:
    body: Where the nodes come from.
    library: The functions they call.
    env: Tensors that are there already, by name in that body. What lies behind
      them is not needed.
    wanted: Names of the tensors to return.
  """
  missing = [w for w in dict.fromkeys(wanted) if w not in env]
  got = import_shared(body, library, env, missing) if missing else {}
  return [env[w] if w in env else got[w] for w in wanted]


def import_shared(
  body: Body,
  library: Library,
  env: Mapping[str, tf.Tensor],
  missing: Sequence[str],
  without: Collection[str] = (),
) -> dict[str, tf.Tensor]:
  """Emits what `missing` needs; returns all that others of the body can use.

  With what it returns in `env`, a later import emits no node a second time: a
  random number is drawn once.

  Only needed nodes are imported: a placeholder that is left over makes XLA
  refuse the graph. Those named in `without` are not, nor what needs them, even
  if others are to run after them: what such nodes do is done elsewhere.
  """
  needed = _needed(body.graph.node, env, missing, without)
  names = {node.name for node in needed}
  wanted = dict.fromkeys(missing)
  for node in body.graph.node:
    if node.name not in names:
      wanted.update(
        dict.fromkeys(t for t in tensor_inputs(node) if node_name(t) in names)
      )
  wanted.update(dict.fromkeys(o for o in body.outputs if node_name(o) in names))
  part, stubs = _cut(needed, env)
  part.library.function.extend(library.closure(needed))
  # A tensor of an outer graph has to be captured before it can be mapped.
  mapped = {f'{stub}:0': tf.identity(env[name]) for name, stub in stubs}
  imported = tf.graph_util.import_graph_def(
    part, input_map=mapped, return_elements=list(wanted), name='part'
  )
  return dict(zip(wanted, imported, strict=True))


def _needed(
  nodes: Iterable[Any],
  env: Mapping[str, tf.Tensor],
  wanted: Sequence[str],
  without: Collection[str],
) -> list[Any]:
  by_name = {node.name: node for node in nodes}
  outside = {node_name(name) for name in env} | _behind(nodes, env, without)
  found: dict[str, Any] = {}
  pending = [node_name(w) for w in wanted]
  while pending:
    name = pending.pop()
    if name in found:
      continue
    node = found[name] = by_name[name]
    pending += [node_name(t) for t in tensor_inputs(node) if t not in env]
    for control in (i[1:] for i in node.input if i.startswith('^')):
      if control not in outside and by_name[control].op != 'Placeholder':
        pending.append(control)
  return [node for name, node in by_name.items() if name in found]


def _behind(
  nodes: Iterable[Any], env: Mapping[str, tf.Tensor], without: Collection[str]
) -> set[str]:
  """Returns the nodes of `without`, and those that need what they give."""
  users: dict[str, list[str]] = {}
  for node in nodes:
    for tensor in tensor_inputs(node):
      if tensor not in env:
        users.setdefault(node_name(tensor), []).append(node.name)
  found: set[str] = set()
  pending = list(without)
  while pending:
    name = pending.pop()
    if name not in found:
      found.add(name)
      pending += users.get(name, [])
  return found


def _cut(
  nodes: Sequence[Any], env: Mapping[str, tf.Tensor]
) -> tuple[tf.compat.v1.GraphDef, list[tuple[str, str]]]:
  """Returns the nodes as a graph of their own, its inputs replaced by stubs."""
  part = tf.compat.v1.GraphDef()
  part.versions.producer = tf.version.GRAPH_DEF_VERSION
  kept = {node.name for node in nodes}
  stubs: dict[str, str] = {}

  def source(name: str) -> str:
    full = full_name(name)
    if full not in env:
      return name
    if full not in stubs:
      stubs[full] = f'cut_{len(stubs)}'
      # A constant, because an unmapped placeholder would stay in the graph.
      node = part.node.add(name=stubs[full], op='Const')
      dtype = env[full].dtype
      node.attr['dtype'].type = dtype.as_datatype_enum
      node.attr['value'].tensor.CopyFrom(
        tf.make_tensor_proto(
          b'' if dtype == tf.string else np.zeros((), dtype.as_numpy_dtype),
          dtype,
        )
      )
    return stubs[full]

  for node in nodes:
    copy = part.node.add()
    copy.CopyFrom(node)
    del copy.input[:]
    copy.attr.pop('_class', None)  # It may be colocated with what is cut off.
    for name in node.input:
      if name.startswith('^'):
        if name[1:] in kept:
          copy.input.append(name)
      else:
        copy.input.append(source(name))
  return part, list(stubs.items())


def _binding_names(binding: Any) -> list[str]:
  kind = binding.WhichOneof('binding')
  if kind == 'tensor':
    return [full_name(binding.tensor.tensor_name)]
  if kind == 'sequence':
    return [full_name(binding.sequence.variant_tensor_name)]
  if kind == 'struct':
    return [n for e in binding.struct.element for n in _binding_names(e)]
  return []
