"""Batches that are put together from an array of examples when they are read.

A cohort's batches repeat the examples, shuffled, once an epoch. Kept as row
numbers they take next to no memory, however large the cohort.
"""

from typing import Any

import numpy as np


class GatheredBatches:
  """An array [num_batches, batch_size, ...] of chosen rows of another array.

  Reads like a NumPy array along its first two dimensions: `batches[2:5]` and
  `np.asarray(batches)` are NumPy arrays.

  Attributes:
    shape: Of the whole.
    dtype: Of the examples.
    nbytes: Bytes of the whole, were it gathered.
  """

  def __init__(self, examples: np.ndarray, rows: np.ndarray):
    """Initializes the batches.

    Args:
      examples: [num_examples, ...].
      rows: int[num_batches, batch_size], the example at each place; -1 stands
        for padding, which is zero.
    """
    self._examples = examples
    self._rows = rows
    self.shape = (*rows.shape, *examples.shape[1:])
    self.dtype = examples.dtype
    self.nbytes = int(np.prod(self.shape)) * examples.dtype.itemsize

  @property
  def ndim(self) -> int:
    return len(self.shape)

  def __len__(self) -> int:
    return self.shape[0]

  def __getitem__(self, index: Any) -> np.ndarray:
    rows = np.asarray(self._rows[index])
    out = np.empty((*rows.shape, *self.shape[2:]), self.dtype)
    self._gather(rows, out)
    return out

  def __array__(self, dtype: Any = None) -> np.ndarray:
    whole = self[:]
    return whole if dtype is None else whole.astype(dtype)

  def chosen(self, batches: np.ndarray) -> 'GatheredBatches':
    """Returns some of the batches, by number, not gathered yet either."""
    return GatheredBatches(self._examples, self._rows[batches])

  def read_into(self, batches: slice, out: np.ndarray) -> None:
    """Writes consecutive batches into `out`, of their shape and type."""
    self._gather(self._rows[batches], out)

  def _gather(self, rows: np.ndarray, out: np.ndarray) -> None:
    if not len(self._examples):
      out.fill(0)
      return
    # With a mode, take writes to `out` directly.
    np.take(self._examples, rows, axis=0, out=out, mode='clip')
    padding = rows < 0
    if padding.any():
      out[padding] = np.zeros((), self.dtype)
