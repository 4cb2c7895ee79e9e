"""What a round costs in bytes, up and down, for a client and for all.

Counted on messages as they are encoded, without the transport's own. Measured
where an aggregator or a broadcast measures; all weights as they are where not.
Single numbers beside an update (a weight, a loss) are not counted where nobody
measures, and neither are attempts at a round that failed.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from tff_pipelines.core import errors

UPLINK = 'uplink_bytes_per_client'
DOWNLINK = 'downlink_bytes_per_client'
# Of all clients and rounds so far.
TOTAL_UPLINK = 'uplink_bytes'
TOTAL_DOWNLINK = 'downlink_bytes'
NOTHING = {TOTAL_UPLINK: 0, TOTAL_DOWNLINK: 0}
# Of a learning process' metrics, flattened.
_MEASURED_UPLINK = 'aggregator/uplink_bytes_per_client'
_MEASURED_DOWNLINK = 'distributor/downlink_bytes_per_client'
_BITS = 'aggregator/bits_per_coordinate'
_PROTOCOL_UPLOAD = 'secure_sum/upload_bytes_per_client'
_PROTOCOL_DOWNLOAD = 'secure_sum/download_bytes_per_client'
# How many more messages there are like the update and like the trained weights.
_MORE_UPDATES = 'beside/updates_up'
_MORE_WEIGHTS = 'beside/weights_down'
# Where these are, a system saves bytes.
_COMPRESSED = {
  UPLINK: 'aggregator/uplink_compression',
  DOWNLINK: 'distributor/downlink_compression',
}


class EmptyModelError(errors.PipelineError):
  """A model without a byte."""


@dataclasses.dataclass(frozen=True)
class ByteLedger:
  """Turns a round's measurements into bytes of a client.

  Attributes:
    num_parameters: That are trained.
    trainable_bytes: Of them as they are: what an aggregator that compresses
      nothing moves up.
    model_bytes: Of all weights as they are: what is broadcast.
  """

  num_parameters: int
  trainable_bytes: int
  model_bytes: int

  def __post_init__(self) -> None:
    if self.num_parameters < 1:
      raise EmptyModelError(
        f'Expected weights that are trained, found {self.num_parameters}.'
      )

  def metrics(self, measured: Mapping[str, Any]) -> dict[str, float]:
    """Returns a round's `uplink_bytes_per_client` and downlink, means.

    The uplink is, of these the first that there is: what the protocol of secure
    sums sent, what the aggregator measured, its bits per coordinate, all
    trained weights; as often as an algorithm sends the like of an update. The
    downlink is the broadcast, measured or all weights, what an algorithm
    broadcasts beside them, and what the protocol of secure sums sends down.

    Args:
      measured: The round's metrics by name.
    """
    uplink = float(self.trainable_bytes)
    if _BITS in measured:
      uplink = float(measured[_BITS]) * self.num_parameters / 8
    for name in (_MEASURED_UPLINK, _PROTOCOL_UPLOAD):
      uplink = float(measured.get(name, uplink))
    uplink *= 1.0 + float(measured.get(_MORE_UPDATES, 0.0))
    downlink = float(measured.get(_MEASURED_DOWNLINK, self.model_bytes))
    downlink += float(measured.get(_MORE_WEIGHTS, 0.0)) * self.trainable_bytes
    downlink += float(measured.get(_PROTOCOL_DOWNLOAD, 0.0))
    return {UPLINK: uplink, DOWNLINK: downlink}

  def round_metrics(
    self,
    measured: Mapping[str, Any],
    num_clients: int,
    before: Mapping[str, Any],
  ) -> dict[str, Any]:
    """Returns what a row of metrics.csv tells of bytes.

    Beside `metrics` the totals, whole numbers: those before and the mean times
    the clients, rounded.

    Args:
      measured: The round's metrics by name.
      num_clients: Of the round, those included that dropped out of it.
      before: The row of the round before, or `NOTHING`.
    """
    found: dict[str, Any] = dict(self.metrics(measured))
    for total, mean in ((TOTAL_UPLINK, UPLINK), (TOTAL_DOWNLINK, DOWNLINK)):
      of_round = round(found[mean] * num_clients)
      found[total] = int(before.get(total, 0)) + of_round
    return found


def of_weights(trainable: Any, non_trainable: Any = ()) -> ByteLedger:
  """Returns the ledger of a model's weights.

  Args:
    trainable: Arrays, in any sequence.
    non_trainable: Those that are broadcast and not trained.
  """
  trained = [np.asarray(w) for w in trainable]
  others = [np.asarray(w) for w in non_trainable]
  trained_bytes = sum(w.nbytes for w in trained)
  return ByteLedger(
    sum(w.size for w in trained),
    trained_bytes,
    trained_bytes + sum(w.nbytes for w in others),
  )


def summary(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
  """Returns the traffic of a run: means a client and round, and totals.

  Args:
    rows: Of metrics.csv, in order, without empty cells.
  """
  found = {}
  for name in (UPLINK, DOWNLINK):
    values = [row[name] for row in rows if name in row]
    if values:
      found[name] = float(np.mean(values))
  for name in NOTHING:
    if name in rows[-1]:
      found[name] = rows[-1][name]
  return found


def compressed(rows: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
  """Returns the names of the means that compression has made smaller."""
  return tuple(
    mean
    for mean, measured in _COMPRESSED.items()
    if any(measured in row for row in rows)
  )
