"""Ranges follow the cohort; by hand, in NumPy's terms."""

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.aggregators import adaptive_range


def summed(largest, ranges) -> tf.Tensor:
  """Votes of clients, one row of largest values each."""
  return tf.add_n(
    [
      adaptive_range.votes(
        tf.constant(own, tf.float32), tf.constant(ranges, tf.float32)
      )
      for own in largest
    ]
  )


def updated(largest, ranges, target=0.9) -> list[float]:
  return list(
    adaptive_range.updated(
      tf.constant(ranges, tf.float32), summed(largest, ranges), target
    ).numpy()
  )


def test_votes_are_the_thresholds_that_hold_a_value():
  votes = summed([[0.3]], [1.0]).numpy()[0]
  # 2^-2 < 0.3 <= 2^-1: thresholds -1 to 6.
  assert votes.tolist() == [0] * 5 + [1] * 8
  assert summed([[0.0]], [1.0]).numpy().sum() == 0
  assert summed([[1e9]], [1.0]).numpy()[0].tolist() == [0] * 12 + [1]


@pytest.mark.parametrize(
  ('value', 'expected'), [(0.3, 1.0), (0.5, 1.0), (1.0, 2.0), (40.0, 128.0)]
)
def test_a_range_is_2_to_4_times_the_largest_value(value, expected):
  assert updated([[value]] * 3, [1.0]) == [expected]
  assert updated([[value]] * 3, [expected]) == [expected]  # And stays.


def test_each_tensor_has_its_own_range():
  assert updated([[0.3, 40.0]] * 2, [1.0, 1.0]) == [1.0, 128.0]


def test_a_share_of_the_clients_is_enough():
  # 9 of 10 are within 1/2; the range is twice that.
  values = [[0.4]] * 9 + [[30.0]]
  assert updated(values, [1.0], target=0.9) == [1.0]
  assert updated(values, [1.0], target=0.95) == [64.0]


def test_clients_without_a_value_do_not_vote():
  assert updated([[0.0]] * 99 + [[30.0]], [1.0]) == [64.0]
  assert updated([[0.0]] * 3, [0.75]) == [0.75]


@pytest.mark.parametrize('value', [1e-6, 3e-2, 1.0, 1e6])
def test_ranges_converge_from_far_away(value):
  ranges, rounds = [1.0], 0
  while not 2 * value <= ranges[0] <= 4 * value:
    ranges, rounds = updated([[value]], ranges), rounds + 1
    # A factor of at most 2^5 down and 2^7 up in each round.
    assert rounds <= np.ceil(abs(np.log2(value)) / 5) + 1


def test_ranges_stay_within_float32():
  lowest, highest = adaptive_range.MIN_RANGE, adaptive_range.MAX_RANGE
  assert updated([[1e-30]], [lowest]) == [lowest]
  assert updated([[1e30]], [highest]) == [highest]
