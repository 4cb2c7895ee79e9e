"""SCAFFOLD: clients correct their gradients by how they differ from others'."""

import collections
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import (
  client_states,
  composition,
  evaluation,
  optimizers,
  scheduled_work,
  schedules,
  shifted_gradients,
)


class ServerState(NamedTuple):
  """What the server keeps.

  Attributes:
    weights: The model's.
    control: c, of the shapes of the trainable weights.
    rounds_done: int32.
    aggregator: State of the aggregation of updates.
    control_aggregator: State of that of the changes of controls.
    finalizer: State of the server's optimizer.
    distributor: State of how the weights get to the clients.
  """

  weights: Any
  control: Any
  rounds_done: Any
  aggregator: Any
  control_aggregator: Any
  finalizer: Any
  distributor: Any


class _Sent(NamedTuple):
  result: Any  # ClientResult of the update.
  change: Any  # Of the client's control.
  kept: Any  # client_states.Brought, with the next control.
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
  """Builds SCAFFOLD.

  The server has a control c, every client a control c_i, at first 0. A client
  takes its K steps of rate eta with g(y) - c_i + c in place of its gradients
  g(y), from the received weights x to y; then
    c_i' = c_i - c + (x - y) / (K eta)                           (option II)
  and it sends y - x and c_i' - c_i. The server's optimizer applies the mean of
  the first, and c changes by the mean of the second times the share of the
  population that took part. While all controls are 0 it is federated averaging.

  Type: as `client_states.ClientStateProcess`, with S = ServerState, C of the
  shapes of the trainable weights; M has the parts of that of `fed_avg.build`,
  `control_aggregator`, and `beside`, how much more is sent.

  Twice as much is sent as in federated averaging, both ways. A client without
  steps, or whose update is not finite, keeps its control.

  Privacy: none. The clients' controls are gradients of theirs.

  Reference: Karimireddy et al. 2020, "SCAFFOLD: Stochastic Controlled Averaging
  for Federated Learning", algorithm 1. Deviation: with a weighted aggregator
  both means are weighted by examples; the paper weights clients alike.

  Args:
    model: The model.
    client_optimizer: Plain SGD.
    server_optimizer: Applies the mean update; SGD in the paper.
    aggregator: Of updates, and once more of changes of controls.
    population_size: N, all clients that may take part.
    max_clients: The largest cohort.
    client_schedule: The clients' rate of each round.
    server_schedule: The server's.
    secure_metrics: Refused.
    broadcast: How weights get to the clients; controls get there as they are.

  Raises:
    AlgorithmError: If the clients' optimizer has momentum, with fewer clients
      in the population than in a cohort, or with secure sums.
    OptimizerError: If the clients' optimizer is not SGD.
  """
  composition.refuse_secure(
    'scaffold', "passes the clients' controls on", secure_metrics
  )
  _check(client_optimizer, population_size, max_clients)
  first_weights = composition.initial_weights(model)
  weights_type = first_weights.type_signature.result
  trainable = weights_type.trainable
  no_control = tuple(
    np.zeros(t.shape, t.dtype) for t in model.initial_weights[0]
  )
  weighted = composition.weighted(aggregator)
  of_updates = weighted.create(trainable, tff.TensorType(np.float32))
  of_controls = weighted.create(trainable, tff.TensorType(np.float32))
  distributor = composition.distributor(broadcast, weights_type)
  finalizer = tff.learning.templates.build_apply_optimizer_finalizer(
    schedules.at_server(server_optimizer, server_schedule), weights_type
  )
  sends_beside = composition.sends_beside(updates_up=1, weights_down=1)
  collect = client_states.build_collection(no_control, max_clients)
  data = tff.SequenceType(tff.types.tensorflow_to_type(model.input_spec))
  brought_type = client_states.brought_type(no_control)
  schedule = schedules.at_clients(client_optimizer, client_schedule)
  aggregate_metrics = composition.metrics_aggregator(secure_metrics)(
    model.finalize_metrics
  )

  @tff.tensorflow.computation
  def zero_control():
    return tf.nest.map_structure(tf.convert_to_tensor, no_control)

  @tff.federated_computation
  def initialize():
    return tff.federated_zip(
      ServerState(
        tff.federated_eval(first_weights, tff.SERVER),
        tff.federated_eval(zero_control, tff.SERVER),
        tff.federated_value(0, tff.SERVER),
        of_updates.initialize(),
        of_controls.initialize(),
        finalizer.initialize(),
        distributor.initialize(),
      )
    )

  state_type = initialize.type_signature.result.member

  rate_of = schedule.build_rate()
  one_more = schedules.build_counter()

  train = _build_training(
    model, client_optimizer, composition.weighting(aggregator), brought_type
  )
  next_control = _build_next_control(trainable, max_clients, population_size)

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
        tff.federated_broadcast(state.control),
        tff.federated_broadcast(rate),
        batches,
        brought,
      ),
    )
    weight = sent.result.update_weight
    updates = of_updates.next(state.aggregator, sent.result.update, weight)
    changes = of_controls.next(state.control_aggregator, sent.change, weight)
    finalized = finalizer.next(state.finalizer, state.weights, updates.result)
    collected = collect(sent.kept)
    control = tff.federated_map(
      next_control,
      (state.control, changes.result, collected.handed_in),
    )
    metrics = tff.federated_zip(
      collections.OrderedDict(
        distributor=received.measurements,
        client_work=tff.federated_zip(
          collections.OrderedDict(
            train=aggregate_metrics(sent.metrics), client_learning_rate=rate
          )
        ),
        aggregator=updates.measurements,
        control_aggregator=changes.measurements,
        finalizer=finalized.measurements,
        beside=tff.federated_eval(sends_beside, tff.SERVER),
      )
    )
    next_state = tff.federated_zip(
      ServerState(
        finalized.result,
        control,
        tff.federated_map(one_more, state.rounds_done),
        updates.state,
        changes.state,
        finalized.state,
        received.state,
      )
    )
    return client_states.Output(next_state, metrics, collected)

  return client_states.of_named_state(
    initialize, next_fn, no_control, max_clients
  )


def _check(
  client_optimizer: tff.learning.optimizers.Optimizer,
  population_size: int,
  max_clients: int,
) -> None:
  if optimizers.sgd_momentum(client_optimizer, 'scaffold'):
    raise composition.AlgorithmError(
      'Expected sgd without momentum at the clients of scaffold, whose '
      'controls are means of gradients, found some momentum.'
    )
  if population_size < max_clients:
    raise composition.AlgorithmError(
      f'Expected a population of at least the {max_clients} clients of a '
      f'cohort, found {population_size}.'
    )


def _build_training(
  model: tff.learning.models.FunctionalModel,
  optimizer: tff.learning.optimizers.Optimizer,
  weighting: tff.learning.ClientWeighting,
  brought_type: tff.Type,
) -> tff.Computation:
  """(<M, c, rate, B*, Brought(c_i)> -> _Sent), the work of a client."""
  plain = scheduled_work.plain_training(model, weighting)
  weights_type = evaluation.weights_type(model)
  data = tff.SequenceType(tff.types.tensorflow_to_type(model.input_spec))

  @tff.tensorflow.computation(
    weights_type, weights_type.trainable, np.float32, data, brought_type
  )
  def train(weights, control, rate, batches, brought):
    correction = tf.nest.map_structure(tf.subtract, control, brought.own)
    corrected = shifted_gradients.ShiftedGradients(
      schedules.FixedRate(optimizer, rate), lambda _: correction
    )
    result, metrics = plain(corrected, rate, weights, batches)
    steps = batches.reduce(tf.constant(0.0), lambda n, _: n + 1.0)
    changes = (steps > 0.0) & (result.update_weight > 0.0)

    def change(update, server_control):
      # c_i' - c_i. TFF's update points down: x - y.
      mean = update / tf.cast(steps * rate, update.dtype)
      return tf.where(changes, mean - server_control, tf.zeros_like(update))

    changed = tf.nest.map_structure(change, result.update, control)
    own = tf.nest.map_structure(tf.add, brought.own, changed)
    return _Sent(
      result, changed, client_states.Brought(brought.place, own), metrics
    )

  return train


def _build_next_control(
  control_type: tff.Type, max_clients: int, population_size: int
) -> tff.Computation:
  """(<c, mean change, int32[max_clients]> -> c), of who handed in."""

  @tff.tensorflow.computation(
    control_type, control_type, tff.TensorType(np.int32, [max_clients])
  )
  def next_control(control, mean_change, handed_in):
    num_clients = tf.cast(tf.reduce_sum(handed_in), tf.float32)
    share = num_clients / float(population_size)
    return tf.nest.map_structure(
      lambda c, d: c + tf.cast(share, c.dtype) * d, control, mean_change
    )

  return next_control
