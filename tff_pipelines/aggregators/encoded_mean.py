"""The mean of updates that travel encoded, each with a seed of its own."""

import collections
from collections.abc import Callable
import math
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  composition,
  flat_updates,
  random_subspaces,
)
from tff_pipelines.core import errors
from tff_pipelines.numerics import codes, noise_seeds

# What goes with an encoded update: half a seed, int64, and a float32 weight.
SEED_BYTES = 8
WEIGHT_BYTES = 4


class EncodedMeanError(errors.PipelineError):
  """Clients that could never speak."""


class EncodedMeanState(NamedTuple):
  """The state of an encoded mean.

  Attributes:
    round_num: Of the next round, int64[].
  """

  round_num: Any


class _Message(NamedTuple):
  """What a client hands in, and what is counted of it.

  Attributes:
    seed: Its half of the code's seed, int64[].
    code: The encoded update.
    weight: float32[]; 0 of a client that is left out.
    num_bytes: Of all that travels, float32[].
    entropy_coded_bytes: Were the code packed by an ideal coder, float32[].
    is_silent: 1 if no code travels, float32[].
    is_finite: 1, or 0 of a client that is left out, float32[].
  """

  seed: Any
  code: Any
  weight: Any
  num_bytes: Any
  entropy_coded_bytes: Any
  is_silent: Any
  is_finite: Any


class _Sums(NamedTuple):
  """Sums over clients, float32; `vector` is of decoded updates times weight."""

  vector: Any
  weight: Any
  num_bytes: Any
  entropy_coded_bytes: Any
  silent_clients: Any
  finite_clients: Any
  clients: Any


class EncodedMeanFactory(tff.aggregators.WeightedAggregationFactory):
  """The weighted mean of decoded updates.

  For `value_type = V`, a structure of float tensors, and a scalar weight W:
    initialize: ( -> S@SERVER)               S = EncodedMeanState(round_num)
    next:       (<S@SERVER, {V}@CLIENTS, {W}@CLIENTS>
                 -> <state=S, result=V@SERVER, measurements=M@SERVER>)

  The whole update is one vector, encoded at the client and decoded at the
  server, one client after the other. Half of a code's seed is common; the other
  half is the client's and travels, a hash of the factory's seed, the round and
  the update. So errors of clients are independent and average out, a run can be
  repeated, and only clients of equal updates share their errors.

  A client with a NaN or an infinity in its update or weight, or a negative
  weight, is left out and counted. One whose update has a norm below
  `silent_below` sends its weight alone, and its update counts as zero: the mean
  is off by less than that.

  Where the code projects (`subspaces`), V can also be
  `random_subspaces.Located(V, int64)`, of an update that was trained in the
  subspace of that seed: the code leaves it as it is.

  Measurements, float32:
    uplink_bytes_per_client: mean of what clients send: code, seed, weight.
    uplink_compression: bytes of the values as they are over those.
    entropy_coded_bytes_per_client: that mean, had an ideal coder packed the
      codes; only if asked for.
    silent_clients: that sent no code.
    non_finite_clients: left out.

  Privacy: none. The server sees each code and its seed, and no randomness of a
  code has to be secret. Codes of different seeds cannot be added, so there is
  no secure sum: see `sketched_mean`.

  Source: that of the code; Chen, Giannakis, Sun, Yin 2018, "LAG", arXiv
  1805.09965, for silence. Deviation: it is decided by the update alone, not by
  its change since the last, so clients need no state.
  """

  def __init__(
    self,
    code: codes.Code,
    *,
    seed: int = 0,
    silent_below: float = 0.0,
    measure_entropy: bool = False,
  ):
    """Initializes the factory.

    Args:
      code: What travels.
      seed: Of all codes of a run; clients and server know it.
      silent_below: Norm of an update below which a client is silent; 0: never.
      measure_entropy: Whether to measure what entropy coding would save.

    Raises:
      EncodedMeanError: If that is no finite number from 0.
    """
    if not (silent_below >= 0.0 and math.isfinite(silent_below)):
      raise EncodedMeanError(
        f'Expected a finite norm from 0 for silence, found {silent_below}.'
      )
    self.code = code
    self.seed = seed
    self.silent_below = silent_below
    self.measure_entropy = measure_entropy

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return composition.WEIGHT, composition.COMPRESS, composition.PLAIN_SUM

  @property
  def subspaces(self) -> random_subspaces.Subspaces | None:
    """Where clients can train so that nothing is lost; None if nowhere."""
    return random_subspaces.of_code(self.code, self.seed, is_common=False)

  def remainder(
    self, value_type: tff.Type
  ) -> Callable[[Any, tf.Tensor, EncodedMeanState], Any]:
    """Returns what tells a client what the server does not get of its value.

    From (value, weight, state of the process) to a structure like the value; of
    a silent client all of it. In the work of the client that hands in the very
    same three.
    """
    updates = flat_updates.FlatUpdates(value_type)

    def of_value(value, weight, state):
      message = self._message(updates, value, weight, state.round_num)
      decoded = self._decoded(updates, message)
      return updates.value(updates.vector(value) - decoded)

    return of_value

  def create(
    self, value_type: tff.Type, weight_type: tff.Type
  ) -> tff.templates.AggregationProcess:
    """Returns the process.

    Raises:
      ValueTypeError: If values are not floats of known shapes.
    """
    is_located = _is_located(value_type)
    updates = flat_updates.FlatUpdates(
      value_type.update if is_located else value_type
    )
    init_fn = _initialize()
    state_type = init_fn.type_signature.result.member

    @tff.tensorflow.computation(value_type, weight_type, state_type)
    def client_work(value, weight, state):
      half = None
      if is_located:
        value, half = value
      return self._message(updates, value, weight, state.round_num, half)

    @tff.tensorflow.computation
    def nobodys():
      zero = tf.constant(0.0)
      return _Sums(tf.zeros([updates.size]), zero, zero, zero, zero, zero, zero)

    sums_type = nobodys.type_signature.result

    @tff.tensorflow.computation(sums_type, client_work.type_signature.result)
    def accumulate(sums, message):
      return self._accumulated(updates, sums, message)

    @tff.tensorflow.computation(sums_type, sums_type)
    def merge(sums, others):
      return tf.nest.map_structure(tf.add, sums, others)

    @tff.tensorflow.computation(sums_type)
    def report(sums):
      return sums

    @tff.tensorflow.computation(state_type, sums_type)
    def at_server(state, sums):
      return (
        EncodedMeanState(state.round_num + 1),
        updates.value(tf.math.divide_no_nan(sums.vector, sums.weight)),
        self._measurements(updates, sums),
      )

    @tff.federated_computation(
      init_fn.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
      tff.FederatedType(weight_type, tff.CLIENTS),
    )
    def next_fn(state, value, weight):
      messages = tff.federated_map(
        client_work, (value, weight, tff.federated_broadcast(state))
      )
      sums = tff.federated_aggregate(
        messages, nobodys(), accumulate, merge, report
      )
      return tff.templates.MeasuredProcessOutput(
        *tff.federated_map(at_server, (state, sums))
      )

    return tff.templates.AggregationProcess(init_fn, next_fn)

  def _message(
    self,
    updates: flat_updates.FlatUpdates,
    value: Any,
    weight: tf.Tensor,
    round_num: tf.Tensor,
    half: tf.Tensor | None = None,
  ) -> _Message:
    """The work of a client; its half of the seed is drawn if not given."""
    vector = updates.vector(value)
    weight = tf.cast(weight, tf.float32)
    is_finite = (
      tf.reduce_all(tf.math.is_finite(vector))
      & tf.math.is_finite(weight)
      & (weight >= 0.0)
    )
    # Before anything is computed of it: 0 * NaN is NaN.
    vector = tf.where(is_finite, vector, 0.0)
    if half is None:
      drawn = noise_seeds.draw(self.seed, round_num, vector)
      half = noise_seeds.split(drawn, 1)[0][0]
    code = self.code.encode(vector, self._whole(half), updates.shapes)
    code_bytes = tf.cast(self.code.message_bytes(code), tf.float32) + SEED_BYTES
    packed_bytes = code_bytes
    if self.measure_entropy:
      packed_bytes = self.code.entropy_coded_bytes(code)
      packed_bytes = tf.cast(packed_bytes, tf.float32) + SEED_BYTES
    is_silent = tf.norm(vector) < self.silent_below

    def sent(num_bytes: tf.Tensor) -> tf.Tensor:
      of_code = tf.where(is_silent, 0.0, num_bytes) + WEIGHT_BYTES
      return tf.where(is_finite, of_code, 0.0)

    return _Message(
      half,
      code,
      tf.where(is_finite, weight, 0.0),
      sent(code_bytes),
      sent(packed_bytes),
      tf.cast(is_silent & is_finite, tf.float32),
      tf.cast(is_finite, tf.float32),
    )

  def _accumulated(
    self, updates: flat_updates.FlatUpdates, sums: _Sums, message: _Message
  ) -> _Sums:
    decoded = self._decoded(updates, message)
    return _Sums(
      sums.vector + decoded * message.weight,
      sums.weight + message.weight,
      sums.num_bytes + message.num_bytes,
      sums.entropy_coded_bytes + message.entropy_coded_bytes,
      sums.silent_clients + message.is_silent,
      sums.finite_clients + message.is_finite,
      sums.clients + 1.0,
    )

  def _decoded(
    self, updates: flat_updates.FlatUpdates, message: _Message
  ) -> tf.Tensor:
    """Returns what the server makes of a message, float32[n]."""
    decoded = self.code.decode(
      message.code, self._whole(message.seed), updates.shapes
    )
    return decoded * (1.0 - message.is_silent)

  def _whole(self, half: tf.Tensor) -> tf.Tensor:
    return random_subspaces.whole(half, self.seed)

  def _measurements(
    self, updates: flat_updates.FlatUpdates, sums: _Sums
  ) -> collections.OrderedDict[str, tf.Tensor]:
    def mean(total: tf.Tensor) -> tf.Tensor:
      return tf.math.divide_no_nan(total, sums.finite_clients)

    num_bytes = mean(sums.num_bytes)
    found = collections.OrderedDict(
      uplink_bytes_per_client=num_bytes,
      uplink_compression=tf.math.divide_no_nan(
        float(updates.dense_bytes + WEIGHT_BYTES), num_bytes
      ),
      silent_clients=sums.silent_clients,
      non_finite_clients=sums.clients - sums.finite_clients,
    )
    if self.measure_entropy:
      found['entropy_coded_bytes_per_client'] = mean(sums.entropy_coded_bytes)
    return found


def _is_located(value_type: tff.Type) -> bool:
  container = getattr(value_type, 'python_container', None)
  return container is random_subspaces.Located


def _initialize() -> tff.Computation:
  @tff.tensorflow.computation
  def state():
    return EncodedMeanState(tf.constant(0, tf.int64))

  @tff.federated_computation
  def init_fn():
    return tff.federated_eval(state, tff.SERVER)

  return init_fn
