"""Subspaces in which clients train, so that what they send is short.

A learning process takes one from an aggregator: it projects every gradient at
the client, and what is trained passes through the aggregator's code as it is.
"""

from collections.abc import Callable
import dataclasses
from typing import Any, NamedTuple

import tensorflow as tf

from tff_pipelines.numerics import codes, noise_seeds, subsampling


class Located(NamedTuple):
  """An update and where it lies.

  Attributes:
    update: A structure of floats.
    seed: Half of the seed of its subspace, int64[].
  """

  update: Any
  seed: Any


@dataclasses.dataclass(frozen=True)
class Subspaces:
  """Random subspaces, those of a code that projects.

  Attributes:
    code: The code.
    seed: Of all codes of a run.
    is_common: Whether all clients of a round have the same.
  """

  code: codes.LinearCode
  seed: int
  is_common: bool

  @property
  def keeps_coordinates(self) -> bool:
    """Whether it is made of coordinates, so that any optimizer stays inside."""
    return isinstance(self.code, subsampling.Subsampling)

  def seed_of(self, rounds_done: tf.Tensor, client: tf.Tensor) -> tf.Tensor:
    """Returns the seed of a client's subspace, int64[2].

    Args:
      rounds_done: int32[].
      client: A number that tells clients apart, int64[].
    """
    # As the server of a common code counts, so that both draw the same.
    rounds_done = tf.cast(rounds_done, tf.int64)
    if self.is_common:
      return noise_seeds.draw(self.seed, rounds_done)
    drawn = noise_seeds.draw(self.seed, rounds_done, client)
    return whole(noise_seeds.split(drawn, 1)[0][0], self.seed)

  def projection(self, like: Any, seed: tf.Tensor) -> Callable[[Any], Any]:
    """Returns what projects gradients.

    Args:
      like: A structure of tensors of the gradients' shapes.
      seed: As `seed_of` gives it.
    """
    shapes = [tuple(t.shape) for t in tf.nest.flatten(like)]
    project = self.code.projector(shapes, seed)

    def of_structure(gradients: Any) -> Any:
      flat = project(tf.nest.flatten(gradients))
      return tf.nest.pack_sequence_as(gradients, flat)

    return of_structure

  def sent(self, update: Any, seed: tf.Tensor) -> Any:
    """Returns what the aggregator is given of an update in that subspace."""
    return update if self.is_common else Located(update, seed[0])


def whole(half: tf.Tensor, seed: int) -> tf.Tensor:
  """Returns the seed of a client's code from the half that travels."""
  return tf.stack([half, tf.constant(seed, tf.int64)])


def of_code(code: codes.Code, seed: int, is_common: bool) -> Subspaces | None:
  """Returns the subspaces of a code; None of one that does not project."""
  if isinstance(code, codes.LinearCode) and code.is_projection:
    return Subspaces(code, seed, is_common)
  return None
