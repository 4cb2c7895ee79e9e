"""Attacks on training that is small, and whose noise is not always honest."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import central_dp, clip_norms, server_noise
from tff_pipelines.cli import (
  audited_training,
  canary_attack,
  comparison,
  flag_groups,
  membership_attacks,
  outlier_attack,
)
from tff_pipelines.core import participation
from tff_pipelines.data import batching, changed_population, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import fed_avg, optimizers
from tff_pipelines.models import image_classifiers
from tff_pipelines.privacy import accounting, central, correlated
from tff_pipelines.programs import (
  privacy_log,
  run_directory,
  short_runs,
  stop_rules,
  training,
)
from tff_pipelines.reports import audit_record

pytestmark = pytest.mark.slow

ROUNDS, DELTA, CLIP = 2, 1e-2, 1.0
# Far more coordinates than canaries.
MODEL = image_classifiers.build_mlp(image_classifiers.Mlp(60, (80,), 3))
SGD = optimizers.OptimizerConfig('sgd', 0.5)
SERVER = optimizers.OptimizerConfig('sgd', 1.0)


@pytest.fixture(scope='module', autouse=True)
def xla():
  with contexts.using('xla') as context:
    yield context


def people(sizes=(3, 3, 4, 3)) -> population.ArrayPopulation:
  rng = np.random.default_rng(0)
  count = sum(sizes)
  ends = np.cumsum(sizes)
  return population.ArrayPopulation(
    (
      rng.random([count, 60], dtype=np.float32),
      rng.integers(0, 3, count).astype(np.int32),
    ),
    {
      f'client_{i}': np.arange(end - size, end)
      for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
    },
  )


def program(num_clients, scheme=None, **changes) -> training.TrainingProgram:
  scheme = scheme or 'uniform'
  cohort = num_clients if scheme == 'everyone' else num_clients // 2
  return training.TrainingProgram(
    ROUNDS,
    participation.Participation(num_clients, cohort, scheme),
    batching.Batching(2),
    seed=3,
    **changes,
  )


def audited(
  path,
  *,
  claimed: float = 1.0,
  true: float | None = None,
  scheme='everyone',
  clients=None,
  server=SERVER,
  mechanism=None,
  stop_at_epsilon=None,
  **changes,
) -> audited_training.AuditedTraining:
  """Training that claims one noise multiplier and adds another."""

  def system_for(model, num_clients):
    plan = program(num_clients, scheme, **changes)
    ran = mechanism or central.Gaussian(claimed)
    promise = accounting.planned(
      accounting.Plan(ran, plan.participation, ROUNDS), DELTA
    )
    terms = privacy_log.PrivacyTerms(
      ran,
      plan.participation,
      DELTA,
      promise,
      stop_at_epsilon=stop_at_epsilon,
    )
    factory = central_dp.CentralDpFactory(
      clip_norms.FixedClip(CLIP),
      server_noise.IndependentNoise(claimed if true is None else true),
      plan.participation.clients_per_round,
      test_seed=1,
    )
    build = functools.partial(
      fed_avg.build,
      model,
      client_optimizer=SGD.build(),
      server_optimizer=server.build(),
      aggregator=factory,
    )
    return comparison.TrainedSystem(
      'federated',
      'federated',
      build,
      dataclasses.replace(plan, privacy=terms),
    )

  clients = clients or people()
  return audited_training.AuditedTraining(
    population.FederatedDataset('test', clients, clients, ('a', 'b', 'c'), {}),
    MODEL,
    SGD,
    server,
    system_for,
    program,
    3,
    run_directory.RunDirectory(path),
  )


# Canaries in the very process that trains.


@pytest.fixture(scope='module')
def found(tmp_path_factory):
  """What 100 canaries find, by the noise that there is; 1 is claimed."""
  return {
    noise: canary_attack.run(
      audited(tmp_path_factory.mktemp('run'), claimed=1.0, true=noise), 100
    )
    for noise in (1e-3, 0.5, 1.0, 1e3)
  }


def test_hardly_any_noise_leaves_canaries_in_the_open(found):
  assert found[1e-3]['estimate'] > 20
  assert found[1e-3]['lower_bound'] > 10


def test_huge_noise_hides_them(found):
  # A mean of 100 within 5 standard errors: mu up to 0.5, epsilon up to 0.9.
  assert found[1e3]['estimate'] < 0.9
  assert found[1e3]['lower_bound'] < 0.5


def test_half_the_claimed_noise_contradicts_the_accountant(found):
  assert found[0.5]['lower_bound'] > found[0.5]['accountant']


def test_honest_noise_does_not(found):
  honest = found[1.0]
  assert 0.5 < honest['lower_bound'] <= honest['accountant']
  # All took part in all rounds: the worst case, but for what the others hide.
  assert honest['estimate'] == pytest.approx(honest['accountant'], rel=0.4)


def test_the_record_is_what_the_report_reads(found):
  read = audit_record.parse({'one_shot': found[1.0]}).one_shot
  assert (read.canaries, read.delta) == (100, DELTA)
  assert read.dimension == sum(w.size for w in MODEL.initial_weights[0])
  assert [r for r, _ in read.by_round] == [1, 2]


def test_a_run_that_is_done_is_not_trained_again(tmp_path, monkeypatch):
  first = canary_attack.run(audited(tmp_path), 8)
  monkeypatch.setattr(
    training.rounds, 'run', lambda *a: pytest.fail('a round was trained')
  )
  assert canary_attack.run(audited(tmp_path), 8) == first


# Membership.


@pytest.fixture(scope='module')
def many() -> population.ArrayPopulation:
  return people(sizes=(4,) * 5 + (0,) + (4,) * 14)


def test_candidates_have_data_and_an_even_number(many):
  chosen = membership_attacks.candidates(many, seed=0)
  assert chosen.num_clients == 18
  assert 'client_5' not in chosen.client_ids and np.all(chosen.sizes > 0)
  again = membership_attacks.candidates(many, seed=0)
  assert again.client_ids == chosen.client_ids


@pytest.fixture(scope='module')
def membership(tmp_path_factory, many):
  path = tmp_path_factory.mktemp('membership')
  given = audited(path, scheme='uniform', clients=many, claimed=0.3)
  return path, given, membership_attacks.run(given, 3, 2)


def test_models_with_noise_and_without_are_attacked(membership):
  _, _, (rows, notes) = membership
  assert [row['name'] for row in rows] == [
    'loss threshold, without noise',
    'likelihood ratio, without noise',
    'loss threshold, with noise',
    'likelihood ratio, with noise',
    'knowing all others, with noise',
  ]
  assert [row['promise'] is None for row in rows] == [True] * 2 + [False] * 3
  assert notes == [
    'membership: 2 of 20 clients left out, who have no data, or would make the '
    'halves unequal'
  ]
  # All updates are near the clip norm, so that mu is about 3.
  assert rows[-1]['auc'] > 0.9
  assert len(audit_record.parse({'membership': rows}).membership) == 5


def test_after_a_kill_only_what_is_missing_is_trained(membership, monkeypatch):
  path, given, expected = membership
  files = sorted((path / 'simulation_only' / 'attacks').iterdir())
  assert len(files) == 2 * 6 + 1
  trained = []
  train = short_runs.train

  def counted(*arguments):
    trained.append(arguments)
    return train(*arguments)

  monkeypatch.setattr(short_runs, 'train', counted)
  again = membership_attacks.run(given, 3, 2)
  assert trained == [] and again == expected
  next(f for f in files if f.name == 'membership_without_noise_4.json').unlink()
  again = membership_attacks.run(given, 3, 2)
  # Without noise, training is a function of the seed.
  assert len(trained) == 1 and again[0][0]['auc'] == expected[0][0]['auc']


@pytest.mark.parametrize(
  'changes, reason',
  [
    (
      {'mechanism': correlated.TreeAggregation(3.0), 'scheme': 'cyclic'},
      "it is for the server's independent noise (--aggregator=dp_fixed or dp_",
    ),
    (
      {'server': optimizers.OptimizerConfig('sgd', 1.0, momentum=0.9)},
      '--server_optimizer=sgd without momentum, found sgd with momentum 0.9',
    ),
    (
      {'server': optimizers.OptimizerConfig('adam', 1.0)},
      'sgd without momentum, found adam with momentum 0',
    ),
    ({'scheme': 'everyone'}, 'as everyone is in every cohort'),
  ],
)
def test_where_nobody_can_subtract_the_others_it_is_said_why(
  tmp_path, changes, reason
):
  given = audited(tmp_path, **{'scheme': 'uniform', **changes})
  _, short = given.with_and_without_noise(4)
  told = membership_attacks.why_not_known(short, given.server_optimizer)
  assert reason in told


# The outlier.


def test_all_labels_of_the_outlier_are_wrong(tmp_path):
  dataset = audited(tmp_path).dataset
  client, populations = outlier_attack.in_and_out(dataset)
  assert client == 2
  x, y = populations[True].examples(2)
  right_x, right_y = dataset.train.examples(2)
  np.testing.assert_array_equal(x, right_x)
  np.testing.assert_array_equal(y, (right_y + 1) % 3)
  assert y.dtype == np.int32
  assert populations[False].sizes.tolist() == [3, 3, 0, 3]


def test_a_client_without_data_leaves_the_model_as_without_it(tmp_path):
  given = audited(tmp_path, true=1e-9)
  _, populations = outlier_attack.in_and_out(given.dataset)
  others = changed_population.SubsetPopulation(
    given.dataset.train, np.array([0, 1, 3])
  )
  _, four = given.with_and_without_noise(4)
  weights = []
  for clients in (populations[False], others):
    drawn = participation.Participation(
      clients.num_clients, clients.num_clients, 'everyone'
    )
    plan = dataclasses.replace(four.program, privacy=None, participation=drawn)
    # The sum is divided by the planned four.
    state = short_runs.train(four.process, clients, plan)
    weights.append(four.process.get_model_weights(state).trainable)
  tf.nest.map_structure(
    functools.partial(np.testing.assert_allclose, atol=1e-6), *weights
  )


def test_the_outlier_is_plain_without_noise_and_no_model_is_trained_twice(
  tmp_path,
):
  given = audited(tmp_path, claimed=50.0)
  found = outlier_attack.run(given, 4)
  plain, noisy = found['systems']
  assert (plain['name'], noisy['name']) == ('without noise', 'with noise')
  assert plain['told_apart'] > 0.8 and plain['gap']['mean'] < 0
  assert len(noisy['with']) == len(noisy['without']) == 4
  assert len(audit_record.parse({'outlier': found}).outlier) == 2
  attacks = tmp_path / 'simulation_only' / 'attacks'
  assert len(list(attacks.iterdir())) == 2 * 2 * 4
  assert outlier_attack.run(given, 4) == found


# What is compared.


@pytest.mark.parametrize(
  'drawn, expected',
  [('poisson', 'uniform'), ('uniform', 'uniform'), ('everyone', 'everyone')],
)
def test_with_and_without_noise_cohorts_are_drawn_alike(
  tmp_path, drawn, expected
):
  plain, noisy = audited(tmp_path, scheme=drawn).with_and_without_noise(4)
  assert plain.program.participation.scheme == expected
  assert noisy.program.participation.scheme == drawn
  assert plain.promise is None and noisy.promise.delta == DELTA
  assert isinstance(plain.process, tff.learning.templates.LearningProcess)


@pytest.mark.parametrize(
  'changes',
  [
    {'stop_at_epsilon': 1.0},
    {'stop_rules': (stop_rules.MetricTarget('test/loss', 0.1),)},
  ],
)
def test_models_that_may_stop_early_are_not_compared(tmp_path, changes):
  with pytest.raises(
    flag_groups.FlagError,
    match=r'^Expected no rule that stops training early where models are com',
  ):
    audited(tmp_path, **changes).with_and_without_noise(4)
