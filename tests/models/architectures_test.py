"""Every language model: sizes, gradients, packed rows, and all contexts."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.core import tokens
from tff_pipelines.models import (
  character_lstm,
  cifg_lstm,
  gru,
  language_models,
  sizes,
  transformer,
)

WORDS, LENGTH = 75, 7
ARCHITECTURES = {
  'cifg_lstm': cifg_lstm.CifgLstm(WORDS, LENGTH, 6, 5),
  'gru': gru.Gru(WORDS, LENGTH, 6, 5),
  'transformer': transformer.Transformer(WORDS, LENGTH, 6, 2, 2, 9),
  'character_lstm': character_lstm.CharacterLstm(WORDS, LENGTH, 6, 5, 2),
}
RESETTING = ('cifg_lstm', 'gru', 'transformer')


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
  return ARCHITECTURES[request.param]


def _rows(count, seed=0):
  """Rows of packed sentences, with padding at the end of some."""
  rng = np.random.default_rng(seed)
  x = rng.integers(tokens.FIRST_WORD, WORDS, [count, LENGTH]).astype(np.int32)
  y = rng.integers(1, WORDS, [count, LENGTH]).astype(np.int32)
  x[:, 0] = tokens.START
  for row in range(count):
    x[row, rng.integers(1, LENGTH)] = tokens.START
    unused = rng.integers(0, 3)
    x[row, LENGTH - unused :] = y[row, LENGTH - unused :] = tokens.PADDING
  return x, y


def _loss_and_gradients(architecture, unrolled):
  weights = [tf.constant(w) for w in architecture.initial_weights(1)]
  x, y = _rows(4)

  def compute(*weights):
    with tf.GradientTape() as tape:
      tape.watch(weights)
      logits = architecture.logits(weights, x, unrolled=unrolled)
      loss = language_models.token_loss(logits, y)
      if unrolled:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        loss = tf.reduce_mean(losses[y > 0])
    gradients = tape.gradient(loss, weights)
    return [loss, *map(tf.convert_to_tensor, gradients)]

  return compute, weights


def test_the_count_of_parameters_is_the_formula(architecture):
  weights = architecture.initial_weights()
  assert sum(w.size for w in weights) == architecture.num_parameters
  assert all(w.dtype == np.float32 for w in weights)


def test_the_published_size():
  # Hard et al. 2018, section 3.1: 1.4 million parameters.
  assert cifg_lstm.CifgLstm(10_000, 20).num_parameters == (
    960_000 + 3 * 670 * (96 + 96 + 1) + 670 * 96 + 10_000
  )


def test_initial_weights_depend_on_the_seed_only(architecture):
  one, same, other = (architecture.initial_weights(s) for s in (3, 3, 4))
  for a, b in zip(one, same, strict=True):
    np.testing.assert_array_equal(a, b)
  assert np.any(one[0] != other[0])


@pytest.mark.parametrize('jit_compile', [False, True])
def test_gradients_are_those_of_plain_operations(architecture, jit_compile):
  plain, weights = _loss_and_gradients(architecture, unrolled=True)
  ours, _ = _loss_and_gradients(architecture, unrolled=False)
  expected = plain(*weights)
  found = tf.function(ours, jit_compile=jit_compile)(*weights)
  for one, other in zip(found, expected, strict=True):
    scale = float(tf.reduce_max(tf.abs(other)))
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize('name', RESETTING)
@pytest.mark.parametrize('unrolled', [False, True])
def test_a_packed_row_gives_the_logits_of_its_sentences(name, unrolled):
  architecture = ARCHITECTURES[name]
  weights = [tf.constant(w) for w in architecture.initial_weights(2)]
  start, padding = tokens.START, tokens.PADDING
  packed = [start, 9, 8, start, 7, start, 5]
  alone = [
    [start, 9, 8, *[padding] * 4],
    [start, 7, *[padding] * 5],
    [start, 5, *[padding] * 5],
  ]
  logits = architecture.logits(
    weights, tf.constant([packed, *alone], tf.int32), unrolled=unrolled
  ).numpy()
  separate = np.concatenate([logits[1, :3], logits[2, :2], logits[3, :2]])
  np.testing.assert_allclose(logits[0], separate, rtol=1e-5, atol=1e-6)


def test_a_later_token_changes_nothing_before_it(architecture):
  weights = [tf.constant(w) for w in architecture.initial_weights(2)]
  x = np.array([[3, 9, 8, 7, 6, 5, 4], [3, 9, 8, 7, 30, 20, 10]], np.int32)
  one, other = architecture.logits(weights, tf.constant(x)).numpy()
  np.testing.assert_allclose(one[:4], other[:4], rtol=1e-5, atol=1e-6)
  assert np.all(np.any(np.abs(one[4:] - other[4:]) > 1e-4, axis=1))


def test_a_size_that_makes_no_model_is_refused(architecture):
  with pytest.raises(sizes.ModelSizeError, match='of at least 1, found 0'):
    type(architecture)(WORDS, 0)


def test_heads_have_to_share_the_embedding():
  with pytest.raises(sizes.ModelSizeError, match='multiple of the 5 heads'):
    transformer.Transformer(WORDS, LENGTH, 6, 5)


@pytest.mark.slow
@pytest.mark.parametrize(
  'name', ['cifg_lstm', 'gru', 'transformer', 'character_lstm']
)
def test_federated_averaging_is_that_of_tff(name):
  from tff_pipelines.execution.xla import context

  process = tff.learning.algorithms.build_weighted_fed_avg(
    language_models.build(ARCHITECTURES[name], seed=1),
    tff.learning.optimizers.build_sgdm(0.2),
    tff.learning.optimizers.build_sgdm(1.0),
  )
  data = samples.batches(
    [4, 1, 0, 5],
    batch_size=3,
    make=lambda count, seed: _rows(count, int(seed[-1])),
  )
  reference, xla = samples.Reference(), context.XlaContext(threads=2)
  try:
    pair = samples.Pair(reference, xla)
    pair.same_rounds(process, [data] * 2)
    assert pair.way(process.next) == 'xla'
  finally:
    reference.close()
    xla.close()
