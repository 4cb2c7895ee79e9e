"""The character model, its loss and its metrics."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.core import client_batches
from tff_pipelines.models import (
  character_lstm,
  language_models,
  last_axis,
  sizes,
  token_metrics,
)

SIZES = character_lstm.CharacterLstm(
  vocabulary_size=11, length=6, embedding_size=3, units=4
)


@pytest.fixture(scope='module')
def model():
  return language_models.build(SIZES, seed=1)


def _tokens(count, seed=0, low=0):
  rng = np.random.default_rng(seed)
  return rng.integers(low, 11, [count, 6]).astype(np.int32)


def test_the_count_of_parameters_is_the_formula():
  count = sum(w.size for w in SIZES.initial_weights())
  assert count == SIZES.num_parameters == 33 + 4 * 4 * 8 + 5 * 11


def test_the_benchmarks_model_has_its_published_size():
  large = character_lstm.CharacterLstm(90, 40)
  # Embedding 720, LSTM 4 * 128 * (8 + 128 + 1), output 129 * 90.
  assert large.num_parameters == 720 + 70_144 + 11_610


def test_initial_weights_depend_on_the_seed_only():
  one, same, other = (SIZES.initial_weights(s) for s in (3, 3, 4))
  for a, b in zip(one, same, strict=True):
    np.testing.assert_array_equal(a, b)
  assert np.any(one[0] != other[0])
  np.testing.assert_array_equal(one[3], np.repeat([0, 1, 0, 0], 4))


@pytest.mark.parametrize('name', ['vocabulary_size', 'length', 'units'])
def test_a_size_that_makes_no_model_is_refused(name):
  wrong = {'vocabulary_size': 5, 'length': 5, name: 0}
  with pytest.raises(
    sizes.ModelSizeError,
    match=f'^Expected {name} of at least 1, found 0',
  ):
    character_lstm.CharacterLstm(**wrong)


def test_it_computes_what_the_layers_of_keras_compute(model):
  embedding, kernel, recurrent, bias, output, output_bias = (
    model.initial_weights[0]
  )
  keras = tf.keras.Sequential(
    [
      tf.keras.layers.InputLayer([6], dtype=tf.int32),
      tf.keras.layers.Embedding(11, 3),
      tf.keras.layers.LSTM(4, return_sequences=True),
      tf.keras.layers.Dense(11),
    ]
  )
  keras.set_weights([embedding, kernel, recurrent, bias, output, output_bias])
  tokens = _tokens(5)
  found = model.predict_on_batch(model.initial_weights, tokens, training=False)
  np.testing.assert_allclose(found, keras(tokens), rtol=1e-4, atol=1e-5)


def test_padding_has_no_part_in_the_loss():
  logits = tf.random.stateless_normal([2, 6, 11], seed=[1, 2])
  labels = _tokens(2, low=1)
  labels[0, 4:] = 0
  labels[1, 1:] = 0
  kept = labels > 0
  log_p = tf.nn.log_softmax(logits).numpy()
  expected = -np.mean(
    [log_p[r, c, labels[r, c]] for r, c in zip(*kept.nonzero(), strict=True)]
  )
  found = language_models.token_loss(logits, labels)
  assert float(found) == pytest.approx(expected, rel=1e-5)
  assert float(language_models.token_loss(logits, np.zeros_like(labels))) == 0


def test_the_losss_gradient_is_that_of_tensorflow():
  logits = tf.random.stateless_normal([2, 6, 11], seed=[1, 2]) * 50
  labels = _tokens(2, low=1)
  labels[0, 4:] = 0
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(logits)
    ours = 3 * language_models.token_loss(logits, labels)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    expected = 3 * tf.reduce_mean(losses[labels > 0])
  np.testing.assert_allclose(ours, expected, rtol=1e-5)
  np.testing.assert_allclose(
    tape.gradient(ours, logits),
    tape.gradient(expected, logits),
    rtol=1e-5,
    atol=1e-7,
  )


@pytest.mark.parametrize('size', [1, 32, 33, 449, 5003])
@pytest.mark.parametrize('jit_compile', [False, True])
def test_the_last_axis_is_reduced_whatever_its_size(size, jit_compile):
  x = np.random.default_rng(0).normal(size=[3, size]).astype(np.float32)

  @tf.function(jit_compile=jit_compile)
  def reduced(x):
    return last_axis.maximum(x), last_axis.total(x)

  maximum, total = reduced(x)
  np.testing.assert_array_equal(maximum, x.max(axis=1))
  np.testing.assert_allclose(total, x.sum(axis=1), rtol=1e-4, atol=1e-4)


def _metrics(batches):
  initialize, update, finalize = token_metrics.metric_fns()
  state = initialize()
  for logits, labels in batches:
    loss = language_models.token_loss(logits, labels)
    output = tff.learning.models.BatchOutput(loss, logits, len(labels))
    state = update(state, labels, output)
  return {name: float(v) for name, v in finalize(state).items()}


def test_metrics_are_those_of_all_tokens_together():
  rng = np.random.default_rng(5)
  batches = [
    (rng.normal(size=[n, 6, 11]).astype(np.float32), _tokens(n, seed=n))
    for n in (2, 5)
  ]
  logits = np.concatenate([b[0].reshape(-1, 11) for b in batches])
  labels = np.concatenate([b[1].ravel() for b in batches])
  logits, labels = logits[labels > 0], labels[labels > 0]
  log_p = tf.nn.log_softmax(logits).numpy()[np.arange(len(labels)), labels]
  found = _metrics(batches)
  assert found['num_tokens'] == len(labels)
  is_word = labels >= 4
  assert found['num_words'] == np.sum(is_word)
  # Ranks are among words, marks left out.
  order = 4 + np.argsort(-logits[is_word, 4:], axis=1)
  words = labels[is_word]
  assert found['top1_recall'] == pytest.approx(np.mean(order[:, 0] == words))
  assert found['top3_recall'] == pytest.approx(
    np.mean(np.any(order[:, :3] == words[:, np.newaxis], axis=1))
  )
  assert found['loss'] == pytest.approx(-log_p.mean(), rel=1e-4)
  assert found['perplexity'] == pytest.approx(np.exp(-log_p.mean()), rel=1e-4)


def test_metrics_without_tokens_are_undefined():
  found = _metrics([])
  assert found['num_tokens'] == found['num_words'] == 0
  assert all(np.isnan(v) for k, v in found.items() if 'num' not in k)


def test_a_score_that_is_no_number_never_counts():
  logits = np.full([1, 6, 11], np.nan, np.float32)
  found = _metrics([(logits, _tokens(1, low=4))])
  assert (found['top1_recall'], found['top3_recall']) == (0, 0)


@pytest.mark.slow
def test_federated_averaging_of_it_is_that_of_tff(model):
  from tff_pipelines.execution.xla import context

  process = tff.learning.algorithms.build_weighted_fed_avg(
    model,
    tff.learning.optimizers.build_sgdm(0.5),
    tff.learning.optimizers.build_sgdm(1.0),
  )
  lengths = [4, 1, 0, 7]
  counts = [-(-n // 3) for n in lengths]
  batch_sizes = [
    min(3, n - 3 * b)
    for n, c in zip(lengths, counts, strict=True)
    for b in range(c)
  ]
  text = np.stack([_tokens(3, seed=k) for k in range(sum(counts))])
  text *= np.arange(3)[:, None] < np.array(batch_sizes)[:, None, None]
  data = client_batches.ClientBatches(
    (text, np.roll(text, -1, axis=2)),
    np.array(batch_sizes, np.int32),
    np.cumsum([0, *counts]).astype(np.int32),
    ('a', 'b', 'c', 'd'),
  )
  reference, xla = samples.Reference(), context.XlaContext(threads=2)
  try:
    pair = samples.Pair(reference, xla)
    pair.same_rounds(process, [data] * 3)
    assert pair.way(process.next) == 'xla'
  finally:
    reference.close()
    xla.close()
