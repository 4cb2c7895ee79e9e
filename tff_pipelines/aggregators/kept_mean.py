"""The mean of what is kept of the updates, each judged on its own."""

import collections
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import value_types


class Kept(NamedTuple):
  """What a client hands in, all float64.

  Attributes:
    tensors: Of the update, zeros if it is not kept.
    kept_clients: 1 if it is kept, as it is or smaller.
    changed_clients: 1 if its norm was too large.
    non_finite_clients: 1 if the update had a number that is not finite; then
      the other three are zero.
  """

  tensors: Any
  kept_clients: Any
  changed_clients: Any
  non_finite_clients: Any


def process(
  value_type: tff.Type,
  keep: Callable[[Any], Kept],
  measure: Callable[[Kept], dict[str, tf.Tensor]],
) -> tff.templates.AggregationProcess:
  """Returns the process; of no client that is kept the mean is zero.

  For `value_type = V`:
    initialize: ( -> <>@SERVER)
    next:       (<<>@SERVER, {V}@CLIENTS>
                 -> <state=<>, result=V@SERVER, measurements=M@SERVER>)

  Args:
    value_type: V.
    keep: The work of a client.
    measure: From the sums of what clients hand in to the measurements, beside
      `non_finite_clients`, int32.

  Raises:
    ValueTypeError: If values are not floats of known shapes.
  """
  structure = value_types.specs(value_type)

  @tff.tensorflow.computation(value_type)
  def client_work(value):
    return keep(value)

  @tff.tensorflow.computation(client_work.type_signature.result)
  def at_server(sums):
    count = tf.maximum(sums.kept_clients, 1.0)
    means = [
      tf.cast(total / count, spec.dtype)
      for total, spec in zip(
        sums.tensors, tf.nest.flatten(structure), strict=True
      )
    ]
    return tf.nest.pack_sequence_as(structure, means), collections.OrderedDict(
      non_finite_clients=tf.cast(sums.non_finite_clients, tf.int32),
      **measure(sums),
    )

  @tff.federated_computation
  def init_fn():
    return tff.federated_value((), tff.SERVER)

  @tff.federated_computation(
    init_fn.type_signature.result, tff.FederatedType(value_type, tff.CLIENTS)
  )
  def next_fn(state, value):
    sums = tff.federated_sum(tff.federated_map(client_work, value))
    result, measurements = tff.federated_map(at_server, sums)
    return tff.templates.MeasuredProcessOutput(state, result, measurements)

  return tff.templates.AggregationProcess(init_fn, next_fn)


def share(changed: tf.Tensor, of: tf.Tensor) -> tf.Tensor:
  """Returns a part of the clients, float32; 0 of nobody."""
  return tf.cast(tf.math.divide_no_nan(changed, of), tf.float32)
