"""TensorFlow Lite: a model for a telephone, of built-in operations only.

`suggest(tokens: int32[1, length])` -> ids int32[1, 3], probabilities
float32[1, 3] of the suggested words, and log_probabilities
float32[1, vocabulary_size] of all that can come next, by which a keyboard also
weighs what a finger may have meant.
"""

from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

# `float32`: as trained. `int8`: dynamic-range quantization after training:
# matrices of at least 1024 entries are stored in 8 bits with one scale each (or
# one a row), what goes into a product is turned to 8 bits when it is computed,
# sums and everything else are float32. No examples are needed for it, and none
# are in the file.
Precision = Literal['float32', 'int8']
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def convert(function: Any, module: tf.Module, precision: Precision) -> bytes:
  """Converts a function to TensorFlow Lite.

  Args:
    function: A `tf.function` with an input signature, without loops.
    module: Owns the variables that it reads.
    precision: Of the weights.

  Returns:
    The model. Its one signature has the function's names.

  Raises:
    tf.lite.ConverterError: If an operation is not built in.
  """
  converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [function.get_concrete_function()], module
  )
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
  if precision == 'int8':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  return converter.convert()


def run(model: bytes, tokens: np.ndarray) -> dict[str, np.ndarray]:
  """Runs a converted model on prefixes, one after the other.

  Args:
    model: As `convert` returns it.
    tokens: int32[n, length], at least one.

  Returns:
    ids int32[n, 3], probabilities float32[n, 3] and log_probabilities
    float32[n, vocabulary_size].
  """
  suggest = tf.lite.Interpreter(model_content=model).get_signature_runner()
  found = [suggest(tokens=row) for row in tokens[:, np.newaxis]]
  return {name: np.concatenate([f[name] for f in found]) for name in found[0]}
