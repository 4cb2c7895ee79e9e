import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.data import batching, population
from tff_pipelines.learning import local_training
from tff_pipelines.models import text_classifiers

pytestmark = pytest.mark.usefixtures('native_context')

NUM_IDS, LENGTH, RATE, MOMENTUM = 6, 3, 0.7, 0.5


def random_bags(num_texts: int, seed: int) -> tuple:
  rng = np.random.default_rng(seed)
  shape = [num_texts, LENGTH]
  return (
    {
      'ids': rng.integers(0, NUM_IDS, shape).astype(np.int32),
      'weights': rng.random(shape).astype(np.float32),
    },
    rng.integers(0, 2, num_texts).astype(np.int32),
  )


PEOPLE = population.ArrayPopulation(
  random_bags(20, seed=0),
  {'one': [0], 'none': [], 'three': [1, 2, 3], 'rest': range(4, 20)},
)
TEST_BATCH = random_bags(40, seed=1)
START = (
  np.random.default_rng(2).normal(size=[NUM_IDS, 1]).astype(np.float32),
  np.float32(-0.3),
)
WEIGHTS = tff.learning.models.ModelWeights(START, ())


@pytest.fixture(scope='module')
def train() -> tff.Computation:
  model = text_classifiers.build_logistic_regression(NUM_IDS, PEOPLE.batch_spec)
  optimizer = tff.learning.optimizers.build_sgdm(RATE, MOMENTUM)
  return local_training.build(model.functional, optimizer)


def batches_of(*people: int, epochs: int = 3):
  return PEOPLE.batches(
    people, batching.Batching(2, epochs), seed=0, round_num=1
  )


def inputs_of(x) -> np.ndarray:
  """The bags as dense vectors, with a 1 for the intercept."""
  one_hot = np.eye(NUM_IDS)[x['ids']]  # [n, length, num_ids]
  bags = np.einsum('nl,nli->ni', x['weights'].astype(np.float64), one_hot)
  return np.concatenate([bags, np.ones([len(bags), 1])], axis=1)


def expected_metrics(batches, client: int) -> dict[str, float]:
  """Gradient descent with momentum and the test metrics, in float64."""
  weights = np.append(START[0], START[1]).astype(np.float64)
  velocity = np.zeros_like(weights)
  for b in range(*batches.offsets[client : client + 2]):
    size = batches.batch_sizes[b]
    x, labels = tf.nest.map_structure(
      lambda a, b=b, size=size: a[b, :size], batches.elements
    )
    inputs = inputs_of(x)
    probability = 1 / (1 + np.exp(-inputs @ weights))
    velocity = MOMENTUM * velocity + inputs.T @ (probability - labels) / size
    weights = weights - RATE * velocity
  x, labels = TEST_BATCH
  logits = inputs_of(x) @ weights
  predicted = logits >= 0
  return {
    'loss': np.logaddexp(0, np.where(labels, -logits, logits)).mean(),
    'accuracy': np.mean(predicted == labels),
    'recall': np.mean(predicted[labels == 1]),
    'false_positive_rate': np.mean(predicted[labels == 0]),
    'num_examples': len(labels),
  }


def assert_metrics(found, expected) -> None:
  for name, value in expected.items():
    assert found[name] == pytest.approx(value, rel=1e-5), name


def test_each_client_equals_a_loop_in_numpy(train):
  batches = batches_of(0, 1, 2, 3)
  found = train(WEIGHTS, TEST_BATCH, batches)
  assert len(found) == 4
  expected = [expected_metrics(batches, c) for c in range(4)]
  assert len({e['loss'] for e in expected}) == 4
  for client in range(4):
    assert_metrics(found[client], expected[client])


def test_a_client_alone_learns_the_same_as_among_others(train):
  among = train(WEIGHTS, TEST_BATCH, batches_of(0, 3))[1]
  (alone,) = train(WEIGHTS, TEST_BATCH, batches_of(3))
  assert_metrics(alone, among)


def test_a_client_without_examples_keeps_the_weights_it_was_given(train):
  (found,) = train(WEIGHTS, TEST_BATCH, batches_of(1))
  x, labels = TEST_BATCH
  logits = inputs_of(x) @ np.append(START[0], START[1])
  assert found['accuracy'] == pytest.approx(np.mean((logits >= 0) == labels))
  assert found['num_examples'] == 40
