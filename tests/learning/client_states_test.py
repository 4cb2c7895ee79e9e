"""States of clients are kept by name, for those who take part."""

import asyncio
import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.execution import masked_sums
from tff_pipelines.execution.xla import context
from tff_pipelines.learning import client_states
from tff_pipelines.programs import checkpoints

FIRST = collections.OrderedDict(
  rounds=np.int32(0), seen=np.zeros([2], np.float32)
)
POPULATION = [f'client_{c}' for c in range(10)]
MAX_CLIENTS = 8


def counting() -> client_states.ClientStateProcess:
  """Clients count their rounds and add up their batches and examples.

  The server counts the clients, in a secure sum, so that some can drop out.
  """
  brought = client_states.brought_type(FIRST)
  batches = tff.SequenceType(
    tff.types.tensorflow_to_type(
      collections.OrderedDict(
        x=tf.TensorSpec([None, samples.NUM_FEATURES], tf.float32),
        y=tf.TensorSpec([None, 1], tf.float32),
      )
    )
  )
  collect = client_states.build_collection(FIRST, MAX_CLIENTS)

  @tff.federated_computation
  def initialize():
    return tff.federated_value(0, tff.SERVER)

  @tff.tensorflow.computation(brought, batches)
  def work(client, dataset):
    def add(state, batch):
      size = tf.cast(tf.shape(batch['x'])[0], tf.float32)
      return state + tf.stack([1.0, size])

    own = collections.OrderedDict(
      rounds=client.own['rounds'] + 1,
      seen=dataset.reduce(client.own['seen'], add),
    )
    return client_states.Brought(client.place, own), tf.constant(1)

  @tff.tensorflow.computation(np.int32, np.int32)
  def add(state, count):
    return state + count

  @tff.federated_computation(
    initialize.type_signature.result,
    tff.FederatedType(batches, tff.CLIENTS),
    tff.FederatedType(brought, tff.CLIENTS),
  )
  def next_fn(state, data, clients):
    kept, one = tff.federated_map(work, (clients, data))
    count = tff.federated_secure_sum_bitwidth(one, 1)
    return client_states.Output(
      tff.federated_map(add, (state, count)), count, collect(kept)
    )

  @tff.tensorflow.computation(np.int32)
  def get(state):
    return state

  @tff.tensorflow.computation(np.int32, np.int32)
  def put(state, weights):
    del state
    return weights

  return client_states.ClientStateProcess(
    initialize, next_fn, get, put, FIRST, MAX_CLIENTS
  )


@pytest.fixture(scope='module')
def process():
  return counting()


@pytest.fixture(scope='module')
def reference():
  context = samples.Reference()
  yield context
  context.close()


def cohort(names: dict[str, int], seed: int = 0):
  """Batches of clients with so many examples."""
  found = samples.batches(list(names.values()), seed=seed)
  return type(found)(
    found.elements, found.batch_sizes, found.offsets, tuple(names)
  )


def kept(state: client_states.SimulationState) -> dict:
  """By name (rounds, batches, examples)."""
  return {
    POPULATION[client]: (int(count), *map(float, seen))
    for client, count, seen in zip(
      state.clients, state.rows['rounds'], state.rows['seen'], strict=True
    )
  }


FIRST_ROUND = {'client_7': 5, 'client_2': 0, 'client_3': 4}
SECOND_ROUND = {'client_3': 9, 'client_0': 1, 'client_7': 1}


def test_states_are_kept_by_name(process, reference):
  simulation = client_states.Simulation(process, POPULATION)
  with tff.framework.get_context_stack().install(reference):
    before = simulation.initialize()
    first = simulation.next(before, cohort(FIRST_ROUND)).state
    second = simulation.next(first, cohort(SECOND_ROUND)).state
  assert kept(before) == {}
  assert kept(first) == {
    'client_7': (1, 2, 5), 'client_2': (1, 0, 0), 'client_3': (1, 1, 4),
  }  # fmt: skip
  assert kept(second) == {
    'client_7': (2, 3, 6), 'client_2': (1, 0, 0), 'client_3': (2, 4, 13),
    'client_0': (1, 1, 1),
  }  # fmt: skip
  assert second.server == 6


def test_weights_are_those_of_the_server(process, reference):
  simulation = client_states.Simulation(process, POPULATION)
  with tff.framework.get_context_stack().install(reference):
    state = simulation.next(simulation.initialize(), cohort(FIRST_ROUND)).state
    other = simulation.set_model_weights(state, 5)
    assert simulation.get_model_weights(state) == 3
    assert simulation.get_model_weights(other) == 5
  assert kept(other) == kept(state)


def test_who_drops_out_keeps_the_state_they_had(process):
  config = masked_sums.MaskedSumConfig(
    dropout_rates={'mask': 0.2}, tolerated_dropout=0.49, seed=4
  )
  summation = masked_sums.MaskedSum(config)
  xla = context.XlaContext(threads=2, secure_sums=summation)
  simulation = client_states.Simulation(process, POPULATION)
  everyone = {name: 3 for name in POPULATION[:MAX_CLIENTS]}
  expected = collections.Counter()
  with tff.framework.get_context_stack().install(xla):
    state = simulation.initialize()
    for round_num in (1, 2, 3):
      by_itself = masked_sums.MaskedSum(config)
      by_itself.begin_round(round_num)
      summation.begin_round(round_num)
      state, survivors = simulation.next(state, cohort(everyone, round_num))
      stay = by_itself.expected(len(everyone))
      assert survivors == len(stay)
      expected.update(POPULATION[c] for c in stay)
  xla.close()
  assert {name: of[0] for name, of in kept(state).items()} == expected
  assert expected.total() < 3 * len(everyone)


def test_a_checkpoint_has_them(process, reference, tmp_path):
  simulation = client_states.Simulation(process, POPULATION)
  saved = checkpoints.Checkpoints(tmp_path)
  with tff.framework.get_context_stack().install(reference):
    first = simulation.next(simulation.initialize(), cohort(FIRST_ROUND)).state
    asyncio.run(saved.save(checkpoints.ProgramState(first, 1, 0.0)))
    loaded = asyncio.run(saved.load_latest(simulation.initialize()))
    resumed, uninterrupted = (
      simulation.next(state, cohort(SECOND_ROUND)).state
      for state in (loaded.process_state, first)
    )
  assert kept(loaded.process_state) == kept(first)
  samples.assert_same(resumed.rows, uninterrupted.rows)
  np.testing.assert_array_equal(resumed.clients, uninterrupted.clients)


@pytest.mark.parametrize(
  'names, message',
  [
    ({f'client_{c}': 1 for c in range(9)}, '^Expected at most 8 clients in a '),
    ({'client_0': 1, 'mallory': 1}, r'population, .* found mallory\.$'),
  ],
)
def test_other_cohorts_are_refused(process, names, message):
  simulation = client_states.Simulation(process, POPULATION)
  state = client_states.SimulationState(0, np.zeros([0], np.int32), FIRST)
  with pytest.raises(client_states.ClientStateError, match=message):
    simulation.next(state, cohort(names))


def test_the_same_client_twice_is_refused(process):
  simulation = client_states.Simulation(process, ['a', 'b'])
  state = client_states.SimulationState(0, np.zeros([0], np.int32), FIRST)
  batches = samples.batches([1, 2])
  twice = type(batches)(
    batches.elements, batches.batch_sizes, batches.offsets, ('a', 'a')
  )
  with pytest.raises(client_states.ClientStateError, match=r'twice\.$'):
    simulation.next(state, twice)


def test_a_collection_without_room_is_refused():
  with pytest.raises(
    client_states.ClientStateError, match=r'^Expected max_clients of at least 1'
  ):
    client_states.build_collection(FIRST, 0)
