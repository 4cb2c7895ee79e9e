import collections
import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
import tensorflow as tf

from tff_pipelines.models import binary_metrics

WIDTH = 0.05
INITIALIZE, UPDATE, FINALIZE = binary_metrics.metric_fns()

Output = collections.namedtuple('Output', ['loss', 'predictions'])


def cross_entropy(labels, logits) -> np.ndarray:
  """ln(1 + e^-z) for label 1, ln(1 + e^z) for label 0, in float64."""
  return np.logaddexp(0, np.where(labels, -1.0, 1.0) * np.float64(logits))


def add(state, labels, logits):
  """One batch as a model hands it over."""
  loss = np.float32(cross_entropy(labels, logits).mean())
  output = Output(tf.constant(loss), tf.constant(logits, tf.float32))
  return UPDATE(
    state, labels=tf.constant(labels, tf.int32), batch_output=output
  )


def metrics_of(labels, logits) -> dict[str, float]:
  found = FINALIZE(add(INITIALIZE(), labels, logits))
  return {name: value.numpy() for name, value in found.items()}


def random_scores(
  num_examples: int, seed: int = 0, at_centres: bool = False
) -> tuple[np.ndarray, np.ndarray]:
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, 2, num_examples)
  logits = rng.normal(size=num_examples) + labels
  if at_centres:
    logits = (np.floor(logits / WIDTH) + 0.5) * WIDTH
  return labels, logits.astype(np.float32)


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('num_examples', [10, 500])
def test_metrics_equal_those_of_scikit_learn(num_examples, seed):
  # At the centres of the intervals AUC is exact: ties there are ties here.
  labels, logits = random_scores(num_examples, seed, at_centres=True)
  found = metrics_of(labels, logits)
  predicted = logits >= 0
  (tn, fp), _ = sklearn_metrics.confusion_matrix(labels, predicted)
  expected = {
    'loss': sklearn_metrics.log_loss(
      labels, 1 / (1 + np.exp(-np.float64(logits)))
    ),
    'accuracy': sklearn_metrics.accuracy_score(labels, predicted),
    'recall': sklearn_metrics.recall_score(labels, predicted),
    'false_positive_rate': fp / (fp + tn),
    'matthews_correlation': sklearn_metrics.matthews_corrcoef(
      labels, predicted
    ),
    'auc': sklearn_metrics.roc_auc_score(labels, logits),
    'num_examples': num_examples,
  }
  assert list(found) == list(expected)
  for name, value in expected.items():
    assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-7), name


@pytest.mark.parametrize('seed', range(3))
def test_auc_errs_by_half_the_pairs_within_an_interval_at_most(seed):
  labels, logits = random_scores(200, seed)
  interval = np.floor(np.float64(logits) / WIDTH)
  pairs = (
    interval[labels == 0][:, np.newaxis] == interval[labels == 1][np.newaxis]
  )
  bound = pairs.mean() / 2
  assert 0 < bound < 0.02
  exact = sklearn_metrics.roc_auc_score(labels, logits)
  assert abs(metrics_of(labels, logits)['auc'] - exact) <= bound + 1e-6


def test_four_examples_by_hand():
  # Two spam, one caught; two ham, one blocked. Of the four pairs (ham, spam)
  # three are in the right order: (-3, 2), (-3, -1), (1, 2).
  found = metrics_of([0, 0, 1, 1], [-3.0, 1.0, 2.0, -1.0])
  assert found['accuracy'] == found['recall'] == 0.5
  assert found['false_positive_rate'] == 0.5
  assert found['matthews_correlation'] == 0
  assert found['auc'] == 0.75
  assert found['num_examples'] == 4
  assert found['loss'] == pytest.approx(
    sum(math.log1p(math.exp(z)) for z in (-3, 1, -2, 1)) / 4, rel=1e-6
  )


def test_a_perfect_and_a_perfectly_wrong_classifier():
  labels = np.array([0, 0, 1, 1, 1])
  right = metrics_of(labels, np.where(labels, 4.0, -4.0))
  wrong = metrics_of(labels, np.where(labels, -4.0, 4.0))
  for name in ('accuracy', 'recall', 'auc', 'matthews_correlation'):
    assert right[name] == 1
  for name in ('accuracy', 'recall', 'auc'):
    assert wrong[name] == 0
  assert wrong['matthews_correlation'] == -1
  assert (right['false_positive_rate'], wrong['false_positive_rate']) == (0, 1)


@pytest.mark.parametrize(
  ('logit', 'is_positive'),
  [
    (0.0, True),
    (1e-30, True),
    (-1e-30, False),
    (-1e-9, False),
    (0.05, True),
    (-0.05, False),
    (14.99, True),
    (1e3, True),
    (-1e3, False),
    (1e10, True),  # Beyond int32 when counted in intervals.
    (-1e10, False),
    (3e38, True),
    (-3e38, False),
    (math.inf, True),
    (-math.inf, False),
    (math.nan, False),
  ],
)
def test_a_logit_of_0_or_more_is_a_positive(logit, is_positive):
  output = Output(tf.constant(0.0), tf.constant([logit]))
  state = UPDATE(INITIALIZE(), labels=tf.constant([1]), batch_output=output)
  found = FINALIZE(state)
  assert found['recall'] == float(is_positive)
  assert found['num_examples'] == 1


def test_scores_beyond_15_tie():
  assert metrics_of([0, 1], [16.0, 99.0])['auc'] == 0.5
  assert metrics_of([0, 1], [-99.0, -16.0])['auc'] == 0.5
  assert metrics_of([0, 1], [14.9, 99.0])['auc'] == 1


def test_states_add_up_over_every_split():
  labels, logits = random_scores(60)
  whole = add(INITIALIZE(), labels, logits)
  rng = np.random.default_rng(1)
  for num_parts in (2, 7, 60):
    parts = np.array_split(rng.permutation(60), num_parts)
    states = [add(INITIALIZE(), labels[p], logits[p]) for p in parts]
    # What a sum over clients does.
    summed = tf.nest.map_structure(lambda *s: tf.add_n(s), *states)
    np.testing.assert_array_equal(summed['scores'], whole['scores'])
    np.testing.assert_allclose(summed['loss_sum'], whole['loss_sum'], rtol=1e-5)


def test_batches_of_a_client_add_up():
  labels, logits = random_scores(60)
  state = INITIALIZE()
  for part in np.array_split(np.arange(60), 8):  # Of 7 and of 8 examples.
    state = add(state, labels[part], logits[part])
  whole = add(INITIALIZE(), labels, logits)
  np.testing.assert_array_equal(state['scores'], whole['scores'])
  np.testing.assert_allclose(state['loss_sum'], whole['loss_sum'], rtol=1e-5)


def undefined(found: dict[str, float]) -> set[str]:
  return {name for name, value in found.items() if math.isnan(value)}


def test_without_positives_recall_and_auc_are_undefined():
  found = metrics_of([0, 0], [-1.0, 1.0])
  assert undefined(found) == {'recall', 'auc'}
  assert found['false_positive_rate'] == 0.5
  assert found['matthews_correlation'] == 0


def test_without_negatives_false_positive_rate_and_auc_are_undefined():
  found = metrics_of([1, 1], [-1.0, 1.0])
  assert undefined(found) == {'false_positive_rate', 'auc'}
  assert found['recall'] == 0.5


def test_without_examples_all_but_their_number_is_undefined():
  found = {n: v.numpy() for n, v in FINALIZE(INITIALIZE()).items()}
  assert undefined(found) == {
    'loss', 'accuracy', 'recall', 'false_positive_rate', 'auc',
  }  # fmt: skip
  assert found['num_examples'] == 0
  assert found['matthews_correlation'] == 0


def test_counts_are_exact_for_millions_of_examples():
  # The products in Matthews' correlation would overflow 64-bit integers.
  scores = np.zeros([2, 600], np.float32)
  scores[0, 299], scores[1, 300] = 3e6, 1e6  # Right,
  scores[0, 300], scores[1, 299] = 1e6, 1e6  # and wrong.
  found = FINALIZE(
    collections.OrderedDict(
      loss_sum=tf.constant(0.0), scores=tf.constant(scores)
    )
  )
  assert found['num_examples'] == 6_000_000
  assert found['accuracy'].numpy() == pytest.approx(4 / 6)
  # (1 * 3 - 1 * 1) / sqrt(2 * 2 * 4 * 4)
  assert found['matthews_correlation'].numpy() == pytest.approx(2 / 8)
