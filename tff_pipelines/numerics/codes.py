"""Codes: what a vector is on a slow link, and what is made of it behind that.

A code makes a message of a vector and a seed, and a vector of the message and
the same seed: only one number of the seed has to travel. It knows the bytes of
its messages. Seeds are shared with whoever is to read the message, so nothing
of them is secret and no code protects anybody.
"""

import abc
from collections.abc import Callable, Sequence
import dataclasses
import math
from typing import Any

import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.numerics import noise_seeds

Shapes = Sequence[Sequence[int]]
# From tensors of some shapes to tensors of the same.
Projector = Callable[[Sequence[tf.Tensor]], list[tf.Tensor]]


class CodeError(errors.PipelineError):
  """A code that cannot be."""


def num_elements(shapes: Shapes) -> int:
  """Returns the length of the vector that tensors of the shapes make."""
  return sum(math.prod(shape) for shape in shapes)


class Code(abc.ABC):
  """Makes messages of vectors, with less in them."""

  @property
  @abc.abstractmethod
  def is_unbiased(self) -> bool:
    """Whether the mean of decoded messages over seeds is the vector."""

  @property
  def is_contraction(self) -> bool:
    """Whether less is lost than there was, in the mean over seeds.

    That the squared error is at most c |x|^2 with some c < 1, as a sender needs
    who adds what was lost to what it sends next.
    """
    return False

  @abc.abstractmethod
  def encode(self, vector: tf.Tensor, seed: tf.Tensor, shapes: Shapes) -> Any:
    """Returns the message.

    Args:
      vector: float32[n], finite.
      seed: int64[2].
      shapes: Of the tensors that the vector was made of; n numbers in all.

    Returns:
      A structure of tensors of known shapes; of a linear code float32[m].
    """

  @abc.abstractmethod
  def decode(self, message: Any, seed: tf.Tensor, shapes: Shapes) -> tf.Tensor:
    """Returns what is left of the vector, float32[n].

    Args:
      message: As `encode` made it.
      seed: As it was given to `encode`.
      shapes: As they were given to `encode`.
    """

  def message_bytes(self, message: Any) -> tf.Tensor | int:
    """Returns the bytes of a message, without its seed."""
    return sum(
      t.shape.num_elements() * t.dtype.size for t in tf.nest.flatten(message)
    )

  def entropy_coded_bytes(self, message: Any) -> tf.Tensor | float:
    """Returns the bytes of a message if an ideal coder packed its integers.

    By how often each occurs, with a table of that; of other messages, their
    bytes as they are.
    """
    return self.message_bytes(message)


class LinearCode(Code):
  """A random linear map: with one seed, messages can be summed, then decoded.

  `encode` returns float32[m].
  """

  @abc.abstractmethod
  def encoded_size(self, shapes: Shapes) -> int:
    """Returns m."""

  @property
  def is_projection(self) -> bool:
    """Whether what was decoded passes a second time as it is.

    So a sender can train inside of the subspace, and loses nothing afterwards.
    """
    return False

  def projector(self, shapes: Shapes, seed: tf.Tensor) -> Projector:
    """Returns the projection that the code is.

    Args:
      shapes: As for `encode`.
      seed: As for `encode`, int64[2].

    Raises:
      CodeError: If it is none.
    """
    del shapes, seed  # There is nothing to project on.
    raise CodeError(
      f'Expected a code that projects, found {self}; take one that is not '
      'scaled.'
    )


@dataclasses.dataclass(frozen=True)
class Chain(Code):
  """A code of what a linear code leaves: fewer numbers, of fewer bits each.

  Unbiased if both are, since their seeds are independent.

  Attributes:
    first: The linear code.
    second: The code of its messages.
  """

  first: LinearCode
  second: Code

  @property
  def is_unbiased(self) -> bool:
    """See base class."""
    return self.first.is_unbiased and self.second.is_unbiased

  @property
  def is_contraction(self) -> bool:
    """See base class."""
    # A projection loses what is across it, the second code a part of the rest.
    return self.first.is_contraction and self.second.is_contraction

  def encode(self, vector: tf.Tensor, seed: tf.Tensor, shapes: Shapes) -> Any:
    """See base class."""
    one, other = noise_seeds.split(seed, 2)
    fewer = self.first.encode(vector, one, shapes)
    return self.second.encode(fewer, other, [fewer.shape])

  def decode(self, message: Any, seed: tf.Tensor, shapes: Shapes) -> tf.Tensor:
    """See base class."""
    one, other = noise_seeds.split(seed, 2)
    size = self.first.encoded_size(shapes)
    fewer = self.second.decode(message, other, [[size]])
    return self.first.decode(fewer, one, shapes)

  def entropy_coded_bytes(self, message: Any) -> tf.Tensor | float:
    """See base class."""
    return self.second.entropy_coded_bytes(message)


def check_fraction(fraction: float) -> None:
  """Refuses a part of a vector that is none.

  Raises:
    CodeError: If it is not above 0 and at most 1.
  """
  if not 0.0 < fraction <= 1.0:
    raise CodeError(
      f'Expected a fraction above 0, at most 1, found {fraction}; it is the '
      'part of the numbers that travels.'
    )


def part(size: int, fraction: float) -> int:
  """Returns how many of so many numbers a fraction is, at least 1."""
  return min(size, max(1, round(size * fraction)))
