"""The mean of the updates without those of an extreme norm."""

import math
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import composition, kept_mean, update_matrix
from tff_pipelines.core import errors
from tff_pipelines.numerics import (
  clipping,
  order_statistics,
  row_combinations,
)


class ZeroingError(errors.PipelineError):
  """A limit that leaves everyone out, or no one."""


class ZeroingFactory(tff.aggregators.UnweightedAggregationFactory):
  """The mean without updates above a fixed norm, every client alike.

  Types as `kept_mean.process`. A client with a NaN or an infinity is absent.

  Measurements:
    non_finite_clients: absent, int32.
    zeroed_clients: share of the others that are left out for their norm.

  Breakdown point: none; f of n clients move the mean by at most 2 f / n times
  the limit. A weight would multiply what a client can change, so there is no
  weighted form.

  Privacy: none.

  Source: `tff.aggregators.zeroing_factory`. Deviation: the Euclidean norm, and
  who is left out is not counted: zeros would let attackers shrink the mean.
  """

  def __init__(self, limit: float):
    """Initializes the factory.

    Raises:
      ZeroingError: If the limit is not a finite number above 0.
    """
    if not (limit > 0.0 and math.isfinite(limit)):
      raise ZeroingError(
        f'Expected a finite limit of the norm above 0, found {limit}.'
      )
    self.limit = limit

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (composition.ZERO, composition.PLAIN_SUM)

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process; raises as `kept_mean.process`."""
    return kept_mean.process(value_type, self._zero, _measurements)

  def _zero(self, value: Any) -> kept_mean.Kept:
    # For its norm, which no square overflows.
    measured = clipping.l2(value, self.limit)
    is_kept = measured.is_finite & (measured.norm <= self.limit)
    tensors = [tf.cast(t, tf.float64) for t in tf.nest.flatten(value)]
    finite = tf.cast(measured.is_finite, tf.float64)
    kept = tf.cast(is_kept, tf.float64)
    return kept_mean.Kept(
      tuple(tf.where(is_kept, t, tf.zeros_like(t)) for t in tensors),
      kept,
      finite - kept,
      1.0 - finite,
    )


def _measurements(sums: kept_mean.Kept) -> dict[str, tf.Tensor]:
  zeroed = sums.changed_clients
  return {'zeroed_clients': kept_mean.share(zeroed, sums.kept_clients + zeroed)}


class MedianZeroingFactory(tff.aggregators.UnweightedAggregationFactory):
  """The mean without updates far above the median of this round's norms.

  Types and common measurements as `update_matrix.process`, without weights.

  Measurements:
    zeroing_limit: `multiple` times the median of the norms, float32.
    zeroed_clients: share of the clients that are left out, float32.

  Breakdown point: any f <= (n - 1) // 2 of n clients leave the limit at most
  `multiple` times the largest norm of the others, and the mean of the kept ones
  within it. At least half of a cohort is kept.

  Privacy: none; the server sees each update, so there is no secure sum.

  Source: as `ZeroingFactory`, whose adaptive limit follows a high quantile over
  the rounds, which a few attackers can raise. Deviation: the median of the
  round itself, which they cannot, and which needs no first rounds.
  """

  def __init__(self, max_clients: int, multiple: float = 3.0):
    """Initializes the factory.

    Args:
      max_clients: The largest cohort of a round.
      multiple: Of the median norm, above which an update is left out.

    Raises:
      CapacityError: If the cohort is below 1.
      ZeroingError: If the multiple is below 1 or not finite.
    """
    if not (multiple >= 1.0 and math.isfinite(multiple)):
      raise ZeroingError(
        'Expected a finite multiple of the median norm of at least 1, found '
        f'{multiple}; below 1 it would leave out most clients.'
      )
    self.max_clients = update_matrix.check_capacity(max_clients)
    self.multiple = multiple

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (
      composition.robust_statistic('zeroing at a multiple of the median norm'),
    )

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process; raises as `update_matrix.process`."""
    return update_matrix.process(value_type, self.max_clients, self._statistic)

  def _statistic(
    self, rows: tf.Tensor, weights: tf.Tensor, count: tf.Tensor
  ) -> tuple[tf.Tensor, update_matrix.Measurements]:
    del weights  # All 1.
    norms = row_combinations.norms(rows)
    median = order_statistics.median(norms[:, tf.newaxis], count)[0]
    limit = self.multiple * median
    is_client = tf.range(rows.shape[0]) < count
    zeroed = tf.reduce_sum(tf.cast(is_client & (norms > limit), tf.float64))
    return (
      row_combinations.mean(rows, is_client & (norms <= limit)),
      update_matrix.Measurements(
        zeroing_limit=update_matrix.as_float32(limit),
        zeroed_clients=kept_mean.share(zeroed, tf.cast(count, tf.float64)),
      ),
    )
