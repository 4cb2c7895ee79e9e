"""Random bytes of the operating system, readable inside of a graph.

TensorFlow has no operation for them: its non-deterministic seeds come from 32
bits a process. So a graph reads the text of random UUIDs that the Linux kernel
makes, as a dataset; a plain `tf.io.read_file` would be folded into a constant.
"""

import os

import numpy as np
import tensorflow as tf

# Every read gives another version-4 UUID (RFC 9562, section 5.4): 122 bits of
# the kernel's cryptographic generator, as 36 characters.
SOURCE = '/proc/sys/kernel/random/uuid'
# The operation that reads it, by which a compiler finds it.
OPERATION = 'TextLineDataset'
TEXT_BYTES = 36
_DIGITS = np.frombuffer(b'0123456789abcdef', np.uint8)


def read() -> tf.Tensor:
  """Returns a fresh text at every execution, uint8[TEXT_BYTES]."""
  lines = tf.raw_ops.TextLineDataset(
    filenames=[SOURCE], compression_type='', buffer_size=0
  )
  (text,) = tf.raw_ops.DatasetToSingleElement(
    dataset=lines, output_types=[tf.string], output_shapes=[[]]
  )
  return tf.ensure_shape(tf.io.decode_raw(text, tf.uint8), [TEXT_BYTES])


def texts(*shape: int) -> np.ndarray:
  """Returns what so many executions of `read` would, but faster.

  Their digits are all random, also those that a UUID fixes.

  Returns:
    uint8[*shape, TEXT_BYTES].
  """
  full = (*shape, TEXT_BYTES)
  drawn = np.frombuffer(os.urandom(int(np.prod(full))), np.uint8)
  return _DIGITS[drawn.reshape(full) & 15]
