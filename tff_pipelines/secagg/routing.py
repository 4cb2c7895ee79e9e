"""The server's delivery of sealed shares from each client to each."""

from collections.abc import Mapping

import numpy as np

from tff_pipelines.secagg import client_secrets
from tff_pipelines.secagg import records as records_lib


def by_receiver(
  sent: Mapping[int, records_lib.Records],
) -> dict[int, records_lib.Records]:
  """Sorts records for receivers by sender into records of senders by receiver.

  One gather of all the bytes: a million ciphertexts of a thousand clients are
  never a million Python objects.
  Source: Bonawitz et al. 2017, figure 4, round 1 (server).

  Args:
    sent: By sender; each record is for its owner, 82 bytes.

  Returns:
    By receiver; each record is of its owner. Receivers that have not sent are
    left out.
  """
  senders = sorted(sent)
  size = client_secrets.CIPHERTEXT_BYTES
  receivers = np.concatenate(
    [np.array(sent[s].owners, np.int64) for s in senders]
  )
  origins = np.repeat(senders, [len(sent[s]) for s in senders])
  data = np.frombuffer(b''.join(sent[s].data for s in senders), np.uint8)
  data = data.reshape(-1, size)
  order = np.argsort(receivers, kind='stable')  # So senders stay in order.
  ends = np.searchsorted(receivers[order], senders, side='right')
  starts = np.searchsorted(receivers[order], senders, side='left')
  delivered = {}
  for receiver, start, end in zip(senders, starts, ends, strict=True):
    chosen = order[start:end]
    delivered[receiver] = records_lib.Records(
      tuple(origins[chosen].tolist()),
      size if chosen.size else 0,
      data[chosen].tobytes(),
    )
  return delivered
