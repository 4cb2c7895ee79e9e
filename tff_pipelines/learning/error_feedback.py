"""Federated averaging in which clients remember what did not get through."""

import collections
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import (
  client_states,
  composition,
  evaluation,
  scheduled_work,
  schedules,
)


@runtime_checkable
class Lossy(Protocol):
  """A weighted aggregator whose clients can tell what the server lacks."""

  code: Any

  def create(
    self, value_type: tff.Type, weight_type: tff.Type
  ) -> tff.templates.AggregationProcess:
    """Returns the process."""

  def remainder(
    self, value_type: tff.Type
  ) -> Callable[[Any, tf.Tensor, Any], Any]:
    """From value, weight and the process' state to what the server lacks."""


class ServerState(NamedTuple):
  """What the server keeps.

  Attributes:
    weights: The model's.
    rounds_done: int32.
    aggregator: State of the aggregation of updates.
    finalizer: State of the server's optimizer.
    distributor: State of how the weights get to the clients.
  """

  weights: Any
  rounds_done: Any
  aggregator: Any
  finalizer: Any
  distributor: Any


class _Sent(NamedTuple):
  result: Any  # ClientResult of what is sent.
  kept: Any  # client_states.Brought, with the next memory.
  metrics: Any


def build(
  model: tff.learning.models.FunctionalModel,
  *,
  client_optimizer: tff.learning.optimizers.Optimizer,
  server_optimizer: tff.learning.optimizers.Optimizer,
  aggregator: composition.Aggregator,
  population_size: int,
  max_clients: int,
  client_schedule: schedules.Schedule | None = None,
  server_schedule: schedules.Schedule | None = None,
  secure_metrics: bool = False,
  broadcast: composition.Broadcast | None = None,
) -> client_states.ClientStateProcess:
  """Builds federated averaging with error feedback.

  Every client has a memory e_i, at first 0. It trains to the update u_i, sends
  the code of p_i = u_i + e_i, and keeps what the server does not get of that,
  e_i' = p_i - decoded(p_i). So nothing is lost for good, however short the
  messages: what is small adds up until it is sent. Of a client that is silent,
  because p_i is small, e_i' is p_i.

  Type: as `client_states.ClientStateProcess`, with S = ServerState, C of the
  shapes of the trainable weights; M has the parts of that of `fed_avg.build`.

  A client that does not count (without examples, or whose update is not finite)
  keeps its memory.

  Privacy: none. A memory is made of single updates.

  Reference: Stich, Cordonnier, Jaggi 2018, "Sparsified SGD with Memory", arXiv
  1809.07599, algorithm 1; Seide et al. 2014, "1-Bit Stochastic Gradient
  Descent". Deviation: of updates of several steps, by clients who come back
  after some rounds, so memories are of older models than what is added.

  Args:
    model: The model.
    client_optimizer: The clients'.
    server_optimizer: Applies the mean of what was decoded.
    aggregator: A mean of updates that travel encoded, each by itself.
    population_size: All clients that may take part.
    max_clients: The largest cohort.
    client_schedule: The clients' rate of each round.
    server_schedule: The server's.
    secure_metrics: Refused.
    broadcast: How weights get to the clients.

  Raises:
    AlgorithmError: If the aggregator has no code that each client knows, or one
      that can lose more than there is; or with secure sums.
  """
  composition.refuse_secure(
    'error_feedback', 'sums what each client decodes by itself', secure_metrics
  )
  lossy = _checked(aggregator)
  del population_size  # Memories are of those that take part.
  first_weights = composition.initial_weights(model)
  weights_type = first_weights.type_signature.result
  updates = lossy.create(weights_type.trainable, tff.TensorType(np.float32))
  finalizer = tff.learning.templates.build_apply_optimizer_finalizer(
    schedules.at_server(server_optimizer, server_schedule), weights_type
  )
  distributor = composition.distributor(broadcast, weights_type)
  nothing = tuple(np.zeros(t.shape, t.dtype) for t in model.initial_weights[0])
  collect = client_states.build_collection(nothing, max_clients)
  data = tff.SequenceType(tff.types.tensorflow_to_type(model.input_spec))
  brought_type = client_states.brought_type(nothing)
  schedule = schedules.at_clients(client_optimizer, client_schedule)
  aggregate_metrics = composition.metrics_aggregator(secure_metrics)(
    model.finalize_metrics
  )

  @tff.federated_computation
  def initialize():
    return tff.federated_zip(
      ServerState(
        tff.federated_eval(first_weights, tff.SERVER),
        tff.federated_value(0, tff.SERVER),
        updates.initialize(),
        finalizer.initialize(),
        distributor.initialize(),
      )
    )

  state_type = initialize.type_signature.result.member

  rate_of = schedule.build_rate()
  one_more = schedules.build_counter()

  plain = scheduled_work.plain_training(
    model, composition.weighting(aggregator)
  )
  remainder = lossy.remainder(weights_type.trainable)

  @tff.tensorflow.computation(
    evaluation.weights_type(model), np.float32, data, brought_type,
    state_type.aggregator,
  )  # fmt: skip
  def train(weights, rate, batches, brought, of_aggregator):
    result, metrics = plain(
      schedules.FixedRate(client_optimizer, rate), rate, weights, batches
    )
    weight = result.update_weight
    sent = tf.nest.map_structure(tf.add, result.update, brought.own)
    left = remainder(sent, weight, of_aggregator)
    own = tf.nest.map_structure(
      lambda new, old: tf.where(weight > 0.0, new, old), left, brought.own
    )
    return _Sent(
      tff.learning.templates.ClientResult(sent, weight),
      client_states.Brought(brought.place, own),
      metrics,
    )

  @tff.federated_computation(
    tff.FederatedType(state_type, tff.SERVER),
    tff.FederatedType(data, tff.CLIENTS),
    tff.FederatedType(brought_type, tff.CLIENTS),
  )
  def next_fn(state, batches, brought):
    rate = tff.federated_map(rate_of, state.rounds_done)
    received = distributor.next(state.distributor, state.weights)
    sent = tff.federated_map(
      train,
      (
        received.result,
        tff.federated_broadcast(rate),
        batches,
        brought,
        tff.federated_broadcast(state.aggregator),
      ),
    )
    output = updates.next(
      state.aggregator, sent.result.update, sent.result.update_weight
    )
    finalized = finalizer.next(state.finalizer, state.weights, output.result)
    metrics = tff.federated_zip(
      collections.OrderedDict(
        distributor=received.measurements,
        client_work=tff.federated_zip(
          collections.OrderedDict(
            train=aggregate_metrics(sent.metrics), client_learning_rate=rate
          )
        ),
        aggregator=output.measurements,
        finalizer=finalized.measurements,
      )
    )
    next_state = tff.federated_zip(
      ServerState(
        finalized.result,
        tff.federated_map(one_more, state.rounds_done),
        output.state,
        finalized.state,
        received.state,
      )
    )
    return client_states.Output(next_state, metrics, collect(sent.kept))

  return client_states.of_named_state(initialize, next_fn, nothing, max_clients)


def _checked(aggregator: Any) -> Lossy:
  if not isinstance(aggregator, Lossy):
    raise composition.AlgorithmError(
      'Expected a mean of updates that travel encoded, each by itself, with '
      'error_feedback, whose clients keep what their own codes lose, found '
      f'{type(aggregator).__name__}, of which no client knows what it loses; '
      'take top_k, drive, masked_update, or quantized with 3 bits or more.'
    )
  if not aggregator.code.is_contraction:
    raise composition.AlgorithmError(
      'Expected a code that loses less than there is with error_feedback, '
      f'whose clients send again what was lost, found {aggregator.code}, with '
      'which memories would grow without bound; take top_k, drive, '
      'masked_update, or quantized with 3 bits or more.'
    )
  return aggregator
