"""The one form in which a cohort's data travels."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class ClientBatches:
  """The batches of a cohort, dense, client after client.

  TFF type when given to a computation: `{<elements[None, ...]>*}@CLIENTS`, one
  sequence of batches a client. Every execution context accepts it where TFF
  accepts a list of `tf.data.Dataset`.

  Attributes:
    elements: A structure of arrays [num_batches, batch_size, ...] (NumPy's or
      `GatheredBatches`), one for each component of an element. Rows beyond a
      batch's size are zero.
    batch_sizes: int32[num_batches], examples in each batch. Only the last batch
      of a client may be short.
    offsets: int32[num_clients + 1]; client c owns the batches
      offsets[c] to offsets[c + 1] - 1. A client can own none.
    client_ids: The clients' names, for messages about them.
  """

  elements: Any
  batch_sizes: np.ndarray
  offsets: np.ndarray
  client_ids: tuple[str, ...]

  def __post_init__(self) -> None:
    if len(self.offsets) != len(self.client_ids) + 1:
      raise ValueError(
        f'Expected one offset more than clients, found {len(self.offsets)} '
        f'offsets for {len(self.client_ids)} clients.'
      )
    ends = (self.offsets[0], self.offsets[-1])
    if ends != (0, len(self.batch_sizes)) or np.any(np.diff(self.offsets) < 0):
      raise ValueError(
        f'Expected offsets that rise from 0 to {len(self.batch_sizes)} '
        f'batches, found {list(self.offsets)}.'
      )
    for component in tf.nest.flatten(self.elements):
      if component.shape[0] != len(self.batch_sizes):
        raise ValueError(
          f'Expected {len(self.batch_sizes)} batches in every component, '
          f'found a component of shape {component.shape}.'
        )
    sizes = self.batch_sizes
    if len(sizes) and not (sizes.min() >= 1 and sizes.max() <= self.batch_size):
      raise ValueError(
        f'Expected batch sizes from 1 to {self.batch_size}, found '
        f'{sizes.min()} to {sizes.max()}.'
      )
    ends_client = np.zeros(len(sizes), bool)
    ends_client[self.offsets[1:][np.diff(self.offsets) > 0] - 1] = True
    if np.any(~ends_client & (sizes != self.batch_size)):
      raise ValueError("Expected only a client's last batch to be short.")

  @property
  def num_clients(self) -> int:
    return len(self.client_ids)

  @property
  def num_batches(self) -> int:
    return len(self.batch_sizes)

  @property
  def batch_size(self) -> int:
    """Rows of every batch, the padded size of the short ones."""
    return tf.nest.flatten(self.elements)[0].shape[1]

  @property
  def num_examples(self) -> int:
    return int(self.batch_sizes.sum())

  def datasets(self) -> list[tf.data.Dataset]:
    """Returns one dataset of batches a client, the form TFF itself takes."""
    return [self._dataset(c) for c in range(self.num_clients)]

  def _dataset(self, client: int) -> tf.data.Dataset:
    first, last = self.offsets[client], self.offsets[client + 1]
    num_examples = int(self.batch_sizes[first:last].sum())

    def examples(component: np.ndarray) -> np.ndarray:
      rows = component[first:last]
      return rows.reshape(-1, *component.shape[2:])[:num_examples]

    return tf.data.Dataset.from_tensor_slices(
      tf.nest.map_structure(examples, self.elements)
    ).batch(self.batch_size)
