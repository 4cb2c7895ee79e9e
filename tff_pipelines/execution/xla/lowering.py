"""What client work does with its data, without tf.data.

Client work reads its data through a dataset: `ReduceDataset`, or an iterator in
a while loop. Neither has an XLA kernel. Here the nodes that touch a dataset are
interpreted, and emitted again as loops over arrays; all others are imported
untouched.

Nodes that fail on their own are interpreted, too, wherever they are: a program
of XLA cannot fail, so there it is a result of the work whether all have held.
And those that read the operating system's randomness, which a program of XLA
cannot, either: it is given some for each client.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
import dataclasses
from typing import Any

import tensorflow as tf

from tff_pipelines.core import system_randomness
from tff_pipelines.execution.xla import _tff_internals, graphs


@dataclasses.dataclass(frozen=True)
class Batches:
  """A client's dataset: some elements of arrays.

  Attributes:
    components: Tensors [num_elements, ...]; of a batched element, whose size
      can vary, [num_elements, batch_size, ...].
    sizes: int32[num_elements], true sizes of batched elements; None where
      elements all have the shape of the arrays.
    first: The client's first element.
    last: The element after its last.
    compiled: Whether for XLA.
    only_last_short: Whether no element but the last can be short.
  """

  components: tuple[tf.Tensor, ...]
  sizes: tf.Tensor | None
  first: tf.Tensor
  last: tf.Tensor
  compiled: bool
  only_last_short: bool = True

  def element(self, index: tf.Tensor) -> list[tf.Tensor]:
    """Returns one element, its batch of true size."""
    rows = [row(component, index) for component in self.components]
    if self.sizes is None:
      return rows
    size = row(self.sizes, index)
    if not self.compiled:
      return [full[:size] for full in rows]
    return [
      # The shape says that the size varies; XLA knows the bound.
      tf.ensure_shape(
        _tff_internals.with_true_size(full, size), [None, *full.shape[1:]]
      )
      for full in rows
    ]

  def full_batches(self) -> 'Batches':
    """The elements before the last, whose batches are full: static shapes."""
    return dataclasses.replace(
      self, sizes=None, last=tf.maximum(self.first, self.last - 1)
    )


class Iterator:
  """An iterator over `Batches`; its position is kept by the lowering."""

  def __init__(self, batches: Batches):
    self.batches = batches


@dataclasses.dataclass(frozen=True)
class Next:
  """An optional element: what `IteratorGetNextAsOptional` returns."""

  batches: Batches
  index: tf.Tensor

  def has_value(self) -> tf.Tensor:
    return self.index < self.batches.last

  def value(self) -> list[tf.Tensor]:
    last = tf.maximum(self.batches.last - 1, 0)
    return self.batches.element(tf.minimum(self.index, last))


class Randomness:
  """The operating system's, on its way from where it is read to a tensor."""


def row(array: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
  """Returns `array[index]`.

  Indexing would become a strided slice, for which XLA first copies the whole
  array into one of twice the size in each dimension.
  """
  if array.shape.rank is None or None in array.shape[1:]:
    return array[index]
  begin = tf.concat([[index], tf.zeros([array.shape.rank - 1], tf.int32)], 0)
  size = [1, *array.shape[1:]]
  return tf.reshape(tf.slice(array, begin, size), array.shape[1:])


# The kinds of nodes that fail on their own.
CHECKS = ('Assert', 'CheckNumerics', 'CheckNumericsV2')
# Those that call functions, in which there can be some.
_INLINED = ('PartitionedCall', 'StatefulPartitionedCall')
_CALLS = (*_INLINED, 'If', 'StatelessIf', 'While', 'StatelessWhile')

# What a text of the operating system's randomness passes until it is a tensor.
_READS = (system_randomness.OPERATION, 'DatasetToSingleElement')

_SYMBOLS = (Batches, Iterator, Next, Randomness)
_SYMBOLIC_TYPES = (
  tf.variant.as_datatype_enum,
  tf.resource.as_datatype_enum,
)
_Value = Any  # A tensor or one of _SYMBOLS.


class Lowering:
  """Interprets the bodies of one client's work.

  Attributes:
    holds: bool[], whether all checks have held so far. Outside of XLA a check
      that does not hold fails at once.
  """

  def __init__(
    self,
    library: graphs.Library,
    *,
    compiled: bool,
    randomness: tf.Tensor | None = None,
  ):
    """Initializes a lowering.

    Args:
      library: The functions that bodies call.
      compiled: Whether for XLA.
      randomness: What the client's reads of the operating system's give,
        uint8[num_reads, ...]. None: they read it themselves.
    """
    self._library = library
    self._compiled = compiled
    self._randomness = randomness
    self._num_reads = 0
    self._in_loop = False
    self._positions: dict[Iterator, tf.Tensor] = {}
    self.holds = tf.constant(True)

  def run(self, body: graphs.Body, arguments: Sequence[_Value]) -> list[_Value]:
    """Emits a body with some arguments that are symbols.

    Raises:
      NotLowerableError: If something is done with a dataset that has no
        counterpart here.
    """
    env: dict[str, _Value] = dict(zip(body.inputs, arguments, strict=True))
    steps, interpreted = _order(body, env, self._is_interpreted)
    for node in steps:
      inputs = _inputs(node, body)
      # XLA has no strings, of which messages and names of files are made.
      if self._compiled and node.op == 'Assert':
        inputs = inputs[:1]
      elif node.op == system_randomness.OPERATION:
        _check_source(body, inputs[0])
        inputs = []
      values = self._values(body, env, inputs, interpreted)
      results = self._emit(node, values)
      env.update({f'{node.name}:{k}': value for k, value in enumerate(results)})
    return self._values(body, env, body.outputs, interpreted)

  def _is_interpreted(self, node: Any) -> bool:
    """Whether a node does what is interpreted wherever it is."""
    # XLA takes all arguments of a call for constants if a result of it decides
    # a shape, as what a model hands to its own gradient may: then it would
    # compile anew for all new data.
    if self._compiled and node.op in _INLINED:
      return True
    wanted = set(CHECKS)
    if self._randomness is not None:
      wanted.add(system_randomness.OPERATION)
    if node.op in _CALLS:
      called = self._library.closure([node])
      return any(n.op in wanted for f in called for n in f.node_def)
    return node.op in wanted

  def _values(
    self,
    body: graphs.Body,
    env: dict[str, _Value],
    names: Sequence[str],
    interpreted: Collection[str],
  ) -> list[_Value]:
    """Returns values by name; imports the plain nodes they need, each once."""
    missing = [n for n in names if n not in env]
    if missing:
      tensors = {k: v for k, v in env.items() if not isinstance(v, _SYMBOLS)}
      env.update(
        graphs.import_shared(body, self._library, tensors, missing, interpreted)
      )
    return [env[n] for n in names]

  def _emit(self, node: Any, values: Sequence[_Value]) -> list[_Value]:
    emitters: Mapping[str, Callable[..., list[_Value]]] = {
      'Identity': lambda: list(values),
      'ReduceDataset': lambda: self._reduce(node, values),
      'PartitionedCall': lambda: self._call(node, values),
      'StatefulPartitionedCall': lambda: self._call(node, values),
      'If': lambda: self._if(node, values),
      'StatelessIf': lambda: self._if(node, values),
      'While': lambda: self._while(node, values),
      'StatelessWhile': lambda: self._while(node, values),
      'AnonymousIteratorV2': lambda: [self._iterator(values[-1])],
      'AnonymousIteratorV3': lambda: [self._iterator(values[-1])],
      'IteratorGetNextAsOptional': lambda: [self._next(values[0])],
      'OptionalHasValue': lambda: [values[0].has_value()],
      'OptionalGetValue': lambda: values[0].value(),
      'Assert': lambda: self._assert(values),
      'CheckNumerics': lambda: self._check_numerics(node, values),
      'CheckNumericsV2': lambda: self._check_numerics(node, values),
      'DecodeRaw': lambda: [self._read()],
      **dict.fromkeys(_READS, lambda: [self._about_to_read(node, values)]),
    }
    if node.op not in emitters:
      raise graphs.NotLowerableError(
        f"its client work applies {node.op} to a client's dataset"
      )
    return emitters[node.op]()

  def _assert(self, values: Sequence[tf.Tensor]) -> list[_Value]:
    if self._compiled:
      self.holds = tf.logical_and(self.holds, values[0])
    else:
      tf.raw_ops.Assert(condition=values[0], data=values[1:])
    return []

  def _check_numerics(
    self, node: Any, values: Sequence[tf.Tensor]
  ) -> list[_Value]:
    if not self._compiled:
      message = node.attr['message'].s
      return [tf.debugging.check_numerics(values[0], message)]
    is_finite = tf.reduce_all(tf.math.is_finite(values[0]))
    self.holds = tf.logical_and(self.holds, is_finite)
    return list(values)

  def _about_to_read(self, node: Any, values: Sequence[_Value]) -> Randomness:
    if values and not isinstance(values[0], Randomness):
      raise graphs.NotLowerableError(
        f"its client work applies {node.op} to a client's dataset"
      )
    return Randomness()

  def _read(self) -> tf.Tensor:
    """Returns the next of what was given: one a read, never the same twice."""
    if self._in_loop or self._num_reads == self._randomness.shape[0]:
      raise graphs.NotCompilableError(
        "its client work reads the operating system's randomness in a loop, or "
        'in a function that it calls more than once'
      )
    self._num_reads += 1
    return self._randomness[self._num_reads - 1]

  def _threaded(self, iterators: Sequence[Iterator]) -> list[tf.Tensor]:
    """Returns what changes from step to step beside the values."""
    return [self.holds, *(self._positions[i] for i in iterators)]

  def _resume(
    self, iterators: Sequence[Iterator], threaded: Sequence[tf.Tensor]
  ) -> None:
    """Goes on from what `_threaded` returned."""
    self.holds = threaded[0]
    self._positions.update(zip(iterators, threaded[1:], strict=True))

  def _call(self, node: Any, values: Sequence[_Value]) -> list[_Value]:
    return self.run(self._library.body(node.attr['f'].func.name), values)

  def _reduce(self, node: Any, values: Sequence[_Value]) -> list[_Value]:
    num_states = len(node.attr['Tstate'].list.type)
    batches, state = values[0], list(values[1 : 1 + num_states])
    captured = values[1 + num_states :]
    function = self._library.body(node.attr['f'].func.name)

    def reduce(state: Sequence[tf.Tensor], element: Sequence[tf.Tensor]):
      self._resume([], state[:1])
      results = self._repeated(function, [*state[1:], *element, *captured])
      return [
        tf.ensure_shape(new, old.shape)
        for new, old in zip([self.holds, *results], state, strict=True)
      ]

    def over(batches: Batches, state: Sequence[tf.Tensor]) -> list[tf.Tensor]:
      _, *state = tf.while_loop(
        lambda index, *_: index < batches.last,
        lambda index, *state: (
          index + 1,
          *reduce(state, batches.element(index)),
        ),
        (batches.first, self.holds, *state),
        parallel_iterations=1,
      )
      self._resume([], state[:1])
      return state[1:]

    static = batches.sizes is None or not batches.only_last_short
    if static or not batches.compiled:
      return over(batches, state)
    # Full batches have static shapes, which XLA computes much faster; only the
    # last one may be short.
    full = batches.full_batches()
    state = over(full, state)
    rest = dataclasses.replace(batches, first=full.last)
    return over(rest, state)

  def _repeated(
    self, body: graphs.Body, arguments: Sequence[_Value]
  ) -> list[_Value]:
    """As `run`, inside of a loop."""
    before, self._in_loop = self._in_loop, True
    results = self.run(body, arguments)
    self._in_loop = before
    return results

  def _iterator(self, batches: _Value) -> Iterator:
    if not isinstance(batches, Batches):
      raise graphs.NotLowerableError('it iterates over a dataset of its own')
    iterator = Iterator(batches)
    self._positions[iterator] = batches.first
    return iterator

  def _next(self, iterator: Iterator) -> Next:
    index = self._positions[iterator]
    self._positions[iterator] = index + 1
    return Next(iterator.batches, index)

  def _if(self, node: Any, values: Sequence[_Value]) -> list[_Value]:
    condition, *arguments = values
    iterators = [v for v in arguments if isinstance(v, Iterator)]
    before = self._threaded(iterators)

    def branch(attribute: str) -> list[tf.Tensor]:
      self._resume(iterators, before)
      body = self._library.body(node.attr[attribute].func.name)
      results = self.run(body, arguments)
      if any(isinstance(r, _SYMBOLS) for r in results):
        raise graphs.NotLowerableError('it chooses between datasets')
      return [*results, *self._threaded(iterators)]

    results = tf.cond(
      _truth(condition),
      lambda: branch('then_branch'),
      lambda: branch('else_branch'),
    )
    results = list(tf.nest.flatten(results))
    num_results = len(results) - len(before)
    self._resume(iterators, results[num_results:])
    return results[:num_results]

  def _while(self, node: Any, values: Sequence[_Value]) -> list[_Value]:
    symbols = {k: v for k, v in enumerate(values) if isinstance(v, _SYMBOLS)}
    tensors = [v for v in values if not isinstance(v, _SYMBOLS)]
    iterators = [v for v in symbols.values() if isinstance(v, Iterator)]
    condition = self._library.body(node.attr['cond'].func.name)
    function = self._library.body(node.attr['body'].func.name)

    def arguments(state: Sequence[tf.Tensor]) -> list[_Value]:
      plain = iter(state[: len(tensors)])
      self._resume(iterators, state[len(tensors) :])
      return [
        symbols[k] if k in symbols else next(plain) for k in range(len(values))
      ]

    def step(*state: tf.Tensor) -> list[tf.Tensor]:
      results = self._repeated(function, arguments(state))
      for k, symbol in symbols.items():
        if results[k] is not symbol:
          raise graphs.NotLowerableError('its loop replaces a dataset')
      new = [r for k, r in enumerate(results) if k not in symbols]
      new += self._threaded(iterators)
      return [
        tf.ensure_shape(n, o.shape) for n, o in zip(new, state, strict=True)
      ]

    state = tf.while_loop(
      lambda *state: _truth(self._repeated(condition, arguments(state))[0]),
      step,
      [*tensors, *self._threaded(iterators)],
      parallel_iterations=1,
    )
    return arguments(state)


def _check_source(body: graphs.Body, files: str) -> None:
  """Refuses a read of anything but the operating system's randomness."""
  for node in body.graph.node:
    if node.name == graphs.node_name(files) and node.op == 'Const':
      names = tf.make_ndarray(node.attr['value'].tensor).ravel().tolist()
      if set(names) == {system_randomness.SOURCE.encode()}:
        return
  raise graphs.NotCompilableError('its client work reads a file')


def _truth(condition: tf.Tensor) -> tf.Tensor:
  """Returns what `If` and `While` take a scalar for."""
  return condition if condition.dtype == tf.bool else condition != 0


def _order(
  body: graphs.Body,
  env: Mapping[str, _Value],
  is_interpreted: Callable[[Any], bool],
) -> tuple[list[Any], set[str]]:
  """Returns the nodes to interpret, and the names of all such nodes.

  The latter are those that touch a symbol or are interpreted wherever they are;
  the former are those of them that matter for an output or a check, inputs
  first.
  """
  by_name = {node.name: node for node in body.graph.node}
  order: list[Any] = []
  touching: dict[str, bool] = {}

  def is_symbol(tensor: str) -> bool:
    if tensor in env:
      return isinstance(env[tensor], _SYMBOLS)
    node = by_name[graphs.node_name(tensor)]
    return visit(node) and _output_type(node, tensor) in _SYMBOLIC_TYPES

  def visit(node: Any) -> bool:
    if node.name not in touching:
      touching[node.name] = False  # Graphs of functions have no cycles.
      symbols = [is_symbol(t) for t in _inputs(node, body)]
      touches = (
        any(symbols)
        or node.op.startswith('AnonymousIterator')
        or is_interpreted(node)
      )
      touching[node.name] = touches
      if touches:
        order.append(node)
    return touching[node.name]

  for output in body.outputs:
    if output not in env:
      visit(by_name[graphs.node_name(output)])
  for node in body.graph.node:
    if is_interpreted(node):
      visit(node)
  steps = list(order)
  for node in body.graph.node:
    visit(node)
  return steps, {name for name, touches in touching.items() if touches}


def _inputs(node: Any, body: graphs.Body) -> list[str]:
  """Returns a node's inputs; of an iterator, the dataset it is made from."""
  if not node.op.startswith('AnonymousIterator'):
    return graphs.tensor_inputs(node)
  for maker in body.graph.node:
    if maker.op == 'MakeIterator':
      dataset, iterator = graphs.tensor_inputs(maker)
      if graphs.node_name(iterator) == node.name:
        return [dataset]
  raise graphs.NotLowerableError('it uses an iterator of unknown origin')


def _output_type(node: Any, tensor: str) -> int:
  """Returns the data type of a node's output, as far as it can be a symbol."""
  if node.op in ('AnonymousIteratorV2', 'AnonymousIteratorV3'):
    return tf.resource.as_datatype_enum
  if node.op == 'IteratorGetNextAsOptional' or node.op in _READS:
    return tf.variant.as_datatype_enum
  if node.op == 'Identity':
    return node.attr['T'].type
  for attribute in ('Tout', 'T', 'output_types'):
    types = node.attr[attribute].list.type if attribute in node.attr else ()
    if types:
      return types[int(tensor.split(':')[1])]
  return tf.float32.as_datatype_enum
