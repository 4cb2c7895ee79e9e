"""Seeds of noise that a privacy guarantee rests on.

Such noise is worth what its seed is: a seed from a clock, or of 32 bits, can be
guessed, and who guesses it takes the noise off. Seeds here are 128 bits of the
operating system's cryptographic generator, read anew at every execution, inside
of the graph (`core.system_randomness`), so that they are fresh wherever the
graph runs: at the server, in a client's work, in TFF's own runtime.
"""

import tensorflow as tf

from tff_pipelines.core import system_randomness

# Positions of the hexadecimal digits in the text of a UUID.
_DIGITS = tuple(
  k for k in range(system_randomness.TEXT_BYTES) if k not in (8, 13, 18, 23)
)


def draw(test_seed: int | None = None, *path: tf.Tensor) -> tf.Tensor:
  """Returns a seed for stateless generators, int64[2].

  Draw once a client or a server's update, outside of loops, then `split`.

  Args:
    test_seed: None for a fresh seed of the operating system. Otherwise the
      result is a pure function of this number and of `path`, for tests: noise
      from it guarantees nothing.
    *path: Integer or float tensors of known shape that tell draws of a
      `test_seed` apart, such as a round or a client's values; unused without.
  """
  if test_seed is None:
    return mixed(tf.stack([system_randomness.read() for _ in range(2)]))
  seed = tf.constant([test_seed, 0], tf.int64)
  for part in path:
    seed = tf.random.experimental.stateless_fold_in(
      seed, _fingerprint(part), alg='philox'
    )
  return seed


def split(seed: tf.Tensor, num: int) -> list[tf.Tensor]:
  """Returns seeds whose noise is independent, each int64[2]."""
  drawn = tf.random.stateless_uniform(
    [num, 2], seed, minval=None, maxval=None, dtype=tf.int64, alg='philox'
  )
  return tf.unstack(drawn)


def mixed(texts: tf.Tensor) -> tf.Tensor:
  """Makes one seed of the texts of two UUIDs.

  Six bits of a UUID are fixed. The second is turned by half its length before
  both are added without carry, so that every bit of the seed is a random bit,
  or the sum of two, of which no other has any: 128 bits, independent and
  uniform.

  Args:
    texts: uint8[2, 36], ASCII.

  Returns:
    int64[2].
  """
  codes = tf.cast(tf.gather(texts, _DIGITS, axis=1), tf.int64)
  digits = tf.where(codes < ord('a'), codes - ord('0'), codes - ord('a') + 10)
  first, second = tf.unstack(digits)
  half = len(_DIGITS) // 2
  turned = tf.concat([second[half:], second[:half]], axis=0)
  nibbles = tf.reshape(tf.bitwise.bitwise_xor(first, turned), [2, half])
  places = tf.constant([4 * k for k in range(half)], tf.int64)
  # No two have a bit in common, so the sum puts them side by side.
  return tf.reduce_sum(tf.bitwise.left_shift(nibbles, places), axis=1)


def _fingerprint(values: tf.Tensor) -> tf.Tensor:
  """Returns int32[] that depends on all values."""
  if values.dtype.is_floating:
    values = tf.bitcast(tf.cast(values, tf.float32), tf.int32)
  flat = tf.reshape(tf.cast(values, tf.int32), [-1])
  weights = 2 * tf.range(flat.shape.num_elements(), dtype=tf.int32) + 1
  return tf.reduce_sum(flat * weights)
