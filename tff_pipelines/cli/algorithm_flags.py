"""Flags of the learning algorithm: which, with which optimizers."""

from collections.abc import Callable
import functools
from typing import Any

from absl import flags

from tff_pipelines.cli import flag_groups, training_flags
from tff_pipelines.learning import algorithms

# Of the training program, what clients do with steps of their own.
_OF_CLIENT_STEPS = ('client_epochs', 'client_steps')
# Systems that train with the clients' optimizer, whatever the algorithm.
_BASELINES = ('central', 'local')


class AlgorithmFlags(flag_groups.FlagGroup):
  """`--algorithm`."""

  def __init__(
    self,
    client: training_flags.OptimizerFlags,
    server: training_flags.OptimizerFlags,
    default: str = 'fed_avg',
  ):
    """Declares the flag.

    Args:
      client: The optimizer of the clients.
      server: That of the server.
      default: The algorithm if the flag does not say.
    """
    super().__init__('The learning algorithm')
    self._client, self._server = client, server
    described = '; '.join(
      f'{name}: {row.description}'
      for name, row in algorithms.ALGORITHMS.items()
    )
    self._name = self.define(
      'algorithm', default, described, choices=tuple(algorithms.ALGORITHMS)
    )

  def check(self) -> None:
    """Refuses flags about steps of clients who take none."""
    super().check()
    if self._chosen.clients_train:
      return
    useless = [
      name
      for name in _OF_CLIENT_STEPS
      if name in flags.FLAGS and flags.FLAGS[name].present
    ]
    useless += self._client.schedule_flags()
    if not self._has_baselines():
      useless += self._client.given_flags()
    if useless:
      raise flag_groups.FlagError(
        f'Expected --{self._name.name}=fed_avg where --{useless[0]} is given, '
        f'found --{self._name.name}={self._name.value}, whose clients take no '
        'steps of their own, so that it has no effect; remove one of them.'
      )

  def build(self, rounds: int) -> Callable[..., Any]:
    """Returns what builds the learning process, optimizers bound.

    Args:
      rounds: The last round, to which schedules extend by default.

    Returns:
      From a model, `aggregator` and `secure_metrics` to the process.
    """
    bound: dict[str, Any] = {
      'server_optimizer': self._server.get().build(),
      'server_schedule': self._server.schedule(rounds),
    }
    if self._chosen.clients_train:
      bound['client_optimizer'] = self._client.get().build()
      bound['client_schedule'] = self._client.schedule(rounds)
    return functools.partial(self._chosen.build, **bound)

  @property
  def _chosen(self) -> algorithms.Algorithm:
    return algorithms.ALGORITHMS[self._name.value]

  def _has_baselines(self) -> bool:
    """Whether another system trains with the clients' optimizer."""
    if 'system' not in flags.FLAGS:
      return False
    return any(name in flags.FLAGS['system'].value for name in _BASELINES)
