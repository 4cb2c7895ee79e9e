"""A mean of updates, scaled by the mean of a number of each client."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff


class Scaled(NamedTuple):
  """What a client hands in.

  Attributes:
    update: A structure of floats.
    number: float32[].
    number_weight: Weight in the mean of the numbers, float32[].
  """

  update: Any
  number: Any
  number_weight: Any


# From one tensor of the mean update and the mean number to the result's.
Scale = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class ScaledMeanFactory(tff.aggregators.WeightedAggregationFactory):
  """Aggregates the updates, and scales the result by the mean number.

  For `value_type = Scaled(V, float32, float32)` and weights W:
    initialize: ( -> S@SERVER), that of the aggregation of updates
    next:       (<S@SERVER, {value_type}@CLIENTS, {W}@CLIENTS>
                 -> <state=S, result=V@SERVER, measurements=M@SERVER>)

  Measurements: those of the aggregation of updates, as `updates`, and the mean
  number (0 of nobody), float32, under the name given.

  Privacy: none. The numbers are summed in the clear, beside the updates.
  """

  def __init__(
    self,
    updates: tff.aggregators.WeightedAggregationFactory,
    scale: Scale,
    number_name: str,
  ):
    """Initializes the factory.

    Args:
      updates: Aggregates the updates.
      scale: What the mean number does to their aggregate.
      number_name: What measurements call it.
    """
    self._updates = updates
    self._scale = scale
    self._number_name = number_name

  def create(
    self, value_type: tff.Type, weight_type: tff.Type
  ) -> tff.templates.AggregationProcess:
    """See base class."""
    updates = self._updates.create(value_type.update, weight_type)
    of_numbers = tff.aggregators.MeanFactory(no_nan_division=True).create(
      tff.TensorType(np.float32), tff.TensorType(np.float32)
    )

    @tff.tensorflow.computation(value_type.update, np.float32)
    def scaled(update, number):
      return tf.nest.map_structure(lambda t: self._scale(t, number), update)

    @tff.federated_computation(
      updates.initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
      tff.FederatedType(weight_type, tff.CLIENTS),
    )
    def next_fn(state, value, weight):
      output = updates.next(state, value.update, weight)
      number = of_numbers.next(
        of_numbers.initialize(), value.number, value.number_weight
      ).result
      return tff.templates.MeasuredProcessOutput(
        output.state,
        tff.federated_map(scaled, (output.result, number)),
        tff.federated_zip(
          {'updates': output.measurements, self._number_name: number}
        ),
      )

    return tff.templates.AggregationProcess(updates.initialize, next_fn)
