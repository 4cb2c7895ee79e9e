import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import tokens as marks
from tff_pipelines.models import suggestions

START, END = marks.START, marks.END


def test_a_prefix_is_asked_for_what_follows_its_last_token():
  logits = np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5) ** 2
  tokens = np.int32([[START, 4, 0, 0], [START, 4, 4, 4]])
  found = suggestions.after_last(logits, tokens)
  expected = tf.nn.log_softmax(np.stack([logits[0, 1], logits[1, 3]]))
  np.testing.assert_allclose(found, expected, rtol=1e-6)
  np.testing.assert_allclose(np.exp(found).sum(axis=1), 1.0, rtol=1e-6)


def test_of_nothing_the_first_place_is_asked():
  logits = np.float32([[[1, 2], [5, 5]]])
  found = suggestions.after_last(logits, np.int32([[0, 0]]))
  np.testing.assert_allclose(found, tf.nn.log_softmax(logits[:, 0]))


def test_marks_are_never_suggested():
  probabilities = np.float32([[0.2, 0.3, 0.1, 0.1, 0.05, 0.15, 0.02, 0.08]])
  ids, found = suggestions.likeliest(np.log(probabilities))
  np.testing.assert_array_equal(ids, [[5, 7, 4]])
  np.testing.assert_allclose(found, [[0.15, 0.08, 0.05]], rtol=1e-6)


def test_prefixes_end_before_words_and_begin_at_their_own_sentence():
  x = np.int32([[START, 5, 6, START, 7, 1, 8, 0]])
  y = np.int32([[5, 6, END, 7, 1, 8, END, 0]])
  np.testing.assert_array_equal(
    suggestions.prefixes(x, y, limit=99),
    [
      [START, 0, 0, 0, 0, 0, 0, 0],
      [START, 5, 0, 0, 0, 0, 0, 0],
      [START, 0, 0, 0, 0, 0, 0, 0],
      # Unknown words are no labels, but they were typed.
      [START, 7, 1, 0, 0, 0, 0, 0],
    ],
  )


def test_windows_of_characters_are_prefixes_from_their_beginning():
  x, y = np.int32([[4, 5, 6], [6, 4, 0]]), np.int32([[5, 6, 6], [4, 5, 0]])
  np.testing.assert_array_equal(
    suggestions.prefixes(x, y, limit=99),
    [[4, 0, 0], [4, 5, 0], [4, 5, 6], [6, 0, 0], [6, 4, 0]],
  )
  # Evenly chosen: the places 0, 1 and 3 of these five.
  np.testing.assert_array_equal(
    suggestions.prefixes(x, y, limit=3), [[4, 0, 0], [4, 5, 0], [6, 0, 0]]
  )


def test_without_words_there_are_no_prefixes():
  x, y = np.int32([[START, 1]]), np.int32([[1, END]])
  assert suggestions.prefixes(x, y, limit=9).shape == (0, 2)


def test_agreement_is_counted_by_hand():
  original = np.float32(
    [
      [0.0, 0.0, 0.0, 0.0, 0.4, 0.3, 0.2, 0.1],
      [0.0, 0.0, 0.0, 0.0, 0.4, 0.3, 0.2, 0.1],
      [0.9, 0.0, 0.0, 0.0, 0.04, 0.03, 0.02, 0.01],
      [0.5, 0.0, 0.0, 0.0, 0.1, 0.2, 0.12, 0.08],
    ]
  )
  other = original.copy()
  other[1, 4:6] = 0.25, 0.45  # Another first suggestion.
  other[3, [4, 7]] = 0.07, 0.11  # Another third one.
  other[2, 0] = 0.8  # A mark is none.
  with np.errstate(divide='ignore'):
    found = suggestions.agreement(np.log(original), np.log(other))
  assert found == {
    'same_first': 0.75,
    'same_three': 0.5,
    'largest_difference': pytest.approx(0.15),
  }


def test_agreement_on_nothing_is_none():
  nothing = np.zeros([0, 8], np.float32)
  assert set(suggestions.agreement(nothing, nothing).values()) == {None}
