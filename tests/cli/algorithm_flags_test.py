"""The flag of the algorithm becomes what builds it."""

from absl import flags
from absl.testing import flagsaver
import pytest
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.aggregators import compressed_broadcast, compressed_means
from tff_pipelines.cli import (
  aggregator_flags,
  algorithm_flags,
  comparison,
  flag_groups,
  training_flags,
)
from tff_pipelines.core import seeds
from tff_pipelines.learning import (
  algorithms,
  client_states,
  fed_avg,
  fed_prox,
  fed_sgd,
  optimizers,
  q_fed_avg,
  schedules,
)
from tff_pipelines.numerics import codes, quantization


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
  aggregator_flags.AggregatorFlags()
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


@pytest.mark.parametrize(
  'given, build, name, expected',
  [
    (['fed_prox'], fed_prox.build, 'proximal_strength', 0.01),
    (
      ['fed_prox', '--proximal_strength=0.5'],
      fed_prox.build,
      'proximal_strength',
      0.5,
    ),
    (['q_fed_avg'], q_fed_avg.build, 'fairness_q', 1.0),
    (['q_fed_avg', '--fairness_q=3'], q_fed_avg.build, 'fairness_q', 3.0),
  ],
)
def test_what_an_algorithm_has_to_know_arrives(given, build, name, expected):
  algorithm, *others = given
  found = parsed(
    f'--algorithm={algorithm}', '--system=federated', *others
  ).build(40)
  assert found.func is build
  assert found.keywords[name] == expected


@pytest.mark.parametrize(
  'algorithm, name',
  [('fed_prox', 'proximal_strength'), ('q_fed_avg', 'fairness_q')],
)
def test_what_only_another_algorithm_knows_is_refused(algorithm, name):
  with pytest.raises(
    flag_groups.FlagError,
    match=f'^Expected --algorithm={algorithm} where --{name} is given, found ',
  ):
    parsed(f'--{name}=0.5')


@pytest.mark.parametrize(
  'algorithm', ['fed_nova', 'mime_lite', 'q_fed_avg', 'scaffold']
)
@pytest.mark.parametrize('aggregator', ['dp_fixed', 'mean,local_dp'])
def test_what_no_guarantee_counts_is_refused_with_private_aggregators(
  algorithm, aggregator
):
  with pytest.raises(
    flag_groups.FlagError,
    match=rf'^Expected no private aggregator with --algorithm={algorithm}, who',
  ):
    parsed(f'--algorithm={algorithm}', f'--aggregator={aggregator}')


@pytest.mark.parametrize(
  'algorithm, aggregator',
  [('fed_nova', 'secure_mean'), ('q_fed_avg', 'median'), ('scaffold', 'krum')],
)
def test_what_is_in_the_clear_is_refused_where_that_does_not_protect(
  algorithm, aggregator
):
  with pytest.raises(
    flag_groups.FlagError,
    match=rf'^Expected a mean in the clear with --algorithm={algorithm}, whose',
  ):
    parsed(f'--algorithm={algorithm}', f'--aggregator={aggregator}')


def test_what_is_in_the_clear_is_refused_beside_a_secure_system():
  with pytest.raises(
    flag_groups.FlagError,
    match=r'^Expected no secure_federated among the --system with --algorithm',
  ):
    parsed('--algorithm=fed_nova', '--system=federated,secure_federated')


@pytest.mark.parametrize('algorithm', ['fed_nova', 'q_fed_avg', 'scaffold'])
def test_a_secure_system_that_was_not_asked_for_is_left_out(algorithm):
  unavailable = parsed(f'--algorithm={algorithm}').unavailable
  assert set(unavailable) == {'secure_federated'}
  assert unavailable['secure_federated'].startswith(
    f'clients of {algorithm} send the'
  )
  assert unavailable['secure_federated'].endswith(', too, in the clear')


@pytest.mark.parametrize('algorithm', ['fed_avg', 'fed_prox', 'mime_lite'])
def test_a_secure_system_can_be_of_what_sends_no_more_in_the_clear(algorithm):
  group = parsed(
    f'--algorithm={algorithm}', '--system=federated,secure_federated'
  )
  assert not group.unavailable


@pytest.mark.parametrize(
  'given, expected',
  [
    ([], True),
    (['--algorithm=fed_prox'], False),
    (['--client_schedule=linear'], False),
    (['--server_schedule=linear'], True),
  ],
)
def test_plain_training_is_that_of_fed_avg_at_one_rate(given, expected):
  assert parsed(*given).is_plain == expected


@pytest.mark.parametrize(
  'algorithm, aggregator',
  [
    ('fed_prox', 'dp_fixed'),
    ('mime_lite', 'secure_mean'),
    ('mime_lite', 'median'),
    ('fed_nova', 'uniform_mean'),
    ('q_fed_avg', 'zeroing_clipping'),
  ],
)
def test_what_goes_together_is_accepted(algorithm, aggregator):
  parsed(
    f'--algorithm={algorithm}',
    f'--aggregator={aggregator}',
    '--system=central,federated',
  )


def test_states_of_clients_are_kept_where_the_population_is_known():
  group = parsed('--algorithm=scaffold', '--system=federated')
  with pytest.raises(
    flag_groups.FlagError, match=r'^Expected an algorithm whose clients keep no'
  ):
    group.build(40)
  build = group.build(40, client_ids=('a', 'b', 'c'), max_clients=2)
  process = build(
    samples.hand_written_model(),
    aggregator=tff.aggregators.UnweightedMeanFactory(),
  )
  assert isinstance(process, client_states.Simulation)
  assert process.process.max_clients == 2


def test_weights_are_broadcast_in_so_many_bits():
  build = parsed('--broadcast_bits=6').build(40, seed=3)
  broadcast = build.keywords['broadcast']
  assert broadcast.func is compressed_broadcast.build
  assert broadcast.keywords == {
    'code': quantization.Quantization(6),
    'seed': seeds.derive(3, 'broadcast') % 2**63,
  }


@pytest.mark.parametrize('bits', [-1, 9])
def test_weights_have_bits_from_1_to_8(bits):
  with pytest.raises(
    codes.CodeError,
    match=f'^Expected 1 to 8 bits of a coordinate, found {bits}',
  ):
    parsed(f'--broadcast_bits={bits}')


def test_error_feedback_is_simulated_on_what_is_encoded():
  build = parsed('--algorithm=error_feedback', '--aggregator=top_k').build(
    40, client_ids=['a', 'b', 'c'], max_clients=2
  )
  process = build(
    samples.hand_written_model(), aggregator=compressed_means.build('top_k')
  )
  assert isinstance(process, client_states.Simulation)
  assert process.process.max_clients == 2


@pytest.mark.parametrize('name', ['mean', 'count_sketch', 'median'])
def test_error_feedback_on_anything_else_is_refused(name):
  with pytest.raises(
    flag_groups.FlagError,
    match=f'^Expected an --aggregator out of .*, found --aggregator={name}, wh',
  ):
    parsed('--algorithm=error_feedback', f'--aggregator={name}')


def test_error_feedback_leaves_secure_systems_out():
  found = parsed('--algorithm=error_feedback', '--aggregator=top_k').unavailable
  assert found == {
    'secure_federated': 'server of error_feedback decodes each update by itself'
  }


def test_error_feedback_refuses_secure_systems_asked_for_by_name():
  with pytest.raises(
    flag_groups.FlagError,
    match=r'^Expected no secure_federated among the --system with --algorithm=e'
    'rror_feedback, whose server decodes each update by itself, found --system',
  ):
    parsed(
      '--algorithm=error_feedback',
      '--aggregator=top_k',
      '--system=secure_federated,federated',
    )
