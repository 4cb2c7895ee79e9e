"""A mean through a linear code that all clients of a round share.

Codes of one seed can be added before they are decoded, so what adds them up can
be any aggregator of sums: in the clear, a secure sum, one with noise.
"""

import collections
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  composition,
  encoded_mean,
  flat_updates,
  random_subspaces,
)
from tff_pipelines.core import errors
from tff_pipelines.numerics import codes, noise_seeds


class NonlinearCodeError(errors.PipelineError):
  """A code whose messages cannot be added."""


class SketchedMeanState(NamedTuple):
  """The state of a sketched mean.

  Attributes:
    round_num: Of the next round, int64[].
    inner: The state of what adds up the codes.
  """

  round_num: Any
  inner: Any


class SketchedMeanFactory(tff.aggregators.WeightedAggregationFactory):
  """The decoded mean of linear codes, weighted as by what adds them up.

  For `value_type = V`, a structure of float tensors, and a scalar weight W:
    initialize: ( -> S@SERVER)               S = SketchedMeanState
    next:       (<S@SERVER, {V}@CLIENTS, {W}@CLIENTS>
                 -> <state=S, result=V@SERVER, measurements=M@SERVER>)

  The whole update is one vector of n numbers, its code one of m. The seed of
  the code is a hash of the factory's seed and the round, so nothing of it
  travels up. Errors are those of the code of the mean: of rounds they average
  out, of clients as far as their updates do.

  Measurements:
    uplink_bytes_per_client: m numbers of float32 and a weight; where the inner
      aggregator tells its bits_per_coordinate, that of m numbers. Float32.
    uplink_compression: bytes of the values as they are over those, float32.
    codes: measurements of the inner aggregator.

  Privacy: that of the inner aggregator; no randomness of the code has to be
  secret. A clip that bounds sensitivity must act on the code, so inside. A NaN
  or an infinity is for the inner aggregator to leave out.

  Source: that of the code.
  """

  def __init__(
    self,
    code: codes.Code,
    inner: tff.aggregators.WeightedAggregationFactory,
    inner_stack: composition.Stack,
    *,
    seed: int = 0,
  ):
    """Initializes the factory.

    Args:
      code: A linear one.
      inner: What adds up float32[m].
      inner_stack: Its layers.
      seed: Of all codes of a run; clients and server know it.

    Raises:
      NonlinearCodeError: If messages of the code cannot be added.
      CompositionError: If its layers do not fit into a sketch.
    """
    self.code = _checked(code)
    self.stack: composition.Stack = (composition.SKETCH, *inner_stack)
    composition.check(self.stack)
    self.inner = inner
    self.seed = seed

  @property
  def subspaces(self) -> random_subspaces.Subspaces | None:
    """Where clients can train so that nothing is lost; None if nowhere."""
    return random_subspaces.of_code(self.code, self.seed, is_common=True)

  def create(
    self, value_type: tff.Type, weight_type: tff.Type
  ) -> tff.templates.AggregationProcess:
    """Returns the process.

    Raises:
      ValueTypeError: If values are not floats of known shapes.
    """
    sketch = _Sketch(self.code, self.seed, value_type)
    inner = self.inner.create(sketch.code_type, weight_type)
    init_fn = sketch.initialize(inner)

    @tff.federated_computation(
      init_fn.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
      tff.FederatedType(weight_type, tff.CLIENTS),
    )
    def next_fn(state, value, weight):
      encoded = sketch.encoded(state, value)
      return sketch.decoded(state, inner.next(state.inner, encoded, weight))

    return tff.templates.AggregationProcess(init_fn, next_fn)


class SketchedUniformMeanFactory(tff.aggregators.UnweightedAggregationFactory):
  """The decoded aggregate of linear codes, every client alike.

  For `value_type = V`:
    next: (<S@SERVER, {V}@CLIENTS>
           -> <state=S, result=V@SERVER, measurements=M@SERVER>)

  Otherwise as `SketchedMeanFactory`; no weight travels.
  """

  def __init__(
    self,
    code: codes.Code,
    inner: tff.aggregators.UnweightedAggregationFactory,
    inner_stack: composition.Stack,
    *,
    seed: int = 0,
  ):
    """Initializes the factory; arguments and errors as its sibling's."""
    self.code = _checked(code)
    self.stack: composition.Stack = (composition.SKETCH, *inner_stack)
    composition.check(self.stack)
    self.inner = inner
    self.seed = seed

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process; raises as its sibling's."""
    sketch = _Sketch(self.code, self.seed, value_type, weight_bytes=0)
    inner = self.inner.create(sketch.code_type)
    init_fn = sketch.initialize(inner)

    @tff.federated_computation(
      init_fn.type_signature.result, tff.FederatedType(value_type, tff.CLIENTS)
    )
    def next_fn(state, value):
      encoded = sketch.encoded(state, value)
      return sketch.decoded(state, inner.next(state.inner, encoded))

    return tff.templates.AggregationProcess(init_fn, next_fn)


def _checked(code: codes.Code) -> codes.LinearCode:
  if isinstance(code, codes.LinearCode):
    return code
  raise NonlinearCodeError(
    f'Expected a linear code under a sum of codes, found {code}: the sum of '
    'its messages is not the message of the sum, so each has to be decoded by '
    'itself, which a secure sum prevents; take an EncodedMeanFactory, or '
    'subsampling, a random mask, a matrix of low rank or a count sketch.'
  )


class _Sketch:
  """The parts of a process for one type of values."""

  def __init__(
    self,
    code: codes.LinearCode,
    seed: int,
    value_type: tff.Type,
    weight_bytes: int = encoded_mean.WEIGHT_BYTES,
  ):
    self._code = code
    self._seed = seed
    self._value_type = value_type
    self._weight_bytes = weight_bytes
    self._updates = flat_updates.FlatUpdates(value_type)
    self._size = code.encoded_size(self._updates.shapes)
    self.code_type = tff.TensorType(np.float32, [self._size])

  def initialize(
    self, inner: tff.templates.AggregationProcess
  ) -> tff.Computation:
    @tff.tensorflow.computation
    def first():
      return tf.constant(0, tf.int64)

    @tff.federated_computation
    def init_fn():
      return tff.federated_zip(
        SketchedMeanState(
          tff.federated_eval(first, tff.SERVER), inner.initialize()
        )
      )

    return init_fn

  def encoded(self, state: Any, value: Any) -> Any:
    @tff.tensorflow.computation(self._value_type, np.int64)
    def client_work(value, round_num):
      return self._code.encode(
        self._updates.vector(value),
        noise_seeds.draw(self._seed, round_num),
        self._updates.shapes,
      )

    return tff.federated_map(
      client_work, (value, tff.federated_broadcast(state.round_num))
    )

  def decoded(self, state: Any, output: Any) -> Any:
    measured = output.measurements.type_signature.member

    @tff.tensorflow.computation(np.int64, self.code_type, measured)
    def at_server(round_num, code, measurements):
      vector = self._code.decode(
        code, noise_seeds.draw(self._seed, round_num), self._updates.shapes
      )
      return (
        round_num + 1,
        self._updates.value(vector),
        self._measurements(measurements),
      )

    round_num, result, measurements = tff.federated_map(
      at_server, (state.round_num, output.result, output.measurements)
    )
    return tff.templates.MeasuredProcessOutput(
      tff.federated_zip(SketchedMeanState(round_num, output.state)),
      result,
      measurements,
    )

  def _measurements(self, inner: Any) -> collections.OrderedDict[str, Any]:
    if isinstance(inner, Mapping) and 'bits_per_coordinate' in inner:
      num_bytes = inner['bits_per_coordinate'] * (self._size / 8)
    else:
      num_bytes = tf.constant(4.0 * self._size + self._weight_bytes)
    dense = float(self._updates.dense_bytes + self._weight_bytes)
    return collections.OrderedDict(
      uplink_bytes_per_client=num_bytes,
      uplink_compression=dense / num_bytes,
      codes=inner,
    )
