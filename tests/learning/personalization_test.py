"""Fine-tuning at the clients, against a loop in NumPy."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.data import batching, population
from tff_pipelines.learning import personalization
from tff_pipelines.models import image_classifiers

pytestmark = pytest.mark.usefixtures('native_context')

NUM_INPUTS, NUM_CLASSES, RATE, EPOCHS = 3, 2, 0.5, 3
_RNG = np.random.default_rng(0)


def people(**sizes: int) -> population.ArrayPopulation:
  ends = np.cumsum(list(sizes.values()))
  examples = (
    _RNG.normal(size=[ends[-1], NUM_INPUTS]).astype(np.float32),
    _RNG.integers(0, NUM_CLASSES, ends[-1]).astype(np.int32),
  )
  rows = np.split(np.arange(ends[-1]), ends[:-1])
  return population.ArrayPopulation(
    examples, dict(zip(sizes, rows, strict=True))
  )


TRAIN = people(one=1, none=0, five=5, many=9)
TEST = people(one=4, none=6, five=0, many=11)
START = (
  _RNG.normal(size=[NUM_INPUTS, NUM_CLASSES]).astype(np.float32),
  _RNG.normal(size=[NUM_CLASSES]).astype(np.float32),
)
WEIGHTS = tff.learning.models.ModelWeights(START, ())


@pytest.fixture(scope='module')
def personalize() -> tff.Computation:
  model = image_classifiers.build_mlp(
    image_classifiers.Mlp(NUM_INPUTS, (), NUM_CLASSES)
  )
  return personalization.build(model, tff.learning.optimizers.build_sgdm(RATE))


def batches_of(side: population.ArrayPopulation, *clients: int, epochs=1):
  return side.batches(
    clients,
    batching.Batching(2, epochs, shuffle=False),
    seed=0,
    round_num=1,
  )


def result_of(personalize, *clients: int):
  return personalize(
    WEIGHTS,
    batches_of(TRAIN, *clients, epochs=EPOCHS),
    batches_of(TEST, *clients),
  )


def probabilities(x, weights) -> np.ndarray:
  logits = x @ weights[0] + weights[1]
  odds = np.exp(logits - logits.max(axis=1, keepdims=True))
  return odds / odds.sum(axis=1, keepdims=True)


def tuned(client: int) -> list[np.ndarray]:
  """Gradient descent in float64 on two examples at a time."""
  weights = [w.astype(np.float64) for w in START]
  x, y = TRAIN.examples(client)
  x, y = np.tile(x, [EPOCHS, 1]).astype(np.float64), np.tile(y, EPOCHS)
  for i in range(0, len(y), 2):
    error = probabilities(x[i : i + 2], weights) - np.eye(2)[y[i : i + 2]]
    error /= len(error)
    weights[0] -= RATE * x[i : i + 2].T @ error
    weights[1] -= RATE * error.sum(axis=0)
  return weights


def metrics_by_hand(client: int, weights) -> dict[str, float]:
  x, y = TEST.examples(client)
  p = probabilities(x, weights)
  return {
    'loss': -np.mean(np.log(p[np.arange(len(y)), y])),
    'accuracy': np.mean(p.argmax(axis=1) == y),
    'num_examples': len(y),
  }


@pytest.mark.parametrize('client', [0, 1, 3])
def test_before_is_the_received_model_and_after_the_tuned_one(
  personalize, client
):
  (found,) = result_of(personalize, client)
  assert list(found) == ['before', 'after']
  for when, weights in (('before', START), ('after', tuned(client))):
    expected = metrics_by_hand(client, weights)
    assert list(found[when]) == list(expected)
    for name, value in expected.items():
      assert found[when][name] == pytest.approx(value, rel=1e-5), (when, name)


def test_without_training_examples_nothing_changes(personalize):
  (found,) = result_of(personalize, 1)
  assert found['after'] == found['before']


def test_without_test_examples_the_metrics_are_undefined(personalize):
  (found,) = result_of(personalize, 2)
  for when in ('before', 'after'):
    assert found[when]['num_examples'] == 0
    assert np.isnan(found[when]['accuracy'])


def test_a_client_gains_the_same_alone_and_among_others(personalize):
  among = result_of(personalize, 0, 1, 2, 3)
  (alone,) = result_of(personalize, 3)
  assert among[3] == alone


def test_the_results_stay_at_the_clients(personalize):
  result = personalize.type_signature.result
  assert result.placement is tff.CLIENTS and not result.all_equal
