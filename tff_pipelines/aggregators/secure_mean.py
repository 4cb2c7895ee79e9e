"""The mean of the updates by one secure sum of integers."""

import collections
import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  adaptive_range,
  composition,
  secure_mean_config,
  value_types,
)


class SecureMeanState(NamedTuple):
  """The state of a secure mean.

  Attributes:
    ranges: Of each tensor, in the order of the value's leaves,
      float32[num_tensors].
  """

  ranges: Any


class _Summands(NamedTuple):
  """The integers that each client hands in, all int64.

  Attributes:
    values: Of each tensor.
    weight: 0 to max_weight.
    contributors: 1 if the weight is positive.
    votes: For the ranges, [num_tensors, NUM_THRESHOLDS].
    clipped_coordinates: How many of the client's.
    clipped_weights: 1 if the weight was changed.
    non_finite_clients: 1 if the client has a number that is not finite.
  """

  values: Any
  weight: Any
  contributors: Any
  votes: Any
  clipped_coordinates: Any
  clipped_weights: Any
  non_finite_clients: Any


class SecureMeanFactory(tff.aggregators.WeightedAggregationFactory):
  """The mean weighted by examples, from one secure modular sum.

  For `value_type = V`, a structure of float tensors, and a scalar weight W:
    initialize: ( -> S@SERVER)            S = SecureMeanState(float32[tensors])
    next:       (<S@SERVER, {V}@CLIENTS, {W}@CLIENTS>
                 -> <state=S, result=V@SERVER, measurements=M@SERVER>)

  A client clips each coordinate x of a tensor to its range R, takes the step
  s = R / L with L = 2^(bits-1) - 1, and hands in round(w x / s), an integer in
  -w L to w L, with its weight w. The server divides the sums: s sum(round(w x /
  s)) / sum(w). Weighting before rounding costs the same modulus as multiplying
  the rounded x by w would, and its error is smaller by the mean weight: each
  client adds at most s / 2 (nearest; below s, stochastic) to the sum of w x, so
  the mean is off by at most (s / 2) n / sum(w), for n clients of positive
  weight; clipping apart. Products are float64 and below 2^53, so exact to far
  less than a step.

  Weights are rounded to integers and clipped to 0..max_weight. A client with a
  NaN or an infinity, in its update or weight, is left out with weight 0 and
  counted. A round of no weight gives zero.

  Sums of values have the modulus 2^m, the least power of 2 above max_clients *
  2 L max_weight: within max_clients no sum wraps around. TFF cannot refuse a
  cohort; `composition.check(factory.stack, num_clients)` does, before round 1.

  Stochastic rounding draws from the context's generator (XLA's under XLA): it
  makes the rounding unbiased (to 2^-23 of a step) and carries no privacy
  guarantee; such runs differ from one to the next.

  Measurements:
    clipped_coordinates: share of the coordinates of clients with weight.
    clipped_weights: clients whose weight was not an integer in 0..max_weight.
    non_finite_clients: clients left out.
    modulus_used: the most that a sum could have been, L sum(w), over the most
      that the modulus holds, 2^(m-1) - 1.
    wrap_around_risk: 0 if modulus_used <= 1, when no sum can have wrapped, as
      max_clients guarantees; else 1, an upper bound of the chance that one did.
    quantization_error: root mean square over the coordinates of the mean, from
      the steps, for independent roundings of uniform fractions:
      sqrt(n c mean(s^2)) / sum(w), c = 1/12 nearest, 1/6 stochastic.
    bits_per_coordinate: uplink bits of all summands, before the protocol's own
      keys and shares, divided by the number of coordinates.
    range: of each tensor, in force in this round.

  Privacy: under a secure sum the server learns the sums (of integers, weights,
  votes and counts) and no single update; no differential privacy. A clip of
  coordinates bounds no Euclidean norm well.

  Source: Bonawitz et al. 2017, section 4 (sums modulo R); ranges as
  `adaptive_range`. Deviation from `tff.learning.secure_aggregator`: one client
  computation and one sum instead of nested factories; weights are in that sum.
  """

  def __init__(self, config: secure_mean_config.SecureMeanConfig | None = None):
    """Initializes the factory."""
    self.config = config or secure_mean_config.SecureMeanConfig()

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return self.config.stack()

  def create(
    self, value_type: tff.Type, weight_type: tff.Type
  ) -> tff.templates.AggregationProcess:
    """Returns the process.

    Raises:
      ValueTypeError: If values are not floats of known shapes.
    """
    return _Mean(self.config, value_type).weighted(weight_type)


class SecureUniformMeanFactory(tff.aggregators.UnweightedAggregationFactory):
  """The mean of every client alike: `SecureMeanFactory` with weights of 1.

  For `value_type = V`:
    next: (<S@SERVER, {V}@CLIENTS>
           -> <state=S, result=V@SERVER, measurements=M@SERVER>)

  Its `max_weight` is 1, whatever the configuration says, so its modulus is
  smaller by log2(max_weight) bits.
  """

  def __init__(self, config: secure_mean_config.SecureMeanConfig | None = None):
    """Initializes the factory."""
    self.config = dataclasses.replace(
      config or secure_mean_config.SecureMeanConfig(), max_weight=1
    )

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return self.config.stack()

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process; raises as `SecureMeanFactory.create`."""
    return _Mean(self.config, value_type).uniform()


class _Mean:
  """The parts of a process for one type of values."""

  def __init__(
    self, config: secure_mean_config.SecureMeanConfig, value_type: tff.Type
  ):
    self._config = config
    self._value_type = value_type
    self._tensors = value_types.named_leaves(value_type)
    self._sizes = [math.prod(tensor.shape) for _, tensor in self._tensors]

  def weighted(self, weight_type: tff.Type) -> tff.templates.AggregationProcess:
    init_fn = self._initialize()
    client_work = self._client_work(weight_type)

    @tff.federated_computation(
      init_fn.type_signature.result,
      tff.FederatedType(self._value_type, tff.CLIENTS),
      tff.FederatedType(weight_type, tff.CLIENTS),
    )
    def next_fn(state, value, weight):
      ranges = tff.federated_broadcast(state)
      return self._sum(
        state, tff.federated_map(client_work, (value, weight, ranges))
      )

    return tff.templates.AggregationProcess(init_fn, next_fn)

  def uniform(self) -> tff.templates.AggregationProcess:
    init_fn = self._initialize()
    client_work = self._client_work(None)

    @tff.federated_computation(
      init_fn.type_signature.result,
      tff.FederatedType(self._value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      ranges = tff.federated_broadcast(state)
      return self._sum(state, tff.federated_map(client_work, (value, ranges)))

    return tff.templates.AggregationProcess(init_fn, next_fn)

  def _initialize(self) -> tff.Computation:
    initial = np.full(
      [len(self._tensors)], self._config.clip_range, dtype=np.float32
    )

    @tff.tensorflow.computation
    def state():
      return SecureMeanState(tf.constant(initial))

    @tff.federated_computation
    def init_fn():
      return tff.federated_eval(state, tff.SERVER)

    return init_fn

  @property
  def _state_type(self) -> tff.Type:
    return tff.types.to_type(
      SecureMeanState(tff.TensorType(np.float32, [len(self._tensors)]))
    )

  def _client_work(self, weight_type: tff.Type | None) -> tff.Computation:
    """(<V, W, S> -> summands), or (<V, S> -> summands) without weights."""
    if weight_type is None:

      @tff.tensorflow.computation(self._value_type, self._state_type)
      def uniform_work(value, state):
        return self._summands(value, tf.constant(1.0), state.ranges)

      return uniform_work

    @tff.tensorflow.computation(self._value_type, weight_type, self._state_type)
    def weighted_work(value, weight, state):
      return self._summands(value, weight, state.ranges)

    return weighted_work

  def _sum(self, state: Any, summands: Any) -> Any:
    sums = tff.backends.mapreduce.federated_secure_modular_sum(
      summands, self._moduli()
    )

    @tff.tensorflow.computation(self._state_type, sums.type_signature.member)
    def at_server(state, sums):
      return self._finish(state, sums)

    new_state, result, measurements = tff.federated_map(
      at_server, (state, sums)
    )
    return tff.templates.MeasuredProcessOutput(new_state, result, measurements)

  def _summand_bits(self) -> _Summands:
    """The bits of each summand's modulus."""
    weight_bits = (
      self._config.max_weight.bit_length() + secure_mean_config.COUNT_BITS
    )
    coordinates = sum(self._sizes).bit_length() + secure_mean_config.COUNT_BITS
    return _Summands(
      values=tuple(self._config.modulus_bits for _ in self._tensors),
      weight=min(weight_bits, secure_mean_config.MAX_MODULUS_BITS),
      contributors=secure_mean_config.COUNT_BITS,
      votes=secure_mean_config.COUNT_BITS,
      clipped_coordinates=min(coordinates, secure_mean_config.MAX_MODULUS_BITS),
      clipped_weights=secure_mean_config.COUNT_BITS,
      non_finite_clients=secure_mean_config.COUNT_BITS,
    )

  def _moduli(self) -> _Summands:
    return tf.nest.map_structure(
      lambda bits: np.int64(2**bits), self._summand_bits()
    )

  def _bits_per_coordinate(self) -> float:
    bits = self._summand_bits()
    num_votes = len(self._tensors) * adaptive_range.NUM_THRESHOLDS
    total = sum(tf.nest.flatten(bits)) - sum(bits.values)
    total += bits.votes * (num_votes - 1)
    total += sum(b * s for b, s in zip(bits.values, self._sizes, strict=True))
    return total / sum(self._sizes)

  def _summands(
    self, value: Any, weight: tf.Tensor, ranges: tf.Tensor
  ) -> _Summands:
    """The work of a client."""
    config = self._config
    tensors = tf.nest.flatten(value)
    given = tf.cast(weight, tf.float64)
    finite = tf.reduce_all(
      [tf.reduce_all(tf.math.is_finite(t)) for t in tensors]
      + [tf.math.is_finite(given)]
    )
    given = tf.where(finite, given, 0.0)
    used = tf.clip_by_value(tf.round(given), 0.0, float(config.max_weight))
    contributes = used > 0
    integers, largest, clipped = [], [], []
    for position, tensor in enumerate(tensors):
      # Before the product: 0 * NaN is NaN.
      tensor = tf.where(contributes, tensor, tf.zeros_like(tensor))
      limit = tf.cast(ranges[position], tf.float64)
      unclipped = tf.cast(tensor, tf.float64)
      bound = used * config.levels
      scaled = tf.clip_by_value(unclipped * (bound / limit), -bound, bound)
      integers.append(self._round(scaled))
      absolute = tf.abs(unclipped)
      clipped.append(tf.reduce_sum(tf.cast(absolute > limit, tf.int64)))
      largest.append(tf.reduce_max(absolute))
    return _Summands(
      values=tuple(integers),
      weight=tf.cast(used, tf.int64),
      contributors=tf.cast(contributes, tf.int64),
      votes=adaptive_range.votes(
        tf.cast(tf.stack(largest), tf.float32), ranges
      ),
      clipped_coordinates=tf.add_n(clipped),
      clipped_weights=tf.cast(tf.not_equal(used, given), tf.int64),
      non_finite_clients=tf.cast(~finite, tf.int64),
    )

  def _round(self, scaled: tf.Tensor) -> tf.Tensor:
    """float64 to int64."""
    if self._config.rounding == 'nearest':
      return tf.cast(tf.round(scaled), tf.int64)
    below = tf.floor(scaled)
    drawn = tf.cast(tf.random.uniform(tf.shape(scaled)), tf.float64)
    return tf.cast(below, tf.int64) + tf.cast(drawn < scaled - below, tf.int64)

  def _finish(self, state: SecureMeanState, sums: _Summands) -> Any:
    """The server's work: (S, sums) -> (S, V, M)."""
    config = self._config
    half = 2 ** (config.modulus_bits - 1)
    weight = tf.cast(sums.weight, tf.float64)
    steps = tf.cast(state.ranges, tf.float64) / config.levels
    means = []
    for position, (_, tensor) in enumerate(self._tensors):
      total = sums.values[position]
      total = tf.where(total < half, total, total - 2 * half)
      mean = tf.math.divide_no_nan(
        steps[position] * tf.cast(total, tf.float64), weight
      )
      means.append(tf.cast(mean, tensor.dtype))
    ranges = state.ranges
    if config.adaptive:
      ranges = adaptive_range.updated(ranges, sums.votes, config.target_share)
    return (
      SecureMeanState(ranges),
      tf.nest.pack_sequence_as(value_types.specs(self._value_type), means),
      self._measurements(state.ranges, steps, weight, sums),
    )

  def _measurements(
    self,
    ranges: tf.Tensor,
    steps: tf.Tensor,
    weight: tf.Tensor,
    sums: _Summands,
  ) -> collections.OrderedDict[str, Any]:
    config = self._config
    contributors = tf.cast(sums.contributors, tf.float64)
    size = float(sum(self._sizes))
    used = weight * config.levels / (2 ** (config.modulus_bits - 1) - 1)
    variance = 1 / 12 if config.rounding == 'nearest' else 1 / 6
    mean_square = tf.reduce_sum(steps**2 * np.array(self._sizes)) / size
    measured = collections.OrderedDict(
      clipped_coordinates=tf.math.divide_no_nan(
        tf.cast(sums.clipped_coordinates, tf.float64), contributors * size
      ),
      clipped_weights=sums.clipped_weights,
      non_finite_clients=sums.non_finite_clients,
      modulus_used=used,
      wrap_around_risk=tf.cast(used > 1, tf.float32),
      quantization_error=tf.math.divide_no_nan(
        tf.sqrt(variance * contributors * mean_square), weight
      ),
      bits_per_coordinate=tf.constant(self._bits_per_coordinate()),
      range=collections.OrderedDict(
        (name, ranges[position])
        for position, (name, _) in enumerate(self._tensors)
      ),
    )
    return tf.nest.map_structure(
      lambda t: tf.cast(t, tf.float32) if t.dtype.is_floating else t, measured
    )
