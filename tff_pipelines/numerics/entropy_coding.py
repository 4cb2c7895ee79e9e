"""What a message would be after entropy coding.

Random rounding leaves levels of uneven frequency, which an arithmetic coder
makes shorter; signs of a rotated vector are even, and stay as long as they are.
"""

from collections.abc import Iterable
import math
import zlib

import numpy as np
import tensorflow as tf

# Of how often a symbol occurs, in a table that goes with the code.
_COUNT_BYTES = 4


def deflated_bytes(arrays: Iterable[np.ndarray]) -> int:
  """Returns the bytes of arrays, one after the other, as zlib packs them.

  DEFLATE at level 9, with zlib's head and checksum.
  Source: RFC 1950 and 1951.
  """
  joined = b''.join(np.ascontiguousarray(a).tobytes() for a in arrays)
  return len(zlib.compress(joined, 9))


def arithmetic_bytes(symbols: np.ndarray) -> int:
  """Returns the bytes of an ideal arithmetic code of order 0.

  The empirical entropy, sum over symbols of c log2(n / c) bits for counts c,
  rounded up with 2 bits for the coder's end. The table of counts, which the
  decoder needs too, is not in it.

  Source: Rissanen, Langdon 1979, "Arithmetic Coding"; Suresh et al. 2017, arXiv
  1611.00429, section 4 (variable-length coding of quantized vectors).

  Args:
    symbols: Integers, of any shape.
  """
  if not np.size(symbols):
    return 0
  _, counts = np.unique(symbols, return_counts=True)
  bits = float(np.sum(counts * np.log2(np.size(symbols) / counts)))
  return math.ceil((bits + 2) / 8)


def ideal_bytes(symbols: tf.Tensor, num_symbols: int) -> tf.Tensor:
  """Returns the bytes of `arithmetic_bytes` and its table, inside of a graph.

  The table has four bytes for each symbol but one; not rounded up.

  Args:
    symbols: int32[n], from 0, below num_symbols; n is known.
    num_symbols: 256 at most: each is counted by a pass of its own.

  Returns:
    float32[].
  """
  size = float(symbols.shape.num_elements())
  counts = tf.stack(
    [
      tf.reduce_sum(tf.cast(tf.equal(symbols, symbol), tf.float32))
      for symbol in range(num_symbols)
    ]
  )
  nats = tf.reduce_sum(tf.math.xlogy(counts, size / tf.maximum(counts, 1.0)))
  bits = nats / math.log(2.0) + 2.0
  return bits / 8.0 + float(_COUNT_BYTES * (num_symbols - 1))
