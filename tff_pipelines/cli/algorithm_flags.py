"""Flags of the learning algorithm: which, with which optimizers."""

from collections.abc import Callable, Sequence
import functools
from typing import Any

from absl import flags

from tff_pipelines.aggregators import composition, registry
from tff_pipelines.cli import (
  flag_groups,
  private_aggregators,
  training_flags,
)
from tff_pipelines.learning import algorithms, client_states

# Of the training program, what clients do with steps of their own.
_OF_CLIENT_STEPS = ('client_epochs', 'client_steps')
# Systems that train with the clients' optimizer, whatever the algorithm.
_BASELINES = ('central', 'local')
# The default and the help of what some algorithms have to know.
_SETTINGS: dict[str, tuple[float, str]] = {
  'proximal_strength': (
    0.01,
    'how strongly clients are pulled back, mu of the paper, from 0, which is '
    'fed_avg',
  ),
  'fairness_q': (
    1.0,
    'how much more clients with a high loss count, q of the paper, from 0, '
    'which is fed_avg',
  ),
}
# Of aggregators that what is sent in the clear beside the updates goes with.
_IN_THE_CLEAR = frozenset(
  {
    composition.Kind.WEIGHT,
    composition.Kind.ZERO,
    composition.Kind.CLIP_NORM,
    composition.Kind.CLIP_COORDINATES,
    composition.Kind.PLAIN_SUM,
  }
)


class AlgorithmFlags(flag_groups.FlagGroup):
  """`--algorithm` and what single ones have to know."""

  def __init__(
    self,
    client: training_flags.OptimizerFlags,
    server: training_flags.OptimizerFlags,
    default: str = 'fed_avg',
  ):
    """Declares the flags.

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
    self._settings = {
      name: self.define(
        name, value, text, only_with=('algorithm', _algorithms_with(name))
      )
      for name, (value, text) in _SETTINGS.items()
    }

  def check(self) -> None:
    """Refuses flags without effect, and aggregators that do not go with it.

    Raises:
      FlagError: Naming what does not fit.
    """
    super().check()
    self._check_aggregators()
    self._check_client_steps()

  def _check_client_steps(self) -> None:
    """Refuses flags about steps of clients who take none."""
    if self._chosen.clients_train:
      return
    useless = [
      name
      for name in _OF_CLIENT_STEPS
      if name in flags.FLAGS and flags.FLAGS[name].present
    ]
    useless += self._client.schedule_flags()
    if not self._has_system(*_BASELINES):
      useless += self._client.given_flags()
    if useless:
      raise flag_groups.FlagError(
        f'Expected --{self._name.name}=fed_avg where --{useless[0]} is given, '
        f'found --{self._name.name}={self._name.value}, whose clients take no '
        'steps of their own, so that it has no effect; remove one of them.'
      )

  def _check_aggregators(self) -> None:
    """Refuses those that do not protect what is sent beside the updates."""
    row = self._chosen
    if not row.beside_updates or 'aggregator' not in flags.FLAGS:
      return
    for name in flags.FLAGS['aggregator'].value:
      if name in private_aggregators.PRIVATE_AGGREGATORS:
        raise flag_groups.FlagError(
          'Expected no private aggregator with '
          f'--algorithm={self._name.value}, whose clients send '
          f'{row.beside_updates}, too, which no guarantee counts, found '
          f'--aggregator={name}; take fed_avg.'
        )
      stack = (
        registry.AGGREGATORS[name].stack if name in registry.AGGREGATORS else ()
      )
      others = [
        str(layer) for layer in stack if layer.kind not in _IN_THE_CLEAR
      ]
      if row.beside_in_the_clear and others:
        raise flag_groups.FlagError(
          'Expected a mean in the clear with '
          f'--algorithm={self._name.value}, whose clients send '
          f'{row.beside_updates}, too, which {others[0]} does not protect, '
          f'found --aggregator={name}; take fed_avg, or --aggregator=mean.'
        )
    if row.beside_in_the_clear and self._has_system('secure_federated'):
      raise flag_groups.FlagError(
        'Expected no secure_federated among the --system with '
        f'--algorithm={self._name.value}, whose clients send '
        f'{row.beside_updates}, too, in the clear, found '
        f'--system={",".join(flags.FLAGS["system"].value)}; leave it out.'
      )

  def build(
    self,
    rounds: int,
    *,
    client_ids: Sequence[str] | None = None,
    max_clients: int | None = None,
  ) -> Callable[..., Any]:
    """Returns what builds the learning process, optimizers bound.

    Args:
      rounds: The last round, to which schedules extend by default.
      client_ids: The names of the population, for algorithms whose clients keep
        states; the simulation keeps them.
      max_clients: The largest cohort, for these.

    Returns:
      From a model, `aggregator` and `secure_metrics` to the process.

    Raises:
      FlagError: If clients keep states and nothing is known of them.
    """
    bound: dict[str, Any] = {
      'server_optimizer': self._server.get().build(),
      'server_schedule': self._server.schedule(rounds),
    }
    if self._chosen.clients_train:
      bound['client_optimizer'] = self._client.get().build()
      bound['client_schedule'] = self._client.schedule(rounds)
    bound |= {
      name: self._settings[name].value for name in self._chosen.settings
    }
    if not self._chosen.keeps_client_states:
      return functools.partial(self._chosen.build, **bound)
    if client_ids is None or max_clients is None:
      raise flag_groups.FlagError(
        'Expected an algorithm whose clients keep nothing between rounds, as '
        f'nothing here would keep it, found --algorithm={self._name.value}; '
        'take fed_avg.'
      )
    return functools.partial(
      _simulated,
      client_ids,
      functools.partial(
        self._chosen.build,
        population_size=len(client_ids),
        max_clients=max_clients,
        **bound,
      ),
    )

  @property
  def _chosen(self) -> algorithms.Algorithm:
    return algorithms.ALGORITHMS[self._name.value]

  def _has_system(self, *names: str) -> bool:
    """Whether one of these systems is to be trained."""
    if 'system' not in flags.FLAGS:
      return False
    return any(name in flags.FLAGS['system'].value for name in names)


def _algorithms_with(setting: str) -> tuple[str, ...]:
  return tuple(
    name
    for name, row in algorithms.ALGORITHMS.items()
    if setting in row.settings
  )


def _simulated(
  client_ids: Sequence[str],
  build: Callable[..., client_states.ClientStateProcess],
  *args: Any,
  **kwargs: Any,
) -> client_states.Simulation:
  return client_states.Simulation(build(*args, **kwargs), client_ids)
