"""Training in a random subspace, so that the update is short where it is sent.

Every gradient is projected before the optimizer takes its step, so trained
weights differ from the received ones inside of the subspace alone: training of
the masked coordinates, or of the factor B of W + A B.

Source: Konecny et al. 2016, arXiv 1610.05492, section 2 (structured updates).
"""

from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import optimizers

# Numbers are compared by their first binary digits after the point.
_DIGITS = 2.0**16
# Odd, so that no bit of what was before is lost (Knuth's multiplier).
_MIXING = 6364136223846793005


class Subspaces(Protocol):
  """What an aggregator has, as `subspaces`, whose clients can train in them."""

  @property
  def keeps_coordinates(self) -> bool:
    """Whether any optimizer stays inside, not only SGD."""

  def seed_of(self, rounds_done: tf.Tensor, client: tf.Tensor) -> tf.Tensor:
    """Returns the seed of a client's subspace, from int32[] and int64[]."""

  def projection(self, like: Any, seed: tf.Tensor) -> Callable[[Any], Any]:
    """Returns what projects structures of tensors like those given."""

  def sent(self, update: Any, seed: tf.Tensor) -> Any:
    """Returns what the aggregator is given of an update."""


def of_aggregator(
  aggregator: Any, client_optimizer: tff.learning.optimizers.Optimizer
) -> Subspaces | None:
  """Returns the subspaces of an aggregator; None if it has none.

  Raises:
    OptimizerError: If the clients' optimizer would leave them: momentum is a
      sum of gradients, an adaptive step is not.
  """
  subspaces = getattr(aggregator, 'subspaces', None)
  if subspaces is not None and not subspaces.keeps_coordinates:
    try:
      optimizers.sgd_momentum(client_optimizer, 'a subspace')
    except optimizers.OptimizerError as error:
      raise optimizers.OptimizerError(
        'Expected sgd at clients that train matrices of low rank, whose steps '
        'are sums of gradients and stay among them, found an optimizer with '
        'steps of another kind; take sgd, or a random mask.'
      ) from error
  return subspaces


class Inside:
  """A client's training of one round in its subspace."""

  def __init__(
    self,
    subspaces: Subspaces,
    trainable: Any,
    batches: tf.data.Dataset,
    rounds_done: tf.Tensor,
  ):
    """Draws the subspace.

    Args:
      subspaces: Of the aggregator.
      trainable: The received weights.
      batches: The client's, by which clients of a round are told apart.
      rounds_done: int32[].
    """
    self._subspaces = subspaces
    self._seed = subspaces.seed_of(rounds_done, _fingerprint(batches))
    self._project = subspaces.projection(trainable, self._seed)

  def optimizer(
    self, optimizer: tff.learning.optimizers.Optimizer
  ) -> tff.learning.optimizers.Optimizer:
    """Returns the optimizer, of projected gradients."""
    return _Projected(optimizer, self._project)

  def sent(
    self, result: tff.learning.templates.ClientResult
  ) -> tff.learning.templates.ClientResult:
    """Returns the result of training as the aggregator takes it."""
    return tff.learning.templates.ClientResult(
      self._subspaces.sent(result.update, self._seed), result.update_weight
    )


class _Projected(tff.learning.optimizers.Optimizer):
  """An optimizer that sees what is left of gradients in a subspace."""

  def __init__(
    self,
    optimizer: tff.learning.optimizers.Optimizer,
    project: Callable[[Any], Any],
  ):
    self._optimizer = optimizer
    self._project = project

  def initialize(self, specs: Any) -> Any:
    """See base class."""
    return self._optimizer.initialize(specs)

  def next(self, state: Any, weights: Any, gradients: Any) -> Any:
    """See base class."""
    return self._optimizer.next(state, weights, self._project(gradients))


def _fingerprint(batches: tf.data.Dataset) -> tf.Tensor:
  """Returns a number, int64[], of a client's numbers, the same everywhere.

  Of whole numbers, whose sum does not depend on the order.
  """

  @tf.function
  def add(total, batch):
    for leaf in tf.nest.flatten(batch):
      whole = (
        leaf * tf.cast(_DIGITS, leaf.dtype) if leaf.dtype.is_floating else leaf
      )
      total = total * _MIXING + tf.reduce_sum(tf.cast(whole, tf.int64))
    return total

  return batches.reduce(tf.constant(1, tf.int64), add)
