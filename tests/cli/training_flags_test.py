"""Flags of the training program become what they say."""

from absl import flags
from absl.testing import flagsaver
import pytest
import tensorflow_federated as tff

from tff_pipelines.cli import flag_groups, training_flags
from tff_pipelines.core import participation
from tff_pipelines.data import batching
from tff_pipelines.execution import contexts, native
from tff_pipelines.learning import optimizers, schedules
from tff_pipelines.programs import stop_rules, training


@pytest.fixture(autouse=True)
def registry_of_flags():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def parsed(group: flag_groups.FlagGroup, *arguments: str):
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def program_flags() -> training_flags.ProgramFlags:
  return training_flags.ProgramFlags(
    rounds=40, clients_per_round=20, batch_size=10, evaluate_every=2
  )


def program(*arguments: str, population_size: int = 50):
  return parsed(program_flags(), *arguments).get(population_size)


# The program.


def test_defaults_are_those_of_the_task():
  assert program() == training.TrainingProgram(
    rounds=40,
    participation=participation.Participation(50, 20, 'uniform'),
    batching=batching.Batching(10, epochs=1, max_examples=None),
    seed=0,
    evaluate_every=2,
    checkpoint_every=10,
    stop_rules=(),
  )


def test_every_flag_arrives():
  assert program(
    '--rounds=3',
    '--participation=poisson',
    '--clients_per_round=5',
    '--batch_size=7',
    '--client_epochs=2',
    '--max_examples_per_client=30',
    '--evaluate_every=4',
    '--checkpoint_every=6',
    '--stop_metric=test/auc',
    '--stop_at_target=0.9',
    '--stop_after_plateau=8',
    '--stop_after_seconds=60',
    '--seed=9',
  ) == training.TrainingProgram(
    rounds=3,
    participation=participation.Participation(50, 5, 'poisson'),
    batching=batching.Batching(7, epochs=2, max_examples=30),
    seed=9,
    evaluate_every=4,
    checkpoint_every=6,
    stop_rules=(
      stop_rules.MetricTarget('test/auc', 0.9),
      stop_rules.Plateau('test/auc', 8),
      stop_rules.WallTime(60.0),
    ),
  )


def test_clients_can_take_steps_instead_of_passes():
  found = program('--client_steps=6', '--batch_size=7')
  assert found.batching == batching.Batching(7, num_steps=6)


def test_steps_beside_passes_are_refused():
  with pytest.raises(flag_groups.FlagError) as raised:
    program('--client_steps=6', '--client_epochs=2')
  assert str(raised.value) == (
    'Expected one of --client_steps and --client_epochs, found both; remove '
    'one of them.'
  )


def test_seed_and_batch_size_are_known_before_the_population():
  group = parsed(program_flags(), '--seed=-5', '--batch_size=3')
  assert (group.seed, group.batch_size) == (-5, 3)


@pytest.mark.parametrize('scheme', ['uniform', 'poisson', 'cyclic'])
def test_small_population_takes_part_whole(scheme):
  found = program(f'--participation={scheme}', population_size=4)
  assert found.participation == participation.Participation(4, 4, scheme)


def test_a_day_arrives():
  found = program(
    '--participation=diurnal', '--day_rounds=12', '--awake_share=0.5'
  )
  assert found.participation == participation.Participation(
    50, 20, 'diurnal', day_rounds=12, awake_share=0.5
  )


@pytest.mark.parametrize(('population_size', 'awake'), [(50, 12), (3, 1)])
def test_all_who_are_awake_take_part_if_they_are_few(population_size, awake):
  found = program('--participation=diurnal', population_size=population_size)
  assert found.participation == participation.Participation(
    population_size, awake, 'diurnal'
  )


@pytest.mark.parametrize('flag', ['--day_rounds=9', '--awake_share=0.5'])
def test_a_day_without_an_effect_is_refused(flag):
  with pytest.raises(
    flag_groups.FlagError, match=r'^Expected --participation=diurnal where'
  ):
    program(flag)


def test_everyone_is_the_population_whatever_its_size():
  found = program('--participation=everyone', population_size=50)
  assert found.participation == participation.Participation(50, 50, 'everyone')


@pytest.mark.parametrize(
  'arguments, found',
  [([], 'poisson'), (['--participation=cyclic'], 'cyclic')],
)
def test_preferred_scheme_is_taken_unless_another_is_given(arguments, found):
  group = parsed(program_flags(), *arguments)
  assert group.get(50, 'poisson').participation == (
    participation.Participation(50, 20, found)
  )


@pytest.mark.parametrize(
  'argument, error, told',
  [
    ('--rounds=0', training.TrainingProgramError, 'rounds of at least 1'),
    ('--batch_size=0', batching.BatchingError, 'batch_size of at least 1'),
    (
      '--clients_per_round=0',
      participation.ParticipationError,
      'between 1 and population_size clients per round, found 0',
    ),
    (
      ['--participation=diurnal', '--awake_share=2'],
      participation.ParticipationError,
      'for a share of the day above 0 and up to 1, found 2.0',
    ),
    (
      '--stop_after_plateau=-1',
      stop_rules.StopRuleError,
      'plateau of at least 1 evaluation, found -1',
    ),
    (
      '--max_examples_per_client=-1',
      batching.BatchingError,
      'max_examples of at least 1, found -1',
    ),
    (
      '--client_steps=-1',
      batching.BatchingError,
      'num_steps of at least 1, found -1',
    ),
  ],
)
def test_values_that_make_no_sense_are_refused(argument, error, told):
  given = [argument] if isinstance(argument, str) else argument
  with pytest.raises(error, match=told):
    program(*given)


def test_stop_metric_without_a_rule_that_looks_at_it_is_refused():
  with pytest.raises(flag_groups.FlagError) as raised:
    program('--stop_metric=test/auc', '--stop_after_seconds=5')
  assert str(raised.value) == (
    'Expected --stop_at_target or --stop_after_plateau where --stop_metric is '
    'given, found neither, so that it has no effect; add one or remove it.'
  )


@pytest.mark.parametrize(
  'rule', ['--stop_at_target=0.5', '--stop_after_plateau=2']
)
def test_stop_metric_with_a_rule_is_accepted(rule):
  (found,) = program('--stop_metric=test/auc', rule).stop_rules
  assert found.metric == 'test/auc'


# The optimizers.


def optimizer(*arguments: str, default=None) -> optimizers.OptimizerConfig:
  default = default or optimizers.OptimizerConfig('sgd', 10.0)
  return parsed(
    training_flags.OptimizerFlags('client', default), *arguments
  ).get()


def test_optimizer_is_the_default_of_the_task():
  for default in (
    optimizers.OptimizerConfig('sgd', 10.0, momentum=0.9),
    optimizers.OptimizerConfig('adam', 0.3, epsilon=1e-5),
  ):
    with flagsaver.flagsaver():
      assert optimizer(default=default) == default


def test_optimizer_flags_arrive():
  assert optimizer(
    '--client_learning_rate=0.5', '--client_momentum=0.25'
  ) == optimizers.OptimizerConfig('sgd', 0.5, momentum=0.25)


@pytest.mark.parametrize('name', ['adagrad', 'adam', 'yogi', 'rmsprop'])
def test_adaptive_optimizer_has_no_momentum_of_the_default(name):
  with_momentum = optimizers.OptimizerConfig('sgd', 1.0, momentum=0.9)
  assert optimizer(
    f'--client_optimizer={name}', '--client_epsilon=0.1', default=with_momentum
  ) == optimizers.OptimizerConfig(name, 1.0, momentum=0.0, epsilon=0.1)


def test_sides_have_flags_of_their_own():
  sgd = optimizers.OptimizerConfig('sgd', 1.0)
  client = training_flags.OptimizerFlags('client', sgd)
  server = training_flags.OptimizerFlags('server', sgd)
  flags.FLAGS(['program', '--server_optimizer=adam'])
  assert (client.get().name, server.get().name) == ('sgd', 'adam')


@pytest.mark.parametrize(
  'arguments, told',
  [
    (
      ['--client_optimizer=adam', '--client_momentum=0.9'],
      'Expected --client_optimizer=sgd where --client_momentum is given',
    ),
    (['--client_epsilon=1'], 'where --client_epsilon is given, found --client'),
  ],
)
def test_useless_optimizer_flag_is_refused(arguments, told):
  with pytest.raises(flag_groups.FlagError, match=told):
    optimizer(*arguments)


def test_optimizer_that_cannot_be_built_is_refused():
  with pytest.raises(
    optimizers.OptimizerError, match=r'learning rate above 0, found 0\.0'
  ):
    optimizer('--client_learning_rate=0')


# Their schedules.


def schedule(*arguments: str, rounds: int = 40):
  group = training_flags.OptimizerFlags(
    'server', optimizers.OptimizerConfig('sgd', 2.0), scheduled=True
  )
  return parsed(group, *arguments).schedule(rounds)


def test_rate_is_constant_by_default():
  assert schedule() is None


def test_optimizer_of_a_task_without_schedules_has_none():
  group = training_flags.OptimizerFlags(
    'server', optimizers.OptimizerConfig('sgd', 2.0)
  )
  assert parsed(group).schedule(40) is None
  assert group.schedule_flags() == []
  assert 'server_schedule' not in flags.FLAGS


def test_every_flag_of_a_schedule_arrives():
  assert schedule(
    '--server_schedule=exponential',
    '--server_warmup_rounds=3',
    '--server_decay_rounds=7',
    '--server_decay_factor=0.5',
  ) == schedules.Schedule(2.0, 'exponential', 3, 7, decay_factor=0.5)


@pytest.mark.parametrize(
  'arguments, expected',
  [
    (
      ['--server_schedule=cosine', '--server_final_share=0.1'],
      schedules.Schedule(2.0, 'cosine', 0, 40, final_share=0.1),
    ),
    (
      ['--server_schedule=linear', '--server_warmup_rounds=4'],
      schedules.Schedule(2.0, 'linear', 4, 36),
    ),
    (['--server_warmup_rounds=4'], schedules.Schedule(2.0, 'constant', 4)),
  ],
)
def test_decay_extends_to_the_last_round_by_default(arguments, expected):
  assert schedule(*arguments) == expected


def test_step_without_its_rounds_is_refused():
  with pytest.raises(flag_groups.FlagError) as raised:
    schedule('--server_schedule=step')
  assert str(raised.value) == (
    'Expected --server_decay_rounds with --server_schedule=step, found none; '
    'give the rounds of a step.'
  )


@pytest.mark.parametrize(
  'argument',
  [
    '--server_decay_rounds=5', '--server_decay_factor=0.5',
    '--server_final_share=0.5',
  ],
)  # fmt: skip
def test_flag_of_another_schedule_is_refused(argument):
  with pytest.raises(
    flag_groups.FlagError, match=r'^Expected --server_schedule='
  ):
    schedule(argument)


def test_warm_up_longer_than_the_training_is_refused():
  with pytest.raises(schedules.ScheduleError, match='decay_rounds of at least'):
    schedule('--server_schedule=linear', '--server_warmup_rounds=40')


# Execution.


def test_execution_installs_the_chosen_context():
  before = tff.framework.get_context_stack().current
  try:
    parsed(training_flags.ExecutionFlags(), '--execution=native').install()
    installed = tff.framework.get_context_stack().current
  finally:
    tff.framework.set_default_context(before)
  assert isinstance(installed, native.NativeContext)
  assert not installed.worker.started


def test_execution_that_there_is_not_is_refused():
  training_flags.ExecutionFlags()
  with pytest.raises(flags.Error) as raised:
    flags.FLAGS(['program', '--execution=abacus'])
  assert f'one of <{"|".join(contexts.CONTEXTS)}>' in str(raised.value)


def test_threads_arrive(monkeypatch):
  installed = []
  monkeypatch.setattr(
    contexts, 'install', lambda name, **options: installed.append(options)
  )
  parsed(training_flags.ExecutionFlags(), '--threads=3').install()
  assert [options['threads'] for options in installed] == [3]


def test_threads_are_one_a_core_by_default(monkeypatch):
  installed = []
  monkeypatch.setattr(
    contexts, 'install', lambda name, **options: installed.append(options)
  )
  parsed(training_flags.ExecutionFlags()).install()
  assert [options['threads'] for options in installed] == [None]


def test_less_than_no_threads_are_refused():
  with pytest.raises(
    flag_groups.FlagError, match='--threads of at least 0, found -1'
  ):
    parsed(training_flags.ExecutionFlags(), '--threads=-1')
