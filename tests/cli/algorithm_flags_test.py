"""The flag of the algorithm becomes what builds it."""

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import (
  algorithm_flags,
  comparison,
  flag_groups,
  training_flags,
)
from tff_pipelines.learning import (
  algorithms,
  fed_avg,
  fed_sgd,
  optimizers,
  schedules,
)


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def parsed(*arguments: str) -> algorithm_flags.AlgorithmFlags:
  sgd = optimizers.OptimizerConfig('sgd', 0.5)
  group = algorithm_flags.AlgorithmFlags(
    training_flags.OptimizerFlags('client', sgd, scheduled=True),
    training_flags.OptimizerFlags('server', sgd, scheduled=True),
  )
  comparison.ComparisonFlags(central_epochs=3, local_epochs=2)
  training_flags.ProgramFlags(
    rounds=40, clients_per_round=20, batch_size=10, evaluate_every=2
  )
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def test_federated_averaging_has_the_optimizers_of_both_sides():
  build = parsed().build(40)
  assert build.func is fed_avg.build
  assert set(build.keywords) == {
    'client_optimizer', 'client_schedule', 'server_optimizer', 'server_schedule'
  }  # fmt: skip
  assert build.keywords['client_schedule'] is None
  assert build.keywords['server_schedule'] is None


def test_schedules_of_both_sides_arrive():
  build = parsed(
    '--client_schedule=linear',
    '--client_warmup_rounds=10',
    '--server_schedule=step',
    '--server_decay_rounds=5',
    '--server_learning_rate=2',
  ).build(40)
  assert build.keywords['client_schedule'] == schedules.Schedule(
    0.5, 'linear', warmup_rounds=10, decay_rounds=30
  )
  assert build.keywords['server_schedule'] == schedules.Schedule(
    2.0, 'step', decay_rounds=5
  )


def test_federated_sgd_has_the_servers_alone():
  build = parsed('--algorithm=fed_sgd', '--server_warmup_rounds=3').build(40)
  assert build.func is fed_sgd.build
  assert set(build.keywords) == {'server_optimizer', 'server_schedule'}
  assert build.keywords['server_schedule'].warmup_rounds == 3


@pytest.mark.parametrize(
  'useless, system',
  [
    ('client_learning_rate=1', 'federated'),
    ('client_optimizer=adam', 'federated'),
    ('client_schedule=linear', 'federated'),
    ('client_warmup_rounds=3', 'central,federated'),
    ('client_epochs=2', 'central,local,federated'),
  ],
)
def test_steps_of_clients_who_take_none_are_refused(useless, system):
  name = useless.split('=')[0]
  with pytest.raises(flag_groups.FlagError) as raised:
    parsed('--algorithm=fed_sgd', f'--{useless}', f'--system={system}')
  assert str(raised.value) == (
    f'Expected --algorithm=fed_avg where --{name} is given, found '
    '--algorithm=fed_sgd, whose clients take no steps of their own, so that it '
    'has no effect; remove one of them.'
  )


@pytest.mark.parametrize('system', ['central,federated', 'local'])
def test_the_clients_rate_is_that_of_the_baselines_too(system):
  parsed(
    '--algorithm=fed_sgd', '--client_learning_rate=1', f'--system={system}'
  )


def test_every_algorithm_is_a_choice():
  parsed()
  assert flags.FLAGS['algorithm'].parser.enum_values == list(
    algorithms.ALGORITHMS
  )
