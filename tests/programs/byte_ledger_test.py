"""Bytes of a client, measured where they are and all weights where not."""

import numpy as np
import pytest

from tff_pipelines.programs import byte_ledger

LEDGER = byte_ledger.of_weights(
  [np.zeros([10, 5], np.float32), np.zeros([50], np.float32)],
  [np.zeros([2], np.int64)],
)


def test_weights_as_they_are():
  assert LEDGER == byte_ledger.ByteLedger(100, 400, 416)
  assert LEDGER.metrics({'loss': 1.0}) == {
    'uplink_bytes_per_client': 400.0,
    'downlink_bytes_per_client': 416.0,
  }


@pytest.mark.parametrize(
  'measured, uplink, downlink',
  [
    ({'aggregator/uplink_bytes_per_client': 30.5}, 30.5, 416),
    ({'distributor/downlink_bytes_per_client': 120}, 400, 120),
    ({'aggregator/bits_per_coordinate': 44.0}, 550, 416),
    # What was sent is better than what was planned.
    (
      {
        'aggregator/bits_per_coordinate': 44.0,
        'secure_sum/upload_bytes_per_client': 1000,
        'secure_sum/download_bytes_per_client': 100,
      },
      1000,
      516,
    ),
    (
      {
        'aggregator/uplink_bytes_per_client': np.float32(64),
        'secure_sum/upload_bytes_per_client': 1000,
      },
      1000,
      416,
    ),
  ],
)
def test_what_is_measured_comes_first(measured, uplink, downlink):
  assert LEDGER.metrics(measured) == {
    'uplink_bytes_per_client': uplink,
    'downlink_bytes_per_client': downlink,
  }


def test_a_model_without_weights_is_refused():
  with pytest.raises(byte_ledger.EmptyModelError) as raised:
    byte_ledger.of_weights([])
  assert str(raised.value) == 'Expected weights that are trained, found 0.'
