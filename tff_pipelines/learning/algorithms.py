"""Learning algorithms by name: a row here is a choice of `--algorithm`."""

from collections.abc import Callable
import dataclasses

import tensorflow_federated as tff

from tff_pipelines.learning import fed_avg, fed_sgd


@dataclasses.dataclass(frozen=True)
class Algorithm:
  """A row of the registry.

  Attributes:
    description: One line for `--help`.
    build: From a model, `server_optimizer`, `server_schedule`, `aggregator` and
      `secure_metrics` to the learning process; where clients train, from
      `client_optimizer` and `client_schedule`, too.
    clients_train: Whether clients take steps of their own, with an optimizer.
  """

  description: str
  build: Callable[..., tff.learning.templates.LearningProcess]
  clients_train: bool = True


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
}
