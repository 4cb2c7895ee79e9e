"""The server's weights, encoded before they go to the clients."""

import collections
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import encoded_mean, flat_updates
from tff_pipelines.numerics import codes, noise_seeds


class BroadcastState(NamedTuple):
  """The state of a compressed broadcast.

  Attributes:
    round_num: Of the next round, int64[].
  """

  round_num: Any


def build(
  weights_type: tff.Type, code: codes.Code, *, seed: int = 0
) -> tff.learning.templates.DistributionProcess:
  """Returns the process that sends the trainable weights encoded.

  For `weights_type = W`, `tff.learning.models.ModelWeights` of float tensors:
    initialize: ( -> S@SERVER)                     S = BroadcastState(round_num)
    next:       (<S@SERVER, W@SERVER>
                 -> <state=S, result=W@CLIENTS, measurements=M@SERVER>)

  All trainable weights are one vector, encoded once a round with a seed that
  all clients get; others travel as they are. Clients train from what they
  decode, and their updates are relative to that; the server applies them to
  weights that were never rounded, so errors do not add up over rounds.

  Measurements, float32:
    downlink_bytes_per_client: code, seed and the weights that are not encoded.
    downlink_compression: bytes of all weights as they are over those.

  Privacy: none lost and none added.

  Source: Caldas, Konecny, McMahan, Talwalkar 2018, "Expanding the Reach of
  Federated Learning by Reducing Client Resource Requirements", arXiv
  1812.07210, section 3.1 (lossy compression of the model).

  Args:
    weights_type: W.
    code: An unbiased one; 4 bits of `quantization.Quantization` or more.
    seed: Of all codes of a run.

  Raises:
    ValueTypeError: If trainable weights are not floats of known shapes.
  """
  trainable = flat_updates.FlatUpdates(weights_type.trainable)
  others = _num_bytes(weights_type.non_trainable)

  @tff.tensorflow.computation
  def first():
    return BroadcastState(tf.constant(0, tf.int64))

  @tff.federated_computation
  def init_fn():
    return tff.federated_eval(first, tff.SERVER)

  state_type = init_fn.type_signature.result.member

  @tff.tensorflow.computation(state_type, weights_type)
  def at_server(state, weights):
    drawn = noise_seeds.draw(seed, state.round_num)
    encoded = code.encode(
      trainable.vector(weights.trainable), drawn, trainable.shapes
    )
    num_bytes = (
      tf.cast(code.message_bytes(encoded), tf.float32)
      + encoded_mean.SEED_BYTES
      + others
    )
    measured = collections.OrderedDict(
      downlink_bytes_per_client=num_bytes,
      downlink_compression=(trainable.dense_bytes + others) / num_bytes,
    )
    message = (drawn, encoded, weights.non_trainable)
    return BroadcastState(state.round_num + 1), message, measured

  @tff.tensorflow.computation(at_server.type_signature.result[1])
  def at_client(message):
    drawn, encoded, non_trainable = message
    vector = code.decode(encoded, drawn, trainable.shapes)
    return tff.learning.models.ModelWeights(
      trainable.value(vector), non_trainable
    )

  @tff.federated_computation(
    init_fn.type_signature.result, tff.FederatedType(weights_type, tff.SERVER)
  )
  def next_fn(state, weights):
    new_state, message, measured = tff.federated_map(
      at_server, (state, weights)
    )
    received = tff.federated_map(at_client, tff.federated_broadcast(message))
    return tff.templates.MeasuredProcessOutput(new_state, received, measured)

  return tff.learning.templates.DistributionProcess(init_fn, next_fn)


def _num_bytes(value_type: tff.Type) -> int:
  """Returns the bytes of tensors of known shapes."""
  tensors: list[tff.TensorType] = []
  tff.types.structure_from_tensor_type_tree(tensors.append, value_type)
  return sum(
    int(np.prod(t.shape)) * np.dtype(t.dtype).itemsize for t in tensors
  )
