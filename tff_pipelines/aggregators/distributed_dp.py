"""Differential privacy with the noise in shares, from one secure sum."""

import collections
import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import composition, value_types
from tff_pipelines.core import errors
from tff_pipelines.numerics import (
  clipping,
  discrete_noise,
  distributed_scale,
  hadamard,
  noise_seeds,
  rounding,
)

# Counts of clients are summed with room for cohorts that are too large, so that
# these are seen.
_COUNT_BITS = 31
_TABLES = {
  'discrete_gaussian': discrete_noise.discrete_gaussian,
  'skellam': discrete_noise.skellam,
}


class DistributedDpError(errors.PipelineError):
  """An aggregator with distributed noise that could not work."""


@dataclasses.dataclass(frozen=True)
class DistributedDpConfig:
  """How updates become noisy integers.

  Attributes:
    mechanism: Distribution of each client's noise: `discrete_gaussian`, or
      `skellam`, whose sums are exactly Skellam again.
    clip_norm: Most that an update is long, in L2.
    noise_multiplier: Stddev of the noise of `num_contributors` clients, over
      the clip norm.
    num_contributors: Clients whose noise is counted on, after the tolerated
      dropout.
    num_clients: The largest cohort.
    denominator: What the noisy sum is divided by, such as the planned cohort.
    bits: Of a coordinate of the sum, whose modulus is 2^bits.
    beta: Share of the rounded updates, at most, that are too long and are
      rounded again; see `numerics.rounding`.
    wrap_around_probability: Of any coordinate of one round's sum, at most.
    head_room: Standard deviations that are to fit into the modulus instead,
      whatever the probability of the others; for experiments.
  """

  mechanism: distributed_scale.Mechanism
  clip_norm: float
  noise_multiplier: float
  num_contributors: int
  num_clients: int
  denominator: float
  bits: int = 16
  beta: float = math.exp(-0.5)
  wrap_around_probability: float = 1e-6
  head_room: float | None = None

  def __post_init__(self) -> None:
    if not 0 < self.denominator < math.inf:
      raise DistributedDpError(
        f'Expected a finite denominator above 0, found {self.denominator}; '
        'take the planned number of clients a round.'
      )
    self.request(1)

  def request(self, num_parameters: int) -> distributed_scale.Request:
    """Returns what the scale of so many numbers is chosen for.

    Raises:
      DistributedScaleError: If a number is out of its range.
    """
    fields = dataclasses.asdict(self)
    del fields['denominator']
    return distributed_scale.Request(
      size=hadamard.padded_size(num_parameters), **fields
    )

  def scale(self, num_parameters: int) -> distributed_scale.Scale:
    """Returns the scale, the noise of a share and the sensitivity.

    Raises:
      TooFewBitsError: If bits do not suffice.
    """
    return distributed_scale.choose(self.request(num_parameters))

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (
      composition.CLIP_NORM,
      composition.ROTATE,
      composition.QUANTIZE,
      composition.DISTRIBUTED_NOISE,
      composition.secure_sum_by_chance(
        2**self.bits,
        self.num_clients,
        self.wrap_around_probability if self.head_room is None else 1.0,
      ),
    )


class DistributedDpState(NamedTuple):
  """The state of the aggregator.

  Attributes:
    rotation_seed: Of the next round's rotation, int64[2]; public.
    round_num: Of the next round, int64[].
  """

  rotation_seed: Any
  round_num: Any


class _Summands(NamedTuple):
  """The integers that each client hands in, all int64.

  Attributes:
    vector: The noisy update, in [0, 2^bits), [d].
    contributors: 1.
    clipped_clients: 1 if the update was longer than the clip norm.
    non_finite_clients: 1 if it had a number that is not finite.
  """

  vector: Any
  contributors: Any
  clipped_clients: Any
  non_finite_clients: Any


class DistributedDpFactory(tff.aggregators.UnweightedAggregationFactory):
  """A noisy mean whose noise no one can take off: each client adds a share.

  For `value_type = V`, a structure of float tensors of n numbers in all:
    initialize: ( -> S@SERVER)             S = DistributedDpState
    next:       (<S@SERVER, {V}@CLIENTS>
                 -> <state=S, result=V@SERVER, measurements=M@SERVER>)

  A client clips its update to `clip_norm`, flattens it into one vector, rotates
  it with the round's public seed, padded to d = 2^k coordinates, scales, rounds
  it to integers at random within a bound on their norm, adds noise of integers
  and hands in the result modulo 2^bits. The server undoes all that on the sum,
  and divides by `denominator`, never by the number of clients. A client with a
  NaN or an infinity adds its noise to zeros.

  Measurements:
    clip_norm: of the round.
    clipped_clients: share of the clients that were clipped.
    noise_stddev: of a coordinate of the result, by the shares that arrived.
    signal_to_noise: norm of the mean without noise over the expected norm of
      the noise; estimated from the result by its expected square, so within
      about (2 / d)^(1/4) of the truth, and 0 below that.
    non_finite_clients: clients that added zeros.
    wrap_around_probability: of any coordinate of the sum, at most; 1 if there
      were more clients than planned for.
    bits_per_coordinate: uplink bits of all summands, before the protocol's own
      keys and shares, over n.

  Privacy: what `privacy.distributed` says of this mechanism with `noise_stddev`
  = scale.share_stddev, `l2_sensitivity` = scale.l2_sensitivity, num_coordinates
  = d, for scale = config.scale(n), by the number of clients that arrived; the
  result is a function of the noisy sum. The server must see no more than the
  sum. Sums of counts (clipped and non-finite clients) carry no noise: the
  guarantee does not cover these measurements, so keep them from whoever it is
  to protect from. Rounding and noise of a client come from its own seed of the
  operating system; with a `test_seed` nothing is guaranteed. Draws of the noise
  are within `total_variation` of their table, below 2^-62, of the distribution.

  Source: Kairouz, Liu, Steinke 2021, arXiv 2102.06387, algorithms 1 and 2;
  Agarwal, Kairouz, Liu 2021, arXiv 2110.04995. Deviation: the rounding's draws
  are bounded (`numerics.rounding`), the scale comes from a stated probability
  (`numerics.distributed_scale`), and the result is divided.
  """

  def __init__(self, config: DistributedDpConfig, test_seed: int | None = None):
    """Initializes the factory.

    Args:
      config: How updates become noisy integers.
      test_seed: For tests only: makes rotations, rounding and noise functions
        of it, the round and the client's update; guarantees nothing.
    """
    self.config = config
    self.test_seed = test_seed

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return self.config.stack

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process.

    Raises:
      ValueTypeError: If values are not floats of known shapes.
      TooFewBitsError: If bits do not suffice for so many numbers.
    """
    return _NoisyMean(self.config, self.test_seed, value_type).process()


class _NoisyMean:
  """The parts of a process for one type of values."""

  def __init__(
    self,
    config: DistributedDpConfig,
    test_seed: int | None,
    value_type: tff.Type,
  ):
    self._config = config
    self._test_seed = test_seed
    self._value_type = value_type
    self._template = value_types.specs(value_type)
    self._num_parameters = sum(
      spec.shape.num_elements() for spec in tf.nest.flatten(self._template)
    )
    self._scale = config.scale(self._num_parameters)
    self._table = _TABLES[config.mechanism](self._scale.share_stddev)

  def process(self) -> tff.templates.AggregationProcess:
    @tff.tensorflow.computation
    def initial_state():
      return self._next_state(tf.constant(1, tf.int64))

    state_type = initial_state.type_signature.result

    @tff.tensorflow.computation(self._value_type, state_type)
    def client_work(value, state):
      return self._summands(value, state)

    @tff.federated_computation
    def init_fn():
      return tff.federated_eval(initial_state, tff.SERVER)

    @tff.federated_computation(
      init_fn.type_signature.result,
      tff.FederatedType(self._value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      sums = tff.backends.mapreduce.federated_secure_modular_sum(
        tff.federated_map(client_work, (value, tff.federated_broadcast(state))),
        self._moduli(),
      )

      @tff.tensorflow.computation(state_type, sums.type_signature.member)
      def at_server(state, sums):
        return self._finish(state, sums)

      new_state, result, measurements = tff.federated_map(
        at_server, (state, sums)
      )
      return tff.templates.MeasuredProcessOutput(
        new_state, result, measurements
      )

    return tff.templates.AggregationProcess(init_fn, next_fn)

  def _next_state(self, round_num: tf.Tensor) -> DistributedDpState:
    # Drawn a round ahead: the clients and the server need the same.
    return DistributedDpState(
      noise_seeds.draw(self._test_seed, round_num), round_num
    )

  def _moduli(self) -> _Summands:
    count = np.int64(2**_COUNT_BITS)
    return _Summands(np.int64(2**self._config.bits), count, count, count)

  def _summands(self, value: Any, state: DistributedDpState) -> _Summands:
    """The work of a client."""
    config = self._config
    clipped = clipping.l2(value, config.clip_norm)
    flat = tf.concat(
      [tf.reshape(t, [-1]) for t in tf.nest.flatten(clipped.value)], axis=0
    )
    scaled = tf.cast(flat * self._scale.scale, tf.float32)
    seed = noise_seeds.draw(
      self._test_seed, state.round_num, *tf.nest.flatten(value)
    )
    rounding_seed, noise_seed = noise_seeds.split(seed, 2)
    rotated = hadamard.rotate(scaled, state.rotation_seed)
    rounded = rounding.round_within(
      rotated, self._scale.l2_sensitivity, config.beta, rounding_seed
    )
    noise = discrete_noise.sample(self._table, noise_seed, rotated.shape)
    return _Summands(
      vector=(rounded + noise) & (2**config.bits - 1),
      contributors=tf.constant(1, tf.int64),
      clipped_clients=tf.cast(clipped.was_clipped, tf.int64),
      non_finite_clients=tf.cast(~clipped.is_finite, tf.int64),
    )

  def _finish(self, state: DistributedDpState, sums: _Summands) -> Any:
    """The server's work: (S, sums) -> (S, V, M)."""
    modulus = 2**self._config.bits
    total = tf.cast(
      tf.where(sums.vector < modulus // 2, sums.vector, sums.vector - modulus),
      tf.float64,
    )
    flat = hadamard.rotate_back(
      total, state.rotation_seed, self._num_parameters
    ) / (self._scale.scale * self._config.denominator)
    specs = tf.nest.flatten(self._template)
    parts = tf.split(flat, [spec.shape.num_elements() for spec in specs])
    tensors = [
      tf.cast(tf.reshape(part, spec.shape), spec.dtype)
      for part, spec in zip(parts, specs, strict=True)
    ]
    return (
      self._next_state(state.round_num + 1),
      tf.nest.pack_sequence_as(self._template, tensors),
      self._measurements(sums, total),
    )

  def _measurements(
    self, sums: _Summands, total: tf.Tensor
  ) -> collections.OrderedDict[str, tf.Tensor]:
    """Of the sums, and of the vector before it was rotated back."""
    config, count = self._config, tf.cast(sums.contributors, tf.float64)
    noise = count * self._table.variance
    # A rounding of an even fraction has a variance of 1/6.
    not_signal = total.shape.num_elements() * (noise + count / 6)
    signal = tf.maximum(tf.reduce_sum(total**2) - not_signal, 0.0)
    bits = total.shape.num_elements() * config.bits + 3 * _COUNT_BITS
    measured = collections.OrderedDict(
      clip_norm=config.clip_norm,
      clipped_clients=tf.math.divide_no_nan(
        tf.cast(sums.clipped_clients, tf.float64), count
      ),
      noise_stddev=tf.sqrt(noise) / (self._scale.scale * config.denominator),
      signal_to_noise=tf.sqrt(
        tf.math.divide_no_nan(signal, self._num_parameters * noise)
      ),
      non_finite_clients=sums.non_finite_clients,
      wrap_around_probability=tf.where(
        sums.contributors > config.num_clients,
        1.0,
        self._scale.wrap_around_probability,
      ),
      bits_per_coordinate=bits / self._num_parameters,
    )
    return tf.nest.map_structure(lambda t: tf.cast(t, tf.float32), measured)
