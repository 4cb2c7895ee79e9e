"""All updates of a cohort as the rows of one matrix at the server.

What a statistic of the single updates needs, where a sum does not do. Every
shape is static, so the matrix is built client by client in the same compiled
loop that trains them.
"""

import collections
from collections.abc import Callable
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import value_types
from tff_pipelines.core import errors
from tff_pipelines.numerics import row_combinations


class CapacityError(errors.PipelineError):
  """A matrix without room for a client."""


class Updates(NamedTuple):
  """The updates of some clients.

  Attributes:
    rows: float32[capacity, d]; the first `count` are updates, the others 0.
    weights: float32[capacity].
    count: int32[]; above the capacity, clients are missing.
    non_finite: Clients that are no row, int32[].
  """

  rows: Any
  weights: Any
  count: Any
  non_finite: Any


class _Row(NamedTuple):
  """What a client hands in; zeros if one of its numbers was not finite."""

  values: Any  # float32[d]
  weight: Any  # float32[]
  is_finite: Any  # bool[]


Measurements = collections.OrderedDict[str, tf.Tensor]
# From rows, weights and count to the aggregate, float[d], and measurements.
Statistic = Callable[
  [tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, Measurements]
]


def check_capacity(max_clients: int) -> int:
  """Returns it.

  Raises:
    CapacityError: If it is no room for a client.
  """
  if max_clients < 1:
    raise CapacityError(
      f'Expected room for at least 1 client a round, found {max_clients}; give '
      'the largest cohort.'
    )
  return max_clients


def process(
  value_type: tff.Type,
  capacity: int,
  statistic: Statistic,
  weight_type: tff.Type | None = None,
) -> tff.templates.AggregationProcess:
  """Returns the process that aggregates by a statistic of the updates.

  For `value_type = V`, a structure of float tensors of d numbers together, and
  a scalar weight W, which a process without `weight_type` does not take:
    initialize: ( -> <>@SERVER)
    next:       (<<>@SERVER, {V}@CLIENTS, {W}@CLIENTS>
                 -> <state=<>, result=V@SERVER, measurements=M@SERVER>)

  Updates are float32 in the matrix. Clients with a NaN or an infinity in their
  update or weight, or a negative weight, are absent. A cohort larger than the
  capacity fails when it runs: leaving clients out would not be what was asked
  for. The server holds 4 d capacity bytes for each thread that trains.

  Measurements, before those of the statistic:
    num_clients: whose updates were rows, int32.
    non_finite_clients: left out, int32.
    distance_from_mean: of the result from the mean of the rows, every client
      alike, float32.

  Privacy: none. The server sees each update.

  Args:
    value_type: V.
    capacity: The largest cohort.
    statistic: Gives zeros for no client; numbers have to be finite.
    weight_type: W.

  Raises:
    ValueTypeError: If values are not floats of known shapes.
  """
  matrix = _Matrix(value_type, capacity)

  @tff.tensorflow.computation
  def nobodys():
    return matrix.empty()

  updates_type = nobodys.type_signature.result
  row_type = tff.types.to_type(matrix.row_specs())

  @tff.tensorflow.computation(updates_type, row_type)
  def accumulate(updates, row):
    return matrix.with_row(updates, row)

  @tff.tensorflow.computation(updates_type, updates_type)
  def merge(updates, others):
    return matrix.merged(updates, others)

  @tff.tensorflow.computation(updates_type)
  def report(updates):
    return updates

  @tff.tensorflow.computation(updates_type)
  def at_server(updates):
    return matrix.finish(updates, statistic)

  @tff.federated_computation
  def init_fn():
    return tff.federated_value((), tff.SERVER)

  def output(state, rows):
    updates = tff.federated_aggregate(
      rows, nobodys(), accumulate, merge, report
    )
    result, measurements = tff.federated_map(at_server, updates)
    return tff.templates.MeasuredProcessOutput(state, result, measurements)

  state_type = init_fn.type_signature.result
  values_type = tff.FederatedType(value_type, tff.CLIENTS)
  if weight_type is None:

    @tff.tensorflow.computation(value_type)
    def uniform_row(value):
      return _row(value, tf.constant(1.0))

    @tff.federated_computation(state_type, values_type)
    def uniform_next(state, value):
      return output(state, tff.federated_map(uniform_row, value))

    return tff.templates.AggregationProcess(init_fn, uniform_next)

  @tff.tensorflow.computation(value_type, weight_type)
  def weighted_row(value, weight):
    return _row(value, weight)

  @tff.federated_computation(
    state_type, values_type, tff.FederatedType(weight_type, tff.CLIENTS)
  )
  def weighted_next(state, value, weight):
    return output(state, tff.federated_map(weighted_row, (value, weight)))

  return tff.templates.AggregationProcess(init_fn, weighted_next)


def _row(value: Any, weight: tf.Tensor) -> _Row:
  """The work of a client."""
  values = tf.concat(
    [tf.reshape(tf.cast(t, tf.float32), [-1]) for t in tf.nest.flatten(value)],
    axis=0,
  )
  weight = tf.cast(weight, tf.float32)
  is_finite = (
    tf.reduce_all(tf.math.is_finite(values))
    & tf.math.is_finite(weight)
    & (weight >= 0.0)
  )
  return _Row(
    tf.where(is_finite, values, 0.0),
    tf.where(is_finite, weight, 0.0),
    is_finite,
  )


class _Matrix:
  """The parts of a process for one type of values."""

  def __init__(self, value_type: tff.Type, capacity: int):
    self._capacity = check_capacity(capacity)
    self._structure = value_types.specs(value_type)
    self._specs = tf.nest.flatten(self._structure)
    self._sizes = [math.prod(spec.shape) for spec in self._specs]

  def row_specs(self) -> _Row:
    return _Row(
      tff.TensorType(np.float32, [sum(self._sizes)]),
      tff.TensorType(np.float32),
      tff.TensorType(np.bool_),
    )

  def empty(self) -> Updates:
    return Updates(
      tf.zeros([self._capacity, sum(self._sizes)]),
      tf.zeros([self._capacity]),
      tf.constant(0),
      tf.constant(0),
    )

  def with_row(self, updates: Updates, row: _Row) -> Updates:
    """Returns the updates and one more, or one more that is absent."""
    # A row that is not finite is zero, and the next one takes its place. Of a
    # scatter, XLA changes one row of the matrix in its place.
    place = [[tf.minimum(updates.count, self._capacity - 1)]]
    finite = tf.cast(row.is_finite, tf.int32)
    return Updates(
      tf.tensor_scatter_nd_update(updates.rows, place, row.values[tf.newaxis]),
      tf.tensor_scatter_nd_update(
        updates.weights, place, row.weight[tf.newaxis]
      ),
      updates.count + finite,
      updates.non_finite + 1 - finite,
    )

  def merged(self, updates: Updates, others: Updates) -> Updates:
    """Returns the rows of the first and after them those of the second."""
    is_first = tf.range(self._capacity) < updates.count
    return Updates(
      tf.where(
        is_first[:, tf.newaxis],
        updates.rows,
        tf.roll(others.rows, updates.count, axis=0),
      ),
      tf.where(
        is_first, updates.weights, tf.roll(others.weights, updates.count, 0)
      ),
      updates.count + others.count,
      updates.non_finite + others.non_finite,
    )

  def finish(self, updates: Updates, statistic: Statistic) -> Any:
    """The work of the server: U -> (V, M)."""
    count = self._checked(updates.count)
    vector, measured = statistic(updates.rows, updates.weights, count)
    is_client = tf.range(self._capacity) < count
    mean = row_combinations.mean(updates.rows, is_client)
    distance = tf.norm(tf.cast(vector, tf.float64) - mean)
    measurements = collections.OrderedDict(
      num_clients=count,
      non_finite_clients=updates.non_finite,
      distance_from_mean=as_float32(distance),
      **measured,
    )
    return self._value(vector), measurements

  def _checked(self, count: tf.Tensor) -> tf.Tensor:
    check = tf.debugging.Assert(
      count <= self._capacity,
      [
        f'Expected at most {self._capacity} clients in a round, for which the '
        'aggregator was made; make it for the largest cohort; found clients',
        count,
      ],
    )
    with tf.control_dependencies([check]):
      return tf.identity(count)

  def _value(self, vector: tf.Tensor) -> Any:
    tensors = [
      tf.cast(tf.reshape(part, spec.shape), spec.dtype)
      for part, spec in zip(
        tf.split(vector, self._sizes), self._specs, strict=True
      )
    ]
    return tf.nest.pack_sequence_as(self._structure, tensors)


def as_float32(value: tf.Tensor) -> tf.Tensor:
  """Returns it, at most the largest float32 number."""
  return tf.cast(tf.minimum(value, tf.float32.max), tf.float32)
