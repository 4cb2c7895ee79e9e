import hashlib

import numpy as np
import pytest

from tff_pipelines.core import tokens
from tff_pipelines.data import sentences, vocabularies

PEOPLE = [
  [['the', 'cat', 'the'], ['the', 'a']],
  [['the', 'a', 'dog']],
  [['ox', 'ox', 'ox', 'ox', 'ox', sentences.LINK]],
]


def test_words_by_falling_count_ties_in_order_of_code_points():
  found = vocabularies.count(PEOPLE, size=100)
  assert found.words == ('ox', 'the', 'a', 'cat', 'dog')
  assert found.size == 9
  assert found.level == 'word'
  assert found.source == (
    'counted centrally over training text, not private: '
    'words of at least 1 clients'
  )


def test_the_order_of_people_and_sentences_does_not_matter():
  reverse = [[s[::-1] for s in own[::-1]] for own in PEOPLE[::-1]]
  for size in range(5, 10):
    assert vocabularies.count(reverse, size) == vocabularies.count(PEOPLE, size)


def test_the_size_counts_the_marks():
  found = vocabularies.count(PEOPLE, size=6)
  assert found.words == ('ox', 'the')
  assert found.size == 6


def test_a_word_needs_enough_people():
  assert vocabularies.count(PEOPLE, 100, min_clients=2).words == ('the', 'a')


def test_a_capped_person_outvotes_nobody():
  found = vocabularies.count(PEOPLE, 100, max_count_per_client=1)
  assert found.words == ('a', 'the', 'cat', 'dog', 'ox')
  assert found.source.endswith('each client counted at most 1 times')


def test_characters_are_counted_in_strings():
  found = vocabularies.count([['aab'], ['b', 'b']], 100, level='character')
  assert found.words == ('b', 'a')
  assert found.level == 'character'


@pytest.mark.parametrize(
  ('choice', 'message'),
  [
    ({'size': 4}, 'more than the 4 ids of the marks, found a size of 4'),
    ({'size': 9, 'min_clients': 0}, 'Expected min_clients of at least 1'),
    (
      {'size': 9, 'max_count_per_client': 0},
      'Expected max_count_per_client of at least 1',
    ),
    ({'size': 9, 'min_clients': 3}, 'words that at least 3 clients use, found'),
  ],
)
def test_counts_that_leave_nothing_are_refused(choice, message):
  with pytest.raises(vocabularies.VocabularyError, match=message):
    vocabularies.count(PEOPLE, **choice)


def test_ids_by_hand():
  vocabulary = vocabularies.Vocabulary(('the', 'cat'), 'mine')
  ids = vocabulary.encode(['cat', 'the', 'dog', sentences.LINK])
  np.testing.assert_array_equal(ids, [5, 4, 1, 1])
  assert ids.dtype == np.int32
  assert vocabulary.decode(ids) == ['cat', 'the', '<unknown>', '<unknown>']
  assert vocabulary.decode(
    [tokens.PADDING, tokens.END, tokens.START]
  ) == ['<padding>', '<end>', '<start>']  # fmt: skip
  assert vocabulary.encode([]).shape == (0,)


def test_the_alphabet_has_80_ids():
  alphabet = vocabularies.alphabet()
  assert alphabet.size == 80
  assert alphabet.level == 'character'
  assert alphabet.source.startswith('public list')
  text = 'To be, or\nnot: "2 (b)"?'
  assert ''.join(alphabet.decode(alphabet.encode(text))) == text
  np.testing.assert_array_equal(alphabet.encode('\u2014'), [tokens.UNKNOWN])


def test_a_public_list(tmp_path):
  path = tmp_path / 'words.txt'
  path.write_bytes('\ufeffThe\r\nof\n\n the \ncaf\u00e9\n'.encode())
  found = vocabularies.load_list(path)
  assert found.words == ('the', 'of', 'caf\u00e9')
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  assert found.source == f'public list: words.txt, sha256 {digest}'
  assert vocabularies.load_list(path, size=6).words == ('the', 'of')
  cased = vocabularies.load_list(path, cased=True)
  assert cased.words == ('The', 'of', 'the', 'caf\u00e9')


def test_lists_that_are_none(tmp_path):
  path = tmp_path / 'words.txt'
  with pytest.raises(vocabularies.VocabularyError, match='Could not read'):
    vocabularies.load_list(path)
  path.write_bytes(b'caf\xe9\n')
  with pytest.raises(vocabularies.VocabularyError, match='byte 0xe9 at off'):
    vocabularies.load_list(path)
  path.write_bytes(b'one\ntwo\n')
  with pytest.raises(vocabularies.VocabularyError, match='at least 3 differ'):
    vocabularies.load_list(path, size=7)
  with pytest.raises(vocabularies.VocabularyError, match='a size of 4'):
    vocabularies.load_list(path, size=4)
  path.write_bytes(b'\n')
  with pytest.raises(vocabularies.VocabularyError, match='at least 1 differ'):
    vocabularies.load_list(path)


@pytest.mark.parametrize(
  ('words', 'message'),
  [
    ((), 'at least one word, found none'),
    (('a', 'b', 'a'), "found 'a' twice"),
    (('a', ''), "found ''"),
    (('a', sentences.LINK), "found '<link>'"),
  ],
)
def test_ambiguous_vocabularies_are_refused(words, message):
  with pytest.raises(vocabularies.VocabularyError, match=message):
    vocabularies.Vocabulary(words, 'mine')


def test_there_is_no_third_level():
  with pytest.raises(vocabularies.VocabularyError, match="found 'syllable'"):
    vocabularies.Vocabulary(('a',), 'mine', 'syllable')
