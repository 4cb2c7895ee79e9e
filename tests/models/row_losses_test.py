"""How surprised a language model is by each of many rows."""

import numpy as np
import pytest

from tff_pipelines.models import cifg_lstm, language_models, row_losses

LENGTH = 5
ARCHITECTURE = cifg_lstm.CifgLstm(
  vocabulary_size=9, length=LENGTH, embedding_size=3, units=4
)


@pytest.fixture(scope='module')
def model():
  return language_models.build(ARCHITECTURE, seed=1)


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
  rng = np.random.default_rng(0)
  x = rng.integers(1, 9, (count, LENGTH), np.int32)
  y = rng.integers(0, 9, (count, LENGTH), np.int32)
  return x, y


def by_hand(weights, x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """The same in float64, place by place."""
  logits = ARCHITECTURE.logits(weights, x).numpy().astype(np.float64)
  found = np.zeros(len(x))
  for row, labels in enumerate(y):
    for place, label in enumerate(labels):
      if label:
        scores = logits[row, place]
        found[row] += np.log(np.exp(scores).sum()) - scores[label]
  return found


# Fewer than are computed at a time, as many, and one more.
@pytest.mark.parametrize('count', [1, 64, 65])
def test_each_row_has_the_sum_of_its_own_losses(model, count):
  weights = ARCHITECTURE.initial_weights(2)
  x, y = rows(count)
  found = row_losses.compute(model, weights, x, y)
  assert (found.shape, found.dtype) == ((count,), np.float64)
  np.testing.assert_allclose(found, by_hand(weights, x, y), rtol=1e-5)


def test_a_model_without_preferences_needs_the_same_for_each_label(model):
  weights = [np.zeros_like(w) for w in ARCHITECTURE.initial_weights()]
  x, _ = rows(3)
  y = np.array([[0] * 5, [0, 4, 0, 0, 0], [4, 5, 6, 7, 8]], np.int32)
  found = row_losses.compute(model, weights, x, y)
  np.testing.assert_allclose(found, np.log(9) * np.array([0, 1, 5]), rtol=1e-6)


def test_no_rows_have_no_losses(model):
  found = row_losses.compute(
    model, ARCHITECTURE.initial_weights(), *(np.zeros((2, 0, LENGTH), np.int32))
  )
  assert found.shape == (0,)


def test_it_is_the_given_weights_that_count_not_the_initial_ones(model):
  x, y = rows(4)
  first, second = (
    row_losses.compute(model, ARCHITECTURE.initial_weights(seed), x, y)
    for seed in (1, 2)
  )
  assert np.abs(first - second).min() > 1e-4


def test_weights_that_are_no_numbers_give_losses_that_are_none(model):
  weights = [np.full_like(w, np.nan) for w in ARCHITECTURE.initial_weights()]
  assert np.isnan(row_losses.compute(model, weights, *rows(2))).all()
