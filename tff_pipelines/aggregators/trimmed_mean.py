"""The mean of each coordinate of the updates without its extremes."""

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  attackers,
  composition,
  update_matrix,
)
from tff_pipelines.numerics import order_statistics


class TrimmedMeanFactory(tff.aggregators.UnweightedAggregationFactory):
  """The trimmed mean of each coordinate, every client alike.

  Types and common measurements as `update_matrix.process`, without weights.

  Measurements:
    trimmed_values: of each coordinate, left out of its mean, int32.

  Breakdown point: any `tolerated_attackers` = k of n > 2 k clients leave each
  coordinate between the least and the largest of the others'; one more can take
  it anywhere. A round of n <= 2 k clients trims fewer, (n - 1) // 2, which is
  the median of each coordinate.

  Privacy: none; the server sees each update, so there is no secure sum.

  Source: Yin, Chen, Ramchandran, Bartlett 2018, arXiv 1803.01498, definition 2
  (algorithm 1, option II). Deviation: of updates, not of gradients.
  """

  def __init__(self, max_clients: int, tolerated_attackers: int):
    """Initializes the factory.

    Args:
      max_clients: The largest cohort of a round.
      tolerated_attackers: k.

    Raises:
      TooManyAttackersError: If even the largest cohort is not above 2 k.
    """
    attackers.check(
      'a trimmed mean',
      tolerated_attackers,
      2 * tolerated_attackers + 1,
      max_clients,
    )
    self.max_clients = update_matrix.check_capacity(max_clients)
    self.tolerated_attackers = tolerated_attackers

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (composition.robust_statistic('the trimmed mean'),)

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process; raises as `update_matrix.process`."""
    return update_matrix.process(value_type, self.max_clients, self._statistic)

  def _statistic(
    self, rows: tf.Tensor, weights: tf.Tensor, count: tf.Tensor
  ) -> tuple[tf.Tensor, update_matrix.Measurements]:
    del weights  # All 1.
    tolerated = self.tolerated_attackers
    trimmed = order_statistics.trimmed_count(tolerated, count)
    return (
      order_statistics.trimmed_mean(rows, count, tolerated),
      update_matrix.Measurements(trimmed_values=2 * trimmed),
    )
