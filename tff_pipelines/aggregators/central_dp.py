"""The sum of clipped updates with a trusted server's noise."""

import collections
import math
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  clip_norms,
  composition,
  server_noise,
  value_types,
)
from tff_pipelines.core import errors
from tff_pipelines.numerics import (
  clipping,
  continuous_noise,
  correlated_noise,
  noise_seeds,
)


class CentralDpError(errors.PipelineError):
  """Parts of a private aggregator that do not go together."""


class CentralDpState(NamedTuple):
  """The state between two rounds.

  Attributes:
    round_num: Rounds so far, int32[].
    clip_norm: Of the next round, float64[].
    noise: What the noise of later rounds depends on: `tree_noise.TreeState`,
      `banded_noise.BandedState`, or () for independent noise. Secret: who knows
      it can take noise off.
  """

  round_num: Any
  clip_norm: Any
  noise: Any


class _Summands(NamedTuple):
  """What each client hands in, float64; zeros if its update is not finite.

  Attributes:
    values: The clipped tensors.
    below: 1/2 if the norm was at most the clip norm, else -1/2.
    clipped_clients: 1 if the norm was above it.
    finite_clients: 1.
    non_finite_clients: 1 if the update had a number that is not finite.
  """

  values: Any
  below: Any
  clipped_clients: Any
  finite_clients: Any
  non_finite_clients: Any


class CentralDpFactory(tff.aggregators.UnweightedAggregationFactory):
  """The mean of clipped updates, every client alike, with Gaussian noise.

  For `value_type = V`, a structure of float tensors:
    initialize: ( -> S@SERVER)                           S = CentralDpState
    next:       (<S@SERVER, {V}@CLIENTS>
                 -> <state=S, result=V@SERVER, measurements=M@SERVER>)

  A client scales its update to an L2 norm of at most the clip norm. The result
  is (sum + noise) / denominator: the count of clients that came is no part of
  it, so a small cohort, or an empty one, gives a small result, with all of the
  noise. Noise of round t is noise_multiplier * clip_norm * x_t, x_t of unit
  independent noise as `numerics.correlated_noise` says; the sum of the results
  of rounds 1..t has the noise of that prefix sum. Everything is float64 from
  the clip until the result is rounded to V.

  Measurements, all float32:
    clip_norm: in force in this round.
    clipped_clients: share of the finite clients whose norm was above it.
    noise_stddev: of a coordinate of this round's result. Of tree and banded
      noise it is larger than independent noise's: what matters to them is the
      noise of prefix sums, where most of it cancels.
    signal_to_noise: norm of the mean without its noise, over the expected norm
      of this round's noise.
    non_finite_clients: clients whose update had a NaN or an infinity; they
      contribute zeros.

  Privacy: clients trust the server. The results, and the norms of an adaptive
  clip, have the guarantee of the noise's class, in terms of `noise_multiplier`;
  one client moves the sum by at most the clip norm. clipped_clients,
  signal_to_noise and non_finite_clients have no noise and are not covered: they
  are for simulations. Nor is the state of correlated noise. Continuous noise in
  floating point is an approximation, see `numerics.continuous_noise`. Weights
  would multiply what a client can change, so a weighted request is refused:
  there is no weighted form.

  Source: McMahan et al. 2018, arXiv 1710.06963 (fixed denominator, section
  2.1); the others are named by the classes of clips and noises. Deviation:
  noise is added to the sum before the division; seeds are the operating
  system's, 128 bits.
  """

  def __init__(
    self,
    clipping: clip_norms.FixedClip | clip_norms.AdaptiveClip,
    noise: server_noise.ServerNoise,
    denominator: float,
    test_seed: int | None = None,
  ):
    """Initializes the factory.

    Args:
      clipping: The clip norm.
      noise: What is added to the sum.
      denominator: Planned clients a round.
      test_seed: None, except for tests: noise from a seed that is known
        guarantees nothing.

    Raises:
      CentralDpError: If the parts do not go together.
    """
    if not (denominator > 0.0 and math.isfinite(denominator)):
      raise CentralDpError(
        'Expected a finite denominator above 0, the planned clients a round, '
        f'found {denominator}.'
      )
    if isinstance(clipping, clip_norms.AdaptiveClip) and not isinstance(
      noise, server_noise.IndependentNoise
    ):
      raise CentralDpError(
        'Expected a fixed clip norm with noise that is correlated between '
        f'rounds, found {type(clipping).__name__} with {type(noise).__name__}: '
        'the guarantee of such noise is for one norm in all rounds; take '
        'FixedClip, or IndependentNoise.'
      )
    self.clipping = clipping
    self.noise = noise
    self.denominator = float(denominator)
    self.test_seed = test_seed
    self._noise_rounds = noise.rounds()

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (
      composition.CLIP_NORM,
      composition.SERVER_NOISE,
      composition.PLAIN_SUM,
    )

  def check_rounds(self, num_rounds: int) -> None:
    """Tells before round 1 whether the noise serves so many rounds.

    Raises:
      correlated_noise.TooManyRoundsError: If it does not; without this check
        the first round too many fails when it runs.
    """
    correlated_noise.check_rounds(self._noise_rounds, num_rounds)

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process.

    Raises:
      ValueTypeError: If values are not floats of known shapes.
    """
    server = _Server(self, self._noise_rounds, value_types.specs(value_type))

    @tff.tensorflow.computation
    def initial_state():
      return server.initial()

    state_type = initial_state.type_signature.result

    @tff.tensorflow.computation(state_type)
    def clip_norm_of(state):
      return state.clip_norm

    @tff.tensorflow.computation(value_type, clip_norm_of.type_signature.result)
    def client_work(value, clip_norm):
      return _summands(value, clip_norm)

    @tff.tensorflow.computation(state_type, client_work.type_signature.result)
    def at_server(state, sums):
      return server.finish(state, sums)

    @tff.federated_computation
    def init_fn():
      return tff.federated_eval(initial_state, tff.SERVER)

    @tff.federated_computation(
      init_fn.type_signature.result, tff.FederatedType(value_type, tff.CLIENTS)
    )
    def next_fn(state, value):
      clip_norm = tff.federated_broadcast(
        tff.federated_map(clip_norm_of, state)
      )
      sums = tff.federated_sum(
        tff.federated_map(client_work, (value, clip_norm))
      )
      return tff.templates.MeasuredProcessOutput(
        *tff.federated_map(at_server, (state, sums))
      )

    return tff.templates.AggregationProcess(init_fn, next_fn)


def _summands(value: Any, clip_norm: tf.Tensor) -> _Summands:
  """The work of a client."""
  clipped = clipping.l2(value, clip_norm)
  finite = tf.cast(clipped.is_finite, tf.float64)
  above = tf.cast(clipped.was_clipped, tf.float64)
  return _Summands(
    values=tuple(tf.nest.flatten(clipped.value)),
    below=finite * (0.5 - above),
    clipped_clients=above,
    finite_clients=finite,
    non_finite_clients=1.0 - finite,
  )


class _Server:
  """The work of the server, for one type of values."""

  def __init__(
    self,
    factory: CentralDpFactory,
    noise: correlated_noise.CorrelatedNoise,
    specs: Any,
  ):
    self._factory = factory
    self._noise = noise
    self._structure = specs
    self._specs = tf.nest.flatten(specs)

  def initial(self) -> CentralDpState:
    # Noise as fine as the result; coarser values are rounded further.
    kept = [
      tf.TensorSpec(
        s.shape, tf.float64 if s.dtype == tf.float64 else tf.float32
      )
      for s in self._specs
    ]
    return CentralDpState(
      round_num=tf.constant(0, tf.int32),
      clip_norm=tf.constant(self._factory.clipping.initial, tf.float64),
      noise=self._noise.initial(kept),
    )

  def finish(self, state: CentralDpState, sums: _Summands) -> Any:
    """(S, sums) -> (S, V, M)."""
    factory = self._factory
    round_num = state.round_num + 1
    count_seed, *seeds = noise_seeds.split(
      noise_seeds.draw(factory.test_seed, round_num), 1 + len(self._specs)
    )
    fresh = [
      continuous_noise.gaussian(seed, spec.shape)
      for seed, spec in zip(seeds, self._specs, strict=True)
    ]
    step = self._noise.step(state.noise, fresh)
    scale = factory.noise.noise_multiplier * state.clip_norm
    results = [
      tf.cast((total + scale * noise) / factory.denominator, spec.dtype)
      for total, noise, spec in zip(
        sums.values, step.noise, self._specs, strict=True
      )
    ]
    clip_norm = state.clip_norm
    if isinstance(factory.clipping, clip_norms.AdaptiveClip):
      count_noise = continuous_noise.gaussian(
        count_seed, [], factory.clipping.count_noise_stddev
      )
      clip_norm = factory.clipping.updated(
        clip_norm, sums.below + count_noise, factory.denominator
      )
    return (
      CentralDpState(round_num, clip_norm, step.state),
      tf.nest.pack_sequence_as(self._structure, results),
      self._measurements(state.clip_norm, scale * step.stddev, sums),
    )

  def _measurements(
    self, clip_norm: tf.Tensor, stddev_of_sum: tf.Tensor, sums: _Summands
  ) -> collections.OrderedDict[str, tf.Tensor]:
    size = sum(math.prod(s.shape) for s in self._specs)
    # Of a vector of independent normal numbers of stddev 1.
    expected_norm = math.sqrt(2) * math.exp(
      math.lgamma((size + 1) / 2) - math.lgamma(size / 2)
    )
    signal = tf.sqrt(tf.add_n([tf.reduce_sum(v**2) for v in sums.values]))
    measured = collections.OrderedDict(
      clip_norm=clip_norm,
      clipped_clients=tf.math.divide_no_nan(
        sums.clipped_clients, sums.finite_clients
      ),
      noise_stddev=stddev_of_sum / self._factory.denominator,
      signal_to_noise=signal / (stddev_of_sum * expected_norm),
      non_finite_clients=sums.non_finite_clients,
    )
    return tf.nest.map_structure(lambda t: tf.cast(t, tf.float32), measured)
