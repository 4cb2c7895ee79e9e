"""Examples as `tf.train.Example`, the form in which devices keep them.

Features are named for the component's place in the structure: `x` and `y` of a
pair, `x/ids` of a mapping in it. Integers and booleans are int64 lists (uint64
as the int64 of the same bits), float32 and smaller float lists, texts byte
lists; float64 is the bytes of the array, little end first.
"""

import collections
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tff_pipelines.core import errors


class ExampleTypeError(errors.PipelineError):
  """Examples that a `tf.train.Example` does not hold."""


def encoder(element_spec: Any) -> Callable[[Any], Iterator[bytes]]:
  """Returns what serializes arrays [n, ...] to n examples."""
  names = _names(element_spec)
  specs = tf.nest.flatten(element_spec)

  def columns(components: list[Any]) -> Iterator[list[list[Any]]]:
    """The values of each component, flat, a list an example."""
    for component, spec in zip(components, specs, strict=True):
      array = np.asarray(component)
      if _is_raw(spec):
        little = array.astype(array.dtype.newbyteorder('<'))
        yield [[row.tobytes()] for row in little]
      elif spec.dtype == tf.string:
        flat = array.reshape(len(array), spec.shape.num_elements())
        yield [[_bytes(text) for text in row] for row in flat]
      else:
        stored = _stored_type(spec).as_numpy_dtype
        yield array.reshape(len(array), -1).astype(stored).tolist()

  def encode(examples: Any) -> Iterator[bytes]:
    components = tf.nest.flatten(examples)
    if not len(components[0]):
      return
    for values in zip(*columns(components), strict=True):
      example = tf.train.Example()
      feature = example.features.feature
      for name, spec, value in zip(names, specs, values, strict=True):
        stored = _stored_type(spec)
        if stored == tf.int64:
          feature[name].int64_list.value.extend(value)
        elif stored == tf.float32:
          feature[name].float_list.value.extend(value)
        else:
          feature[name].bytes_list.value.extend(value)
      # So that the same population gives the same bytes.
      yield example.SerializeToString(deterministic=True)

  return encode


def parser(element_spec: Any) -> Callable[[tf.Tensor], Any]:
  """Returns what turns serialized examples into examples.

  As `SqlClientData` needs it: `client_data.preprocess(lambda examples:
  examples.map(parser(element_spec)))`.

  Args:
    element_spec: The population's.

  Returns:
    A function from string[] to one example or from string[n] to n of them,
    tensors [n, ...] in the structure of the `element_spec`.

  Raises:
    ExampleTypeError: If the cache cannot hold such examples.
  """
  names = _names(element_spec)
  specs = tf.nest.flatten(element_spec)
  features = {
    name: tf.io.FixedLenFeature(
      [] if _is_raw(spec) else spec.shape, _stored_type(spec)
    )
    for name, spec in zip(names, specs, strict=True)
  }

  def component(stored: tf.Tensor, spec: tf.TensorSpec) -> tf.Tensor:
    if _is_raw(spec):
      flat = tf.io.decode_raw(stored, spec.dtype)
      shape = tf.concat([tf.shape(stored), spec.shape], 0)
      return tf.ensure_shape(
        tf.reshape(flat, shape), stored.shape.concatenate(spec.shape)
      )
    if spec.dtype == tf.uint64:  # Stored as the int64 of the same bits.
      return tf.bitcast(stored, spec.dtype)
    return stored if spec.dtype == tf.string else tf.cast(stored, spec.dtype)

  def parse(serialized: tf.Tensor) -> Any:
    stored = tf.io.parse_example(serialized, features)
    return tf.nest.pack_sequence_as(
      element_spec,
      [component(stored[n], s) for n, s in zip(names, specs, strict=True)],
    )

  return parse


def description(element_spec: Any) -> Any:
  """Returns a structure of specs as plain values."""
  kind = type(element_spec)
  if kind in (dict, collections.OrderedDict):
    parts = {key: description(part) for key, part in element_spec.items()}
    return [kind.__name__, parts]
  if kind in (tuple, list):
    return [kind.__name__, [description(part) for part in element_spec]]
  if isinstance(element_spec, tf.TensorSpec):
    _stored_type(element_spec)
    return [
      'tensor', [element_spec.dtype.name, element_spec.shape.as_list()],
    ]  # fmt: skip
  raise ExampleTypeError(
    f'Expected examples in tuples, lists and mappings, found a {kind.__name__}.'
  )


def structure(description: Any) -> Any:
  """Returns the structure that `description` described."""
  kind, content = description
  if kind == 'tensor':
    return tf.TensorSpec(content[1], content[0])
  if kind in ('tuple', 'list'):
    return {'tuple': tuple, 'list': list}[kind](map(structure, content))
  parts = [(key, structure(part)) for key, part in content.items()]
  return dict(parts) if kind == 'dict' else collections.OrderedDict(parts)


def _bytes(text: Any) -> bytes:
  return text if isinstance(text, bytes) else str(text).encode('utf-8')


def _is_raw(spec: tf.TensorSpec) -> bool:
  """Whether no list of an Example holds such values exactly."""
  return spec.dtype == tf.float64


def _stored_type(spec: tf.TensorSpec) -> tf.DType:
  """The type of the list that holds a component.

  Raises:
    ExampleTypeError: If there is none, or the shape is not fixed.
  """
  if not spec.shape.is_fully_defined():
    raise ExampleTypeError(
      f'Expected examples of a fixed shape, found {spec.shape}.'
    )
  if spec.dtype == tf.string or _is_raw(spec):
    return tf.string
  if spec.dtype.is_integer or spec.dtype.is_bool:
    return tf.int64
  if spec.dtype in (tf.float32, tf.float16, tf.bfloat16):
    return tf.float32
  raise ExampleTypeError(
    f'Expected examples of numbers, booleans or texts, found {spec.dtype.name}.'
  )


def _names(element_spec: Any) -> list[str]:
  """The names of the features, in the order of `tf.nest.flatten`."""
  is_pair = isinstance(element_spec, tuple) and len(element_spec) == 2

  def below(structure: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(structure, dict):
      for key in sorted(structure):
        yield from below(structure[key], (*path, str(key)))
    elif isinstance(structure, tuple | list):
      own = 'xy' if is_pair and not path else map(str, range(len(structure)))
      for key, part in zip(own, structure, strict=True):
        yield from below(part, (*path, key))
    else:
      yield '/'.join(path) or 'example'

  return list(below(element_spec, ()))
