"""What can be aggregated: structures of float tensors of known shapes.

Leaves are always in the order of `tf.nest.flatten`, which is not that of the
type: it sorts the names of a mapping.
"""

import itertools
import math
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import errors


class ValueTypeError(errors.PipelineError):
  """A type of values that an aggregator does not take."""


def specs(value_type: tff.Type) -> Any:
  """Returns the structure of `tf.TensorSpec` that a type is of.

  Raises:
    ValueTypeError: If it has others than float tensors of known shapes, or no
      number at all.
  """
  if tff.types.is_structure_of_floats(value_type) and tff.types.contains_only(
    value_type, _is_sized
  ):
    structure = tff.types.structure_from_tensor_type_tree(
      lambda t: tf.TensorSpec(t.shape, t.dtype), value_type
    )
    leaves = tf.nest.flatten(structure)
    if leaves and all(math.prod(leaf.shape) for leaf in leaves):
      return structure
  raise ValueTypeError(
    'Expected updates of float tensors of known shapes, not empty, found '
    f'{value_type}; sum or count integers with an aggregator of their own.'
  )


def named_leaves(value_type: tff.Type) -> list[tuple[str, tf.TensorSpec]]:
  """Returns the path of each leaf, such as `layer/0`, and its spec.

  Raises:
    ValueTypeError: As `specs`.
  """
  flat = tf.nest.flatten(specs(value_type))
  counter = itertools.count()
  # In the type's order, so that flattening shows where each leaf has gone.
  positions = tf.nest.flatten(
    tff.types.structure_from_tensor_type_tree(
      lambda t: next(counter), value_type
    )
  )
  paths = _paths(value_type)
  return [(paths[p], spec) for p, spec in zip(positions, flat, strict=True)]


def _paths(value_type: tff.Type, path: str = '') -> list[str]:
  """Returns the paths of the leaves in the order of the type."""
  if not isinstance(value_type, tff.StructType):
    return [path or 'value']
  return [
    leaf
    for position, (name, element) in enumerate(
      tff.structure.iter_elements(value_type)
    )
    for leaf in _paths(element, f'{path}/{name or position}'.lstrip('/'))
  ]


def _is_sized(part: tff.Type) -> bool:
  if isinstance(part, tff.TensorType):
    return tff.types.is_shape_fully_defined(part.shape)
  return True
