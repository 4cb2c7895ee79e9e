"""Flags of the learning algorithm: which, with which optimizers."""

from collections.abc import Callable, Sequence
import functools
from typing import Any

from absl import flags

from tff_pipelines.aggregators import (
  composition,
  compressed_broadcast,
  registry,
)
from tff_pipelines.cli import (
  compression_flags,
  flag_groups,
  private_aggregators,
  training_flags,
)
from tff_pipelines.core import seeds
from tff_pipelines.learning import algorithms, client_states
from tff_pipelines.numerics import quantization
from tff_pipelines.programs import training

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
    self._broadcast_bits = self.define(
      'broadcast_bits',
      0,
      'bits in which each weight is broadcast, 1 to 8, rotated and rounded at '
      'random; fewer than 4 blur the model; 0 broadcasts weights as they are',
    )

  def check(self) -> None:
    """Refuses flags without effect, and aggregators that do not go with it.

    Raises:
      FlagError: Naming what does not fit.
      CodeError: If weights cannot be broadcast in so many bits.
    """
    super().check()
    if self._broadcast_bits.value:
      self._broadcast_code()
    self._check_aggregators()
    self._check_codes()
    self._check_systems()
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

  def _check_codes(self) -> None:
    """Refuses aggregators of which no client knows what they lose."""
    if not self._chosen.decodes_each or 'aggregator' not in flags.FLAGS:
      return
    for name in flags.FLAGS['aggregator'].value:
      if name not in compression_flags.ENCODED:
        raise flag_groups.FlagError(
          'Expected an --aggregator out of '
          f'{", ".join(compression_flags.ENCODED)} with '
          f'--algorithm={self._name.value}, whose clients keep what the codes '
          f'of their updates lose, found --aggregator={name}, which has none '
          'or adds them up; take --aggregator=top_k.'
        )

  def _check_systems(self) -> None:
    """Refuses a system that there cannot be, if it was asked for by name."""
    if not self.unavailable or not flags.FLAGS['system'].present:
      return
    if self._has_system('secure_federated'):
      who, what = self._reason_against_secure_sums() or ('', '')
      raise flag_groups.FlagError(
        'Expected no secure_federated among the --system with '
        f'--algorithm={self._name.value}, whose {who} {what}, found '
        f'--system={",".join(flags.FLAGS["system"].value)}; leave it out.'
      )

  def of_program(
    self, program: training.TrainingProgram, client_ids: Sequence[str]
  ) -> Callable[..., Any]:
    """Returns `build` for a training program on the clients of these names."""
    return self.build(
      program.rounds,
      client_ids=client_ids,
      max_clients=program.participation.max_clients_per_round,
      seed=program.seed,
    )

  def build(
    self,
    rounds: int,
    *,
    client_ids: Sequence[str] | None = None,
    max_clients: int | None = None,
    seed: int = 0,
  ) -> Callable[..., Any]:
    """Returns what builds the learning process, optimizers bound.

    Args:
      rounds: The last round, to which schedules extend by default.
      client_ids: The names of the population, for algorithms whose clients keep
        states; the simulation keeps them.
      max_clients: The largest cohort, for these.
      seed: The run's seed, of the rounding of what is broadcast.

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
    if self._broadcast_bits.value:
      bound['broadcast'] = functools.partial(
        compressed_broadcast.build,
        code=self._broadcast_code(),
        seed=seeds.derive(seed, 'broadcast') % 2**63,
      )
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
  def unavailable(self) -> dict[str, str]:
    """Systems that the algorithm cannot be of, and why."""
    reason = self._reason_against_secure_sums()
    if not reason or 'system' not in flags.FLAGS:
      return {}
    who, what = reason
    return {'secure_federated': f'{who} of {self._name.value} {what}'}

  @property
  def is_plain(self) -> bool:
    """Whether clients train as in fed_avg at one rate, and send no more."""
    return self._name.value == 'fed_avg' and not self._client.schedule_flags()

  def _reason_against_secure_sums(self) -> tuple[str, str] | None:
    """Returns who of the algorithm does what that they would hide."""
    row = self._chosen
    if row.beside_in_the_clear:
      return 'clients', f'send {row.beside_updates}, too, in the clear'
    if row.decodes_each:
      return 'server', 'decodes each update by itself'
    return None

  def _broadcast_code(self) -> quantization.Quantization:
    return quantization.Quantization(self._broadcast_bits.value)

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
