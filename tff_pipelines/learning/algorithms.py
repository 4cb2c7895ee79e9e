"""Learning algorithms by name: a row here is a choice of `--algorithm`."""

from collections.abc import Callable
import dataclasses

import tensorflow_federated as tff

from tff_pipelines.learning import (
  client_states,
  error_feedback,
  fed_avg,
  fed_nova,
  fed_prox,
  fed_sgd,
  mime_lite,
  q_fed_avg,
  scaffold,
)


@dataclasses.dataclass(frozen=True)
class Algorithm:
  """A row of the registry.

  Attributes:
    description: One line for `--help`.
    build: From a model, `server_optimizer`, `server_schedule`, `aggregator` and
      `secure_metrics` to the learning process; where clients train, from
      `client_optimizer` and `client_schedule`, too, and what `settings` names.
      Where clients keep states, from `population_size` and `max_clients`, too,
      to a `client_states.ClientStateProcess`.
    clients_train: Whether clients take steps of their own, with an optimizer.
    settings: What else it needs to know, numbers by name.
    beside_updates: What clients send beside the updates, as messages call it.
    beside_in_the_clear: Whether that is summed in the clear, whatever the
      aggregator of the updates does.
    keeps_client_states: Whether clients keep states between their rounds.
    decodes_each: Whether its server has to decode each update by itself, so
      that there is no secure sum of them.
  """

  description: str
  build: Callable[
    ...,
    tff.learning.templates.LearningProcess | client_states.ClientStateProcess,
  ]
  clients_train: bool = True
  settings: tuple[str, ...] = ()
  beside_updates: str = ''
  beside_in_the_clear: bool = False
  keeps_client_states: bool = False
  decodes_each: bool = False


ALGORITHMS: dict[str, Algorithm] = {
  'fed_avg': Algorithm(
    'clients train, the server averages what they have changed',
    fed_avg.build,
  ),
  'fed_sgd': Algorithm(
    "clients send the gradient of all their examples at the server's model",
    fed_sgd.build,
    clients_train=False,
  ),
  'fed_prox': Algorithm(
    'as fed_avg, and clients are pulled back to the model they have received',
    fed_prox.build,
    settings=('proximal_strength',),
  ),
  'fed_nova': Algorithm(
    'as fed_avg, and updates count by the step: long trainings pull no more',
    fed_nova.build,
    beside_updates='their numbers of steps',
    beside_in_the_clear=True,
  ),
  'mime_lite': Algorithm(
    "clients step with the optimizer's state of the server, and send their "
    'gradients for it',
    mime_lite.build,
    beside_updates='their gradients',
  ),
  'q_fed_avg': Algorithm(
    'clients with a high loss count for more, so that losses are more alike',
    q_fed_avg.build,
    settings=('fairness_q',),
    beside_updates='the curvatures of their losses',
    beside_in_the_clear=True,
  ),
  'scaffold': Algorithm(
    'clients correct their gradients by how they differ from those of others, '
    'which they keep from round to round',
    scaffold.build,
    beside_updates='their controls',
    beside_in_the_clear=True,
    keeps_client_states=True,
  ),
  'error_feedback': Algorithm(
    'as fed_avg, and what the code of an update loses is kept by its client '
    'and added to its next one; for aggregators whose updates travel encoded',
    error_feedback.build,
    keeps_client_states=True,
    decodes_each=True,
  ),
}
