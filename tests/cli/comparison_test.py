"""Several systems on one task, with one table in the end."""

import dataclasses

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tff_pipelines.cli import aggregator_flags, comparison, flag_groups
from tff_pipelines.core import participation, seeds
from tff_pipelines.data import batching, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import fed_avg, optimizers
from tff_pipelines.models import text_classifiers
from tff_pipelines.privacy import accounting, central
from tff_pipelines.programs import (
  privacy_log,
  results,
  run_directory,
  stop_rules,
  training,
)

COLUMNS = (
  results.Column('accuracy', 'accuracy', 'accuracy', 'percent', 'higher'),
  *results.EFFORT,
)
CLIENT_OPTIMIZER = optimizers.OptimizerConfig('sgd', 0.5)


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def texts(sizes: tuple[int, ...], seed: int) -> population.ArrayPopulation:
  """Clients with random texts of two features out of four."""
  rng = np.random.default_rng(seed)
  ends = np.cumsum(sizes)
  x = {
    'ids': rng.integers(0, 4, [ends[-1], 2]).astype(np.int32),
    'weights': rng.random([ends[-1], 2]).astype(np.float32),
  }
  y = rng.integers(0, 2, ends[-1]).astype(np.int32)
  rows = {
    f'client_{i}': np.arange(end - size, end)
    for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
  }
  return population.ArrayPopulation((x, y), rows)


DATASET = population.FederatedDataset(
  'texts', texts((3, 2, 4), seed=1), texts((5, 3), seed=2), ('ham', 'spam'), {}
)
PROGRAM = training.TrainingProgram(
  rounds=2,
  participation=participation.Participation(3, 2),
  batching=batching.Batching(2),
  seed=4,
)


@pytest.fixture(scope='module')
def model():
  return text_classifiers.build_logistic_regression(
    4, DATASET.train.batch_spec
  ).functional


@pytest.fixture(scope='module')
def process(model, native_context):
  return fed_avg.build(
    model,
    client_optimizer=CLIENT_OPTIMIZER.build(),
    server_optimizer=tff.learning.optimizers.build_sgdm(1.0),
    aggregator=tff.aggregators.MeanFactory(),
  )


@pytest.fixture(scope='module')
def secure(model):
  return fed_avg.build(
    model,
    client_optimizer=CLIENT_OPTIMIZER.build(),
    server_optimizer=tff.learning.optimizers.build_sgdm(1.0),
    aggregator=tff.learning.secure_aggregator(),
    secure_metrics=True,
  )


def systems(
  program: training.TrainingProgram, **processes
) -> list[comparison.TrainedSystem]:
  return [
    comparison.TrainedSystem(name, name, lambda p=p: p, program)
    for name, p in processes.items()
  ]


def parsed(*arguments: str) -> comparison.ComparisonFlags:
  group = comparison.ComparisonFlags(central_epochs=3, local_epochs=2)
  flags.FLAGS(['program', *arguments])
  return group


@pytest.fixture
def compare(model, process, secure, tmp_path):
  """Compares the systems of a command line in `tmp_path`."""

  def compare_systems(
    *arguments: str, program: training.TrainingProgram = PROGRAM
  ) -> comparison.Outcome:
    with flagsaver.flagsaver():
      group = parsed(*arguments)
      group.check()
      return group.run(
        DATASET,
        model,
        systems(program, federated=process, secure_federated=secure),
        client_optimizer=CLIENT_OPTIMIZER,
        batch_size=2,
        seed=4,
        columns=COLUMNS,
        directory=run_directory.RunDirectory(tmp_path),
      )

  return compare_systems


def last_accuracy(path) -> float:
  head, *_, last = (line.split(',') for line in path.read_text().splitlines())
  return float(last[head.index('test/accuracy')])


def test_three_systems_are_three_rows_best_informed_last_and_are_not_redone(
  compare, tmp_path
):
  three = '--system=central,local,federated'
  outcome = compare(three, '--central_epochs=3')
  central, local, federated = outcome.rows
  systems = [row['system'] for row in outcome.rows]
  assert systems == ['central', 'local', 'federated']
  assert (central['rounds'], federated['rounds']) == (3, 2)
  assert central['accuracy'] == last_accuracy(
    tmp_path / 'central' / 'metrics.csv'
  )
  assert federated['accuracy'] == last_accuracy(tmp_path / 'metrics.csv')
  with open(tmp_path / 'simulation_only' / 'local_models.csv') as file:
    head, *people = (line.split(',') for line in file.read().splitlines())
  accuracies = sorted(float(row[head.index('accuracy')]) for row in people)
  assert [row[:2] for row in people] == [
    ['client_0', '3'], ['client_1', '2'], ['client_2', '4'],
  ]  # fmt: skip
  assert [local[f'accuracy{s}'] for s in ('_min', '', '_max')] == accuracies
  assert local['rounds'] is None and local['seconds'] > 0
  assert outcome.notes == [
    'local: median over 3 people (minimum to maximum), each tested on the test '
    'examples of everyone'
  ]

  def forbidden(*_, **__):
    raise AssertionError('Nothing is trained again.')

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(training.rounds, 'run', forbidden)
    patch.setattr(comparison.baselines, 'train_locally', forbidden)
    again = compare(three, '--central_epochs=3')
  assert again.rows == [central, {**local, 'seconds': None}, federated]
  assert again.notes == outcome.notes
  for found, expected in zip(again.weights, outcome.weights, strict=True):
    np.testing.assert_array_equal(found, expected)


PRIVATE = dataclasses.replace(
  PROGRAM,
  privacy=privacy_log.PrivacyTerms(
    central.Gaussian(2.0),
    PROGRAM.participation,
    1e-2,
    accounting.planned(
      accounting.Plan(
        central.Gaussian(2.0), PROGRAM.participation, 2, secret_cohort=True
      ),
      1e-2,
    ),
    secret_cohort=True,
  ),
)


def test_several_aggregators_are_several_systems_in_folders_of_their_own(
  model, process, tmp_path, capsys
):
  with flagsaver.flagsaver():
    outcome = parsed('--system=federated').run(
      DATASET,
      model,
      [
        comparison.TrainedSystem('mean', 'federated', lambda: process, PROGRAM),
        comparison.TrainedSystem(
          'dp_fixed', 'federated', lambda: process, PRIVATE, 'It is promised.'
        ),
        comparison.TrainedSystem(
          'secure_federated', 'secure_federated', never, PRIVATE, 'Not chosen.'
        ),
      ],
      client_optimizer=CLIENT_OPTIMIZER,
      batch_size=2,
      seed=4,
      columns=COLUMNS,
      directory=run_directory.RunDirectory(tmp_path),
    )
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    'dp_fixed', 'mean',
  ]  # fmt: skip
  mean, dp_fixed = outcome.rows
  assert [mean['system'], dp_fixed['system']] == ['mean', 'dp_fixed']
  assert mean['epsilon'] is None
  planned = PRIVATE.privacy.planned
  assert dp_fixed['epsilon'] == planned.epsilon
  assert [c.key for c in outcome.columns] == [
    'accuracy', 'epsilon', 'rounds', 'seconds',
  ]  # fmt: skip
  assert outcome.notes == [
    f'dp_fixed: {planned}, with 2 of 3 clients a round (uniform)'
  ]
  # Its terms are told before anything is trained, and those of nobody else.
  out = capsys.readouterr().out
  assert out.startswith('It is promised.\nmean: round ')
  assert 'Not chosen.' not in out


def never():
  raise AssertionError('It was not chosen.')


def test_without_a_private_system_there_is_no_epsilon(compare):
  outcome = compare('--system=federated')
  assert [c.key for c in outcome.columns] == ['accuracy', 'rounds', 'seconds']
  assert 'epsilon' not in outcome.rows[0]


def assert_weights_are_federated(outcome: comparison.Outcome, process) -> None:
  """Compares with a plain loop of the two rounds of `PROGRAM`."""
  state = process.initialize()
  for round_num in (1, 2):
    cohort = PROGRAM.participation.select(4, round_num)
    batches = DATASET.train.batches(
      cohort, PROGRAM.batching, seed=4, round_num=round_num
    )
    state = process.next(state, batches).state
  expected = process.get_model_weights(state).trainable
  for found, weight in zip(outcome.weights, expected, strict=True):
    np.testing.assert_array_equal(found, weight)


@pytest.mark.slow
def test_order_of_the_flag_decides_neither_rows_nor_model(compare, process):
  outcome = compare('--system=federated,central', '--central_epochs=1')
  assert [row['system'] for row in outcome.rows] == ['central', 'federated']
  assert_weights_are_federated(outcome, process)


def test_federated_alone_is_the_program_in_the_run_directory_itself(
  compare, process, tmp_path
):
  outcome = compare('--system=federated')
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    'checkpoints', 'metrics.csv', 'speed.csv', 'tensorboard',
  ]  # fmt: skip
  assert_weights_are_federated(outcome, process)


def test_central_alone_gives_its_weights(compare, tmp_path):
  outcome = compare('--system=central', '--central_epochs=1')
  assert [path.name for path in tmp_path.iterdir()] == ['central']
  assert [np.shape(w) for w in outcome.weights] == [(4, 1), ()]
  assert np.any(outcome.weights[0] != 0)


def test_local_alone_has_no_model_for_everyone(compare):
  outcome = compare('--system=local', '--local_epochs=1')
  assert [row['system'] for row in outcome.rows] == ['local']
  assert outcome.weights is None


def test_note_says_why_a_system_stopped_early(compare):
  program = training.TrainingProgram(
    rounds=9,
    participation=PROGRAM.participation,
    batching=PROGRAM.batching,
    seed=4,
    stop_rules=(stop_rules.MetricTarget('cohort/clients', 2.0),),
  )
  outcome = compare('--system=federated', program=program)
  assert outcome.rows[0]['rounds'] == 1
  assert outcome.notes == [
    'federated: stopped early, cohort/clients reached 2.0000 (target 2.0)'
  ]


@pytest.mark.slow
def test_a_system_that_cannot_run_is_left_out_with_a_note(
  model, process, tmp_path
):
  def run(*arguments):
    with flagsaver.flagsaver():
      return parsed(*arguments).run(
        DATASET,
        model,
        systems(PROGRAM, federated=process, secure_federated=process),
        client_optimizer=CLIENT_OPTIMIZER,
        batch_size=2,
        seed=4,
        columns=COLUMNS,
        directory=run_directory.RunDirectory(tmp_path),
        unavailable={'secure_federated': 'there is no way'},
      )

  outcome = run('--central_epochs=1', '--local_epochs=1')
  assert [row['system'] for row in outcome.rows] == [
    'central', 'local', 'federated',
  ]  # fmt: skip
  assert 'secure_federated: left out, there is no way' in outcome.notes
  with pytest.raises(
    flag_groups.FlagError,
    match=r'^Expected systems that can run, found --system with secure_fed',
  ):
    run('--system=federated,secure_federated')


@pytest.mark.parametrize('secure_sums', [None, slow_cases.slow('insecure')])
def test_secure_federated_has_its_own_folder_and_says_what_it_was(
  compare, tmp_path, secure_sums
):
  with contexts.using('xla', secure_sums=secure_sums):
    outcome = compare('--system=secure_federated,federated')
  federated, secure = outcome.rows
  assert [federated['system'], secure['system']] == [
    'federated', 'secure_federated',
  ]  # fmt: skip
  assert secure['accuracy'] == pytest.approx(federated['accuracy'], abs=0.13)
  log = (tmp_path / 'secure_federated' / 'metrics.csv').read_text()
  (note,) = outcome.notes
  if secure_sums == 'insecure':
    assert 'insecure, summed in the clear' in note
    assert 'secure_sum/' not in log
  else:
    assert '% of them in the secure aggregation protocol' in note
    assert 'secure_sum/survivors' in log
  assert 'secure_sum/' not in (tmp_path / 'metrics.csv').read_text()


def test_local_people_are_drawn_by_the_seed_and_the_note_says_so(
  compare, tmp_path
):
  outcome = compare('--system=local', '--local_people=2', '--local_epochs=1')
  assert outcome.notes == [
    'local: median over 2 people, drawn at random from 3 (minimum to maximum), '
    'each tested on the test examples of everyone'
  ]
  path = tmp_path / 'simulation_only' / 'local_models.csv'
  drawn = seeds.generator(4, 'local people').choice(3, 2, replace=False)
  names = [line.split(',')[0] for line in path.read_text().splitlines()[1:]]
  assert names == [f'client_{c}' for c in sorted(drawn)]


@pytest.mark.parametrize('number', [0, 3, 9])
def test_local_people_are_all_if_there_are_no_more(compare, tmp_path, number):
  outcome = compare('--system=local', f'--local_people={number}')
  assert outcome.notes[0].startswith('local: median over 3 people (minimum')
  path = tmp_path / 'simulation_only' / 'local_models.csv'
  assert len(path.read_text().splitlines()) == 4


def test_local_people_without_local_are_refused():
  with pytest.raises(
    flag_groups.FlagError,
    match=r'^Expected local in --system where --local_people is given, found',
  ):
    parsed('--system=federated', '--local_people=5').check()


def test_fewer_local_people_than_none_are_refused():
  with pytest.raises(
    flag_groups.FlagError,
    match=r'^Expected --local_people of at least 0, found -1\.$',
  ):
    parsed('--local_people=-1').check()


@pytest.mark.parametrize(
  'systems', ['', 'federal', 'central,everything', 'central,,local']
)
def test_system_that_there_is_not_is_refused(systems):
  with pytest.raises(comparison.UnknownSystemError) as raised:
    parsed(f'--system={systems}').check()
  assert str(raised.value) == (
    'Expected systems out of central, local, federated, secure_federated, '
    f'found --system={systems}.'
  )


@pytest.mark.parametrize('system', ['central', 'local'])
def test_effort_for_a_system_that_is_not_chosen_is_refused(system):
  with pytest.raises(flag_groups.FlagError) as raised:
    parsed('--system=federated', f'--{system}_epochs=5').check()
  assert str(raised.value) == (
    f'Expected {system} in --system where --{system}_epochs is given, found '
    '--system=federated, with which it has no effect; remove one of them.'
  )


@pytest.mark.parametrize('system', ['central', 'local'])
def test_no_effort_is_refused_by_name(system):
  with pytest.raises(
    flag_groups.FlagError,
    match=rf'^Expected --{system}_epochs of at least 1, found 0\.$',
  ):
    parsed(f'--{system}_epochs=0').check()


def test_aggregators_of_a_system_that_is_not_chosen_are_refused():
  aggregator_flags.AggregatorFlags()
  with pytest.raises(flag_groups.FlagError) as raised:
    parsed('--system=central,local', '--aggregator=mean').check()
  assert str(raised.value) == (
    'Expected federated in --system where --aggregator is given, found '
    '--system=central,local, with which it has no effect; remove one of them.'
  )


def test_what_is_sent_is_told_where_something_is_compressed(
  model, process, tmp_path, monkeypatch
):
  sent = {
    'mean': ({'uplink_bytes_per_client': 20.0}, ()),
    'top_k': ({'uplink_bytes_per_client': 19.0}, ('uplink_bytes_per_client',)),
    'central': ({}, ()),
  }

  def run(name, *_):
    traffic, compressed = sent[name.replace(' ', '_')]
    return training.TrainingResult(
      process.initialize(), 2, {'accuracy': 0.5}, 1.0, 0.0, None,
      traffic=traffic, compressed=compressed,
    )  # fmt: skip

  monkeypatch.setattr(training, 'run', run)
  outcome = parsed('--system=central,federated').run(
    DATASET,
    model,
    [
      comparison.TrainedSystem(name, 'federated', lambda: process, PROGRAM)
      for name in ('mean', 'top_k')
    ],
    client_optimizer=CLIENT_OPTIMIZER,
    batch_size=2,
    seed=4,
    columns=COLUMNS,
    directory=run_directory.RunDirectory(tmp_path),
  )
  assert [column.title for column in outcome.columns] == [
    'accuracy', 'sent up', 'rounds', 'time'
  ]  # fmt: skip
  assert [row['uplink_bytes_per_client'] for row in outcome.rows] == [
    None, 20.0, 19.0
  ]  # fmt: skip
  assert outcome.notes[-1].startswith('sent up: bytes of a client in a round')
