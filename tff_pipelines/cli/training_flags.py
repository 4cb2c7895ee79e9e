"""Flags of the training program, its optimizers, and where it runs."""

from typing import Any, get_args

from tff_pipelines.cli import flag_groups, participation_flags
from tff_pipelines.core import participation
from tff_pipelines.data import batching
from tff_pipelines.execution import contexts, masked_sums
from tff_pipelines.learning import optimizers, schedules
from tff_pipelines.programs import stop_rules, training

_OPTIMIZERS = ('sgd', 'adagrad', 'adam', 'yogi', 'rmsprop')
_ADAPTIVE = ('adagrad', 'adam', 'yogi', 'rmsprop')
_DECAYS = get_args(schedules.Decay)


class OptimizerFlags(flag_groups.FlagGroup):
  """`--client_optimizer`, `--client_learning_rate` ... or `--server_...`."""

  def __init__(
    self,
    side: str,
    default: optimizers.OptimizerConfig,
    *,
    scheduled: bool = False,
  ):
    """Declares the flags.

    Args:
      side: Whose optimizer, `client` or `server`.
      default: What it is if the flags do not say.
      scheduled: Whether there are flags of a schedule, too: for a task that
        hands `schedule` on.
    """
    super().__init__(f'The optimizer of the {side}')
    choice = f'{side}_optimizer'
    self._name = self.define(
      choice, default.name, 'the optimizer', choices=_OPTIMIZERS
    )
    self._learning_rate = self.define(
      f'{side}_learning_rate', default.learning_rate, 'its step size'
    )
    self._momentum = self.define(
      f'{side}_momentum',
      default.momentum,
      'momentum, 0 is none',
      only_with=(choice, ('sgd',)),
    )
    self._epsilon = self.define(
      f'{side}_epsilon',
      default.epsilon,
      'added to the denominator of the adaptive optimizers',
      only_with=(choice, _ADAPTIVE),
    )
    self._beta_2 = self.define(
      f'{side}_beta_2',
      default.beta_2,
      'how much of the mean of squares is kept from step to step',
      only_with=(choice, ('adam', 'yogi')),
    )
    self._scheduled = _ScheduleFlags(self, side) if scheduled else None

  def get(self) -> optimizers.OptimizerConfig:
    """Returns the optimizer that the flags describe."""
    is_sgd = self._name.value == 'sgd'
    return optimizers.OptimizerConfig(
      name=self._name.value,
      learning_rate=self._learning_rate.value,
      momentum=self._momentum.value if is_sgd else 0.0,
      epsilon=self._epsilon.value,
      beta_2=self._beta_2.value,
    )

  def schedule(self, rounds: int) -> schedules.Schedule | None:
    """Returns the learning rate of each round; None if it is always the same.

    Args:
      rounds: The last round, to which a decay extends by default.

    Raises:
      FlagError: If the schedule needs to know more.
      ScheduleError: If it makes no sense.
    """
    if self._scheduled is None:
      return None
    return self._scheduled.get(self._learning_rate.value, rounds)

  def schedule_flags(self) -> list[str]:
    """Returns the names of the schedule's flags that were given."""
    own = self._scheduled.names if self._scheduled else ()
    return [name for name in self.given_flags() if name in own]


class _ScheduleFlags:
  """`--client_schedule` and its parameters, in the group of an optimizer."""

  def __init__(self, group: flag_groups.FlagGroup, side: str):
    choice = f'{side}_schedule'

    def with_(*decays: str) -> tuple[str, tuple[str, ...]]:
      return choice, decays

    self._decay = group.define(
      choice,
      'constant',
      'how the learning rate falls from round to round; of central and local '
      'it is constant',
      choices=_DECAYS,
    )
    self._warmup_rounds = group.define(
      f'{side}_warmup_rounds',
      0,
      'rounds in which the learning rate rises; 0 is none',
    )
    self._decay_rounds = group.define(
      f'{side}_decay_rounds',
      0,
      'scale of the fall: linear and cosine end after it, exponential and step '
      'fall once by the factor, inverse_sqrt to 1/sqrt(2); 0 is the rounds '
      'after the warm-up',
      only_with=with_(*_DECAYS[1:]),
    )
    self._decay_factor = group.define(
      f'{side}_decay_factor',
      0.1,
      'by which the learning rate falls',
      only_with=with_('exponential', 'step'),
    )
    self._final_share = group.define(
      f'{side}_final_share',
      0.0,
      'share of the learning rate that is left in the end',
      only_with=with_('linear', 'cosine'),
    )
    self.names = tuple(
      flag.name
      for flag in (
        self._decay,
        self._warmup_rounds,
        self._decay_rounds,
        self._decay_factor,
        self._final_share,
      )
    )

  def get(self, learning_rate: float, rounds: int) -> schedules.Schedule | None:
    decay, warmup = self._decay.value, self._warmup_rounds.value
    if decay == 'constant' and not warmup:
      return None
    decay_rounds = self._decay_rounds.value
    if decay != 'constant' and not decay_rounds:
      if decay == 'step':
        raise flag_groups.FlagError(
          f'Expected --{self._decay_rounds.name} with --{self._decay.name}='
          'step, found none; give the rounds of a step.'
        )
      decay_rounds = rounds - warmup
    return schedules.Schedule(
      learning_rate=learning_rate,
      decay=decay,
      warmup_rounds=warmup,
      decay_rounds=decay_rounds,
      decay_factor=self._decay_factor.value,
      final_share=self._final_share.value,
    )


class ProgramFlags(flag_groups.FlagGroup):
  """Rounds, participation, batches, evaluation, checkpoints and stop rules."""

  def __init__(
    self,
    *,
    rounds: int,
    clients_per_round: int,
    batch_size: int,
    evaluate_every: int,
    client_epochs: int = 1,
    stop_metric: str = 'test/accuracy',
  ):
    super().__init__('The training program')
    define = self.define
    self._rounds = define('rounds', rounds, 'rounds of training')
    self._participation = participation_flags.ParticipationFlags(
      self, clients_per_round
    )
    self._batch_size = define('batch_size', batch_size, 'examples in a batch')
    self._client_epochs = define(
      'client_epochs', client_epochs, "passes over a client's data in a round"
    )
    self._client_steps = define(
      'client_steps',
      0,
      'full batches of every client in a round, instead of passes; 0 counts '
      'passes',
    )
    self._max_examples = define(
      'max_examples_per_client',
      0,
      'examples a client uses in a round at the most; 0 is all',
    )
    self._evaluate_every = define(
      'evaluate_every', evaluate_every, 'rounds between evaluations'
    )
    self._checkpoint_every = define(
      'checkpoint_every', 10, 'rounds between checkpoints'
    )
    self._metric = define(
      'stop_metric',
      stop_metric,
      'column of metrics.csv that the stop rules below look at',
    )
    self._target = define(
      'stop_at_target', 0.0, 'stop when that metric reaches this; 0 is never'
    )
    self._plateau = define(
      'stop_after_plateau',
      0,
      'stop when so many evaluations in a row bring no better; 0 is never',
    )
    self._wall_time = define(
      'stop_after_seconds', 0.0, 'stop after this time of training; 0 is never'
    )
    self._round_retries = define(
      'round_retries',
      3,
      'how often a round whose secure aggregation failed is tried again',
    )
    self._seed = define(
      'seed', 0, 'all random choices of the simulation follow from it'
    )

  def check(self) -> None:
    """Refuses a metric that no stop rule looks at, and steps beside passes."""
    super().check()
    if self._metric.present and not (self._target.value or self._plateau.value):
      raise flag_groups.FlagError(
        f'Expected --{self._target.name} or --{self._plateau.name} where '
        f'--{self._metric.name} is given, found neither, so that it has no '
        'effect; add one or remove it.'
      )
    if self._client_steps.value and self._client_epochs.present:
      raise flag_groups.FlagError(
        f'Expected one of --{self._client_steps.name} and '
        f'--{self._client_epochs.name}, found both; remove one of them.'
      )

  @property
  def seed(self) -> int:
    """The run's seed."""
    return self._seed.value

  @property
  def batch_size(self) -> int:
    """Examples in a batch."""
    return self._batch_size.value

  def get(
    self,
    population_size: int,
    preferred: participation.Scheme | None = None,
  ) -> training.TrainingProgram:
    """Returns the program that the flags describe.

    Args:
      population_size: Clients that can be chosen.
      preferred: How cohorts are drawn if the flags do not say; None: by the
        flag's default.
    """
    rules: list[stop_rules.StopRule] = []
    if self._target.value:
      rules.append(
        stop_rules.MetricTarget(self._metric.value, self._target.value)
      )
    if self._plateau.value:
      rules.append(stop_rules.Plateau(self._metric.value, self._plateau.value))
    if self._wall_time.value:
      rules.append(stop_rules.WallTime(self._wall_time.value))
    return training.TrainingProgram(
      rounds=self._rounds.value,
      participation=self._participation.get(population_size, preferred),
      batching=batching.Batching(
        self._batch_size.value,
        self._client_epochs.value,
        self._max_examples.value or None,
        num_steps=self._client_steps.value or None,
      ),
      seed=self._seed.value,
      evaluate_every=self._evaluate_every.value,
      checkpoint_every=self._checkpoint_every.value,
      stop_rules=tuple(rules),
      round_retries=self._round_retries.value,
    )


class ExecutionFlags(flag_groups.FlagGroup):
  """`--execution` and `--threads`."""

  def __init__(self) -> None:
    super().__init__('Where the computations run')
    self._name = self.define(
      'execution',
      'xla',
      "xla: a round as one program in this process; native: TFF's own runtime, "
      'a process of its own',
      choices=tuple(contexts.CONTEXTS),
    )
    self._threads = self.define(
      'threads',
      0,
      'threads that share the clients of a round; 0 is one a core. Results '
      'depend on it by rounding only',
      only_with=('execution', ('xla',)),
      identifies_run=False,
    )

  def check(self) -> None:
    """Refuses a number of threads below 0."""
    super().check()
    if self._threads.value < 0:
      raise flag_groups.FlagError(
        f'Expected --{self._threads.name} of at least 0, found '
        f'{self._threads.value}.'
      )

  def install(
    self, secure_sums: masked_sums.MaskedSum | str | None = None
  ) -> None:
    """Makes the chosen context the default one.

    Args:
      secure_sums: What the XLA context sums secure sums with.
    """
    options: dict[str, Any] = {}
    if self._name.value == 'xla':
      options = {
        'secure_sums': secure_sums,
        'threads': self._threads.value or None,
      }
    contexts.install(self._name.value, **options)

  @property
  def unavailable(self) -> dict[str, str]:
    """Systems that cannot run in the chosen context, and why."""
    if self._name.value == 'xla':
      return {}
    return {
      'secure_federated': "TFF's own runtime has no secure sums; use "
      f'--{self._name.name}=xla'
    }
