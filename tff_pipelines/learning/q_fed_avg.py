"""q-FedAvg: clients with a high loss count for more."""

from collections.abc import Mapping
import math
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import (
  composition,
  scaled_mean,
  scheduled_work,
  schedules,
)

# So that powers of a loss of 0, and those below 0, are finite.
_LEAST_LOSS = 1e-10


def build(
  model: tff.learning.models.FunctionalModel,
  *,
  client_optimizer: tff.learning.optimizers.Optimizer,
  server_optimizer: tff.learning.optimizers.Optimizer,
  aggregator: composition.Aggregator,
  fairness_q: float,
  client_schedule: schedules.Schedule | None = None,
  server_schedule: schedules.Schedule | None = None,
  secure_metrics: bool = False,
  broadcast: composition.Broadcast | None = None,
) -> tff.learning.templates.LearningProcess:
  """Builds q-FedAvg, which minimizes the sum of p_k F_k^(q+1) / (q + 1).

  A client with loss F at the received weights w (mean over its examples) that
  trains to w_k sends, with L = 1 / (the clients' learning rate),
    F^q L (w - w_k)   and   h_k = q F^(q-1) ||L (w - w_k)||^2 + L F^q,
  and the server's update is the mean of the first over that of the second. With
  q = 0 it is federated averaging; the larger q, the more alike the losses.

  A weighted aggregator weights both by examples, p_k = n_k / n, an unweighted
  one weights them alike: that, with clients sampled by their examples, is the
  paper's.

  Type: as that of `fed_avg.build` with a schedule.

  Measurements: M.aggregator has `curvature`, the mean of the h_k, beside the
  aggregator's own.

  Privacy: none beyond the aggregator's, and the mean of the h_k is in the
  clear.

  Reference: Li et al. 2020, "Fair Resource Allocation in Federated Learning",
  algorithm 2. Deviation: losses are at least 1e-10; of a schedule, L is that of
  the round.

  Raises:
    AlgorithmError: If q is below 0, or with secure sums.
  """
  composition.refuse_secure(
    'q_fed_avg', "averages the clients' curvatures", secure_metrics
  )
  if not (fairness_q >= 0 and math.isfinite(fairness_q)):
    raise composition.AlgorithmError(
      f'Expected a fairness_q of at least 0 and finite, found {fairness_q}.'
    )
  plain = scheduled_work.plain_training(
    model, composition.weighting(aggregator)
  )

  def train(optimizer, rate, weights, batches):
    result, metrics = plain(optimizer, rate, weights, batches)
    loss = tf.maximum(_mean_loss(model, weights, batches), _LEAST_LOSS)
    # A loss that is not finite would be NaN times a weight of 0.
    counts = tf.math.is_finite(loss) & (result.update_weight > 0.0)
    loss = tf.where(counts, loss, 1.0)
    # TFF's update points down: received minus trained weights.
    step = tf.nest.map_structure(
      lambda u: u / tf.cast(rate, u.dtype), result.update
    )
    share = tf.pow(loss, fairness_q)
    curvature = share / rate
    if fairness_q:
      curvature += (
        fairness_q * tf.pow(loss, fairness_q - 1.0) * _squared_norm(step)
      )
    scaled = scaled_mean.Scaled(
      update=tf.nest.map_structure(lambda s: s * tf.cast(share, s.dtype), step),
      number=tf.where(counts, curvature, 0.0),
      number_weight=result.update_weight,
    )
    return (
      tff.learning.templates.ClientResult(scaled, result.update_weight),
      metrics,
    )

  return composition.compose_training(
    model,
    train,
    scaled_mean.ScaledMeanFactory(
      composition.weighted(aggregator),
      lambda update, curvature: tf.math.divide_no_nan(
        update, tf.cast(curvature, update.dtype)
      ),
      'curvature',
    ),
    client_optimizer=client_optimizer,
    server_optimizer=server_optimizer,
    client_schedule=client_schedule,
    server_schedule=server_schedule,
    secure_metrics=secure_metrics,
    broadcast=broadcast,
  )


def _mean_loss(
  model: tff.learning.models.FunctionalModel,
  weights: tff.learning.models.ModelWeights,
  batches: tf.data.Dataset,
) -> tf.Tensor:
  """The mean of the batches' losses weighted by examples, 0 of none."""

  @tf.function
  def add(state, batch):
    total, count = state
    is_named = isinstance(batch, Mapping)
    x, y = (batch['x'], batch['y']) if is_named else batch
    output = model.predict_on_batch(
      (weights.trainable, weights.non_trainable), x, training=False
    )
    examples = tf.cast(tf.shape(tf.nest.flatten(output)[0])[0], tf.float32)
    loss = model.loss(output=output, label=y)
    return total + examples * tf.cast(loss, tf.float32), count + examples

  total, count = batches.reduce((tf.constant(0.0), tf.constant(0.0)), add)
  return tf.math.divide_no_nan(total, count)


def _squared_norm(structure: Any) -> tf.Tensor:
  return tf.add_n(
    [
      tf.reduce_sum(tf.square(tf.cast(t, tf.float32)))
      for t in tf.nest.flatten(structure)
    ]
  )
