"""What a round costs a client in bytes, up and down.

Counted on messages as they are encoded, without the transport's own. Measured
where an aggregator or a broadcast measures; all weights as they are where not.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from tff_pipelines.core import errors

UPLINK = 'uplink_bytes_per_client'
DOWNLINK = 'downlink_bytes_per_client'
# Of a learning process' metrics, flattened.
_MEASURED_UPLINK = 'aggregator/uplink_bytes_per_client'
_MEASURED_DOWNLINK = 'distributor/downlink_bytes_per_client'
_BITS = 'aggregator/bits_per_coordinate'
_PROTOCOL_UPLOAD = 'secure_sum/upload_bytes_per_client'
_PROTOCOL_DOWNLOAD = 'secure_sum/download_bytes_per_client'


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
    trained weights. The downlink is the broadcast, measured or all weights,
    and what the protocol of secure sums sends down.

    Args:
      measured: The round's metrics by name.
    """
    uplink = float(self.trainable_bytes)
    if _BITS in measured:
      uplink = float(measured[_BITS]) * self.num_parameters / 8
    for name in (_MEASURED_UPLINK, _PROTOCOL_UPLOAD):
      uplink = float(measured.get(name, uplink))
    downlink = float(measured.get(_MEASURED_DOWNLINK, self.model_bytes))
    downlink += float(measured.get(_PROTOCOL_DOWNLOAD, 0.0))
    return {UPLINK: uplink, DOWNLINK: downlink}


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
