"""A program of XLA cannot fail: that checks in client work are made all the
same, wherever they are."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.execution.xla import context, rounds

BATCHES = tff.SequenceType(tff.TensorType(np.float32, [None]))


def _checked(value):
  """The value, checked to be below 10, as TensorFlow's users check it."""
  with tf.control_dependencies(
    [tf.debugging.assert_less(value, 10.0, message='below ten')]
  ):
    return tf.identity(value)


def _in_a_step(batches):
  return batches.reduce(0.0, lambda t, b: t + tf.reduce_sum(_checked(b)))


def _in_a_function(batches):
  @tf.function
  def inner(batch):
    return tf.reduce_sum(_checked(batch))

  @tf.function
  def outer(batch):
    return 1.0 * inner(batch)

  return batches.reduce(0.0, lambda t, b: t + outer(b))


def _in_a_branch(batches):
  def step(total, batch):
    size = tf.size(batch)
    return total + tf.cond(
      size > 0,
      lambda: tf.reduce_sum(_checked(batch)),
      lambda: tf.constant(0.0),
    )

  return batches.reduce(0.0, step)


def _in_a_loop(batches):
  def step(total, batch):
    _, total = tf.while_loop(
      lambda k, _: k < tf.size(batch),
      lambda k, t: (k + 1, t + _checked(batch[k])),
      (0, total),
    )
    return total

  return batches.reduce(0.0, step)


@tf.function
def _iterated(batches):
  total = tf.constant(0.0)
  for batch in iter(batches):
    total += tf.reduce_sum(_checked(batch))
  return total


def _over_an_iterator(batches):
  return _iterated(batches)


def _afterwards(batches):
  largest = batches.reduce(
    0.0, lambda m, b: tf.maximum(m, tf.reduce_max(tf.concat([[0.0], b], 0)))
  )
  with tf.control_dependencies([_checked(largest)]):
    return batches.reduce(0.0, lambda t, b: t + tf.reduce_sum(b))


WORK = {
  'in a step': _in_a_step,
  'in a function': _in_a_function,
  'in a branch': _in_a_branch,
  'in a loop': _in_a_loop,
  'over an iterator': _over_an_iterator,
  'afterwards': _afterwards,
}


def _computation(function, per_client):
  work = tff.tensorflow.computation(function, BATCHES)

  @tff.federated_computation(tff.FederatedType(BATCHES, tff.CLIENTS))
  def computation(clients):
    each = tff.federated_map(work, clients)
    return each if per_client else tff.federated_sum(each)

  return computation


GOOD = [[[1.0, 2.0], [3.0]], [], [[4.0]], [[5.0, 6.0], [7.0, 8.0], [9.0]]]
BAD = [[[1.0, 2.0], [3.0]], [], [[4.0]], [[5.0, 6.0], [7.0, 12.0], [9.0]]]


def _data(clients):
  return [[np.float32(b) for b in batches] for batches in clients]


# At every place once, and once for a result per client on several threads.
_ALWAYS_RUN = (
  ('in a loop', 'each', 2),
  ('over an iterator', 'sum', 1),
  ('in a branch', 'sum', 1),
)


@pytest.mark.parametrize(
  'place, result, threads',
  slow_cases.all_but(
    _ALWAYS_RUN, itertools.product(WORK, ['sum', 'each'], [1, 2])
  ),
)
def test_a_check_that_fails_is_told(place, result, threads):
  per_client = result == 'each'
  xla = context.XlaContext(threads=threads)
  computation = _computation(WORK[place], per_client)
  assert xla.explain(computation).way == 'xla'
  expected = [6, 0, 4, 35] if per_client else 45
  assert samples.run(xla, computation, _data(GOOD)) == expected
  with pytest.raises(
    rounds.ClientWorkError, match=r'client number 3 failed on batch 2 of 3.*ten'
  ):
    samples.run(xla, computation, _data(BAD))
  # The context goes on.
  assert samples.run(xla, computation, _data(GOOD)) == expected


def test_numerics_are_checked():
  def work(batches):
    return batches.reduce(
      0.0,
      lambda t, b: t + tf.reduce_sum(tf.debugging.check_numerics(b, 'a batch')),
    )

  xla = context.XlaContext()
  computation = _computation(work, False)
  assert xla.explain(computation).way == 'xla'
  assert samples.run(xla, computation, _data(GOOD)) == 45
  with pytest.raises(
    rounds.ClientWorkError, match=r'client number 1 failed on batch 1 of 1.*NaN'
  ):
    samples.run(xla, computation, _data([GOOD[0], [[np.nan]]]))


def test_a_check_on_the_accumulator_is_made():
  value = tff.TensorType(np.float32)

  @tff.tensorflow.computation(value, value)
  def add(a, b):
    return _checked(a + b)

  @tff.tensorflow.computation
  def zero():
    return 0.0

  @tff.tensorflow.computation(value)
  def report(a):
    return a

  @tff.federated_computation(tff.FederatedType(value, tff.CLIENTS))
  def total(values):
    return tff.federated_aggregate(values, zero(), add, add, report)

  xla = context.XlaContext(threads=1)
  assert samples.run(xla, total, [1.0, 2.0, 3.0]) == 6
  with pytest.raises(
    rounds.ClientWorkError,
    match='client number 0, number 1, number 2 failed, but not when each is',
  ):
    samples.run(xla, total, [4.0, 5.0, 6.0])


@pytest.mark.parametrize(
  'place', slow_cases.all_but(['in a branch', 'over an iterator'], WORK)
)
def test_a_check_that_fails_outside_of_xla_is_told(place):
  def drawing(batches):
    # Poisson has no kernel in XLA.
    drawn = tf.random.poisson([], 1.0)
    return WORK[place](batches) + 0.0 * drawn

  xla = context.XlaContext()
  computation = _computation(drawing, False)
  assert xla.explain(computation).way == 'function'
  assert samples.run(xla, computation, _data(GOOD)) == 45
  with pytest.raises(
    rounds.ClientWorkError, match=r'client number 3 failed on batch 2 of 3.*ten'
  ):
    samples.run(xla, computation, _data(BAD))
