"""What a failing client says; threads, blocks and the summation."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.execution.xla import cohorts, context, rounds

WORDS = tff.SequenceType(tff.TensorType(np.str_, [None]))


@tff.tensorflow.computation(WORDS)
def _parse(batches):
  return batches.reduce(
    0.0, lambda total, b: total + tf.reduce_sum(tf.strings.to_number(b))
  )


@tff.federated_computation(tff.FederatedType(WORDS, tff.CLIENTS))
def _total(clients):
  return tff.federated_sum(tff.federated_map(_parse, clients))


@tff.federated_computation(tff.FederatedType(WORDS, tff.CLIENTS))
def _each(clients):
  return tff.federated_map(_parse, clients)


GOOD = [['1', '2', '3'], ['4'], [], ['5', '6']]


def _data(clients):
  return [
    [np.array(words[k : k + 2]) for k in range(0, len(words), 2)]
    for words in clients
  ]


def _spoiled(client, position):
  clients = [list(words) for words in GOOD]
  clients[client][position] = 'x'
  return _data(clients)


@pytest.mark.parametrize('threads', [1, 2])
@pytest.mark.parametrize('computation', [_total, _each], ids=['sum', 'each'])
@pytest.mark.parametrize(
  'client, position, batch',
  [(0, 0, '1 of 2'), (0, 2, '2 of 2'), (1, 0, '1 of 1'), (3, 1, '1 of 1')],
)
def test_a_failure_names_the_client_and_the_batch(
  threads, computation, client, position, batch
):
  xla = context.XlaContext(threads=threads)
  with pytest.raises(
    rounds.ClientWorkError,
    match=f'The work of client number {client} failed on batch {batch}: '
    'StringToNumberOp could not correctly convert string: x',
  ) as raised:
    samples.run(xla, computation, _spoiled(client, position))
  assert isinstance(raised.value.__cause__, tf.errors.OpError)
  # The context goes on.
  found = samples.run(xla, computation, _data(GOOD))
  assert found == (21 if computation is _total else [6, 4, 0, 11])


def test_a_failure_names_the_clients_id():
  def words(count, seed):
    del seed  # Unused.
    return np.array([b'x'] * count, object)

  clients = samples.batches([0, 3], make=words, batch_size=2)
  with pytest.raises(
    rounds.ClientWorkError, match='client client_1 failed on batch 1 of 2'
  ):
    samples.run(context.XlaContext(), _total, clients)


def test_a_failure_without_data_says_so():
  @tff.tensorflow.computation(WORDS)
  def fail_before(batches):
    start = tf.strings.to_number(tf.constant('x'))
    return batches.reduce(start, lambda total, b: total + 1.0)

  @tff.federated_computation(tff.FederatedType(WORDS, tff.CLIENTS))
  def total(clients):
    return tff.federated_sum(tff.federated_map(fail_before, clients))

  with pytest.raises(rounds.ClientWorkError, match='0 failed on no batch: '):
    samples.run(context.XlaContext(threads=1), total, _data(GOOD))


def test_a_failing_tensor_names_the_client():
  @tff.tensorflow.computation(tff.TensorType(np.str_))
  def parse(word):
    return tf.strings.to_number(word)

  @tff.federated_computation(
    tff.FederatedType(tff.TensorType(np.str_), tff.CLIENTS)
  )
  def total(words):
    return tff.federated_sum(tff.federated_map(parse, words))

  with pytest.raises(rounds.ClientWorkError, match='client number 2 failed: '):
    samples.run(context.XlaContext(), total, ['1', '2', 'x', '4'])


def test_a_failure_in_a_later_block_names_its_client(monkeypatch):
  monkeypatch.setattr(cohorts, '_BLOCK_BYTES', 1)
  with pytest.raises(
    rounds.ClientWorkError, match='number 3 failed on batch 1 of 1'
  ):
    samples.run(context.XlaContext(threads=1), _total, _spoiled(3, 0))


def test_an_assertion_outside_xla_is_checked():
  @tff.tensorflow.computation(WORDS)
  def check(batches):
    def step(total, batch):
      with tf.control_dependencies(
        [tf.debugging.assert_none_equal(batch, 'x', message='no x')]
      ):
        return total + tf.size(batch)

    return batches.reduce(0, step)

  @tff.federated_computation(tff.FederatedType(WORDS, tff.CLIENTS))
  def total(clients):
    return tff.federated_sum(tff.federated_map(check, clients))

  xla = context.XlaContext()
  assert samples.run(xla, total, _data(GOOD)) == 6
  with pytest.raises(
    rounds.ClientWorkError, match=r'0 failed on batch 2 of 2: .*no x'
  ):
    samples.run(xla, total, _spoiled(0, 2))
