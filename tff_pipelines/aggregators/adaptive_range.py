"""A range for each tensor of an update, that follows the cohort's updates.

Every client says, for each tensor, which of the thresholds R 2^j, j = -6..6,
its largest absolute value a is within: 13 bits, whose sums are all that the
server needs. The next range is twice the least threshold that holds the target
share of the clients, so it is 2 to 4 times the quantile of a, from then on and
after one round if the quantile was within a factor of 2^6 of the range.

Clients whose tensor is all zero have nothing to say about its range and do not
vote; a range without a vote stays.

Privacy: sums of votes are released as they are; no differential privacy.

Reference: Andrew et al. 2021, "Differentially private learning with adaptive
clipping", section 2. Deviation: 13 thresholds instead of one, so the step is
found and not a learning rate; without noise, since only secure sums see votes.
"""

import numpy as np
import tensorflow as tf

_EXPONENTS = np.arange(-6, 7)
NUM_THRESHOLDS = len(_EXPONENTS)
# A step of bits and weights below stays a normal float32.
MIN_RANGE, MAX_RANGE = 2.0**-60, 2.0**60


def votes(largest: tf.Tensor, ranges: tf.Tensor) -> tf.Tensor:
  """What one client says.

  Args:
    largest: Largest absolute value of each tensor, float32[num_tensors].
    ranges: In force, float32[num_tensors].

  Returns:
    int64[num_tensors, NUM_THRESHOLDS], 1 where the value is not 0 and within
    the threshold, or not 0 and above all: the last column is 1 for every vote.
  """
  thresholds = ranges[:, tf.newaxis] * tf.constant(2.0**_EXPONENTS, tf.float32)
  within = largest[:, tf.newaxis] <= thresholds  # [num_tensors, 13]
  # Beyond the last threshold the range can only be moved that far.
  last = tf.constant(_EXPONENTS == _EXPONENTS[-1])
  voting = (largest > 0)[:, tf.newaxis]
  return tf.cast((within | last) & voting, tf.int64)


def updated(
  ranges: tf.Tensor, summed_votes: tf.Tensor, target: float
) -> tf.Tensor:
  """The next ranges.

  Args:
    ranges: In force, float32[num_tensors].
    summed_votes: Over the clients, int64[num_tensors, NUM_THRESHOLDS].
    target: The share of the voting clients that the least threshold holds.

  Returns:
    float32[num_tensors], within MIN_RANGE and MAX_RANGE.
  """
  counts = tf.cast(summed_votes, tf.float64)
  voters = counts[:, -1:]
  holds = counts >= target * voters  # The last column always does.
  first = tf.argmax(tf.cast(holds, tf.int32), axis=1)  # [num_tensors]
  factors = tf.gather(tf.constant(2.0 ** (_EXPONENTS + 1), tf.float32), first)
  moved = tf.clip_by_value(ranges * factors, MIN_RANGE, MAX_RANGE)
  return tf.where(voters[:, 0] > 0, moved, ranges)
