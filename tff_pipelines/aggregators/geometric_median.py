"""The geometric median of the updates: RFA."""

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import composition, update_matrix
from tff_pipelines.core import errors
from tff_pipelines.numerics import weiszfeld

_STACK = composition.robust_statistic('the geometric median')


class SmoothingError(errors.PipelineError):
  """A smoothing that is no distance."""


class GeometricMedianFactory(tff.aggregators.WeightedAggregationFactory):
  """The geometric median of the updates, weighted by examples.

  Types and common measurements as `update_matrix.process`.

  Measurements:
    iterations: of the Weiszfeld algorithm, int32.
    effective_clients: 1 / (sum of the squared shares that clients have in the
      result), float32; n if all have the same, 1 if one has all.

  Breakdown point: clients with less than half of the weight. With a share theta
  of it they leave the result within 2 (1 - theta) / (1 - 2 theta) times the
  largest distance of the others' updates from any one point, of that point.
  Weights are what clients say: who claims half of them decides. A round without
  weight gives zero.

  Privacy: none; the server sees each update. The source makes its iterations
  with secure sums, a round trip each.

  Source: Pillutla, Kakade, Harchaoui 2022, arXiv 1912.13445, RFA with the
  smoothed Weiszfeld algorithm. Deviation: as `weiszfeld.smoothed_weiszfeld`;
  updates, not models.
  """

  def __init__(self, max_clients: int, smoothing: float = 1e-6):
    """Initializes the factory.

    Args:
      max_clients: The largest cohort of a round.
      smoothing: nu, a distance between updates that does not matter.

    Raises:
      CapacityError: If the cohort is below 1.
      SmoothingError: If the smoothing is not above 0.
    """
    self.max_clients = update_matrix.check_capacity(max_clients)
    self.smoothing = _checked(smoothing)

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (composition.WEIGHT, _STACK)

  def create(
    self, value_type: tff.Type, weight_type: tff.Type
  ) -> tff.templates.AggregationProcess:
    """Returns the process; raises as `update_matrix.process`."""
    return update_matrix.process(
      value_type, self.max_clients, _statistic(self.smoothing), weight_type
    )


class UniformGeometricMedianFactory(
  tff.aggregators.UnweightedAggregationFactory
):
  """The geometric median, every client alike: weights of 1.

  In all else as `GeometricMedianFactory`; tolerates fewer than half of the
  clients, whatever they claim.
  """

  def __init__(self, max_clients: int, smoothing: float = 1e-6):
    """Initializes the factory; as `GeometricMedianFactory`."""
    self.max_clients = update_matrix.check_capacity(max_clients)
    self.smoothing = _checked(smoothing)

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (_STACK,)

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process; raises as `update_matrix.process`."""
    return update_matrix.process(
      value_type, self.max_clients, _statistic(self.smoothing)
    )


def _statistic(smoothing: float) -> update_matrix.Statistic:
  def median(
    rows: tf.Tensor, weights: tf.Tensor, count: tf.Tensor
  ) -> tuple[tf.Tensor, update_matrix.Measurements]:
    found = weiszfeld.smoothed_weiszfeld(
      rows, weights, count, smoothing=smoothing
    )
    effective = tf.math.divide_no_nan(
      tf.constant(1.0, tf.float64), tf.reduce_sum(found.shares**2)
    )
    return found.value, update_matrix.Measurements(
      iterations=found.iterations,
      effective_clients=tf.cast(effective, tf.float32),
    )

  return median


def _checked(smoothing: float) -> float:
  if not 0.0 < smoothing < float('inf'):
    raise SmoothingError(
      f'Expected a finite smoothing above 0, found {smoothing}; 1e-6 changes '
      'nothing that matters to updates of size 1.'
    )
  return smoothing
