"""Keyboards over a model that can be read: a table of what follows what."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import tokens as marks
from tff_pipelines.models import keyboards

WORDS = ('how', 'do', 'i', 'don', 'été', 'ice')
LENGTH = 4
VOCABULARY_SIZE = len(WORDS) + marks.FIRST_WORD


@dataclasses.dataclass(frozen=True)
class Bigrams:
  """The logits of what follows a token are a row of a table."""

  vocabulary_size: int = VOCABULARY_SIZE
  length: int = LENGTH

  def logits(self, weights, tokens, unrolled=False):
    assert unrolled  # What is exported has no loops.
    return tf.gather(weights[0], tokens)


def table() -> np.ndarray:
  rng = np.random.default_rng(7)
  return rng.normal(size=(VOCABULARY_SIZE, VOCABULARY_SIZE)).astype(np.float32)


def probabilities(after: int) -> dict[str, float]:
  """What the table says of the words after a token."""
  row = np.exp(np.float64(table()[after]))
  return dict(
    zip(WORDS, row[marks.FIRST_WORD :] / row.sum(), strict=True),
  )


def likeliest(after: int, begin: str = '') -> list[str]:
  of = probabilities(after)
  return sorted((w for w in of if w.startswith(begin)), key=lambda w: -of[w])


def ids(*words: str) -> list[int]:
  return [WORDS.index(w) + marks.FIRST_WORD for w in words]


def build(level: keyboards.Level = 'word', words=WORDS) -> keyboards.Keyboard:
  return keyboards.Keyboard(Bigrams(), [table()], words=words, level=level)


@pytest.fixture(scope='module')
def keyboard() -> keyboards.Keyboard:
  return build()


def serve(keyboard, *sentences: str):
  """Returns the words that are suggested and what is unfinished."""
  found = keyboard.serve(tf.constant(sentences, tf.string))
  words = [
    [w.decode() for w, p in zip(*row, strict=True) if p > 0]
    for row in zip(
      found['words'].numpy(), found['probabilities'].numpy(), strict=True
    )
  ]
  return words, [u.decode() for u in found['unfinished'].numpy()]


def test_what_follows_the_last_word_is_suggested(keyboard):
  words, unfinished = serve(keyboard, 'how do', 'i')
  (do, i) = ids('do', 'i')
  assert words == [likeliest(do)[:3], likeliest(i)[:3]]
  assert unfinished == ['', '']
  found = keyboard.serve(tf.constant(['how do']))['probabilities']
  of = probabilities(do)
  np.testing.assert_allclose(
    found, [[of[w] for w in likeliest(do)[:3]]], rtol=1e-5
  )


def test_a_sentence_begins_with_its_start(keyboard):
  words, _ = serve(keyboard, '', ' ')
  assert words == [likeliest(marks.START)[:3]] * 2


def test_no_sentences_have_no_suggestions(keyboard):
  assert serve(keyboard) == ([], [])


def test_an_unknown_word_before_a_space_was_typed(keyboard):
  words, unfinished = serve(keyboard, 'how d ', 'how d\t')
  assert words == [likeliest(marks.UNKNOWN)[:3]] * 2
  assert unfinished == ['', '']


def test_an_unfinished_word_is_completed_after_the_words_before(keyboard):
  words, unfinished = serve(keyboard, 'how d', 'do', 'i ét', 'i', 'ic', 'how d')
  (how, do, i) = ids('how', 'do', 'i')
  assert (
    words
    == [
      likeliest(how, 'd'),
      likeliest(do)[:3],  # `don` begins like it, but it is a word.
      likeliest(i, 'ét'),
      likeliest(i)[:3],
      likeliest(marks.START, 'ic'),
      likeliest(how, 'd'),
    ]
  )
  assert sorted(words[0]) == ['do', 'don']
  assert unfinished == ['d', '', 'ét', '', 'ic', 'd']


@pytest.mark.parametrize('sentence', ['how x', 'how ,', "how d'", 'how donkey'])
def test_what_no_word_begins_with_is_an_unknown_word(keyboard, sentence):
  assert serve(keyboard, sentence) == ([likeliest(marks.UNKNOWN)[:3]], [''])


def test_prefixes_are_those_of_training(keyboard):
  def prefix(sentence: str, without_last: bool = False) -> list[int]:
    typed = tf.strings.split([sentence])
    (found,) = keyboard._prefixes(typed, tf.constant([without_last])).numpy()
    return found.tolist()

  start = marks.START
  assert prefix('') == [start, 0, 0, 0]
  assert prefix('how do') == [start, *ids('how', 'do'), 0]
  assert prefix('how d', without_last=True) == [start, *ids('how'), 0, 0]
  # Of what has no room the last words count.
  assert prefix('i how no do') == [start, *ids('how'), 1, *ids('do')]
  assert prefix('i how do d', without_last=True) == [
    start,
    *ids('i', 'how', 'do'),
  ]


def test_characters_are_read_without_a_start():
  letters = ('a', 'b', ' ', '\n', 'é', 'c')
  keyboard = build('character', letters)

  def after(letter: str) -> list[str]:
    of = probabilities(letters.index(letter) + marks.FIRST_WORD)
    return [letters[WORDS.index(w)] for w in sorted(of, key=lambda w: -of[w])]

  words, unfinished = serve(keyboard, 'ba', 'a ', 'caché', 'ab\n')
  assert words == [after(letter)[:3] for letter in 'a é\n']
  assert unfinished == [''] * 4
  typed = tf.strings.unicode_split(['bac abé'], 'UTF-8')
  np.testing.assert_array_equal(
    keyboard._prefixes(typed, tf.constant([False])), [[6, 4, 5, 8]]
  )


@pytest.mark.parametrize('words', [WORDS[:-1], (*WORDS, 'more'), ()])
def test_words_that_the_model_does_not_have_are_refused(words):
  with pytest.raises(keyboards.KeyboardError) as raised:
    build(words=words)
  assert str(raised.value) == (
    'Expected as many words as the model predicts, 6, and at least 3, found '
    f'{len(words)}.'
  )


def test_fewer_words_than_suggestions_are_refused():
  with pytest.raises(keyboards.KeyboardError, match='at least 3, found 2'):
    keyboards.Keyboard(
      Bigrams(vocabulary_size=6), [table()], words=('a', 'b'), level='word'
    )
