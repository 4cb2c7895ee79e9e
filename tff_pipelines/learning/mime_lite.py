"""MimeLite: clients step with the server's statistics of the gradients."""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import composition, schedules


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
  """Builds MimeLite.

  The state of the clients' optimizer (momentum, say) is the server's: clients
  step with it as it is, and send, beside what they have trained, the gradient
  over all their examples at the received model, with whose mean the server
  updates it. The server's optimizer applies the mean update, plain SGD of rate
  1 in the paper. Where the clients' optimizer has no state, plain SGD, it is
  federated averaging.

  Type: as that of `fed_avg.build`; S.client_work holds the optimizer's state
  and that of the aggregation of gradients.

  Gradients go through an aggregation like that of the updates, of its own.
  Twice as much is sent as in federated averaging, and the optimizer's state is
  broadcast: M has `beside`.

  Privacy: two releases of the aggregator a round, not one.

  Reference: Karimireddy et al. 2020, "Mime: Mimicking Centralized Stochastic
  Algorithms in Federated Learning", algorithm 1, MimeLite. Deviation: TFF's
  momentum adds gradients up, where the paper's takes their mean.
  """
  common = {
    'server_optimizer': schedules.at_server(server_optimizer, server_schedule),
    'model_distributor': composition.of_model(broadcast, model),
    'client_weighting': composition.weighting(aggregator),
    'model_aggregator': composition.weighted(aggregator),
    'full_gradient_aggregator': composition.weighted(aggregator),
    'metrics_aggregator': composition.metrics_aggregator(secure_metrics),
  }
  if client_schedule is None:
    process = tff.learning.algorithms.build_weighted_mime_lite(
      model, client_optimizer, **common
    )
  else:
    process = tff.learning.algorithms.build_mime_lite_with_optimizer_schedule(
      model, client_schedule.rate, client_optimizer, **common
    )
  return composition.measured_beside(
    process,
    composition.sends_beside(
      updates_up=1, weights_down=_state_share(client_optimizer, model)
    ),
  )


def _state_share(
  optimizer: tff.learning.optimizers.Optimizer,
  model: tff.learning.models.FunctionalModel,
) -> float:
  """Returns the numbers of an optimizer's state over those of the weights."""
  trainable = model.initial_weights[0]
  specs = tuple(tf.TensorSpec(np.shape(w), np.float32) for w in trainable)
  state = optimizer.initialize(specs)
  # Without its rates, which have no shape.
  sizes = [np.size(a) for a in tf.nest.flatten(state) if np.ndim(a)]
  return sum(sizes) / sum(np.size(w) for w in trainable)
