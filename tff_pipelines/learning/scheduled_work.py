"""Client work at a learning rate of the round."""

import collections
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import (
  _tff_internals,
  evaluation,
  schedules,
  subspace_training,
)

# What a client does: from the optimizer at the round's rate, that rate,
# float32[], the received weights and the client's batches to
# (`tff.learning.templates.ClientResult`, state of the model's metrics).
Train = Callable[
  [
    tff.learning.optimizers.Optimizer,
    tf.Tensor,
    tff.learning.models.ModelWeights,
    tf.data.Dataset,
  ],
  tuple[Any, Any],
]


def plain_training(
  model: tff.learning.models.FunctionalModel,
  client_weighting: tff.learning.ClientWeighting,
) -> Train:
  """Returns what clients do in federated averaging; it is TFF's own."""
  update = _tff_internals.client_update(model, client_weighting)

  def train(optimizer, rate, weights, batches):
    del rate  # The optimizer has it.
    return update(
      optimizer, (weights.trainable, weights.non_trainable), batches
    )

  return train


def build(
  model: tff.learning.models.FunctionalModel,
  optimizer: tff.learning.optimizers.Optimizer,
  schedule: schedules.Schedule,
  train: Train,
  metrics_aggregator: Callable[..., Any],
  subspaces: subspace_training.Subspaces | None = None,
) -> tff.learning.templates.ClientWorkProcess:
  """Builds the client work.

  For batches B and weights M of the model:
    initialize: ( -> int32@SERVER), the rounds done
    next:       (<int32@SERVER, {M}@CLIENTS, {B*}@CLIENTS> ->
                <state=int32@SERVER, result={ClientResult}@CLIENTS,
                measurements=<train=metrics, client_learning_rate=float32>>)

  All clients of a round train at one rate, which the server sends them.

  Args:
    model: The model.
    optimizer: The clients' optimizer, whose own rate is not used.
    schedule: The rate of each round.
    train: What clients do with it.
    metrics_aggregator: From the model's finalizer to the aggregation.
    subspaces: Where clients train, if not freely; the update in ClientResult is
      then what these send of it.
  """
  weights_type = evaluation.weights_type(model)
  data = tff.SequenceType(tff.types.tensorflow_to_type(model.input_spec))

  @tff.federated_computation
  def initialize():
    return tff.federated_value(0, tff.SERVER)

  rate_of = schedule.build_rate()
  one_more = schedules.build_counter()

  @tff.tensorflow.computation(weights_type, data, np.float32, np.int32)
  def train_client(weights, batches, rate, rounds_done):
    at_rate = schedules.FixedRate(optimizer, rate)
    if subspaces is None:
      return train(at_rate, rate, weights, batches)
    inside = subspace_training.Inside(
      subspaces, weights.trainable, batches, rounds_done
    )
    result, metrics = train(inside.optimizer(at_rate), rate, weights, batches)
    return inside.sent(result), metrics

  aggregate = metrics_aggregator(model.finalize_metrics)

  @tff.federated_computation(
    tff.FederatedType(np.int32, tff.SERVER),
    tff.FederatedType(weights_type, tff.CLIENTS),
    tff.FederatedType(data, tff.CLIENTS),
  )
  def next_fn(rounds_done, weights, batches):
    rate = tff.federated_map(rate_of, rounds_done)
    result, metrics = tff.federated_map(
      train_client,
      (
        weights,
        batches,
        tff.federated_broadcast(rate),
        tff.federated_broadcast(rounds_done),
      ),
    )
    return tff.templates.MeasuredProcessOutput(
      tff.federated_map(one_more, rounds_done),
      result,
      tff.federated_zip(
        collections.OrderedDict(
          train=aggregate(metrics), client_learning_rate=rate
        )
      ),
    )

  return tff.learning.templates.ClientWorkProcess(initialize, next_fn)
