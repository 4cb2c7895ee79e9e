import collections
import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
import tensorflow as tf

from tff_pipelines.models import class_metrics

INITIALIZE, UPDATE, FINALIZE = class_metrics.metric_fns()

Output = collections.namedtuple('Output', ['loss', 'predictions'])


def add(state, labels, logits):
  """One batch as a model hands it over."""
  logits = np.float32(logits)
  loss = sklearn_metrics.log_loss(
    labels,
    np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)),
    labels=np.arange(logits.shape[1]),
  )
  output = Output(tf.constant(loss, tf.float32), tf.constant(logits))
  return UPDATE(
    state, labels=tf.constant(labels, tf.int32), batch_output=output
  )


def final(state) -> dict[str, float]:
  return {name: value.numpy() for name, value in FINALIZE(state).items()}


def random_scores(count: int) -> tuple[np.ndarray, np.ndarray]:
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 5, count)
  logits = rng.normal(size=[count, 5])
  logits[np.arange(count), labels] += 1
  return labels, logits


def test_three_examples_by_hand():
  # The second is wrong; losses ln(1 + e^-1), ln(1 + e^2), ln 2 (a tie, which
  # the first class wins).
  found = final(add(INITIALIZE(), [0, 1, 0], [[1, 0], [2, 0], [3, 3]]))
  assert list(found) == ['loss', 'accuracy', 'num_examples']
  assert found['accuracy'] == pytest.approx(2 / 3)
  assert found['num_examples'] == 3
  assert found['loss'] == pytest.approx(
    (math.log1p(math.exp(-1)) + math.log1p(math.exp(2)) + math.log(2)) / 3,
    rel=1e-6,
  )


@pytest.mark.parametrize('count', [10, 500])
def test_accuracy_equals_that_of_scikit_learn(count):
  labels, logits = random_scores(count)
  found = final(add(INITIALIZE(), labels, logits))
  expected = sklearn_metrics.accuracy_score(labels, logits.argmax(axis=1))
  assert 0 < expected < 1
  assert found['accuracy'] == pytest.approx(expected)


def test_clients_and_batches_add_up_over_every_split():
  labels, logits = random_scores(60)
  whole = final(add(INITIALIZE(), labels, logits))
  rng = np.random.default_rng(1)
  for num_parts in (2, 7, 60):
    parts = np.array_split(rng.permutation(60), num_parts)
    # What a sum over clients does, and what the batches of one client do.
    states = [add(INITIALIZE(), labels[p], logits[p]) for p in parts]
    summed = tf.nest.map_structure(lambda *s: tf.add_n(s), *states)
    carried = INITIALIZE()
    for p in parts:
      carried = add(carried, labels[p], logits[p])
    for state in (summed, carried):
      found = final(state)
      assert found['accuracy'] == whole['accuracy']
      assert found['num_examples'] == 60
      assert found['loss'] == pytest.approx(whole['loss'], rel=1e-5)


@pytest.mark.parametrize('label', [0, 1, 2])
@pytest.mark.parametrize('nan_at', [(0,), (1,), (0, 1, 2)])
def test_a_score_that_is_no_number_is_never_right(label, nan_at):
  logits = np.zeros([1, 3], np.float32)
  logits[0, label] = 1
  logits[0, list(nan_at)] = math.nan
  output = Output(tf.constant(math.nan), tf.constant(logits))
  state = UPDATE(INITIALIZE(), labels=tf.constant([label]), batch_output=output)
  found = final(state)
  assert (found['accuracy'], found['num_examples']) == (0, 1)


def test_infinite_scores_are_scores():
  output = Output(tf.constant(0.0), tf.constant([[-math.inf, math.inf]]))
  state = UPDATE(INITIALIZE(), labels=tf.constant([1]), batch_output=output)
  assert final(state)['accuracy'] == 1


def test_without_examples_all_but_their_number_is_undefined():
  found = final(INITIALIZE())
  assert math.isnan(found['loss']) and math.isnan(found['accuracy'])
  assert found['num_examples'] == 0
