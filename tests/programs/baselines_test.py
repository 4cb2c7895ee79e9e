"""The baselines are what they are called: one plain model, and one each."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.data import batching, example_cache, population
from tff_pipelines.learning import evaluation, fed_avg, local_training
from tff_pipelines.models import text_classifiers
from tff_pipelines.programs import baselines, files, run_directory, training

NUM_IDS = 4
RATE = 0.5
BATCH_SIZE = 2
EPOCHS = 3
SEED = 6


def texts(sizes: tuple[int, ...], seed: int) -> population.ArrayPopulation:
  """Clients with random texts of two features out of four."""
  rng = np.random.default_rng(seed)
  ends = np.cumsum(sizes)
  x = {
    'ids': rng.integers(0, NUM_IDS, [ends[-1], 2]).astype(np.int32),
    'weights': rng.random([ends[-1], 2]).astype(np.float32),
  }
  y = rng.integers(0, 2, ends[-1]).astype(np.int32)
  rows = {
    f'client_{i}': np.arange(end - size, end)
    for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
  }
  return population.ArrayPopulation((x, y), rows)


# One client has nothing to train on.
TRAIN = texts((5, 1, 0, 4), seed=1)
TEST = texts((6, 3), seed=2)


def bags(x) -> np.ndarray:
  """Returns the texts as float64[n, NUM_IDS]."""
  dense = np.zeros([len(x['ids']), NUM_IDS])
  for ids, weights in zip(x['ids'].T, x['weights'].T, strict=True):
    dense[np.arange(len(ids)), ids] += weights
  return dense


def plain_sgd(x, y, batches: list[np.ndarray]) -> tuple[np.ndarray, float]:
  """Logistic regression in NumPy; returns weights and intercept."""
  bag, weights, intercept = bags(x), np.zeros(NUM_IDS), 0.0
  for rows in batches:
    probability = 1 / (1 + np.exp(-(bag[rows] @ weights + intercept)))
    error = probability - y[rows]
    weights = weights - RATE * bag[rows].T @ error / len(rows)
    intercept = intercept - RATE * error.mean()
  return weights, intercept


def cut(order: np.ndarray) -> list[np.ndarray]:
  return [order[i : i + BATCH_SIZE] for i in range(0, len(order), BATCH_SIZE)]


@pytest.fixture(scope='module')
def model():
  return text_classifiers.build_logistic_regression(
    NUM_IDS, TRAIN.batch_spec
  ).functional


@pytest.fixture(scope='module')
def train_and_evaluate(model, native_context):
  return local_training.build(model, tff.learning.optimizers.build_sgdm(RATE))


def train_locally(train_and_evaluate, model, train=TRAIN):
  return baselines.train_locally(
    train_and_evaluate,
    tff.learning.models.ModelWeights(*model.initial_weights),
    train,
    TEST,
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    seed=SEED,
  )


def test_central_is_plain_sgd_on_everything_in_one_place(
  model, native_context, tmp_path
):
  process = fed_avg.build(
    model,
    client_optimizer=tff.learning.optimizers.build_sgdm(RATE),
    server_optimizer=tff.learning.optimizers.build_sgdm(1.0),
    aggregator=tff.aggregators.MeanFactory(),
  )
  directory = run_directory.RunDirectory(tmp_path / 'central')
  result = baselines.train_centrally(
    process,
    TRAIN,
    training.federated_evaluation(process, evaluation.build(model), TEST),
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    seed=SEED,
    directory=directory,
  )

  x, y = TRAIN.pooled().examples(0)
  assert len(y) == 10
  steps = []
  for epoch in range(1, EPOCHS + 1):
    order = batching.Batching(BATCH_SIZE).order(
      10, seed=SEED, round_num=epoch, client_id='everyone'
    )
    assert sorted(order) == list(range(10))
    steps += cut(order)
  weights, intercept = plain_sgd(x, y, steps)

  trained = process.get_model_weights(result.state).trainable
  # Values of order 1 and 15 steps of a few float32 roundings each.
  tolerance = 15 * 8 * 2**-24
  np.testing.assert_allclose(trained[0][:, 0], weights, atol=tolerance)
  np.testing.assert_allclose(trained[1], intercept, atol=tolerance)
  assert result.round_num == EPOCHS
  rows = directory.metrics_csv.read_text().splitlines()
  assert [row.split(',')[0] for row in rows] == ['round_num', *'0123']


def test_local_is_plain_sgd_on_each_clients_own_examples(
  train_and_evaluate, model
):
  found = train_locally(train_and_evaluate, model)
  test_x, test_y = TEST.pooled().examples(0)
  expected = []
  for client, name in enumerate(TRAIN.client_ids):
    x, y = TRAIN.examples(client)
    order = batching.Batching(BATCH_SIZE, EPOCHS).order(
      len(y), seed=SEED, round_num=1, client_id=name
    )
    weights, intercept = plain_sgd(x, y, cut(order))
    logits = bags(test_x) @ weights + intercept
    # Far enough from the threshold that float32 decides alike; the client
    # without examples has zeros, which count as spam.
    assert np.all((np.abs(logits) > 1e-4) | (logits == 0))
    expected.append(
      {
        'accuracy': np.mean((logits >= 0) == test_y),
        'loss': np.mean(np.logaddexp(0, logits) - test_y * logits),
      }
    )
  assert [m['num_examples'] for m in found] == [9.0] * 4
  for metrics, by_hand in zip(found, expected, strict=True):
    assert metrics['accuracy'] == pytest.approx(by_hand['accuracy'], rel=2**-23)
    assert metrics['loss'] == pytest.approx(by_hand['loss'], rel=1e-5)
  assert found[2]['loss'] == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize('at_a_time', [1, 3, 4])
def test_number_of_clients_computed_at_a_time_changes_nothing(
  train_and_evaluate, model, monkeypatch, at_a_time
):
  expected = train_locally(train_and_evaluate, model)
  monkeypatch.setattr(baselines, '_CLIENTS_AT_A_TIME', at_a_time)
  calls = []

  def counted(weights, test_batch, batches):
    calls.append(batches.client_ids)
    return train_and_evaluate(weights, test_batch, batches)

  found = train_locally(counted, model)
  assert [len(ids) for ids in calls] == {
    1: [1, 1, 1, 1],
    3: [3, 1],
    4: [4],
  }[at_a_time]
  assert sum(calls, ()) == TRAIN.client_ids
  np.testing.assert_equal(found, expected)


def test_clients_local_result_does_not_depend_on_the_others(
  train_and_evaluate, model
):
  x, y = TRAIN.examples(3)
  alone = population.ArrayPopulation((x, y), {'client_3': np.arange(len(y))})
  np.testing.assert_equal(
    train_locally(train_and_evaluate, model, alone)[0],
    train_locally(train_and_evaluate, model)[3],
  )


def test_baselines_of_a_population_that_is_read_lazily_are_the_same(
  train_and_evaluate, model, tmp_path
):
  path = tmp_path / 'examples.sqlite'
  example_cache.write(path, TRAIN, 'train')
  np.testing.assert_equal(
    train_locally(
      train_and_evaluate, model, example_cache.SqlPopulation(path, 'train')
    ),
    train_locally(train_and_evaluate, model),
  )


# Their file.


LOCAL = [
  {'accuracy': 0.1 + 0.2, 'recall': float('nan'), 'num_examples': 9.0},
  {'accuracy': 1.0, 'recall': 0.5, 'num_examples': 9.0},
]


def test_local_models_are_read_back_as_written(tmp_path):
  directory = run_directory.RunDirectory(tmp_path)
  people = population.ArrayPopulation(
    np.zeros([5]), {'Ann, "A"': np.arange(2), 'bob\nb': np.arange(2, 5)}
  )
  baselines.write_local_models(directory, people, LOCAL)
  path = tmp_path / 'simulation_only' / 'local_models.csv'
  assert path.read_text() == (
    'client_id,train_examples,accuracy,recall,num_examples\n'
    '"Ann, ""A""",2,0.30000000000000004,nan,9.0\n'
    '"bob\nb",3,1.0,0.5,9.0\n'
  )
  np.testing.assert_equal(baselines.read_local_models(directory), LOCAL)


def test_local_models_that_were_not_written_are_none(tmp_path):
  directory = run_directory.RunDirectory(tmp_path)
  assert baselines.read_local_models(directory) is None


def test_local_models_below_a_file_are_refused(tmp_path):
  (tmp_path / 'blocked').write_text('a file, not a folder')
  directory = run_directory.RunDirectory(tmp_path / 'blocked')
  people = population.ArrayPopulation(
    np.zeros([2]), {'a': np.arange(1), 'b': np.arange(1, 2)}
  )
  with pytest.raises(files.SavingFailedError, match=r'local_models\.csv at'):
    baselines.write_local_models(directory, people, LOCAL)
