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
    # An algorithm that sends the like of an update twice more, and broadcasts
    # half as much as the trained weights beside them.
    (
      {
        'aggregator/uplink_bytes_per_client': 30.5,
        'distributor/downlink_bytes_per_client': 120,
        'beside/updates_up': 2.0,
        'beside/weights_down': 0.5,
      },
      91.5,
      320,
    ),
  ],
)
def test_what_is_measured_comes_first(measured, uplink, downlink):
  assert LEDGER.metrics(measured) == {
    'uplink_bytes_per_client': uplink,
    'downlink_bytes_per_client': downlink,
  }


def test_totals_go_on_from_the_row_before():
  measured = {'aggregator/uplink_bytes_per_client': 30.4}
  first = LEDGER.round_metrics(measured, 3, byte_ledger.NOTHING)
  assert first == {
    'uplink_bytes_per_client': 30.4,
    'downlink_bytes_per_client': 416.0,
    'uplink_bytes': 91,
    'downlink_bytes': 1248,
  }
  # As metrics.csv gives them back.
  read = {name: float(value) for name, value in first.items()}
  second = LEDGER.round_metrics({}, 2, read)
  assert (second['uplink_bytes'], second['downlink_bytes']) == (891, 2080)
  assert isinstance(second['uplink_bytes'], int)
  empty = LEDGER.round_metrics({}, 0, second)
  assert (empty['uplink_bytes'], empty['downlink_bytes']) == (891, 2080)


def test_a_summary_has_means_and_the_last_totals():
  rows = [
    {'round_num': 0, **byte_ledger.NOTHING},
    {'uplink_bytes_per_client': 10.0, 'uplink_bytes': 20.0},
    {'uplink_bytes_per_client': 30.0, 'uplink_bytes': 80.0},
  ]
  assert byte_ledger.summary(rows) == {
    'uplink_bytes_per_client': 20.0,
    'uplink_bytes': 80.0,
  }
  assert byte_ledger.summary([{'test/loss': 1.0}]) == {}
  assert byte_ledger.compressed(rows) == ()
  rows[2]['aggregator/uplink_compression'] = 16.0
  assert byte_ledger.compressed(rows) == ('uplink_bytes_per_client',)
  rows[1]['distributor/downlink_compression'] = 4.0
  assert byte_ledger.compressed(rows) == (
    'uplink_bytes_per_client', 'downlink_bytes_per_client',
  )  # fmt: skip


def test_a_model_without_weights_is_refused():
  with pytest.raises(byte_ledger.EmptyModelError) as raised:
    byte_ledger.of_weights([])
  assert str(raised.value) == 'Expected weights that are trained, found 0.'
