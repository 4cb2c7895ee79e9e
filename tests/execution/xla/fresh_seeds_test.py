"""Seeds of the operating system in client work that XLA compiles."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.execution import contexts
from tff_pipelines.numerics import noise_seeds

SEED = tff.TensorType(np.int64, [2])
CLIENT = tff.TensorType(np.float32)


@tff.tensorflow.computation(CLIENT)
def client_seeds(x):
  first, second = noise_seeds.draw(), noise_seeds.draw()
  noise = tf.random.stateless_normal([], first, alg='philox')
  return tf.stack([first, second]), x + noise


@tff.tensorflow.computation
def server_seed():
  seed = noise_seeds.draw()
  return seed, seed


@tff.tensorflow.computation(tff.StructType([SEED, SEED]))
def first_of(pair):
  return pair[0]


@tff.tensorflow.computation(tff.StructType([SEED, SEED]))
def second_of(pair):
  return pair[1]


@tff.federated_computation(
  tff.FederatedType(SEED, tff.SERVER), tff.FederatedType(CLIENT, tff.CLIENTS)
)
def one_round(state, x):
  """As an aggregator that keeps its noise in the state uses seeds."""
  seeds, noisy = tff.federated_map(client_seeds, x)
  pair = tff.federated_eval(server_seed, tff.SERVER)
  result = tff.federated_zip(
    (
      tff.federated_sum(seeds),
      tff.federated_sum(noisy),
      tff.federated_map(second_of, pair),
    )
  )
  return tff.federated_map(first_of, pair), result


@tff.federated_computation(tff.FederatedType(CLIENT, tff.CLIENTS))
def seeds_of_clients(x):
  return tff.federated_map(client_seeds, x)[0]


@pytest.fixture(scope='module')
def xla():
  with contexts.using('xla', threads=2) as context:
    yield context


@pytest.fixture(scope='module', params=['xla', 'native'])
def context(request):
  with contexts.using(request.param) as context:
    yield context


def run(num_clients: int = 3):
  return one_round(np.zeros(2, np.int64), [np.float32(0)] * num_clients)


def test_such_work_is_compiled(xla):
  explained = xla.explain(one_round)
  assert explained.way == 'xla'
  assert (
    'Client work reads fresh seeds of the operating system.'
    in explained.randomness
  )


def test_the_state_and_the_result_are_of_one_draw(context):
  state, (_, _, seed) = run()
  np.testing.assert_array_equal(state, seed)


def test_no_round_repeats_another(context):
  rounds = [run() for _ in range(4)]
  assert len({tuple(state) for state, _ in rounds}) == 4
  assert len({seeds.tobytes() for _, (seeds, _, _) in rounds}) == 4
  assert len({float(noisy) for _, (_, noisy, _) in rounds}) == 4


@pytest.mark.parametrize('num_clients', [1, 5, 17])
def test_every_draw_of_every_client_is_another(xla, num_clients):
  seeds = [
    tuple(seed)
    for _ in range(2)
    for of_client in seeds_of_clients([np.float32(0)] * num_clients)
    for seed in np.asarray(of_client)
  ]
  assert len(set(seeds)) == 2 * 2 * num_clients


def test_client_seeds_are_balanced_in_every_bit(xla):
  seeds = np.stack(seeds_of_clients([np.float32(0)] * 1000)).astype(np.int64)
  words = seeds.view(np.uint64).reshape(1000, -1, 1)
  bits = (words >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
  # By Hoeffding, one of 256 means of 1,000 fair bits is off by 0.1 with a
  # probability of at most 256 * 2 exp(-2 * 1000 * 0.1^2) = 1.1e-6.
  assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.1


def test_a_draw_in_a_loop_is_made_outside_of_xla_and_still_fresh(xla):
  @tff.tensorflow.computation(tff.SequenceType(CLIENT))
  def work(data):
    drawn = data.reduce(
      tf.zeros([2], tf.int64), lambda _, x: noise_seeds.draw()
    )
    return drawn

  @tff.federated_computation(
    tff.FederatedType(tff.SequenceType(CLIENT), tff.CLIENTS)
  )
  def drawn(data):
    return tff.federated_map(work, data)

  data = [[np.float32(1)] * 3] * 4
  assert xla.explain(drawn).way == 'function'
  seeds = [tuple(s) for _ in range(2) for s in drawn(data)]
  assert len(set(seeds)) == 8


def test_a_file_that_is_no_randomness_is_not_taken_for_it(xla, tmp_path):
  path = tmp_path / 'text'
  path.write_text('7\n')

  @tff.tensorflow.computation(CLIENT)
  def work(x):
    lines = tf.raw_ops.TextLineDataset(
      filenames=[str(path)], compression_type='', buffer_size=0
    )
    (text,) = tf.raw_ops.DatasetToSingleElement(
      dataset=lines, output_types=[tf.string], output_shapes=[[]]
    )
    return x + tf.strings.to_number(text)

  @tff.federated_computation(tff.FederatedType(CLIENT, tff.CLIENTS))
  def added(x):
    return tff.federated_sum(tff.federated_map(work, x))

  assert xla.explain(added).way == 'function'
  assert added([np.float32(1), np.float32(2)]) == 17.0
