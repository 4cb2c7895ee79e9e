"""Arguments and results: between TFF's types and flat lists of tensors.

Flat means: the tensors of a type in the order of its elements.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff


def leaves(type_spec: tff.Type) -> list[tff.Type]:
  """Returns the tensor and sequence types in a type without functions."""
  if isinstance(type_spec, tff.FederatedType):
    return leaves(type_spec.member)
  if isinstance(type_spec, tff.StructType):
    return [
      leaf
      for _, element in tff.structure.iter_elements(type_spec)
      for leaf in leaves(element)
    ]
  return [type_spec]


def is_federated(type_spec: tff.Type | None) -> bool:
  """Whether something in a type is placed."""
  if isinstance(type_spec, tff.FederatedType):
    return True
  if isinstance(type_spec, tff.StructType):
    return any(
      is_federated(e) for _, e in tff.structure.iter_elements(type_spec)
    )
  return False


def spec(type_spec: tff.TensorType) -> tf.TensorSpec:
  """Returns the TensorFlow form of a tensor type."""
  return tf.TensorSpec(type_spec.shape, tf.as_dtype(type_spec.dtype))


def elements(value: Any, type_spec: tff.StructType) -> Iterator[Any]:
  """Yields the elements of a container in the order of its type."""
  names = [name for name, _ in tff.structure.iter_elements(type_spec)]
  if isinstance(value, tff.structure.Struct):
    found = tff.structure.to_elements(value)
  elif isinstance(value, Mapping):
    found = list(value.items())
    if set(value) == set(names):
      found = [(name, value[name]) for name in names]
  elif hasattr(value, '_asdict'):
    found = list(value._asdict().items())
  elif hasattr(type(value), '__attrs_attrs__'):
    found = [
      (a.name, getattr(value, a.name)) for a in type(value).__attrs_attrs__
    ]
  elif isinstance(value, Sequence | np.ndarray):
    found = [(None, v) for v in value]
  else:
    found = []
  if len(found) != len(names) or any(
    given not in (None, wanted)
    for (given, _), wanted in zip(found, names, strict=True)
    if wanted is not None
  ):
    raise TypeError(f'Expected a value of type {type_spec}, found {value!r}.')
  for _, element in found:
    yield element


def flatten(value: Any, type_spec: tff.Type) -> list[Any]:
  """Returns the tensors of a value without sequences, checked and converted.

  Raises:
    TypeError: As TFF itself says it, if the value is not of the type.
  """
  if isinstance(type_spec, tff.FederatedType):
    return flatten(value, type_spec.member)
  if isinstance(type_spec, tff.StructType):
    return [
      leaf
      for element, (_, element_type) in zip(
        elements(value, type_spec),
        tff.structure.iter_elements(type_spec),
        strict=True,
      )
      for leaf in flatten(element, element_type)
    ]
  return [tensor(value, type_spec)]


def tensor(value: Any, type_spec: tff.TensorType) -> np.ndarray | tf.Tensor:
  """Returns a value as a tensor of the given type."""
  if isinstance(value, tf.Variable):
    value = value.read_value()
  if isinstance(value, tf.Tensor):
    value = value.numpy()
  array = np.asarray(value)
  wanted = np.dtype(type_spec.dtype)
  if wanted.type is np.str_:
    return tf.convert_to_tensor(value, tf.string)
  shape = type_spec.shape
  fits = shape is None or (
    len(shape) == array.ndim
    and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
  )
  if array.dtype != wanted or not fits:
    # TFF decides whether it converts, and says so if it does not.
    tff.framework.serialize_value(value, type_spec)
    array = array.astype(wanted)
  return array


def packer(type_spec: tff.Type) -> Callable[[Sequence[Any]], Any]:
  """Returns a function from flat values to the Python containers of a type.

  What `tff.types.type_to_py_container` gives, found out once for the type.
  """
  count = len(leaves(type_spec))
  build = _builder(_containers(range(count), type_spec), type_spec)
  return lambda flat: build(iter(flat))


def pack(flat: Sequence[Any], type_spec: tff.Type) -> Any:
  """Returns flat values in the Python containers of a type."""
  return packer(type_spec)(flat)


def pack_clients(
  columns: Sequence[Sequence[Any]], num_clients: int, type_spec: tff.Type
) -> Any:
  """Returns a result at the clients, one list a placed value.

  Args:
    columns: One value a client, for each tensor of the type.
    num_clients: How many clients there are.
    type_spec: A type at the clients, or a struct of such.
  """
  remaining = iter(columns)

  def build(type_spec: tff.Type) -> Any:
    if isinstance(type_spec, tff.FederatedType):
      own = [next(remaining) for _ in leaves(type_spec)]
      of_client = packer(type_spec.member)
      return [of_client([c[k] for c in own]) for k in range(num_clients)]
    return tff.structure.Struct(
      [
        (name, build(element))
        for name, element in tff.structure.iter_elements(type_spec)
      ]
    )

  return tff.types.type_to_py_container(build(type_spec), type_spec)


def _containers(flat: Iterable[Any], type_spec: tff.Type) -> Any:
  """Returns flat values in a type's containers, as TFF makes them."""
  remaining = iter(flat)

  def build(type_spec: tff.Type) -> Any:
    if isinstance(type_spec, tff.FederatedType):
      return build(type_spec.member)
    if isinstance(type_spec, tff.StructType):
      return tff.structure.Struct(
        [
          (name, build(element))
          for name, element in tff.structure.iter_elements(type_spec)
        ]
      )
    return next(remaining)

  return tff.types.type_to_py_container(build(type_spec), type_spec)


def _builder(
  example: Any, type_spec: tff.Type
) -> Callable[[Iterator[Any]], Any]:
  """Returns what builds a container like the example from flat values."""
  if isinstance(type_spec, tff.FederatedType):
    return _builder(example, type_spec.member)
  if not isinstance(type_spec, tff.StructType):
    return next
  container = type(example)
  elements = tff.structure.to_elements(tff.structure.from_container(example))
  builders = [
    (name, _builder(element, element_type))
    for (name, element), (_, element_type) in zip(
      elements, tff.structure.iter_elements(type_spec), strict=True
    )
  ]
  if hasattr(container, '_fields') or hasattr(container, '__attrs_attrs__'):
    return lambda flat: container(**{n: build(flat) for n, build in builders})
  if any(name is None for name, _ in builders):
    return lambda flat: container([build(flat) for _, build in builders])
  return lambda flat: container([(n, build(flat)) for n, build in builders])


def to_numpy(tensors: Sequence[tf.Tensor]) -> list[Any]:
  """Returns eager tensors as NumPy values, as TFF's own contexts give them."""
  return [t.numpy() if isinstance(t, tf.Tensor) else t for t in tensors]
