"""Client data as arrays, and as blocks of fixed capacity.

A program is compiled for the shapes of its arguments. Blocks have the same
shapes whatever the cohort, so that a run compiles once.
"""

from collections.abc import Iterator, Sequence
import dataclasses
import itertools
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import client_batches, gathered
from tff_pipelines.execution.xla import graphs, values

# What a block holds at the most, in bytes of padded examples: little enough
# to be packed while the block before it computes.
_BLOCK_BYTES = 8 * 2**20

# What TensorFlow asks of memory, in bytes.
_ALIGNMENT = 64


@dataclasses.dataclass(frozen=True)
class Sequences:
  """One sequence a client, dense.

  Attributes:
    components: Arrays (or `GatheredBatches`) [num_elements, ...], client after
      client; of batched elements [num_elements, batch_size, ...], padded.
    sizes: int32[num_elements], true sizes of batched elements, or None.
    offsets: int64[num_clients + 1]; client c owns the elements offsets[c] to
      offsets[c + 1] - 1.
  """

  components: tuple[np.ndarray, ...]
  sizes: np.ndarray | None
  offsets: np.ndarray

  @property
  def batch_size(self) -> int | None:
    """The padded size of batched elements."""
    return None if self.sizes is None else self.components[0].shape[1]

  @property
  def all_full(self) -> bool:
    """Whether no element is short."""
    return self.sizes is None or bool(np.all(self.sizes == self.batch_size))

  @property
  def only_last_short(self) -> bool:
    """Whether no element but a client's last is short."""
    if self.sizes is None:
      return True
    is_last = np.zeros(len(self.sizes), bool)
    is_last[self.offsets[1:][np.diff(self.offsets) > 0] - 1] = True
    return bool(np.all(is_last | (self.sizes == self.batch_size)))


@dataclasses.dataclass(frozen=True)
class Cohort:
  """What the clients of one invocation hold.

  Attributes:
    leaves: In the order of TFF's flattened client types, `Sequences` or an
      array [num_clients, ...] of one tensor a client.
    client_ids: Names of the clients, or their numbers.
  """

  leaves: tuple[Sequences | np.ndarray, ...]
  client_ids: tuple[str, ...]

  @property
  def num_clients(self) -> int:
    return len(self.client_ids)

  @property
  def sequences(self) -> list[Sequences]:
    """The leaves that are sequences."""
    return [leaf for leaf in self.leaves if isinstance(leaf, Sequences)]

  def work(self) -> np.ndarray:
    """Returns int64[num_clients], a measure of each client's work."""
    counts = [np.diff(s.offsets) for s in self.sequences]
    return np.sum([np.ones(self.num_clients, np.int64), *counts], axis=0)


def chosen(cohort: Cohort, clients: Sequence[int]) -> Cohort:
  """Returns the cohort of some of its clients, by number."""

  def own(leaf: Sequences | np.ndarray) -> Sequences | np.ndarray:
    if isinstance(leaf, np.ndarray):
      return leaf[list(clients)]
    ranges = [np.arange(*leaf.offsets[c : c + 2]) for c in clients]
    elements = np.concatenate([np.zeros(0, np.int64), *ranges])
    counts = [len(r) for r in ranges]
    return Sequences(
      tuple(
        c.chosen(elements)
        if isinstance(c, gathered.GatheredBatches)
        else c[elements]
        for c in leaf.components
      ),
      None if leaf.sizes is None else leaf.sizes[elements],
      np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
    )

  return Cohort(
    tuple(map(own, cohort.leaves)),
    tuple(cohort.client_ids[c] for c in clients),
  )


def first_elements(alone: Cohort, count: int) -> Cohort:
  """Returns a cohort of one with the first elements of its sequences only."""

  def start(leaf: Sequences | np.ndarray) -> Sequences | np.ndarray:
    if isinstance(leaf, np.ndarray):
      return leaf
    return Sequences(
      tuple(c[:count] for c in leaf.components),
      None if leaf.sizes is None else leaf.sizes[:count],
      np.array([0, min(count, leaf.offsets[-1])], np.int64),
    )

  return Cohort(tuple(map(start, alone.leaves)), alone.client_ids)


def collect(arguments: Sequence[Any], types: Sequence[tff.Type]) -> Cohort:
  """Returns the client arguments of an invocation as a cohort.

  Args:
    arguments: For each argument at the clients a `ClientBatches` or a list of
      one value a client.
    types: The arguments' member types.

  Raises:
    TypeError: If a value is not of its type, as TFF itself says it.
    NotLowerableError: If sequences hold elements of varying shapes.
  """
  leaves: list[Sequences | np.ndarray] = []
  ids: tuple[str, ...] | None = None
  num_clients: int | None = None
  for argument, type_spec in zip(arguments, types, strict=True):
    if isinstance(argument, client_batches.ClientBatches):
      ids = argument.client_ids
      count = argument.num_clients
      leaves.append(_from_client_batches(argument, type_spec))
    else:
      if not isinstance(argument, list | tuple):
        raise TypeError(
          'Expected a value at the clients to be a ClientBatches, a list or a '
          f'tuple of one value a client, found {type(argument)}.'
        )
      count = len(argument)
      leaves += _from_list(argument, type_spec)
    if num_clients not in (None, count):
      raise ValueError(
        f'Conflicting cardinalities for clients: {num_clients} vs {count}'
      )
    num_clients = count
  ids = ids or tuple(f'number {c}' for c in range(num_clients or 0))
  return Cohort(tuple(leaves), ids)


def empty(types: Sequence[tff.Type]) -> Cohort:
  """Returns a cohort of nobody, with arrays of the right types."""
  return Cohort(tuple(leaf for t in types for leaf in _from_list([], t)), ())


def _from_client_batches(
  batches: client_batches.ClientBatches, type_spec: tff.Type
) -> Sequences:
  if not isinstance(type_spec, tff.SequenceType):
    raise TypeError(
      f'Expected values of the type {type_spec} at the clients, found a '
      'ClientBatches, which is a sequence of batches a client.'
    )
  spec = tf.nest.map_structure(
    lambda a: tf.TensorSpec([None, *a.shape[2:]], a.dtype), batches.elements
  )
  type_spec.element.check_assignable_from(tff.types.tensorflow_to_type(spec))
  return Sequences(
    tuple(
      _strings(np.asarray(c), batches.batch_sizes)
      if c.dtype.kind in 'OSU'
      else c
      for c in tf.nest.flatten(batches.elements)
    ),
    batches.batch_sizes,
    batches.offsets.astype(np.int64),
  )


def _strings(component: np.ndarray, sizes: np.ndarray) -> np.ndarray:
  """Returns batches of strings, empty ones where a batch is padded."""
  strings = component.astype(object)
  rows = np.arange(component.shape[1])
  strings[rows >= sizes[:, np.newaxis]] = b''
  return strings


def _from_list(
  clients: Sequence[Any], type_spec: tff.Type
) -> list[Sequences | np.ndarray]:
  types = values.leaves(type_spec)
  by_client = [_leaf_values(value, type_spec) for value in clients]
  result: list[Sequences | np.ndarray] = []
  for position, leaf_type in enumerate(types):
    column = [leaf[position] for leaf in by_client]
    if isinstance(leaf_type, tff.SequenceType):
      result.append(_sequences(column, leaf_type))
      continue
    if leaf_type.shape is None or None in leaf_type.shape:
      raise graphs.NotLowerableError(
        f"its clients' tensors vary in shape ({leaf_type})"
      )
    tensors = [values.tensor(value, leaf_type) for value in column]
    if tensors:
      result.append(np.stack([np.asarray(t) for t in tensors]))
    else:
      result.append(np.zeros([0, *leaf_type.shape], leaf_type.dtype))
  return result


def _leaf_values(value: Any, type_spec: tff.Type) -> list[Any]:
  if isinstance(type_spec, tff.StructType):
    return [
      leaf
      for element, (_, element_type) in zip(
        values.elements(value, type_spec),
        tff.structure.iter_elements(type_spec),
        strict=True,
      )
      for leaf in _leaf_values(element, element_type)
    ]
  return [value]


def _sequences(
  clients: Sequence[Any], type_spec: tff.SequenceType
) -> Sequences:
  element = type_spec.element
  tensor_types = values.leaves(element)
  # tf.data orders the components of an element as tf.nest does.
  order = tf.nest.flatten(values.pack(range(len(tensor_types)), element))
  is_batched = all(t.shape and t.shape[0] is None for t in tensor_types)
  fixed = [t.shape[1:] if is_batched else t.shape for t in tensor_types]
  if any(shape is None or None in shape for shape in fixed):
    raise graphs.NotLowerableError(
      f'the elements of its sequences vary in shape ({element})'
    )
  rows: list[list[np.ndarray]] = []
  counts = []
  for client in clients:
    found = [[flat[k] for k in order] for flat in _elements(client, element)]
    rows += found
    counts.append(len(found))
  offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
  types = [tensor_types[k] for k in order]
  shapes = [fixed[k] for k in order]
  if not is_batched:
    return Sequences(
      tuple(
        _stacked([r[k] for r in rows], [*shape], t)
        for k, (shape, t) in enumerate(zip(shapes, types, strict=True))
      ),
      None,
      offsets,
    )
  sizes = np.array([len(row[0]) for row in rows], np.int32)
  for row, size in zip(rows, sizes, strict=True):
    if any(len(component) != size for component in row):
      raise graphs.NotLowerableError(
        'the components of its batches differ in size'
      )
  batch_size = max(1, int(sizes.max(initial=1)))
  components = []
  for k, (shape, t) in enumerate(zip(shapes, types, strict=True)):
    dense = np.zeros([len(rows), batch_size, *shape], _numpy_type(t))
    for position, row in enumerate(rows):
      dense[position, : sizes[position]] = row[k]
    components.append(dense)
  return Sequences(tuple(components), sizes, offsets)


def _elements(client: Any, element: tff.Type) -> Iterator[list[np.ndarray]]:
  """Yields the elements of one client's sequence, flat."""
  if isinstance(client, tf.data.Dataset):
    element.check_assignable_from(
      tff.types.tensorflow_to_type(client.element_spec)
    )
    client = client.as_numpy_iterator()
  elif not isinstance(client, list | tuple | np.ndarray):
    raise TypeError(
      f'Expected a tf.data.Dataset or a list of elements of type {element} for '
      f'each client, found {type(client)}.'
    )
  for value in client:
    yield [np.asarray(t) for t in values.flatten(value, element)]


def _stacked(
  arrays: Sequence[np.ndarray], shape: Sequence[int], t: tff.TensorType
) -> np.ndarray:
  return np.array(arrays, _numpy_type(t)).reshape(len(arrays), *shape)


def _numpy_type(t: tff.TensorType) -> Any:
  return object if t.dtype is np.str_ else t.dtype


@dataclasses.dataclass(frozen=True)
class Capacity:
  """What a block has room for.

  Attributes:
    clients: Number of clients.
    elements: For each sequence the number of its elements.
    batch_sizes: For each sequence the padded size of a batch, or None.
  """

  clients: int
  elements: tuple[int, ...]
  batch_sizes: tuple[int | None, ...]

  def holds(self, cohort: Cohort) -> bool:
    """Whether each single client of a cohort fits into a block."""
    return all(
      int(np.diff(s.offsets).max(initial=0)) <= room
      and (s.batch_size is None or batch_size is not None)
      and (s.batch_size or 0) <= (batch_size or 0)
      for s, room, batch_size in zip(
        cohort.sequences, self.elements, self.batch_sizes, strict=True
      )
    )

  def merged(self, other: 'Capacity') -> 'Capacity':
    """The capacity that has room for what either has."""
    return Capacity(
      max(self.clients, other.clients),
      tuple(map(max, self.elements, other.elements)),
      tuple(
        None if a is None or b is None else max(a, b)
        for a, b in zip(self.batch_sizes, other.batch_sizes, strict=True)
      ),
    )


def choose_capacity(cohort: Cohort, shards: int) -> Capacity:
  """Returns a capacity that suits cohorts like this one.

  Room for just a shard of the cohort, so that like cohorts need no padding, but
  not more than `_BLOCK_BYTES` unless a single client needs it. A larger cohort
  takes more blocks.
  """
  elements = []
  for sequences in cohort.sequences:
    counts = np.diff(sequences.offsets)
    element_bytes = sum(
      c.nbytes // max(1, len(c)) for c in sequences.components
    )
    wanted = -(-int(counts.sum()) // shards)
    allowed = max(1, _BLOCK_BYTES // max(1, element_bytes))
    longest = int(counts.max(initial=1))
    # Twice the longest, so that a longer one later does not compile anew.
    elements.append(
      max(min(wanted, allowed), min(2 * longest, allowed), longest)
    )
  clients = max(1, -(-cohort.num_clients // shards))
  tensor_bytes = sum(
    leaf.nbytes // max(1, len(leaf))
    for leaf in cohort.leaves
    if isinstance(leaf, np.ndarray)
  )
  clients = min(clients, max(1, _BLOCK_BYTES // max(1, tensor_bytes)))
  return Capacity(
    clients,
    tuple(elements),
    tuple(s.batch_size for s in cohort.sequences),
  )


@dataclasses.dataclass(frozen=True)
class Block:
  """Consecutive clients of a cohort, padded to a capacity.

  Attributes:
    first: The first client's position in the cohort.
    num_clients: How many.
    leaves: As in `Cohort`, with padding.
  """

  first: int
  num_clients: int
  leaves: tuple[Sequences | np.ndarray, ...]


def shards(cohort: Cohort, count: int) -> list[range]:
  """Returns consecutive ranges of clients with about the same work each."""
  total = np.concatenate([[0], np.cumsum(cohort.work())])
  goals = total[-1] * np.arange(1, count) / count
  cuts = [0, *np.searchsorted(total, goals).tolist(), cohort.num_clients]
  return [range(a, b) for a, b in itertools.pairwise(cuts) if a < b]


def blocks(
  cohort: Cohort, clients: range, capacity: Capacity
) -> Iterator[Block]:
  """Yields the clients of a range in blocks that a capacity holds."""
  first = clients.start
  while first < clients.stop:
    last = min(first + capacity.clients, clients.stop)
    for sequences, room in zip(
      cohort.sequences, capacity.elements, strict=True
    ):
      end = sequences.offsets[first] + room
      last = min(
        last, int(np.searchsorted(sequences.offsets, end, side='right')) - 1
      )
    yield _block(cohort, first, last, capacity)
    first = last


def _block(cohort: Cohort, first: int, last: int, capacity: Capacity) -> Block:
  rooms = iter(zip(capacity.elements, capacity.batch_sizes, strict=True))
  leaves: list[Sequences | np.ndarray] = []
  for leaf in cohort.leaves:
    if isinstance(leaf, np.ndarray):
      leaves.append(_padded(leaf, slice(first, last), [capacity.clients]))
      continue
    room, batch_size = next(rooms)
    start, end = leaf.offsets[first], leaf.offsets[last]
    own = slice(start, end)
    shape = [room] if batch_size is None else [room, batch_size]
    offsets = np.full(capacity.clients + 1, end - start, np.int32)
    offsets[: last - first + 1] = leaf.offsets[first : last + 1] - start
    leaves.append(
      Sequences(
        tuple(_padded(c, own, shape) for c in leaf.components),
        None if leaf.sizes is None else _padded(leaf.sizes, own, [room]),
        offsets,
      )
    )
  return Block(first, last - first, tuple(leaves))


def _padded(
  array: np.ndarray | gathered.GatheredBatches,
  rows: slice,
  shape: Sequence[int],
) -> np.ndarray:
  """Returns rows of an array whose first dimensions have grown to `shape`."""
  count = rows.stop - rows.start
  of_rows = (count, *array.shape[1:])
  is_lazy = isinstance(array, gathered.GatheredBatches)
  if not is_lazy and list(of_rows[: len(shape)]) == list(shape):
    return array[rows]
  # Nobody reads the padding, so it is left as it is.
  grown = _aligned([*shape, *array.shape[len(shape) :]], array.dtype)
  if array.dtype == object:
    grown.fill(b'')
  if is_lazy and of_rows[1] == grown.shape[1]:
    array.read_into(rows, grown[:count])
  else:
    grown[tuple(slice(n) for n in of_rows[: len(shape)])] = array[rows]
  return grown


def _aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
  """Returns an uninitialized array that TensorFlow can use without a copy."""
  if dtype.kind not in 'biufc':
    return np.zeros(shape, dtype)
  size = int(np.prod(shape)) * dtype.itemsize
  memory = np.empty(size + _ALIGNMENT, np.uint8)
  start = -memory.ctypes.data % _ALIGNMENT
  return memory[start : start + size].view(dtype).reshape(shape)
