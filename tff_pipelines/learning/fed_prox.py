"""FedProx: clients are pulled back to the model that they have received."""

import math

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import (
  composition,
  scheduled_work,
  schedules,
  shifted_gradients,
)


def build(
  model: tff.learning.models.FunctionalModel,
  *,
  client_optimizer: tff.learning.optimizers.Optimizer,
  server_optimizer: tff.learning.optimizers.Optimizer,
  aggregator: composition.Aggregator,
  proximal_strength: float,
  client_schedule: schedules.Schedule | None = None,
  server_schedule: schedules.Schedule | None = None,
  secure_metrics: bool = False,
  broadcast: composition.Broadcast | None = None,
) -> tff.learning.templates.LearningProcess:
  """Builds FedProx.

  Clients minimize F_k(w) + mu/2 ||w - w_t||^2 with w_t the received weights
  and mu the `proximal_strength`: mu (w - w_t) is added to every gradient. With
  mu = 0 it is federated averaging.

  Type: as that of `fed_avg.build` with a schedule.

  Privacy: as `fed_avg.build`.

  Reference: Li et al. 2020, "Federated Optimization in Heterogeneous Networks",
  equation 2 and algorithm 2. Deviation: weights follow the aggregator, as in
  `fed_avg.build`; the paper samples clients by their examples and weights
  alike.

  Raises:
    AlgorithmError: If the strength is below 0.
  """
  if not (proximal_strength >= 0 and math.isfinite(proximal_strength)):
    raise composition.AlgorithmError(
      'Expected a proximal_strength of at least 0 and finite, found '
      f'{proximal_strength}.'
    )
  plain = scheduled_work.plain_training(
    model, composition.weighting(aggregator)
  )

  def train(optimizer, rate, weights, batches):
    def pull(trainable):
      return tf.nest.map_structure(
        lambda w, received: proximal_strength * (w - received),
        trainable,
        weights.trainable,
      )

    pulled = shifted_gradients.ShiftedGradients(optimizer, pull)
    return plain(pulled, rate, weights, batches)

  return composition.compose_training(
    model,
    train,
    aggregator,
    client_optimizer=client_optimizer,
    server_optimizer=server_optimizer,
    client_schedule=client_schedule,
    server_schedule=server_schedule,
    secure_metrics=secure_metrics,
    broadcast=broadcast,
  )
