import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.data import batching, grid_world
from tff_pipelines.execution import contexts
from tff_pipelines.learning import local_steps, local_training
from tff_pipelines.models import place_models

RATE, ROOM = 0.3, 7
NET = place_models.TanhNet(3)
WORLD = grid_world.GridWorld(users=4, points=6).dataset(0)
TEST_BATCH = WORLD.test.examples(0)


@pytest.fixture(scope='module', autouse=True)
def _context():
  with contexts.using('xla', threads=2):
    yield


@pytest.fixture(scope='module')
def train() -> tff.Computation:
  sgd = tff.learning.optimizers.build_sgdm(RATE)
  return local_steps.build(place_models.build(NET), sgd, ROOM)


def batches_of(*users, steps=5, size=2):
  return WORLD.train.batches(
    users,
    batching.Batching(size, epochs=-(-steps * size // 6), shuffle=False),
    seed=0,
    round_num=0,
  )


def forward(weights, x):
  kernel, bias, last_kernel, last_bias = weights
  hidden = np.tanh(x @ kernel + bias)
  return hidden, np.tanh(hidden @ last_kernel[:, 0] + last_bias)


def trained(weights, batches, client):
  """Weights and metrics after each step, in float64."""
  weights = [np.asarray(w, float) for w in weights]
  metrics = {'loss': [], 'accuracy': [], 'num_examples': []}
  for b in range(*batches.offsets[client : client + 2]):
    x, y = (np.asarray(a)[b].astype(float) for a in batches.elements)
    hidden, output = forward(weights, x)
    above = 2 * (output - y) / len(y) * (1 - output**2)
    below = above[:, None] * weights[2][:, 0] * (1 - hidden**2)
    gradients = [
      x.T @ below, below.sum(0), hidden.T @ above[:, None], above.sum(0)[None]
    ]  # fmt: skip
    weights = [w - RATE * g for w, g in zip(weights, gradients, strict=True)]
    places, labels = TEST_BATCH
    output = forward(weights, places)[1]
    metrics['loss'].append(np.mean((output - labels) ** 2))
    metrics['accuracy'].append(np.mean((output > 0.5) == labels))
    metrics['num_examples'].append(len(labels))
  return weights, metrics


def test_types_are_as_told(train):
  weights = '<float32[2,3],float32[3],float32[3,1],float32[1]>'
  assert str(train.type_signature) == (
    f'(<test_batch=<float32[?,2],float32[?]>@SERVER,weights={{{weights}}}'
    '@CLIENTS,batches={<float32[?,2],float32[?]>*}@CLIENTS> -> '
    f'{{<weights={weights},metrics=<loss=float32[7],accuracy=float32[7],'
    'num_examples=float32[7]>>}@CLIENTS)'
  )


def test_every_step_of_each_client_equals_a_loop_in_numpy(train):
  starts = [NET.initial_weights(seed) for seed in range(3)]
  batches = batches_of(0, 3, 1, steps=6)
  found = train(TEST_BATCH, starts, batches)
  for client, start in enumerate(starts):
    weights, metrics = trained(start, batches, client)
    for one, other in zip(found[client]['weights'], weights, strict=True):
      np.testing.assert_allclose(one, other, atol=1e-5)
    for name, values in metrics.items():
      column = found[client]['metrics'][name]
      assert (column.dtype, column.shape) == (np.float32, (ROOM,))
      np.testing.assert_allclose(column[:6], values, rtol=1e-4)
      assert np.isnan(column[6:]).all(), name


def test_steps_beyond_the_room_are_taken_but_not_told(train):
  start = NET.initial_weights(0)
  batches = batches_of(2, steps=9)
  (found,) = train(TEST_BATCH, [start], batches)
  weights, metrics = trained(start, batches, 0)
  np.testing.assert_allclose(found['weights'][0], weights[0], atol=1e-5)
  np.testing.assert_allclose(
    found['metrics']['loss'], metrics['loss'][:ROOM], rtol=1e-4
  )


def test_a_client_without_batches_keeps_its_weights_and_is_not_tested(train):
  start = NET.initial_weights(5)
  none = WORLD.train.batches(
    [0], batching.Batching(1, max_examples=1), seed=0, round_num=0
  )
  nobody = type(none)(
    tf.nest.map_structure(lambda a: np.asarray(a)[:0], none.elements),
    none.batch_sizes[:0],
    np.zeros(2, np.int32),
    none.client_ids,
  )
  (found,) = train(TEST_BATCH, [start], nobody)
  for one, other in zip(found['weights'], start, strict=True):
    np.testing.assert_array_equal(one, other)
  assert np.isnan(found['metrics']['accuracy']).all()


def test_the_last_step_is_what_local_training_gives(train):
  model = place_models.build(NET, seed=4)
  whole = local_training.build(model, tff.learning.optimizers.build_sgdm(RATE))
  batches = batches_of(0, 1, steps=6)
  start = model.initial_weights[0]
  expected = whole(
    tff.learning.models.ModelWeights(start, ()), TEST_BATCH, batches
  )
  found = train(TEST_BATCH, [start, start], batches)
  for one, other in zip(found, expected, strict=True):
    for name, value in other.items():
      assert one['metrics'][name][5] == pytest.approx(value, rel=1e-6), name


def test_the_state_of_an_optimizer_goes_from_step_to_step():
  sgd = tff.learning.optimizers.build_sgdm(RATE, momentum=0.9)
  with_momentum = local_steps.build(place_models.build(NET), sgd, ROOM)
  start = NET.initial_weights(0)
  once, twice = (
    with_momentum(TEST_BATCH, [start], batches_of(0, steps=s, size=6))[0]
    for s in (1, 2)
  )
  again = with_momentum(
    TEST_BATCH, [once['weights']], batches_of(0, steps=1, size=6)
  )[0]
  assert once['metrics']['loss'][0] == twice['metrics']['loss'][0]
  # The second step alone lacks the velocity of the first.
  assert not np.allclose(again['weights'][0], twice['weights'][0], atol=1e-3)
