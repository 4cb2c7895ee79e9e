"""The server's delivery of sealed shares from each client to each."""

import bisect
from collections.abc import Collection, Mapping

import numpy as np

from tff_pipelines.secagg import client_secrets
from tff_pipelines.secagg import records as records_lib

# Receivers whose records are gathered at once; 3 MB of a thousand clients.
_BLOCK = 32


class Router:
  """Takes records for receivers from senders; gives them by receiver.

  All bytes lie in one array, so that a million ciphertexts of a thousand
  clients are never a million Python objects.
  Source: Bonawitz et al. 2017, figure 4, round 1 (server).
  """

  def __init__(self, receivers: Mapping[int, tuple[int, ...]]) -> None:
    """Makes room.

    Args:
      receivers: By sender, whom it has records of 82 bytes for, in order.
    """
    self._senders = sorted(receivers)
    counts = [len(receivers[sender]) for sender in self._senders]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    self._slices = {
      sender: slice(starts[i], starts[i + 1])
      for i, sender in enumerate(self._senders)
    }
    self._data = np.empty(
      (starts[-1], client_secrets.CIPHERTEXT_BYTES), np.uint8
    )
    targets = np.concatenate(
      [np.array(receivers[sender], np.int32) for sender in self._senders]
    )
    self._origins = np.repeat(np.array(self._senders, np.int32), counts)
    # By receiver, where its records lie; stable, so senders stay in order.
    self._order = np.argsort(targets, kind='stable')
    self._starts = np.searchsorted(
      targets[self._order], [*self._senders, np.iinfo(np.int32).max]
    )
    self._block: tuple[int, np.ndarray, np.ndarray] | None = None
    self._has_sent = np.zeros(max(self._senders) + 1, bool)

  def put(self, sender: int, records: records_lib.Records) -> None:
    """Takes what a sender has for its receivers, all of them in order."""
    data = np.frombuffer(records.data, np.uint8)
    self._data[self._slices[sender]] = data.reshape(len(records), -1)
    self._has_sent[sender] = True
    self._block = None

  @property
  def senders(self) -> Collection[int]:
    """Those whose records have been taken, in order."""
    return np.flatnonzero(self._has_sent).tolist()

  def records_for(self, receiver: int) -> records_lib.Records:
    """Returns the records for a receiver, by sender.

    For all receivers in order after all senders have put theirs.
    """
    position = bisect.bisect_left(self._senders, receiver)
    block = position // _BLOCK
    if self._block is None or self._block[0] != block:
      self._block = block, *self._gather(block)
    _, order, data = self._block
    first = self._starts[block * _BLOCK]
    kept = slice(
      self._starts[position] - first, self._starts[position + 1] - first
    )
    origins = self._origins[order[kept]]
    has_sent = self._has_sent[origins]
    owners = tuple(origins[has_sent].tolist())
    return records_lib.Records(
      owners,
      client_secrets.CIPHERTEXT_BYTES if owners else 0,
      data[kept][has_sent].tobytes(),
    )

  def _gather(self, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places and the records of a block of receivers.

    One receiver's records are far apart; those of neighbouring receivers are
    read together, in the order of the memory.
    """
    end = min(len(self._senders), (block + 1) * _BLOCK)
    order = self._order[self._starts[block * _BLOCK] : self._starts[end]]
    ranks = np.argsort(order)
    data = np.empty((order.size, self._data.shape[1]), np.uint8)
    data[ranks] = self._data.take(order[ranks], axis=0)
    return order, data
