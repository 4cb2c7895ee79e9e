"""Reads idx files: arrays of numbers, as MNIST is published in.

Two zero bytes, a byte for the type, a byte for the number of dimensions, the
size of each as big-endian uint32, then the numbers, big-endian, last dimension
first to vary.
"""

import gzip
import math
import pathlib
from typing import Any
import zlib

import numpy as np

from tff_pipelines.core import errors

_TYPES: dict[int, np.dtype[Any]] = {
  0x08: np.dtype('u1'),
  0x09: np.dtype('i1'),
  0x0B: np.dtype('>i2'),
  0x0C: np.dtype('>i4'),
  0x0D: np.dtype('>f4'),
  0x0E: np.dtype('>f8'),
}


class MalformedIdxError(errors.PipelineError):
  """A file that is not a gzipped idx file."""


def read(path: pathlib.Path) -> np.ndarray:
  """Reads a gzipped idx file.

  Args:
    path: The file.

  Returns:
    The array, of the file's shape and type in the machine's byte order;
    read-only if the two byte orders agree.

  Raises:
    MalformedIdxError: If the file is not gzipped, not idx, or is cut off.
  """
  try:
    with gzip.open(path, 'rb') as file:
      content = file.read()
  except (gzip.BadGzipFile, EOFError, zlib.error) as error:
    raise MalformedIdxError(
      f'Expected a whole gzip file at {path}, found: {error}; restore the '
      'original file.'
    ) from error
  num_dimensions = content[3] if len(content) > 3 else 0
  start = 4 + 4 * num_dimensions
  dtype = _TYPES.get(content[2]) if len(content) >= start else None
  if dtype is None or content[:2] != b'\0\0':
    raise MalformedIdxError(
      f'Expected {path} to start as an idx file, found the bytes '
      f'{content[:4].hex(" ") or "of an empty file"}; restore the original '
      'file.'
    )
  shape = tuple(int(n) for n in np.frombuffer(content[4:start], '>u4'))
  expected = math.prod(shape) * dtype.itemsize
  if len(content) - start != expected:
    raise MalformedIdxError(
      f'Expected {expected} bytes after the header of {path}, for '
      f'{" x ".join(map(str, shape))} numbers, found {len(content) - start}; '
      'restore the original file.'
    )
  array = np.frombuffer(content, dtype, offset=start).reshape(shape)
  return array.astype(dtype.newbyteorder('='), copy=False)
