"""The coordinates of the largest absolute values, and where they are.

Biased: the smallest of the rest never travel, unless the sender keeps what was
left behind, x less what it was decoded as, and adds it to the next vector.

Source: Aji, Heafield 2017, "Sparse Communication for Distributed Gradient
Descent", arXiv 1704.05021; for what is kept, Stich, Cordonnier, Jaggi 2018,
"Sparsified SGD with Memory", arXiv 1809.07599, algorithm 1.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import tensorflow as tf

from tff_pipelines.numerics import bit_packing, codes


class Message(NamedTuple):
  """Some coordinates.

  Attributes:
    places: Of each, packed, uint8[ceil(log2 n), ceil(k / 8)].
    values: float32[k].
  """

  places: Any
  values: Any


@dataclasses.dataclass(frozen=True)
class TopK(codes.Code):
  """The largest coordinates.

  Squared error at most (1 - k / n) |x|^2.

  Attributes:
    fraction: Of the coordinates, k / n; above 0, at most 1.
  """

  fraction: float

  def __post_init__(self) -> None:
    codes.check_fraction(self.fraction)

  @property
  def is_unbiased(self) -> bool:
    """See base class."""
    return False

  @property
  def is_contraction(self) -> bool:
    """See base class."""
    return True

  def encode(
    self, vector: tf.Tensor, seed: tf.Tensor, shapes: codes.Shapes
  ) -> Message:
    """See base class."""
    del seed  # Nothing is drawn.
    size = codes.num_elements(shapes)
    count = codes.part(size, self.fraction)
    _, places = tf.math.top_k(tf.abs(vector), count)
    # Bits of the last place; one place needs one.
    bits = max(1, (size - 1).bit_length())
    return Message(bit_packing.pack(places, bits), tf.gather(vector, places))

  def decode(
    self, message: Message, seed: tf.Tensor, shapes: codes.Shapes
  ) -> tf.Tensor:
    """See base class."""
    del seed  # Nothing was drawn.
    size = codes.num_elements(shapes)
    count = codes.part(size, self.fraction)
    places = bit_packing.unpack(message.places, count)
    return tf.scatter_nd(places[:, tf.newaxis], message.values, [size])

  def entropy_coded_bytes(self, message: Message) -> float:
    """See base class: of the places as a set, log2 of the sets there are.

    Source: Cover 1973, "Enumerative Source Encoding". The length of the vector
    is taken for 2^(bits of a place): what the message tells.
    """
    size, count = 2 ** message.places.shape[0], message.values.shape[0]
    log_sets = (
      math.lgamma(size + 1)
      - math.lgamma(count + 1)
      - math.lgamma(max(0, size - count) + 1)
    )
    return 4.0 * count + math.ceil(log_sets / math.log(2) / 8)
