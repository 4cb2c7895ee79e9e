"""The median of each coordinate of the updates."""

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import composition, update_matrix
from tff_pipelines.numerics import order_statistics


class CoordinateMedianFactory(tff.aggregators.UnweightedAggregationFactory):
  """The median of each coordinate, every client alike.

  Types and common measurements as `update_matrix.process`, without weights.

  Breakdown point: any (n - 1) // 2 of n clients leave each coordinate between
  the least and the largest of the others'. Nobody has to say how many attackers
  there are, and no cohort is too small; that of nobody gives zero.

  Privacy: none; the server sees each update, so there is no secure sum.

  Source: Yin, Chen, Ramchandran, Bartlett 2018, arXiv 1803.01498, definition 1
  (algorithm 1, option I). Deviation: of updates, not of gradients.
  """

  def __init__(self, max_clients: int):
    """Initializes the factory.

    Args:
      max_clients: The largest cohort of a round.

    Raises:
      CapacityError: If it is below 1.
    """
    self.max_clients = update_matrix.check_capacity(max_clients)

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (composition.robust_statistic('the median of each coordinate'),)

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process; raises as `update_matrix.process`."""
    return update_matrix.process(value_type, self.max_clients, _median)


def _median(
  rows: tf.Tensor, weights: tf.Tensor, count: tf.Tensor
) -> tuple[tf.Tensor, update_matrix.Measurements]:
  del weights  # All 1.
  return order_statistics.median(rows, count), update_matrix.Measurements()
