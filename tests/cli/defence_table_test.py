"""Every aggregator against every attack, on a task that is small."""

import functools
import json

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.cli import (
  aggregator_flags,
  attack_flags,
  defence_table,
  flag_groups,
  secure_sum_flags,
)
from tff_pipelines.core import participation
from tff_pipelines.core.client_kinds import ClientKind
from tff_pipelines.data import batching, poisons, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import fed_avg
from tff_pipelines.models import image_classifiers
from tff_pipelines.programs import run_directory, stop_rules, training

SEED, ROUNDS, CLIENTS = 3, 4, 8
# The bright one of two pixels says the label; the last one is dark.
MODEL = image_classifiers.build_mlp(image_classifiers.Mlp(9, (), 2))


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


@pytest.fixture(scope='module', autouse=True)
def xla():
  with contexts.using('xla') as context:
    yield context


def images(num_clients: int, seed: int) -> population.ArrayPopulation:
  labels = np.random.default_rng(seed).integers(0, 2, 10 * num_clients)
  x = np.zeros([len(labels), 9], np.float32)
  x[np.arange(len(labels)), labels] = 1
  return population.ArrayPopulation(
    (x, labels.astype(np.int32)),
    {f'c{i}': np.arange(10 * i, 10 * i + 10) for i in range(num_clients)},
  )


DATASET = population.FederatedDataset(
  'pixels', images(CLIENTS, 1), images(2, 2), ('left', 'right'), {}
)


def program(_=None, **changes) -> training.TrainingProgram:
  return training.TrainingProgram(
    ROUNDS,
    participation.Participation(CLIENTS, CLIENTS, 'everyone'),
    batching.Batching(10),
    seed=SEED,
    evaluate_every=2,
    **changes,
  )


def compare(path, *arguments: str, program_for=program, **options):
  """Compares the aggregators of a command line."""
  with flagsaver.flagsaver():
    aggregator = aggregator_flags.AggregatorFlags()
    attack = attack_flags.AttackFlags()
    secure_sums = secure_sum_flags.SecureSumFlags()
    flags.FLAGS(['program', *arguments])
    for group in (aggregator, attack, secure_sums):
      group.check()
    build = functools.partial(
      fed_avg.build,
      attack.trained(MODEL),
      client_optimizer=tff.learning.optimizers.build_sgdm(2.0),
      server_optimizer=tff.learning.optimizers.build_sgdm(1.0),
      attack=attack.strengths,
    )
    return defence_table.run(
      DATASET,
      MODEL,
      aggregator.systems(build, program_for, MODEL, secure_sums),
      aggregator=aggregator,
      attack=attack,
      poison=poisons.of_images(9, 2),
      seed=SEED,
      directory=run_directory.RunDirectory(path),
      **options,
    )


TWO = ('--attack=sign_flip,backdoor', '--aggregator=uniform_mean,median')


@pytest.fixture(scope='module')
def compared(tmp_path_factory):
  path = tmp_path_factory.mktemp('run')
  return path, compare(path, *TWO)


def test_attacks_turn_the_mean_around_and_leave_the_median(compared):
  _, outcome = compared
  rows = {row['system']: row for row in outcome.rows}
  assert list(rows) == [
    f'{aggregator}, {attack}'
    for attack in ('none', 'sign_flip', 'backdoor')
    for aggregator in ('uniform_mean', 'median')
  ]
  # A pixel tells the label. Of a model that was turned around nothing is left
  # but one label, which 9 or 11 of 20 test examples have, or fewer right ones.
  assert rows['uniform_mean, none']['accuracy'] == 1
  turned = rows['uniform_mean, sign_flip']
  assert turned['accuracy'] < 0.56
  assert turned['lost'] == 1 - turned['accuracy']
  assert rows['median, sign_flip']['accuracy'] == 1
  assert rows['median, none']['attack_success'] == 0
  assert rows['uniform_mean, sign_flip']['attack_success'] is None
  assert (
    rows['uniform_mean, backdoor']['attack_success']
    >= rows['median, backdoor']['attack_success']
  )
  assert outcome.weights is None


def test_figure_says_who_should_have_held(compared):
  path, outcome = compared
  figure = json.loads((path / 'maps' / 'defences' / 'figure.json').read_text())
  expected = {c['name']: c['expected'] for c in figure['curves']}
  assert [n for n, held in expected.items() if not held] == [
    'uniform_mean, sign_flip', 'uniform_mean, backdoor',
  ]  # fmt: skip
  assert figure['settings']['attackers'] == 2
  assert figure['settings']['clients'] == CLIENTS
  assert outcome.notes == figure['notes']
  assert outcome.notes[0].startswith('2 of 8 clients attack, at the most 2 of')
  assert 'a bright patch of 1 x 1 is to make' in outcome.notes[-1]
  assert 'one of left' in outcome.notes[-1]


def test_accuracy_is_measured_at_the_start_and_at_the_end(compared):
  path, _ = compared
  lines = (path / 'maps' / 'defences' / 'server.csv').read_text().splitlines()
  assert lines[0] == 'curve,seed,step,round_num,accuracy'
  assert [line.split(',')[3] for line in lines[1:4]] == ['0', '2', '4']
  assert len(lines) == 1 + 6 * 3


@pytest.mark.slow
def test_what_is_trained_is_not_trained_again(compared, monkeypatch):
  path, outcome = compared
  trained = []
  train = defence_table.short_runs.train

  def counted(*arguments, **options):
    trained.append(arguments)
    return train(*arguments, **options)

  monkeypatch.setattr(defence_table.short_runs, 'train', counted)
  kept = path / 'simulation_only' / 'defences'
  assert len(list(kept.iterdir())) == 6
  (kept / f'median_sign_flip_{SEED}.json').unlink()
  again = compare(path, *TWO)
  assert len(trained) == 1
  assert again == outcome


@pytest.mark.slow
def test_repeats_are_drawn_anew_and_their_mean_is_told(tmp_path):
  loaded, begun = [], []

  def load(seed):
    loaded.append(seed)
    return DATASET

  def weights(seed):
    begun.append(seed)
    return [np.zeros(w.shape, np.float32) for w in MODEL.initial_weights[0]]

  outcome = compare(
    tmp_path,
    '--attack=sign_flip',
    '--aggregator=median',
    '--attack_repeats=2',
    load=load,
    initial_weights=weights,
  )
  # The first repeat has the data that were given.
  assert loaded == [SEED + 1]
  assert begun == [SEED, SEED + 1] * 2
  kept = tmp_path / 'simulation_only' / 'defences'
  for row, attack in zip(outcome.rows, ('none', 'sign_flip'), strict=True):
    ends = [
      json.loads((kept / f'median_{attack}_{seed}.json').read_text())
      for seed in (SEED, SEED + 1)
    ]
    assert row['accuracy'] == sum(e['accuracy'] for e in ends) / 2
  lines = (
    (tmp_path / 'maps' / 'defences' / 'server.csv').read_text().splitlines()
  )
  assert [line.split(',')[1] for line in lines[1:7]] == ['3'] * 3 + ['4'] * 3


def test_a_rule_that_stops_early_is_refused(tmp_path):
  rule = stop_rules.MetricTarget('test/accuracy', 0.5)
  with pytest.raises(
    flag_groups.FlagError, match=r'^Expected no rule that stops training early'
  ):
    compare(
      tmp_path,
      *TWO,
      program_for=functools.partial(program, stop_rules=(rule,)),
    )


def test_attackers_of_each_round_are_those_who_were_drawn():
  kinds = [ClientKind.OUTLIER] * 3 + [ClientKind.HONEST] * 5
  drawn = training.TrainingProgram(
    5, participation.Participation(8, 4), batching.Batching(1), seed=1
  )
  found = defence_table.attackers_by_round(kinds, drawn)
  assert len(found) == 5
  for round_num, (attackers, clients) in enumerate(found, start=1):
    cohort = drawn.participation.select(1, round_num)
    assert attackers == sum(c < 3 for c in cohort.tolist())
    assert clients == 4
  # Not the same in all rounds, or this would show nothing.
  assert len(set(found)) > 1
