"""The mean of updates whose Euclidean norm is bounded."""

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


class NormBoundError(errors.PipelineError):
  """A bound that bounds nothing, or everything to nothing."""


class NormBoundFactory(tff.aggregators.UnweightedAggregationFactory):
  """The mean of updates clipped to a fixed norm, every client alike.

  Types as `kept_mean.process`. An update of a larger norm is scaled to the
  bound. A client with a NaN or an infinity is absent.

  Measurements:
    non_finite_clients: absent, int32.
    clipped_clients: share of the others whose norm was above the bound.

  Breakdown point: none; any f of n clients move the mean by at most 2 f / n
  times the bound. A weight would multiply what a client can change, so there is
  no weighted form.

  Privacy: none; without noise a bound hides nobody.

  Source: Sun, Kairouz, Suresh, McMahan 2019, "Can You Really Backdoor Federated
  Learning?", arXiv 1911.07963, section 5, norm thresholding, without its noise.
  """

  def __init__(self, norm_bound: float):
    """Initializes the factory.

    Raises:
      NormBoundError: If the bound is not a finite number above 0.
    """
    if not (norm_bound > 0.0 and math.isfinite(norm_bound)):
      raise NormBoundError(
        f'Expected a finite norm bound above 0, found {norm_bound}; none at '
        "all takes the median of the updates' norms."
      )
    self.norm_bound = norm_bound

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (composition.CLIP_NORM, composition.PLAIN_SUM)

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process; raises as `kept_mean.process`."""
    return kept_mean.process(value_type, self._clip, _measurements)

  def _clip(self, value: Any) -> kept_mean.Kept:
    clipped = clipping.l2(value, self.norm_bound)
    finite = tf.cast(clipped.is_finite, tf.float64)
    return kept_mean.Kept(
      tuple(tf.nest.flatten(clipped.value)),
      finite,
      tf.cast(clipped.was_clipped, tf.float64),
      1.0 - finite,
    )


def _measurements(sums: kept_mean.Kept) -> dict[str, tf.Tensor]:
  return {
    'clipped_clients': kept_mean.share(sums.changed_clients, sums.kept_clients)
  }


class MedianNormBoundFactory(tff.aggregators.UnweightedAggregationFactory):
  """The mean of updates clipped to the median of this round's norms.

  Types and common measurements as `update_matrix.process`, without weights.

  Measurements:
    norm_bound: the median of the norms, float32.
    clipped_clients: share of the clients whose norm was above it, float32.

  Breakdown point: any (n - 1) // 2 of n clients leave the bound between the
  least and the largest norm of the others, so they move the mean by at most 2 f
  / n times that; half of them set it.

  Privacy: none; the server sees each update, so there is no secure sum.

  Source: Nguyen et al. 2022, "FLAME: Taming Backdoors in Federated Learning",
  USENIX Security, arXiv 2101.02281 (adaptive clipping, without its clustering
  and noise).
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
    return (composition.robust_statistic('a bound at the median norm'),)

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process; raises as `update_matrix.process`."""
    return update_matrix.process(value_type, self.max_clients, _clipped_mean)


def _clipped_mean(
  rows: tf.Tensor, weights: tf.Tensor, count: tf.Tensor
) -> tuple[tf.Tensor, update_matrix.Measurements]:
  del weights  # All 1.
  norms = row_combinations.norms(rows)
  bound = order_statistics.median(norms[:, tf.newaxis], count)[0]
  is_client = tf.range(rows.shape[0]) < count
  scale = tf.where(norms > bound, tf.math.divide_no_nan(bound, norms), 1.0)
  num_clients = tf.cast(tf.maximum(count, 1), tf.float64)
  above = tf.reduce_sum(tf.cast(is_client & (norms > bound), tf.float64))
  return (
    row_combinations.combined(
      rows, tf.where(is_client, scale / num_clients, 0.0)
    ),
    update_matrix.Measurements(
      norm_bound=update_matrix.as_float32(bound),
      clipped_clients=kept_mean.share(above, num_clients),
    ),
  )
