"""Private symbols of TensorFlow 2.14 that the XLA context needs.

Each is guarded by a test in tests/execution/xla/tff_internals_test.py.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.eager import context as eager_context
from tensorflow.python.framework import function_def_to_graph

# TensorFlow ends the process when memory it is given is not aligned, in bytes.
_ALIGNMENT = 64
_WORTH_SHARING = 2**16


def with_true_size(padded: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """Returns `padded` with its first dimension bounded, but of true size `size`.

  For XLA only: means over a batch and counts of examples come out as if the
  padding were not there.
  """
  return gen_xla_ops.xla_set_dynamic_dimension_size(
    padded, tf.constant(0), size
  )


def register_functions(library: 'tf.compat.v1.FunctionDefLibrary') -> None:
  """Makes a graph's functions known to the eager runtime."""
  context = eager_context.context()
  for function in library.function:
    context.add_function_def(function)


def function_body(
  function: 'tf.compat.v1.FunctionDef',
) -> tuple[tf.compat.v1.GraphDef, dict[str, str]]:
  """Returns a function's body as a graph, and its tensors' names there."""
  with tf.init_scope():  # Functions are looked up among the registered ones.
    return function_def_to_graph.function_def_to_graph_def(function)


def _tensor(value: Any, dtype: tf.DType) -> tf.Tensor:
  """Returns a value as a tensor, large arrays without a copy if possible.

  Only for as long as nobody writes to the array.
  """
  if isinstance(value, tf.Tensor):
    return value
  if (
    isinstance(value, np.ndarray)
    and value.nbytes >= _WORTH_SHARING
    and value.dtype == dtype
    and value.dtype.kind in 'iuf'
    and value.ctypes.data % _ALIGNMENT == 0
    and value.flags.c_contiguous
    and value.flags.writeable
  ):
    return tf.experimental.dlpack.from_dlpack(value.__dlpack__())
  return tf.convert_to_tensor(value, dtype)


class FlatFunction:
  """A traced function of a flat list of tensors.

  Called past TensorFlow's binding of arguments, which takes longer than many a
  round: arguments have to be tensors of the signature's types.

  Attributes:
    signature: Its arguments' specs.
  """

  def __init__(
    self,
    function: Callable[..., Sequence[tf.Tensor]],
    signature: Sequence[tf.TensorSpec],
    *,
    jit_compile: bool = False,
  ):
    """Traces (tensors...) -> list of tensors."""
    self.signature = tuple(signature)
    # Kept: it owns what the call below needs.
    self._concrete = tf.function(
      function,
      input_signature=self.signature,
      jit_compile=jit_compile or None,
      autograph=False,
    ).get_concrete_function()
    self._call = self._concrete._inference_function

  def __call__(self, *tensors: Any) -> list[tf.Tensor]:
    """Runs it on tensors, or on values that are converted to such."""
    arguments = [
      _tensor(value, spec.dtype)
      for value, spec in zip(tensors, self.signature, strict=True)
    ]
    results = self._call(*arguments, *self._concrete.captured_inputs)
    return list(results or [])  # A function without results returns None.
