import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tff_pipelines.data import batching, population
from tff_pipelines.learning import fed_avg, schedules
from tff_pipelines.models import text_classifiers

pytestmark = pytest.mark.usefixtures('native_context')


def bags(ids: list[int], labels: list[int]) -> tuple:
  """Texts of one word each."""
  ids_of_2 = np.array([[i, 0] for i in ids], np.int32)
  return (
    {'ids': ids_of_2, 'weights': (ids_of_2 > 0).astype(np.float32)},
    np.array(labels, np.int32),
  )


# Alice has one text, word 1, spam. Bob has two texts of word 2, ham, and one of
# word 1, spam. Carol has none. Everyone else is for the loop in NumPy.
TEXT_IDS = [1, 2, 2, 1, 1, 2, 1, 2, 2, 1]
LABELS = [1, 0, 0, 1, 0, 1, 1, 0, 1, 1]
PEOPLE = population.ArrayPopulation(
  bags(TEXT_IDS, LABELS),
  {'alice': [0], 'bob': [1, 2, 3], 'carol': [], 'dave': range(10)},
)
ALICE, BOB, CAROL, DAVE = range(4)


def build(aggregator, server_rate: float = 1.0, **options):
  model = text_classifiers.build_logistic_regression(3, PEOPLE.batch_spec)
  return fed_avg.build(
    model.functional,
    client_optimizer=tff.learning.optimizers.build_sgdm(1.0),
    server_optimizer=tff.learning.optimizers.build_sgdm(server_rate),
    aggregator=aggregator,
    **options,
  )


@pytest.fixture(scope='module')
def weighted():
  return build(tff.aggregators.MeanFactory())


@pytest.fixture(scope='module')
def unweighted():
  return build(tff.aggregators.UnweightedMeanFactory())


@pytest.fixture(scope='module', params=['weighted', 'unweighted'])
def process(request):
  return request.getfixturevalue(request.param)


def cohort(*people: int, batch_size: int = 10, round_num: int = 1, epochs=1):
  return PEOPLE.batches(
    people,
    batching.Batching(batch_size, epochs),
    seed=0,
    round_num=round_num,
  )


def words_and_intercept(process, state) -> np.ndarray:
  """The weights of the words 1 and 2, and the intercept."""
  table, intercept = process.get_model_weights(state).trainable
  assert table[0, 0] == 0  # Padding has no weight.
  return np.array([table[1, 0], table[2, 0], intercept])


def after(process, *cohorts) -> np.ndarray:
  state = process.initialize()
  for batches in cohorts:
    state = process.next(state, batches).state
  return words_and_intercept(process, state)


# From 0 all probabilities are 1/2, so a text pulls its word and the intercept
# by 1/2 to its label: alice's step is (1/2, 0, 1/2), bob's the mean of
# (0, -1/2, -1/2) twice and (1/2, 0, 1/2).
ALICES_STEP = np.array([1 / 2, 0, 1 / 2])
BOBS_STEP = np.array([1 / 6, -1 / 3, -1 / 6])


def test_one_client_makes_its_own_step(process):
  np.testing.assert_allclose(
    after(process, cohort(ALICE)), ALICES_STEP, atol=1e-6
  )
  np.testing.assert_allclose(after(process, cohort(BOB)), BOBS_STEP, atol=1e-6)


def test_a_weighted_aggregator_weights_clients_by_their_examples(weighted):
  np.testing.assert_allclose(
    after(weighted, cohort(ALICE, BOB)), [1 / 4, -1 / 4, 0], atol=1e-6
  )


def test_an_unweighted_aggregator_weights_clients_alike(unweighted):
  np.testing.assert_allclose(
    after(unweighted, cohort(ALICE, BOB)), [1 / 3, -1 / 6, 1 / 6], atol=1e-6
  )


def test_the_server_optimizer_takes_the_mean_update_as_its_gradient():
  process = build(tff.aggregators.MeanFactory(), server_rate=0.5)
  np.testing.assert_allclose(
    after(process, cohort(ALICE, BOB)), [1 / 8, -1 / 8, 0], atol=1e-6
  )


def test_an_empty_cohort_leaves_the_model_unchanged(process):
  state = process.next(process.initialize(), cohort(ALICE, BOB)).state
  before = words_and_intercept(process, state)
  output = process.next(state, cohort())
  np.testing.assert_array_equal(
    words_and_intercept(process, output.state), before
  )
  metrics = output.metrics['client_work']['train']
  assert metrics['num_examples'] == 0
  assert math.isnan(metrics['loss'])
  # Nor does it spoil what comes after.
  np.testing.assert_allclose(
    words_and_intercept(process, process.next(output.state, cohort(BOB)).state),
    words_and_intercept(process, process.next(state, cohort(BOB)).state),
    atol=1e-6,
  )


def test_a_client_without_examples_has_no_weight_by_examples(weighted):
  np.testing.assert_allclose(
    after(weighted, cohort(ALICE, CAROL)), ALICES_STEP, atol=1e-6
  )


def test_a_cohort_without_examples_leaves_the_model_unchanged(process):
  np.testing.assert_array_equal(after(process, cohort(CAROL)), [0, 0, 0])


def test_training_metrics_are_those_of_all_examples_before_the_step(process):
  output = process.next(process.initialize(), cohort(ALICE, BOB))
  metrics = output.metrics['client_work']['train']
  assert metrics['num_examples'] == 4
  assert metrics['loss'] == pytest.approx(math.log(2))
  # A logit of 0 counts as spam: half of them are.
  assert metrics['accuracy'] == metrics['auc'] == 0.5
  assert metrics['recall'] == metrics['false_positive_rate'] == 1


def steps_in_numpy(weights: np.ndarray, batches, rate=1.0) -> np.ndarray:
  """Gradient descent over one client's batches, in float64."""
  for (x, labels), size in zip(*batches, strict=True):
    word = np.eye(3)[x['ids'][:size, 0]][:, 1:]  # [size, 2]
    inputs = np.concatenate([word, np.ones([size, 1])], axis=1)
    probability = 1 / (1 + np.exp(-inputs @ weights))
    error = probability - labels[:size]
    weights = weights - rate * inputs.T @ error / size
  return weights


@pytest.mark.parametrize('kind', ['weighted', 'unweighted'])
def test_rounds_of_uneven_clients_equal_a_loop_in_numpy(kind, request):
  assert_equals_a_loop(request.getfixturevalue(kind), kind, [(1.0, 1.0)] * 3)


@pytest.mark.parametrize('kind', ['weighted', slow_cases.slow('unweighted')])
def test_rounds_on_schedules_equal_a_loop_in_numpy(kind):
  aggregator = (
    tff.aggregators.MeanFactory()
    if kind == 'weighted'
    else tff.aggregators.UnweightedMeanFactory()
  )
  process = build(
    aggregator,
    client_schedule=schedules.Schedule(0.8, 'step', 0, 1, decay_factor=0.5),
    server_schedule=schedules.Schedule(0.6, 'constant', 2),
  )
  outputs = assert_equals_a_loop(
    process, kind, [(0.8, 0.3), (0.4, 0.6), (0.2, 0.6)]
  )
  rates = [o.metrics['client_work']['client_learning_rate'] for o in outputs]
  np.testing.assert_allclose(rates, [0.8, 0.4, 0.2])
  metrics = outputs[0].metrics['client_work']['train']
  assert metrics['num_examples'] == 28


def assert_equals_a_loop(process, kind: str, rates: list) -> list:
  """Compares a round a pair of rates, the clients' and the server's."""
  cohorts = [
    cohort(DAVE, ALICE, BOB, batch_size=2, round_num=r, epochs=2)
    for r in (1, 2, 3)
  ]
  expected = np.zeros(3)
  for batches, (client_rate, server_rate) in zip(cohorts, rates, strict=True):
    updates, weights = [], []
    for c in range(3):
      owned = range(*batches.offsets[c : c + 2])
      parts = [
        tf.nest.map_structure(lambda a, b=b: a[b], batches.elements)
        for b in owned
      ]
      sizes = [int(batches.batch_sizes[b]) for b in owned]
      trained = steps_in_numpy(expected, (parts, sizes), client_rate)
      updates.append(trained - expected)
      weights.append(sum(sizes) if kind == 'weighted' else 1)
    mean = np.average(updates, axis=0, weights=weights)
    expected = expected + server_rate * mean
  outputs, state = [], process.initialize()
  for batches in cohorts:
    outputs.append(process.next(state, batches))
    state = outputs[-1].state
  np.testing.assert_allclose(
    words_and_intercept(process, state), expected, atol=1e-5
  )
  return outputs


def test_the_order_of_the_clients_does_not_matter(process):
  np.testing.assert_allclose(
    after(process, cohort(ALICE, BOB, DAVE)),
    after(process, cohort(DAVE, ALICE, BOB)),
    atol=1e-6,
  )
