import math

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.data import batching, population
from tff_pipelines.learning import fed_sgd, schedules
from tff_pipelines.models import text_classifiers

pytestmark = pytest.mark.usefixtures('native_context')

RNG = np.random.default_rng(3)
IDS = RNG.integers(1, 3, [10, 1]).astype(np.int32)
X = {'ids': IDS, 'weights': RNG.random([10, 1]).astype(np.float32)}
LABELS = RNG.integers(0, 2, 10).astype(np.int32)
PEOPLE = population.ArrayPopulation(
  (X, LABELS), {'alice': [0], 'bob': range(1, 10), 'carol': []}
)
SIZES = np.array([1, 9, 0])


def build(aggregator, **options):
  model = text_classifiers.build_logistic_regression(3, PEOPLE.batch_spec)
  return fed_sgd.build(
    model.functional,
    server_optimizer=tff.learning.optimizers.build_sgdm(0.5),
    aggregator=aggregator,
    **options,
  )


@pytest.fixture(scope='module')
def weighted():
  return build(tff.aggregators.MeanFactory())


@pytest.fixture(scope='module')
def unweighted():
  return build(tff.aggregators.UnweightedMeanFactory())


def cohort(*people: int, batch_size: int = 4, round_num: int = 1):
  return PEOPLE.batches(
    people, batching.Batching(batch_size), seed=0, round_num=round_num
  )


def weights_of(process, state) -> np.ndarray:
  table, intercept = process.get_model_weights(state).trainable
  return np.array([table[1, 0], table[2, 0], intercept])


def after(process, *cohorts) -> np.ndarray:
  state = process.initialize()
  for batches in cohorts:
    state = process.next(state, batches).state
  return weights_of(process, state)


def gradient(weights: np.ndarray, rows: list[int]) -> np.ndarray:
  """Of the mean loss over a client's rows, in float64; 0 without rows."""
  if not rows:
    return np.zeros(3)
  word = np.eye(3)[IDS[rows, 0]][:, 1:] * X['weights'][rows].astype(np.float64)
  inputs = np.concatenate([word, np.ones([len(rows), 1])], axis=1)
  probability = 1 / (1 + np.exp(-inputs @ weights))
  return inputs.T @ (probability - LABELS[rows]) / len(rows)


def by_hand(rates: list[float], client_weights: np.ndarray) -> np.ndarray:
  weights = np.zeros(3)
  for rate in rates:
    gradients = [
      gradient(weights, rows) for rows in ([0], list(range(1, 10)), [])
    ]
    weights -= rate * np.average(gradients, axis=0, weights=client_weights)
  return weights


@pytest.mark.parametrize(
  'kind, client_weights',
  [('weighted', SIZES), ('unweighted', np.ones(3))],
)
def test_rounds_are_steps_down_the_mean_of_the_clients_gradients(
  kind, client_weights, request
):
  found = after(
    request.getfixturevalue(kind),
    *(cohort(0, 1, 2, round_num=r) for r in (1, 2, 3)),
  )
  np.testing.assert_allclose(
    found, by_hand([0.5] * 3, client_weights), atol=1e-6
  )


def test_with_weights_it_is_gradient_descent_on_everything(weighted):
  weights = np.zeros(3)
  for _ in range(2):
    weights -= 0.5 * gradient(weights, list(range(10)))
  found = after(weighted, cohort(0, 1), cohort(0, 1))
  np.testing.assert_allclose(found, weights, atol=1e-6)


@pytest.mark.parametrize('batch_size', [1, 3, 100])
def test_the_size_of_batches_does_not_matter(weighted, batch_size):
  np.testing.assert_allclose(
    after(weighted, cohort(0, 1, batch_size=batch_size)),
    after(weighted, cohort(0, 1)),
    atol=1e-6,
  )


def test_a_cohort_without_examples_leaves_the_model_unchanged(weighted):
  np.testing.assert_array_equal(after(weighted, cohort(2)), [0, 0, 0])
  np.testing.assert_array_equal(after(weighted, cohort()), [0, 0, 0])


def test_the_servers_schedule_is_that_of_the_rounds():
  schedule = schedules.Schedule(
    0.8, 'exponential', 1, decay_rounds=1, decay_factor=0.5
  )
  process = build(tff.aggregators.MeanFactory(), server_schedule=schedule)
  np.testing.assert_allclose(
    after(process, *[cohort(0, 1, 2)] * 3),
    by_hand([0.8, 0.8, 0.4], SIZES),
    atol=1e-6,
  )


def test_training_metrics_are_those_of_the_received_model(weighted):
  output = weighted.next(weighted.initialize(), cohort(0, 1))
  metrics = output.metrics['client_work']['train']
  assert metrics['num_examples'] == 10
  assert metrics['loss'] == pytest.approx(math.log(2))


@pytest.mark.slow
def test_secure_metrics_are_summed_securely():
  process = build(tff.learning.secure_aggregator(), secure_metrics=True)
  tff.test.assert_not_contains_unsecure_aggregation(process.next)
