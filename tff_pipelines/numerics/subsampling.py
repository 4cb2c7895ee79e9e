"""Some of a vector's coordinates; the seed tells which.

Without replacement, k of n positions travel: those that (a j + b) mod p gives
for j = 0 to k - 1, with the least prime p >= n and random a and b. Each
position, and each pair of positions, is as likely as in a uniform sample, and
neither bias nor mean squared error depends on more. It is gathered at both
ends; a random permutation would have to be sorted.

Times p / k the result is unbiased, with a squared error of (p / k - 1) |x|^2.
Without that factor it is the projection of a random mask.

Source: Konecny et al. 2016, arXiv 1610.05492, sections 2 (random mask) and 3.1
(subsampling).
"""

import dataclasses
import math
from typing import Any, NamedTuple

import tensorflow as tf

from tff_pipelines.numerics import codes


@dataclasses.dataclass(frozen=True)
class Subsampling(codes.LinearCode):
  """Coordinates drawn without replacement, of a fixed number.

  Attributes:
    fraction: Of the coordinates, above 0, at most 1.
    is_scaled: Whether the result is made unbiased.
  """

  fraction: float
  is_scaled: bool = True

  def __post_init__(self) -> None:
    codes.check_fraction(self.fraction)

  @property
  def is_unbiased(self) -> bool:
    """See base class."""
    return self.is_scaled or self.fraction == 1.0

  @property
  def is_contraction(self) -> bool:
    """See base class."""
    # Scaled, the error is p / k - 1.
    return not self.is_scaled or self.fraction > 0.5

  def encoded_size(self, shapes: codes.Shapes) -> int:
    """See base class."""
    return codes.part(codes.num_elements(shapes), self.fraction)

  def encode(
    self, vector: tf.Tensor, seed: tf.Tensor, shapes: codes.Shapes
  ) -> tf.Tensor:
    """See base class."""
    size, count = codes.num_elements(shapes), self.encoded_size(shapes)
    if count == size:
      return vector
    prime, (factor, start) = _positions(size, seed)
    index = (factor * tf.range(count, dtype=tf.int64) + start) % prime
    return tf.gather(tf.pad(vector, [[0, prime - size]]), index)

  def decode(
    self, message: tf.Tensor, seed: tf.Tensor, shapes: codes.Shapes
  ) -> tf.Tensor:
    """See base class."""
    size, count = codes.num_elements(shapes), self.encoded_size(shapes)
    if count == size:
      return message
    prime, turn = _turns(size, seed)
    chosen = tf.gather(message, tf.minimum(turn, count - 1))
    # Here, so that what travels has the range of the vector.
    scale = prime / count if self.is_scaled else 1.0
    return tf.where(turn < count, chosen * scale, 0.0)

  @property
  def is_projection(self) -> bool:
    """See base class."""
    return not self.is_scaled

  def projector(self, shapes: codes.Shapes, seed: tf.Tensor) -> codes.Projector:
    """See base class: zeros outside of the mask."""
    if not self.is_projection:
      return super().projector(shapes, seed)
    size, count = codes.num_elements(shapes), self.encoded_size(shapes)
    _, turn = _turns(size, seed)
    inside = tf.cast(turn < count, tf.float32)
    masks = [
      tf.reshape(part, shape)
      for part, shape in zip(
        tf.split(inside, [math.prod(shape) for shape in shapes]),
        shapes,
        strict=True,
      )
    ]
    return lambda tensors: [
      tensor * tf.cast(mask, tensor.dtype)
      for tensor, mask in zip(tensors, masks, strict=True)
    ]


class CoinMessage(NamedTuple):
  """What coins have left.

  Attributes:
    values: float32[n], zeros where none travels.
    count: How many travel, int32[].
  """

  values: Any
  count: Any


@dataclasses.dataclass(frozen=True)
class CoinSubsampling(codes.Code):
  """Coordinates drawn by a coin for each, of a random number.

  Squared error (1 / fraction - 1) |x|^2. Not taken as linear, since a common
  sum of messages of random lengths has no length.

  Attributes:
    fraction: Probability of a coordinate, above 0, at most 1.
  """

  fraction: float

  def __post_init__(self) -> None:
    codes.check_fraction(self.fraction)

  @property
  def is_unbiased(self) -> bool:
    """See base class."""
    return True

  def encode(
    self, vector: tf.Tensor, seed: tf.Tensor, shapes: codes.Shapes
  ) -> CoinMessage:
    """See base class."""
    del shapes  # A vector like any other.
    drawn = tf.random.stateless_uniform(
      vector.shape, seed, minval=None, maxval=None, dtype=tf.int32, alg='philox'
    )
    # Of 31 bits, which int32 holds with the threshold of 1, 2^31, less one.
    kept = (drawn & (2**31 - 1)) <= round(self.fraction * 2**31) - 1
    values = tf.where(kept, vector / self.fraction, 0.0)
    return CoinMessage(values, tf.reduce_sum(tf.cast(kept, tf.int32)))

  def decode(
    self, message: CoinMessage, seed: tf.Tensor, shapes: codes.Shapes
  ) -> tf.Tensor:
    """See base class."""
    del seed, shapes  # Zeros are in their places.
    return message.values

  def message_bytes(self, message: CoinMessage) -> tf.Tensor:
    """See base class; of the values that travel."""
    return 4 * message.count


def _positions(
  size: int, seed: tf.Tensor
) -> tuple[int, tuple[tf.Tensor, tf.Tensor]]:
  """Returns p, and a and b of int64[]."""
  prime = next(p for p in range(max(2, size), 2 * size + 2) if _is_prime(p))
  drawn = tf.random.stateless_uniform(
    [2], seed, minval=None, maxval=None, dtype=tf.int64, alg='philox'
  )
  # The rest by p is even to 2^-62 p.
  drawn = drawn & (2**62 - 1)
  return prime, (drawn[0] % (prime - 1) + 1, drawn[1] % prime)


def _turns(size: int, seed: tf.Tensor) -> tuple[int, tf.Tensor]:
  """Returns p, and the j at which each position is drawn, int64[n]."""
  prime, (factor, start) = _positions(size, seed)
  inverse = _inverse(factor, prime)
  distance = tf.range(size, dtype=tf.int64) + (prime - start)
  return prime, (distance % prime) * inverse % prime


def _inverse(factor: tf.Tensor, prime: int) -> tf.Tensor:
  """Returns factor^(p - 2) mod p, by Fermat's theorem."""
  result = tf.constant(1, tf.int64)
  exponent = prime - 2
  while exponent:
    if exponent & 1:
      result = result * factor % prime
    factor = factor * factor % prime
    exponent >>= 1
  return result


def _is_prime(number: int) -> bool:
  return all(number % d for d in range(2, int(number**0.5) + 1))
