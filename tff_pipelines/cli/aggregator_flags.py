"""Flags of the aggregators: which, and on what terms private ones run."""

from collections.abc import Callable
import functools
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  attackers,
  composition,
  registry,
)
from tff_pipelines.cli import (
  comparison,
  compression_flags,
  flag_groups,
  privacy_promise,
  private_aggregators,
  private_request,
  secure_sum_flags,
)
from tff_pipelines.core import participation as participation_lib
from tff_pipelines.data import fetching
from tff_pipelines.programs import training

_PRIVATE = tuple(private_aggregators.PRIVATE_AGGREGATORS)
_TOLERATING = ('trimmed_mean', 'krum', 'multi_krum')
_SAMPLED = ('dp_fixed', 'dp_adaptive', 'distributed_dp')

# From `aggregator=`, and `secure_metrics=`, to a learning process.
Build = Callable[..., Any]
# From a preferred scheme to the program, which says how cohorts are drawn.
ProgramFor = Callable[
  [participation_lib.Scheme | None], training.TrainingProgram
]


class AggregatorError(flag_groups.FlagError):
  """Aggregators that there are not, or that cannot be private."""


class AggregatorFlags(flag_groups.FlagGroup):
  """`--aggregator` and the terms of privacy."""

  def __init__(self, default: str = 'mean'):
    super().__init__('What the server makes of the updates')
    rows = {
      **{n: row.description for n, row in registry.AGGREGATORS.items()},
      **{
        n: row.description
        for n, row in private_aggregators.PRIVATE_AGGREGATORS.items()
      },
    }
    self._choices = tuple(rows)
    described = '; '.join(f'{n}: {text}' for n, text in rows.items())
    define, private = self.define, ('aggregator', _PRIVATE)
    self._names = define(
      'aggregator',
      [default],
      f'one, or several to compare, of {described}',
    )
    self._epsilon = define(
      'epsilon',
      None,
      'the privacy that all rounds together may spend; noise follows',
      kind=float,
      only_with=private,
    )
    self._noise_multiplier = define(
      'noise_multiplier',
      None,
      'noise stddev over clip norm (Laplace noise: scale), instead of '
      '--epsilon',
      kind=float,
      only_with=private,
    )
    self._delta = define(
      'delta',
      None,
      'of the guarantee; by default population^-1.1',
      kind=float,
      only_with=private,
    )
    self._clip_norm = define(
      'clip_norm',
      None,
      'largest norm of an update, by default 1; of dp_adaptive the first one, '
      'by default 0.1',
      kind=float,
      only_with=private,
    )
    self._secret_cohorts = define(
      'secret_cohorts',
      None,
      'whether who takes part stays secret, so that random cohorts amplify '
      'privacy; by default yes for dp_fixed and dp_adaptive, no for '
      'distributed_dp, whose server knows',
      kind=bool,
      only_with=('aggregator', _SAMPLED),
    )
    self._stop_at_epsilon = define(
      'stop_at_epsilon',
      None,
      'stop before the round that would spend more than this',
      kind=float,
      only_with=private,
    )
    self._allow_weak_privacy = define(
      'allow_weak_privacy',
      False,
      'run settings that protect nobody (epsilon above 20, delta above '
      '1/population) or drown in noise',
      only_with=private,
    )
    self._clip_quantile = define(
      'clip_quantile',
      0.5,
      'share of the updates that the adaptive clip leaves as they are',
      only_with=('aggregator', ('dp_adaptive',)),
    )
    self._clip_learning_rate = define(
      'clip_learning_rate',
      0.2,
      'how fast the adaptive clip follows',
      only_with=('aggregator', ('dp_adaptive',)),
    )
    self._restart_rounds = define(
      'restart_rounds',
      None,
      'rounds after which a new tree begins; by default never',
      kind=int,
      only_with=('aggregator', ('dp_ftrl_tree',)),
    )
    self._num_bands = define(
      'num_bands',
      None,
      'bands of the matrix; by default the rounds until a client comes back',
      kind=int,
      only_with=('aggregator', ('dp_ftrl_banded',)),
    )
    distributed = ('aggregator', ('distributed_dp',))
    self._bits_per_coordinate = define(
      'bits_per_coordinate',
      16,
      'of the secure sum of noisy integers',
      only_with=distributed,
    )
    self._distributed_noise = define(
      'distributed_noise',
      'discrete_gaussian',
      "distribution of the clients' integer noise",
      choices=('discrete_gaussian', 'skellam'),
      only_with=distributed,
    )
    self._local_noise = define(
      'local_noise',
      'gaussian',
      "distribution of a single update's noise",
      choices=('gaussian', 'laplace'),
      only_with=('aggregator', ('local_dp',)),
    )
    self._tolerated_attackers = define(
      'tolerated_attackers',
      None,
      'clients a round that may send anything; by default a quarter of them',
      kind=int,
      only_with=('aggregator', _TOLERATING),
    )
    self._norm_bound = define(
      'norm_bound',
      None,
      "largest norm of an update; by default the median of each round's",
      kind=float,
      only_with=('aggregator', ('norm_bound',)),
    )
    self._compression = compression_flags.CompressionFlags(self)

  @property
  def names(self) -> tuple[str, ...]:
    """The chosen aggregators."""
    return tuple(self._names.value)

  @property
  def is_private(self) -> bool:
    """Whether any of them promises something."""
    return any(name in _PRIVATE for name in self.names)

  def check(self) -> None:
    """Refuses aggregators that there are not, and privacy without a target."""
    names = self.names
    unknown = [name for name in names or ('',) if name not in self._choices]
    if unknown or len(set(names)) < len(names):
      raise AggregatorError(
        f'Expected different aggregators out of {", ".join(self._choices)}, '
        f'found --aggregator={",".join(names)}.'
      )
    asked = [
      flag
      for flag in (self._epsilon, self._noise_multiplier)
      if flag.value is not None
    ]
    if asked and not self.is_private:
      self._refuse_private(asked[0].name)
    super().check()
    if self.is_private and len(asked) != 1:
      raise AggregatorError(
        f'Expected one of --{self._epsilon.name} and '
        f'--{self._noise_multiplier.name} with --aggregator='
        f'{",".join(names)}, found {"both" if asked else "neither"}; nobody '
        'but you can say how much privacy is wanted.'
      )

  def systems(
    self,
    build: Build,
    program_for: ProgramFor,
    model: tff.learning.models.FunctionalModel,
    secure_sums: secure_sum_flags.SecureSumFlags,
  ) -> list[comparison.TrainedSystem]:
    """Returns a system for each aggregator; private ones are calibrated.

    Args:
      build: From `aggregator=` to the learning process.
      program_for: From the scheme that an aggregator prefers, if any, to the
        training program.
      model: What is trained.
      secure_sums: How sums of distributed_dp are protected.

    Raises:
      PipelineError: If one cannot be built, promises next to nothing, or
        learns nothing for its noise.
    """
    found = []
    for name in self.names:
      system = 'federated' if len(self.names) == 1 else name
      if name in _PRIVATE:
        found.append(
          self._private(name, system, build, program_for, model, secure_sums)
        )
        continue
      program = program_for(None)
      factory = self._plain(name, program.participation, program.seed)
      found.append(
        comparison.TrainedSystem(
          system,
          'federated',
          functools.partial(build, aggregator=factory),
          program,
        )
      )
    return found

  def tolerated(self, participation: participation_lib.Participation) -> int:
    """Returns how many attackers a round aggregators are to tolerate."""
    if self._tolerated_attackers.value is not None:
      return self._tolerated_attackers.value
    # Of a random cohort, of the expected one: larger ones tolerate it too.
    return attackers.default_tolerated(participation.clients_per_round)

  @property
  def depends_on_clients(self) -> bool:
    """Whether the one aggregator differs with the size of the cohort."""
    return self.names != ('uniform_mean',)

  def of_cohort(self, num_clients: int) -> registry.Factory:
    """Returns the one aggregator, which promises nothing, of such cohorts.

    Raises:
      AggregatorError: If several were chosen, or one that is private.
    """
    if len(self.names) > 1 or self.is_private:
      raise AggregatorError(
        'Expected one aggregator without a promise of privacy here, found '
        f'--aggregator={",".join(self.names)}.'
      )
    return self._plain(
      self.names[0],
      participation_lib.Participation(num_clients, num_clients, 'everyone'),
      seed=0,
    )

  def _plain(
    self, name: str, participation: participation_lib.Participation, seed: int
  ) -> registry.Factory:
    return registry.build(
      name,
      participation.max_clients_per_round,
      tolerated_attackers=self.tolerated(participation),
      norm_bound=self._norm_bound.value,
      compression=self._compression.choice(name, seed),
    )

  def _private(
    self,
    name: str,
    system: str,
    build: Build,
    program_for: ProgramFor,
    model: tff.learning.models.FunctionalModel,
    secure_sums: secure_sum_flags.SecureSumFlags,
  ) -> comparison.TrainedSystem:
    row = private_aggregators.PRIVATE_AGGREGATORS[name]
    program = program_for(row.scheme)
    prepared = row.prepare(
      private_request.Request(
        program=program,
        num_coordinates=sum(int(np.size(w)) for w in model.initial_weights[0]),
        delta=self._delta.value,
        epsilon=self._epsilon.value,
        noise_multiplier=self._noise_multiplier.value,
        clip_norm=self._clip_norm.value,
        secret_cohort=self._secret_cohorts.value,
        stop_at_epsilon=self._stop_at_epsilon.value,
        allow_weak_privacy=self._allow_weak_privacy.value,
        clip_quantile=self._clip_quantile.value,
        clip_learning_rate=self._clip_learning_rate.value,
        restart_rounds=self._restart_rounds.value,
        num_bands=self._num_bands.value,
        strategies=fetching.default_data_dir() / 'strategies',
        distributed_noise=self._distributed_noise.value,
        bits_per_coordinate=self._bits_per_coordinate.value,
        tolerated_dropout=secure_sums.tolerated_dropout,
        tolerated_corrupted=secure_sums.tolerated_corrupted,
        masked=secure_sums.is_masked,
        local_noise=self._local_noise.value,
      )
    )
    composition.check(
      prepared.factory.stack, program.participation.max_clients_per_round
    )
    return comparison.TrainedSystem(
      system,
      'federated',
      functools.partial(build, aggregator=prepared.factory),
      prepared.program,
      privacy_promise.text(name, system, prepared),
      row.plain_updates,
    )

  def _refuse_private(self, flag: str) -> None:
    raise AggregatorError(
      f'Expected a private aggregator ({", ".join(_PRIVATE)}) where --{flag} '
      f'is given, found --aggregator={",".join(self.names)}, which adds no '
      'noise and weights or bounds clients otherwise than a guarantee needs: '
      'privacy cannot be added to it; choose one of them.'
    )


def secure_system(
  build: Build, program: training.TrainingProgram
) -> comparison.TrainedSystem:
  """Returns the system whose server sees secure sums and nothing else."""
  cohort = program.participation.max_clients_per_round
  return comparison.TrainedSystem(
    'secure_federated',
    'secure_federated',
    lambda: build(
      aggregator=registry.build('secure_mean', cohort), secure_metrics=True
    ),
    program,
  )
