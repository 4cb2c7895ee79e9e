"""Cohorts of every size: blocks, threads and compilations do not show."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.execution.xla import cohorts, context


@pytest.fixture(scope='module')
def process():
  return tff.learning.algorithms.build_weighted_fed_avg(
    samples.hand_written_model(),
    client_optimizer_fn=tff.learning.optimizers.build_sgdm(0.3),
    server_optimizer_fn=tff.learning.optimizers.build_adam(0.1, epsilon=1e-3),
  )


def _rounds(xla, process, rounds):
  """The outputs of rounds on a context."""
  outputs = [samples.run(xla, process.initialize)]
  for clients in rounds:
    outputs.append(
      samples.run(xla, process.next, samples.state(outputs[-1]), clients)
    )
  return outputs


COHORTS = {
  'of one': [[5], [1], [9]],
  'of nobody': [[], [3, 4], []],
  'of one without examples': [[0], [4], [0, 0]],
  'of equal, full batches': [[4, 8, 4], [8, 8, 8], [4]],
  'of very different sizes': [[1, 200, 2, 0, 50], [3, 1], [400, 1]],
  'that grow': [[2], [3] * 4, [9] * 16],
}


@pytest.mark.parametrize('kind', COHORTS)
def test_a_cohort_is_that_of_tff(pair, process, kind):
  pair.same_rounds(
    process, [samples.batches(s, r) for r, s in enumerate(COHORTS[kind])]
  )


def test_an_empty_cohort_of_lists_is_that_of_tff(pair, process):
  pair.same_rounds(process, [[], []])


@tff.federated_computation(
  tff.FederatedType(tff.TensorType(np.float32), tff.CLIENTS)
)
def _squares(values):
  square = tff.tensorflow.computation(
    lambda v: v * v, tff.TensorType(np.float32)
  )
  return tff.federated_map(square, values)


@pytest.mark.parametrize('values', [[3.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
def test_results_at_the_clients_keep_their_order(pair, values):
  assert pair.same(_squares, values) == [v * v for v in values]


def test_nobodys_results_are_an_empty_list(pair):
  # TFF's own runtime fails here.
  assert samples.run(pair.xla, _squares, []) == []


def _packed_in(monkeypatch, num_bytes, threads=1):
  """A context with room for so many bytes in a block, and its block count."""
  monkeypatch.setattr(cohorts, '_BLOCK_BYTES', num_bytes)
  made = []
  pack = cohorts._block

  def counted(*arguments):
    made.append(arguments)
    return pack(*arguments)

  monkeypatch.setattr(cohorts, '_block', counted)
  return context.XlaContext(threads=threads), made


@pytest.mark.slow
def test_many_blocks_equal_one(monkeypatch, process):
  rounds = [samples.batches(samples.COHORTS[0], seed) for seed in range(3)]
  one, made_by_one = _packed_in(monkeypatch, 2**26)
  expected = _rounds(one, process, rounds)
  assert len(made_by_one) == len(rounds)
  monkeypatch.undo()
  many, made_by_many = _packed_in(monkeypatch, 200)
  found = _rounds(many, process, rounds)
  assert len(made_by_many) > 2 * len(rounds)
  samples.assert_same(found, expected)


def test_many_blocks_equal_one_for_results_at_the_clients(monkeypatch):
  many, made = _packed_in(monkeypatch, 8)
  values = [float(v) for v in range(9)]
  assert samples.run(many, _squares, values) == [v * v for v in values]
  assert len(made) > 2


@pytest.mark.slow
def test_threads_change_results_by_rounding_only(process):
  one, three = (
    _rounds(context.XlaContext(threads=n), process, samples.rounds())
    for n in (1, 3)
  )
  samples.assert_same(three, one)


@pytest.mark.parametrize('threads', [slow_cases.slow(1), 3])
def test_two_runs_with_the_same_threads_are_bit_equal(process, threads):
  xla = context.XlaContext(threads=threads)
  one, other = (
    _rounds(x, process, samples.rounds())
    for x in (xla, context.XlaContext(threads=threads))
  )
  again = _rounds(xla, process, samples.rounds())
  for second in (other, again):
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(second), strict=True):
      np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_rounds_of_varying_cohorts_compile_at_most_two_programs(process):
  xla = context.XlaContext(threads=2)
  rng = np.random.default_rng(0)
  state = samples.run(xla, process.initialize)
  for round_num in range(30):
    sizes = np.minimum(rng.geometric(0.1, size=rng.integers(8, 13)), 60)
    clients = samples.batches(sizes.tolist(), round_num)
    state = samples.run(xla, process.next, state, clients).state
  assert xla.compilations <= 2


def test_the_first_round_compiles_one_program(process):
  xla = context.XlaContext(threads=2)
  _rounds(xla, process, samples.rounds()[:1])
  assert xla.compilations == 1


def test_short_batches_keep_their_true_size(pair):
  @tff.tensorflow.computation(
    tff.SequenceType(tff.TensorType(np.float32, [None]))
  )
  def mean_of_means(batches):
    return batches.reduce(
      collections.OrderedDict(mean=0.0, examples=0),
      lambda state, batch: collections.OrderedDict(
        mean=state['mean'] + tf.reduce_mean(batch),
        examples=state['examples'] + tf.shape(batch)[0],
      ),
    )

  @tff.federated_computation(
    tff.FederatedType(
      tff.SequenceType(tff.TensorType(np.float32, [None])), tff.CLIENTS
    )
  )
  def total(clients):
    return tff.federated_sum(tff.federated_map(mean_of_means, clients))

  # Means of (1, 2), (6) and (4): 1.5 + 6 + 4.
  clients = [
    tf.data.Dataset.from_tensor_slices(values).batch(2)
    for values in ([1.0, 2.0, 6.0], [4.0])
  ]
  assert pair.same(total, clients) == {'mean': 11.5, 'examples': 4}
