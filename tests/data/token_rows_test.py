import numpy as np
import pytest

from tff_pipelines.core import tokens
from tff_pipelines.data import token_rows, vocabularies

WORDS = vocabularies.Vocabulary(tuple('abcdefghij'), 'test')


def encoded(*sentences: str) -> token_rows.Encoded:
  return token_rows.encode(sentences, WORDS)


def shown(ids: np.ndarray) -> list[str]:
  """Rows as strings: 0 padding, _ unknown, $ end, ^ start."""
  return [''.join(('0_$^' + 'abcdefghij')[i] for i in row) for row in ids]


def test_the_example_of_the_docstring():
  rows = token_rows.pack(encoded('ab', 'cde'), [2], 8)
  assert shown(rows.x) == ['^ab^cde0']
  assert shown(rows.y) == ['ab$cde$0']
  assert rows.x.dtype == rows.y.dtype == np.int32
  assert rows.fill == 7 / 8
  assert rows.tokens_cut == 0


def test_first_fit_by_hand():
  # Places: 4, 3, 2, 3, 2 in rows of 6.
  rows = token_rows.pack(encoded('abc', 'de', 'f', 'gh', 'i'), [5], 6)
  assert shown(rows.x) == ['^abc^f', '^de^gh', '^i0000']
  assert shown(rows.y) == ['abc$f$', 'de$gh$', 'i$0000']


def test_long_sentences_are_cut_and_counted():
  rows = token_rows.pack(encoded('abc', 'abcd', 'abcdefg'), [3], 4)
  assert shown(rows.x) == ['^abc', '^abc', '^abc']
  assert shown(rows.y) == ['abc$', 'abcd', 'abcd']
  assert rows.tokens_cut == 3


def test_clients_share_no_row():
  rows = token_rows.pack(encoded('a', 'b', 'c'), [1, 0, 2], 8)
  assert shown(rows.x) == ['^a000000', '^b^c0000']
  np.testing.assert_array_equal(rows.offsets, [0, 1, 1, 2])


def test_unknown_words_are_predicted_as_unknown():
  rows = token_rows.pack(encoded('azb'), [1], 4)
  assert shown(rows.x) == ['^a_b']
  assert shown(rows.y) == ['a_b$']


def test_nobody_and_nothing():
  rows = token_rows.pack(encoded(), [], 4)
  assert rows.x.shape == rows.y.shape == (0, 4)
  assert rows.fill == 0
  assert token_rows.windows([], 4).x.shape == (0, 4)


def unpacked(rows: token_rows.Rows, client: int) -> list[tuple[int, ...]]:
  """The sentences that are read in a client's rows, with their labels."""
  found = []
  for r in range(*rows.offsets[client : client + 2]):
    x, y = rows.x[r], rows.y[r]
    taken = np.flatnonzero(x)
    assert list(taken) == list(range(len(taken)))  # Padding comes last.
    np.testing.assert_array_equal(y[len(taken) :], 0)
    starts = np.flatnonzero(x == tokens.START)
    assert len(taken) == 0 or starts[0] == 0
    for begin, end in zip(starts, [*starts[1:], len(taken)], strict=True):
      np.testing.assert_array_equal(x[begin + 1 : end], y[begin : end - 1])
      found.append(tuple(y[begin:end]))
  return found


def by_brute_force(places: list[int], length: int) -> list[int]:
  """The row of each sentence: the first of all rows with room for it."""
  room: list[int] = []
  rows = []
  for need in places:
    fits = [r for r, left in enumerate(room) if left >= need]
    if not fits:
      fits = [len(room)]
      room.append(length)
    room[fits[0]] -= need
    rows.append(fits[0])
  return rows


@pytest.mark.parametrize('length', [2, 3, 7, 20])
def test_every_sentence_is_there_once_in_the_row_of_first_fit(length):
  rng = np.random.default_rng(length)
  counts = [0, 1, 40, 3, 0, 150]
  sizes = rng.integers(1, 25, sum(counts))
  ids = rng.integers(4, 14, sizes.sum()).astype(np.int32)
  rows = token_rows.pack(token_rows.Encoded(ids, sizes), counts, length)
  sentences = np.split(ids, np.cumsum(sizes)[:-1])
  first = 0
  for client, count in enumerate(counts):
    own = sentences[first : first + count]
    first += count
    expected = [(*s, tokens.END)[:length] for s in own]
    places = [min(len(s) + 1, length) for s in own]
    where = by_brute_force(places, length)
    in_order = sorted(range(count), key=lambda i, w=where: (w[i], i))
    assert unpacked(rows, client) == [expected[i] for i in in_order]
    assert rows.offsets[client + 1] - rows.offsets[client] == len(set(where))
  assert rows.tokens_cut == np.maximum(sizes - length, 0).sum()


def test_windows_by_hand():
  text = [np.array([4, 5, 6, 7, 8, 9], np.int32), np.array([4], np.int32),
          np.array([], np.int32), np.array([4, 5], np.int32)]  # fmt: skip
  rows = token_rows.windows(text, 3)
  assert shown(rows.x) == ['abc', 'de0', 'a00']
  assert shown(rows.y) == ['bcd', 'ef0', 'b00']
  np.testing.assert_array_equal(rows.offsets, [0, 2, 2, 2, 3])
  assert rows.x.dtype == rows.y.dtype == np.int32


@pytest.mark.parametrize('num', range(1, 12))
def test_windows_predict_each_character_but_the_first_once(num):
  text = np.arange(4, 4 + num, dtype=np.int32)
  rows = token_rows.windows([text], 4)
  np.testing.assert_array_equal(rows.x[rows.x > 0], text[:-1])
  np.testing.assert_array_equal(rows.y[rows.y > 0], text[1:])
  np.testing.assert_array_equal(rows.x > 0, rows.y > 0)


@pytest.mark.parametrize('length', [1, 0, -3])
def test_rows_too_short_are_refused(length):
  message = f'Expected rows of length 2 or more, found {length}'
  with pytest.raises(token_rows.RowLengthError, match=message):
    token_rows.pack(encoded('a'), [1], length)
  with pytest.raises(token_rows.RowLengthError, match=message):
    token_rows.windows([], length)
