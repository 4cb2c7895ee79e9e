"""FedNova: updates count per step, so that long trainings do not pull more."""

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import (
  composition,
  optimizers,
  scaled_mean,
  scheduled_work,
  schedules,
)


def build(
  model: tff.learning.models.FunctionalModel,
  *,
  client_optimizer: tff.learning.optimizers.Optimizer,
  server_optimizer: tff.learning.optimizers.Optimizer,
  aggregator: composition.Aggregator,
  client_schedule: schedules.Schedule | None = None,
  server_schedule: schedules.Schedule | None = None,
  secure_metrics: bool = False,
  broadcast: composition.Broadcast | None = None,
) -> tff.learning.templates.LearningProcess:
  """Builds federated averaging with normalized updates.

  A client's update is divided by ||a_k||_1, how much its gradients count in it
  together: its number of steps tau_k for plain SGD, and with momentum rho
    (tau_k - rho (1 - rho^tau_k) / (1 - rho)) / (1 - rho).
  The aggregate is multiplied by the effective number of steps, the mean of
  these over the clients that took any, weighted as the updates. Where all take
  the same number it is federated averaging.

  Type: as that of `fed_avg.build` with a schedule.

  Measurements: M.aggregator has `effective_steps` beside the aggregator's own.

  Privacy: none beyond the aggregator's, and the mean number of steps is in the
  clear.

  Reference: Wang et al. 2020, "Tackling the Objective Inconsistency Problem in
  Heterogeneous Federated Optimization", equation 8, section 4 for momentum;
  tau_eff as the sum of p_k ||a_k||_1.

  Raises:
    AlgorithmError: With secure sums.
    OptimizerError: If the clients' optimizer is not SGD, with or without
      momentum.
  """
  composition.refuse_secure(
    'fed_nova', "averages the clients' numbers of steps", secure_metrics
  )
  momentum = optimizers.sgd_momentum(client_optimizer, 'fed_nova')
  plain = scheduled_work.plain_training(
    model, composition.weighting(aggregator)
  )
  by_examples = composition.is_weighted(aggregator)

  def train(optimizer, rate, weights, batches):
    result, metrics = plain(optimizer, rate, weights, batches)
    steps = batches.reduce(tf.constant(0.0), lambda n, _: n + 1.0)
    total = _gradient_share(steps, momentum)
    took_steps = tf.cast(steps > 0.0, tf.float32)
    scaled = scaled_mean.Scaled(
      update=tf.nest.map_structure(
        lambda u: tf.math.divide_no_nan(u, tf.cast(total, u.dtype)),
        result.update,
      ),
      number=total,
      number_weight=result.update_weight if by_examples else took_steps,
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
      lambda update, steps: update * tf.cast(steps, update.dtype),
      'effective_steps',
    ),
    client_optimizer=client_optimizer,
    server_optimizer=server_optimizer,
    client_schedule=client_schedule,
    server_schedule=server_schedule,
    secure_metrics=secure_metrics,
    broadcast=broadcast,
  )


def _gradient_share(steps: tf.Tensor, momentum: float) -> tf.Tensor:
  """||a||_1, float32[], of so many steps."""
  if not momentum:
    return steps
  rest = 1.0 - momentum
  return (steps - momentum * (1.0 - tf.pow(momentum, steps)) / rest) / rest
