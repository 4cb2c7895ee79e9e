"""How many clients have each category, from reports that hide who has it."""

import collections
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import composition
from tff_pipelines.core import errors
from tff_pipelines.numerics import noise_seeds, randomized_response


class RandomizedCountsError(errors.PipelineError):
  """Values that are no category."""


class RandomizedCountsState(NamedTuple):
  """The state of randomized counts.

  Attributes:
    round_num: Rounds so far, int32[].
  """

  round_num: Any


class _Summands(NamedTuple):
  """What each client hands in, and all that it does.

  Attributes:
    report: int64[num_values] of zeros and ones.
    num_reports: 1, int64[].
  """

  report: Any
  num_reports: Any


class RandomizedResponseCountFactory(
  tff.aggregators.UnweightedAggregationFactory
):
  """Estimates histograms of categories, one category a client.

  For `value_type = V`, int32 or int64, a category from 0 to k - 1 as a scalar
  or as a one-hot vector of length k:
    initialize: ( -> S@SERVER)      S = RandomizedCountsState(round_num=int32)
    next:       (<S@SERVER, {V}@CLIENTS>
                 -> <state=S, result=float32[k]@SERVER, measurements=M@SERVER>)

  A client hands in k randomized bits, see `numerics/randomized_response.py`.
  The result is the estimate of how many of the clients that reported have each
  category: unbiased, so it can be negative. With `randomized_response` the
  estimates add up to the number of reports. A client whose value is no
  category is not told apart: with `randomized_response` it counts as 1/k of
  each, else as none.

  Measurements, computed from public numbers and the sum of the reports:
    num_reports: clients that handed one in, float32.
    report_epsilon: of one report, as it is realised, float32.
    stddev: of each estimate, float32[k], if it was right; the part of sampling
      clients from a population is not in it.

  Privacy: a report is private by itself, whoever sees it: mechanism
  RandomizedResponse or UnaryEncoding of `randomizer.noise_probability`, one
  report a round. That a client takes part is not hidden. Nobody is trusted;
  sampling does not amplify; nothing here is floating point. A client that
  reports the same category every round pays every time. With a `test_seed`
  nothing is guaranteed, and clients of one category report the same.

  Source: Wang et al. 2017, USENIX Security, "Locally Differentially Private
  Protocols for Frequency Estimation".
  """

  def __init__(
    self,
    num_values: int,
    epsilon: float,
    method: randomized_response.Method = 'randomized_response',
    test_seed: int | None = None,
  ):
    """Initializes the factory.

    Args:
      num_values: Categories, k.
      epsilon: Of one report.
      method: `randomized_response` for few categories, `optimized_unary` for
        many; `unary` is RAPPOR's.
      test_seed: For tests only; None draws from the operating system.

    Raises:
      RandomizedResponseError: If one of them is something else.
    """
    self.randomizer = randomized_response.for_epsilon(
      method, num_values, epsilon
    )
    self.method = method
    self.test_seed = test_seed

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (
      composition.Layer(
        composition.Kind.CLIP_COORDINATES, 'one category a client'
      ),
      composition.Layer(
        composition.Kind.LOCAL_NOISE, self.method.replace('_', ' ')
      ),
      composition.PLAIN_SUM,
    )

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process.

    Raises:
      RandomizedCountsError: If values are not categories.
    """
    self._check(value_type)

    @tff.tensorflow.computation
    def initial_state():
      return RandomizedCountsState(tf.constant(0, tf.int32))

    state_type = initial_state.type_signature.result

    @tff.tensorflow.computation(value_type, state_type)
    def client_work(value, state):
      seed = noise_seeds.draw(self.test_seed, state.round_num, value)
      report = self.randomizer.report(seed, _category(value))
      return _Summands(report, tf.constant(1, tf.int64))

    @tff.tensorflow.computation(state_type, client_work.type_signature.result)
    def at_server(state, sums):
      return (RandomizedCountsState(state.round_num + 1), *self._finish(sums))

    @tff.federated_computation
    def init_fn():
      return tff.federated_eval(initial_state, tff.SERVER)

    @tff.federated_computation(
      init_fn.type_signature.result, tff.FederatedType(value_type, tff.CLIENTS)
    )
    def next_fn(state, value):
      summands = tff.federated_map(
        client_work, (value, tff.federated_broadcast(state))
      )
      return tff.templates.MeasuredProcessOutput(
        *tff.federated_map(at_server, (state, tff.federated_sum(summands)))
      )

    return tff.templates.AggregationProcess(init_fn, next_fn)

  def _check(self, value_type: tff.Type) -> None:
    num_values = self.randomizer.num_values
    if (
      isinstance(value_type, tff.TensorType)
      and value_type.dtype.type in (np.int32, np.int64)
      and tff.types.is_shape_fully_defined(value_type.shape)
      and tuple(value_type.shape) in ((), (num_values,))
    ):
      return
    raise RandomizedCountsError(
      'Expected a category as an int32 or int64 scalar, or one-hot of length '
      f'{num_values}, found {value_type.compact_representation()}; number the '
      'categories from 0.'
    )

  def _finish(self, sums: _Summands) -> tuple[tf.Tensor, Any]:
    """Returns the result and the measurements."""
    marks, num_reports = (tf.cast(total, tf.float64) for total in sums)
    counts = self.randomizer.estimate(marks, num_reports)
    possible = tf.clip_by_value(counts, 0.0, num_reports)
    variance = self.randomizer.variance(possible, num_reports)
    measured = collections.OrderedDict(
      num_reports=num_reports,
      report_epsilon=tf.constant(self.randomizer.epsilon, tf.float64),
      stddev=tf.sqrt(variance),
    )
    return tf.cast(counts, tf.float32), collections.OrderedDict(
      (name, tf.cast(number, tf.float32)) for name, number in measured.items()
    )


def _category(value: tf.Tensor) -> tf.Tensor:
  """Returns the category as int64[], -1 for a vector that is not one-hot."""
  value = tf.cast(value, tf.int64)
  if not value.shape.rank:
    return value
  # Not `==`, which compares identities in graphs of TFF.
  is_bit = tf.equal(value, 0) | tf.equal(value, 1)
  is_one_hot = tf.reduce_all(is_bit) & tf.equal(tf.reduce_sum(value), 1)
  return tf.where(is_one_hot, tf.argmax(value), tf.constant(-1, tf.int64))
