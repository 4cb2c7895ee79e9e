"""Clients whose updates are not what they have trained."""

import math

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tff_pipelines.core import seeded_numbers
from tff_pipelines.core.client_kinds import ClientKind
from tff_pipelines.data import batching, client_kinds, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import (
  attacked_updates,
  client_updates,
  fed_avg,
  schedules,
)
from tff_pipelines.models import image_classifiers, kind_blind

SIZES = (3, 5, 0, 4)
MODEL = image_classifiers.build_mlp(image_classifiers.Mlp(6, (4,), 3), seed=1)
STRENGTHS = attacked_updates.Strengths(
  sign_flip_scale=3.0, backdoor_boost=7.0, random_stddev=0.5
)
SEED = 11
HONEST = (ClientKind.HONEST,) * 4


@pytest.fixture(scope='module', autouse=True)
def xla():
  with contexts.using('xla') as context:
    yield context


def people() -> population.ArrayPopulation:
  rng = np.random.default_rng(0)
  ends = np.cumsum(SIZES)
  return population.ArrayPopulation(
    (
      rng.random([sum(SIZES), 6], dtype=np.float32),
      rng.integers(0, 3, sum(SIZES)).astype(np.int32),
    ),
    {
      name: np.arange(end - size, end)
      for name, size, end in zip('abcd', SIZES, ends, strict=True)
    },
  )


def cohort(kinds, clients=range(4), round_num: int = 1):
  marked = client_kinds.with_kinds(people(), kinds, poison=None, seed=SEED)
  return marked.batches(
    clients, batching.Batching(2, 2), seed=0, round_num=round_num
  )


def attack_seed(client: int, kinds=HONEST) -> int:
  marked = client_kinds.with_kinds(people(), kinds, poison=None, seed=SEED)
  return int(marked.examples(client)[0]['attack_seed'][0])


@pytest.fixture(scope='module')
def sent():
  """From batches and rounds done to what clients send, and the next state."""
  work = attacked_updates.build(
    tff.learning.templates.build_functional_model_delta_client_work(
      model=kind_blind.build(MODEL),
      optimizer=tff.learning.optimizers.build_sgdm(0.5),
      client_weighting=tff.learning.ClientWeighting.NUM_EXAMPLES,
    ),
    STRENGTHS,
  )
  state, weights, batches = work.next.type_signature.parameter

  @tff.federated_computation(
    state, tff.FederatedType(weights.member, tff.SERVER), batches
  )
  def send(state, weights, batches):
    output = work.next(state, tff.federated_broadcast(weights), batches)
    return output.result, output.state

  initial = work.initialize()

  def run(batches, rounds_done: int = 0):
    return send(
      initial._replace(rounds_done=rounds_done),
      tff.learning.models.ModelWeights(*MODEL.initial_weights),
      batches,
    )

  return run


def parts(result) -> list[np.ndarray]:
  return [np.asarray(part) for part in result.update]


@pytest.mark.parametrize(
  ('kind', 'multiple'),
  [
    (ClientKind.HONEST, 1.0),
    (ClientKind.OUTLIER, 1.0),
    (ClientKind.LABEL_FLIPPER, 1.0),
    (ClientKind.BOOSTED_BACKDOOR, 7.0),
    (ClientKind.SIGN_FLIPPER, -3.0),
  ],
)
def test_an_update_is_multiplied_as_its_kind_says(sent, kind, multiple):
  honest, _ = sent(cohort(HONEST))
  found, _ = sent(cohort((kind, ClientKind.HONEST, kind, kind)))
  for client, times in enumerate((multiple, 1.0, multiple, multiple)):
    assert found[client].update_weight == honest[client].update_weight
    for one, other in zip(
      parts(found[client]), parts(honest[client]), strict=True
    ):
      # To the bit: a product of float32 is rounded once, and 1 changes none.
      np.testing.assert_array_equal(one, np.float32(times) * other)


def test_a_random_update_is_gaussian_noise_from_seed_and_round(sent):
  kinds = (ClientKind.HONEST, ClientKind.RANDOM_UPDATE, *HONEST[2:])
  found, _ = sent(cohort(kinds), rounds_done=4)
  size = sum(np.size(part) for part in parts(found[1]))
  expected = 0.5 * seeded_numbers.normal(attack_seed(1), 4, size).numpy()
  np.testing.assert_allclose(
    np.concatenate([part.ravel() for part in parts(found[1])]),
    expected,
    rtol=1e-5,
    atol=1e-6,
  )
  # The weight is that of its examples, twice as there are two epochs.
  assert found[1].update_weight == 2 * SIZES[1]


def test_random_updates_differ_by_client_and_round(sent):
  everyone = (ClientKind.RANDOM_UPDATE,) * 4
  first, _ = sent(cohort(everyone))
  again, _ = sent(cohort(everyone, round_num=9))
  second, _ = sent(cohort(everyone), rounds_done=1)
  np.testing.assert_array_equal(parts(first[0])[0], parts(again[0])[0])
  assert not np.allclose(parts(first[0])[0], parts(second[0])[0])
  assert not np.allclose(parts(first[0])[0], parts(first[1])[0])


def test_a_client_without_examples_is_of_no_kind(sent):
  found, _ = sent(cohort((ClientKind.RANDOM_UPDATE,) * 4))
  assert found[2].update_weight == 0
  for part in parts(found[2]):
    np.testing.assert_array_equal(part, np.zeros_like(part))


def test_state_counts_the_rounds(sent):
  _, state = sent(cohort(HONEST), rounds_done=6)
  assert state == attacked_updates.AttackedState(rounds_done=7, work=())


def fed_avg_of(aggregator, model=MODEL, attack=None):
  return fed_avg.build(
    model,
    client_optimizer=tff.learning.optimizers.build_sgdm(0.5),
    server_optimizer=tff.learning.optimizers.build_sgdm(1.0, 0.5),
    aggregator=aggregator,
    attack=attack,
  )


AGGREGATORS = {
  'weighted': tff.aggregators.MeanFactory,
  'unweighted': tff.aggregators.UnweightedMeanFactory,
}


@pytest.fixture(
  scope='module',
  params=slow_cases.all_but(['weighted'], AGGREGATORS),
)
def processes(request):
  """Federated averaging without attacks, and with them."""
  build = AGGREGATORS[request.param]
  return (
    fed_avg_of(build()),
    fed_avg_of(build(), kind_blind.build(MODEL), STRENGTHS),
    request.param,
  )


def test_honest_updates_are_those_without_attacks_to_the_bit(sent):
  updates = client_updates.build(MODEL, tff.learning.optimizers.build_sgdm(0.5))
  batches = people().batches(
    range(4), batching.Batching(2, 2), seed=0, round_num=1
  )
  # On TFF's own runtime: XLA fuses what follows an update with it, and rounds
  # less often where it does.
  with contexts.using('native'):
    expected = updates(
      tff.learning.models.ModelWeights(*MODEL.initial_weights), batches
    )
    found, _ = sent(cohort((*HONEST[:3], ClientKind.SIGN_FLIPPER)))
  for client in range(3):
    assert found[client].update_weight == expected[client].update_weight
    for one, other in zip(
      parts(found[client]), parts(expected[client]), strict=True
    ):
      # TFF's updates point down.
      np.testing.assert_array_equal(one, -other)


def run(process, cohorts, state=None):
  state = process.initialize() if state is None else state
  for batches in cohorts:
    state, metrics = process.next(state, batches)
  return state, metrics


def assert_equal_trees(one, other):
  for part, same in zip(
    tff.structure.flatten(tff.structure.from_container(one, recursive=True)),
    tff.structure.flatten(tff.structure.from_container(other, recursive=True)),
    strict=True,
  ):
    np.testing.assert_array_equal(part, same)


def test_with_honest_clients_a_run_is_the_one_without_attacks(processes):
  plain, attacked, _ = processes
  rounds = (1, 2, 3)
  with contexts.using('native'):
    found, expected = both_runs(attacked, plain, rounds)
  assert found[0].client_work.rounds_done == 3
  for name in (
    'global_model_weights',
    'distributor',
    'aggregator',
    'finalizer',
  ):
    assert_equal_trees(getattr(found[0], name), getattr(expected[0], name))
  assert_equal_trees(found[1], expected[1])


def both_runs(attacked, plain, rounds):
  """States and metrics of honest clients' rounds, with kinds and without."""
  batching_of = batching.Batching(2, 2)
  return (
    run(attacked, [cohort(HONEST, round_num=r) for r in rounds]),
    run(
      plain,
      [
        people().batches(range(4), batching_of, seed=0, round_num=r)
        for r in rounds
      ],
    ),
  )


@pytest.mark.slow
def test_an_attacker_counts_as_much_as_it_would_if_it_were_honest(
  processes, sent
):
  _, attacked, kind = processes
  kinds = (ClientKind.SIGN_FLIPPER, *HONEST[1:])
  state, _ = run(attacked, [cohort(kinds, [0, 1, 3])])
  weights = [3, 5, 4] if kind == 'weighted' else [1, 1, 1]
  results, _ = sent(cohort(kinds, [0, 1, 3]))
  for k, part in enumerate(attacked.get_model_weights(state).trainable):
    # TFF's updates point down.
    mean = np.average(
      [parts(each)[k] for each in results], axis=0, weights=weights
    )
    np.testing.assert_allclose(
      part, MODEL.initial_weights[0][k] - mean, rtol=1e-5, atol=1e-6
    )


def test_a_run_that_is_resumed_is_attacked_as_if_it_had_not_stopped(processes):
  _, attacked, _ = processes
  kinds = (ClientKind.HONEST, ClientKind.RANDOM_UPDATE, *HONEST[2:])
  cohorts = [cohort(kinds, round_num=r) for r in (1, 2, 3, 4)]
  whole, _ = run(attacked, cohorts)
  half, _ = run(attacked, cohorts[:2])
  resumed, _ = run(attacked, cohorts[2:], half)
  assert_equal_trees(resumed, whole)


def test_examples_without_kinds_are_refused():
  with pytest.raises(
    attacked_updates.AttackError,
    match=r'^Expected examples that say the kind and the attack_seed of their',
  ):
    fed_avg_of(tff.aggregators.MeanFactory(), attack=STRENGTHS)


@pytest.mark.parametrize('value', [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize(
  'name', ['sign_flip_scale', 'backdoor_boost', 'random_stddev']
)
def test_strengths_are_above_0_and_finite(name, value):
  with pytest.raises(
    attacked_updates.AttackError,
    match=f'^Expected a {name} above 0 and finite, found {value}',
  ):
    attacked_updates.Strengths(**{name: value})


@pytest.mark.slow
def test_an_attack_scales_what_is_trained_on_the_schedule():
  schedule = schedules.Schedule(0.5, 'step', 0, 1, decay_factor=0.25)
  honest, attacked = (
    fed_avg.build(
      model,
      client_optimizer=tff.learning.optimizers.build_sgdm(9.0),
      server_optimizer=tff.learning.optimizers.build_sgdm(1.0),
      aggregator=tff.aggregators.MeanFactory(),
      client_schedule=schedule,
      attack=attack,
    )
    for model, attack in (
      (MODEL, None),
      (kind_blind.build(MODEL), STRENGTHS),
    )
  )
  flipper = (ClientKind.SIGN_FLIPPER, *HONEST[1:])
  plain = people().batches([0], batching.Batching(2, 2), seed=0, round_num=1)
  one = honest.next(honest.initialize(), plain)
  other = attacked.next(attacked.initialize(), cohort(flipper, [0]))
  for start, up, down in zip(
    MODEL.initial_weights[0],
    honest.get_model_weights(one.state).trainable,
    attacked.get_model_weights(other.state).trainable,
    strict=True,
  ):
    np.testing.assert_allclose(down - start, -3 * (up - start), atol=1e-6)
  assert other.state.client_work == attacked_updates.AttackedState(1, 1)
  assert other.metrics['client_work']['client_learning_rate'] == 0.5
