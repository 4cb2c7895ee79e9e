"""What a message would be after entropy coding, measured outside of a graph.

Random rounding leaves levels of uneven frequency, which an arithmetic coder
makes shorter; signs of a rotated vector are even, and stay as long as they are.
"""

from collections.abc import Iterable
import math
import zlib

import numpy as np


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
