"""What learning processes are composed of, whatever the algorithm."""

import collections
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import errors
from tff_pipelines.learning import (
  scheduled_work,
  schedules,
  subspace_training,
)

Aggregator = (
  tff.aggregators.UnweightedAggregationFactory
  | tff.aggregators.WeightedAggregationFactory
)

# From the type of the model's weights to how they get to the clients.
Broadcast = Callable[[tff.Type], tff.learning.templates.DistributionProcess]


class AlgorithmError(errors.PipelineError):
  """A learning algorithm with something that it does not go with."""


def is_weighted(aggregator: Aggregator) -> bool:
  """Whether an aggregator weights clients by their examples."""
  return isinstance(aggregator, tff.aggregators.WeightedAggregationFactory)


def weighting(aggregator: Aggregator) -> tff.learning.ClientWeighting:
  """Returns the weights of clients' updates: the aggregator's kind decides."""
  if is_weighted(aggregator):
    return tff.learning.ClientWeighting.NUM_EXAMPLES
  return tff.learning.ClientWeighting.UNIFORM


def weighted(
  aggregator: Aggregator,
) -> tff.aggregators.WeightedAggregationFactory:
  """Returns the aggregator as one that is given weights, if only to ignore."""
  if is_weighted(aggregator):
    return aggregator
  return tff.aggregators.as_weighted_aggregator(aggregator)


def metrics_aggregator(secure: bool) -> Callable[..., Any]:
  """Returns how the training metrics are summed."""
  if secure:
    return tff.learning.metrics.secure_sum_then_finalize
  return tff.learning.metrics.sum_then_finalize


def initial_weights(
  model: tff.learning.models.FunctionalModel,
) -> tff.Computation:
  """Builds ( -> M), the model's first weights."""

  @tff.tensorflow.computation
  def weights():
    trainable, non_trainable = model.initial_weights
    return tff.learning.models.ModelWeights(
      tuple(tf.convert_to_tensor(w) for w in trainable),
      tuple(tf.convert_to_tensor(w) for w in non_trainable),
    )

  return weights


def distributor(
  broadcast: Broadcast | None, weights_type: tff.Type
) -> tff.learning.templates.DistributionProcess:
  """Returns how weights get to the clients: as they are if nothing is said."""
  if broadcast is None:
    return tff.learning.templates.build_broadcast_process(weights_type)
  return broadcast(weights_type)


def of_model(
  broadcast: Broadcast | None, model: tff.learning.models.FunctionalModel
) -> tff.learning.templates.DistributionProcess | None:
  """Returns how a model's weights get to the clients; None: as they are."""
  if broadcast is None:
    return None
  return broadcast(initial_weights(model).type_signature.result)


def compose(
  model: tff.learning.models.FunctionalModel,
  work: tff.learning.templates.ClientWorkProcess,
  aggregator: Aggregator,
  server_optimizer: tff.learning.optimizers.Optimizer,
  broadcast: Broadcast | None = None,
) -> tff.learning.templates.LearningProcess:
  """Composes what TFF's federated averaging does, around other client work."""
  first = initial_weights(model)
  weights = first.type_signature.result
  templates = tff.learning.templates
  update = work.next.type_signature.result.result.member.update
  return templates.compose_learning_process(
    first,
    distributor(broadcast, weights),
    work,
    weighted(aggregator).create(update, tff.TensorType(np.float32)),
    templates.build_apply_optimizer_finalizer(server_optimizer, weights),
  )


def compose_training(
  model: tff.learning.models.FunctionalModel,
  train: scheduled_work.Train,
  aggregator: Aggregator,
  *,
  client_optimizer: tff.learning.optimizers.Optimizer,
  server_optimizer: tff.learning.optimizers.Optimizer,
  client_schedule: schedules.Schedule | None,
  server_schedule: schedules.Schedule | None,
  secure_metrics: bool,
  broadcast: Broadcast | None = None,
) -> tff.learning.templates.LearningProcess:
  """Composes what `compose` does, around clients that train in their own way.

  Args:
    model: The model.
    train: What clients do at the rate of the round.
    aggregator: Of what they send.
    client_optimizer: The clients', at its own rate without a schedule.
    server_optimizer: The server's, likewise.
    client_schedule: The clients' rate by round.
    server_schedule: The server's.
    secure_metrics: Whether training metrics are secure sums.
    broadcast: How weights get to the clients.
  """
  work = scheduled_work.build(
    model,
    client_optimizer,
    schedules.at_clients(client_optimizer, client_schedule),
    train,
    metrics_aggregator(secure_metrics),
    subspace_training.of_aggregator(aggregator, client_optimizer),
  )
  return compose(
    model,
    work,
    aggregator,
    schedules.at_server(server_optimizer, server_schedule),
    broadcast,
  )


def sends_beside(updates_up: float, weights_down: float) -> tff.Computation:
  """Builds ( -> measurements), of an algorithm that sends more than others.

  Args:
    updates_up: Messages a client sends that are like its update, beside that.
    weights_down: Broadcasts like that of the trained weights, beside that.
  """

  @tff.tensorflow.computation
  def measured():
    return collections.OrderedDict(
      updates_up=tf.constant(float(updates_up)),
      weights_down=tf.constant(float(weights_down)),
    )

  return measured


def measured_beside(
  process: tff.learning.templates.LearningProcess, beside: tff.Computation
) -> tff.learning.templates.LearningProcess:
  """Returns a process whose metrics have `beside`, constants of its rounds."""
  state_type, data_type = process.next.type_signature.parameter
  output = process.next.type_signature.result

  @tff.tensorflow.computation(output.metrics.member)
  def with_beside(metrics):
    return collections.OrderedDict(metrics, beside=beside())

  @tff.federated_computation(state_type, data_type)
  def next_fn(state, data):
    found = process.next(state, data)
    return tff.learning.templates.LearningProcessOutput(
      found.state, tff.federated_map(with_beside, found.metrics)
    )

  return tff.learning.templates.LearningProcess(
    process.initialize,
    next_fn,
    process.get_model_weights,
    process.set_model_weights,
  )


def refuse_secure(algorithm: str, what: str, secure_metrics: bool) -> None:
  """Refuses secure sums beside something that is summed in the clear.

  Raises:
    AlgorithmError: If there are any.
  """
  if secure_metrics:
    raise AlgorithmError(
      f'Expected no secure sums with {algorithm}, which {what} in the clear, '
      'found some; take an aggregator that sums in the clear, or federated '
      'averaging.'
    )
