"""The mean of updates that are noisy before they leave the client."""

import collections
import math
from typing import Any, Literal, NamedTuple, get_args

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import composition, value_types
from tff_pipelines.core import errors
from tff_pipelines.numerics import clipping, continuous_noise, noise_seeds

Noise = Literal['gaussian', 'laplace']
_NOISES: tuple[Noise, ...] = get_args(Noise)


class LocalDpError(errors.PipelineError):
  """A local mechanism that could not work."""


class LocalDpState(NamedTuple):
  """The state of local noise.

  Attributes:
    round_num: Rounds so far, int32[].
  """

  round_num: Any


class _Summands(NamedTuple):
  """What each client hands in, and all that it does.

  Attributes:
    report: Of each tensor, in the order of `tf.nest`, float32.
    num_reports: 1, int64[].
  """

  report: Any
  num_reports: Any


class LocalDpFactory(tff.aggregators.UnweightedAggregationFactory):
  """Sums updates that each client clips and adds noise to.

  For `value_type = V`, a structure of float tensors:
    initialize: ( -> S@SERVER)                S = LocalDpState(round_num=int32)
    next:       (<S@SERVER, {V}@CLIENTS>
                 -> <state=S, result=V@SERVER, measurements=M@SERVER>)

  A client scales its update, as one vector, to a norm of at most clip_norm (L2
  for Gaussian, L1 for Laplace noise), adds noise to every coordinate and hands
  in the sum, in float32. The result is the sum of these reports divided by
  `denominator`. An update with a NaN or an infinity is reported as zero would
  be, and nobody is told, not even how many there were.

  Measurements, float32, computed from public numbers and the noisy sum alone;
  what a mean of clipped clients would tell is not known to anybody:
    clip_norm: of a client's update before its noise.
    num_reports: clients that handed in a report.
    noise_stddev: of a coordinate of the result.
    result_norm: Euclidean, of the result, most of it noise.
    signal_to_noise: estimate of the norm of the clipped mean over the expected
      norm of the noise, sqrt(max(0, |sum|^2 / (n d s^2) - 1)) for n reports of
      d coordinates with noise of stddev s; below (2/d)^(1/4) it is chance.
    largest_signal_to_noise: what it would be if all updates were equal and as
      large as the clip: sqrt(n / d) clip_norm / s.

  Privacy: a report is private by itself, whoever sees it: mechanism
  LocalGaussian or LocalLaplace of `noise_multiplier`, one report a round, any
  two updates being up to 2 clip_norm apart. That a client takes part is not
  hidden, and how many do is used. Nobody is trusted; sampling does not amplify.
  The noise is continuous and computed in floating point: see
  `numerics/continuous_noise.py`. With a `test_seed` nothing is guaranteed, and
  clients with equal updates draw equal noise. Weights would have to be told
  without noise, so there is no weighted form.

  Source: Kasiviswanathan et al. 2011, "What Can We Learn Privately?" (the local
  model); Duchi, Jordan, Wainwright 2018, arXiv 1604.02390.
  """

  def __init__(
    self,
    clip_norm: float,
    noise_multiplier: float,
    denominator: float,
    noise: Noise = 'gaussian',
    test_seed: int | None = None,
  ):
    """Initializes the factory.

    Args:
      clip_norm: Largest norm of an update, above 0.
      noise_multiplier: Of one report: Gaussian stddev, or Laplace scale, over
        clip_norm; above 0.
      denominator: What the sum is divided by: the planned clients_per_round.
      noise: `gaussian` or `laplace`.
      test_seed: For tests only; None draws noise from the operating system.

    Raises:
      LocalDpError: If one of them is something else.
    """
    for name, number in (
      ('clip_norm', clip_norm),
      ('noise_multiplier', noise_multiplier),
      ('denominator', denominator),
    ):
      if not (number > 0.0 and math.isfinite(number)):
        raise LocalDpError(
          f'Expected a finite {name} above 0, found {number}; without clip and '
          'noise a report hides nothing.'
        )
    if noise not in _NOISES:
      raise LocalDpError(
        f'Expected noise out of {", ".join(_NOISES)}, found {noise!r}.'
      )
    self.clip_norm = float(clip_norm)
    self.noise_multiplier = float(noise_multiplier)
    self.denominator = float(denominator)
    self.noise = noise
    self.test_seed = test_seed

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    clip = composition.CLIP_NORM
    if self.noise == 'laplace':
      clip = composition.Layer(
        composition.Kind.CLIP_NORM, 'a clip of the L1 norm'
      )
    return clip, composition.LOCAL_NOISE, composition.PLAIN_SUM

  @property
  def report_stddev(self) -> float:
    """Of the noise on a coordinate of one report."""
    scale = self.noise_multiplier * self.clip_norm
    return scale * math.sqrt(2.0) if self.noise == 'laplace' else scale

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process.

    Raises:
      ValueTypeError: If values are not floats of known shapes.
    """
    specs = value_types.specs(value_type)
    init_fn = _initialize()
    state_type = init_fn.type_signature.result.member

    @tff.tensorflow.computation(value_type, state_type)
    def client_work(value, state):
      return _Summands(
        self._report(value, state.round_num), tf.constant(1, tf.int64)
      )

    @tff.tensorflow.computation(state_type, client_work.type_signature.result)
    def at_server(state, sums):
      return (
        LocalDpState(state.round_num + 1),
        self._result(specs, sums),
        self._measurements(sums),
      )

    @tff.federated_computation(
      init_fn.type_signature.result, tff.FederatedType(value_type, tff.CLIENTS)
    )
    def next_fn(state, value):
      summands = tff.federated_map(
        client_work, (value, tff.federated_broadcast(state))
      )
      sums = tff.federated_sum(summands)
      return tff.templates.MeasuredProcessOutput(
        *tff.federated_map(at_server, (state, sums))
      )

    return tff.templates.AggregationProcess(init_fn, next_fn)

  def _report(self, value: Any, round_num: tf.Tensor) -> tuple[Any, ...]:
    """The work of a client; noise is added before anything is rounded."""
    clip, draw = {
      'gaussian': (clipping.l2, continuous_noise.gaussian),
      'laplace': (clipping.l1, continuous_noise.laplace),
    }[self.noise]
    tensors = tf.nest.flatten(clip(value, self.clip_norm).value)
    seed = noise_seeds.draw(self.test_seed, round_num, *tf.nest.flatten(value))
    seeds = noise_seeds.split(seed, len(tensors))
    scale = self.noise_multiplier * self.clip_norm
    return tuple(
      tf.cast(tensor + draw(of_tensor, tensor.shape, scale), tf.float32)
      for tensor, of_tensor in zip(tensors, seeds, strict=True)
    )

  def _result(self, specs: Any, sums: _Summands) -> Any:
    means = [
      tf.cast(tf.cast(total, tf.float64) / self.denominator, spec.dtype)
      for total, spec in zip(sums.report, tf.nest.flatten(specs), strict=True)
    ]
    return tf.nest.pack_sequence_as(specs, means)

  def _measurements(
    self, sums: _Summands
  ) -> collections.OrderedDict[str, tf.Tensor]:
    totals = [tf.cast(total, tf.float64) for total in sums.report]
    size = float(sum(total.shape.num_elements() for total in totals))
    num_reports = tf.cast(sums.num_reports, tf.float64)
    squared_norm = tf.add_n([tf.reduce_sum(total**2) for total in totals])
    noise_stddev = tf.sqrt(num_reports) * self.report_stddev
    of_noise = size * noise_stddev**2
    power = tf.math.divide_no_nan(squared_norm - of_noise, of_noise)
    largest = self.clip_norm / self.report_stddev
    measured = collections.OrderedDict(
      clip_norm=tf.constant(self.clip_norm),
      num_reports=num_reports,
      noise_stddev=noise_stddev / self.denominator,
      result_norm=tf.sqrt(squared_norm) / self.denominator,
      signal_to_noise=tf.sqrt(tf.maximum(power, 0.0)),
      largest_signal_to_noise=tf.sqrt(num_reports / size) * largest,
    )
    return collections.OrderedDict(
      (name, tf.cast(number, tf.float32)) for name, number in measured.items()
    )


def _initialize() -> tff.Computation:
  @tff.tensorflow.computation
  def state():
    return LocalDpState(tf.constant(0, tf.int32))

  @tff.federated_computation
  def init_fn():
    return tff.federated_eval(state, tff.SERVER)

  return init_fn
