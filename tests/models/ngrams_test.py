import collections
import itertools
import math

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.models import ngrams

UNKNOWN, END, START, A, B = 1, 2, 3, 4, 5
# The sentences "a b" and "a".
X = np.array([[START, A, B], [START, A, 0]], np.int32)
Y = np.array([[A, B, END], [A, END, 0]], np.int32)


def packed(
  sentences: list[list[int]], length: int
) -> tuple[np.ndarray, np.ndarray]:
  """Rows that sentences share, as many as fit one after the other."""
  rows: list[tuple[list[int], list[int]]] = [([], [])]
  for words in sentences:
    x, y = [START, *words][:length], [*words, END][:length]
    if len(rows[-1][0]) + len(x) > length:
      rows.append(([], []))
    rows[-1][0].extend(x)
    rows[-1][1].extend(y)
  return tuple(
    np.array([r + [0] * (length - len(r)) for r in part], np.int32)
    for part in zip(*rows, strict=True)
  )


def some_sentences(
  seed: int, count: int, vocabulary_size: int
) -> list[list[int]]:
  rng = np.random.default_rng(seed)
  ids = np.array([UNKNOWN, *range(A, vocabulary_size)])
  shares = 1 / np.arange(1, len(ids) + 1)
  return [
    rng.choice(ids, rng.integers(1, 7), p=shares / shares.sum()).tolist()
    for _ in range(count)
  ]


class SlowModel:
  """Kneser-Ney with dictionaries, written from the formulas."""

  def __init__(self, sentences: list[list[int]], order: int, size: int):
    self.order, self.size = order, size
    full = collections.Counter()
    for words in sentences:
      line = [START] * (order - 1) + words + [END]
      for k in range(order - 1, len(line)):
        full[tuple(line[k - order + 1 : k + 1])] += 1
    self.counts = {order: full}
    for length in range(order - 1, 0, -1):
      befores, occurrences = collections.defaultdict(set), collections.Counter()
      for gram, count in full.items():
        befores[gram[-length:]].add(gram[-length - 1])
        occurrences[gram[-length:]] += count
      self.counts[length] = {
        gram: occurrences[gram]
        if length > 1 and gram[0] == START
        else len(tokens)
        for gram, tokens in befores.items()
      }
    self.after = {k: collections.defaultdict(dict) for k in self.counts}
    for k, counts in self.counts.items():
      for gram, count in counts.items():
        self.after[k][gram[:-1]][gram[-1]] = count
    self.discounts = {
      k: ngrams._discounts(np.array(list(c.values())))
      for k, c in self.counts.items()
    }

  def probability(self, word: int, history: tuple[int, ...]) -> float:
    order = len(history) + 1
    lower = (
      self.probability(word, history[1:]) if history else 1 / (self.size - 2)
    )
    after = self.after[order].get(history)
    if not after:
      return lower
    total = sum(after.values())
    take = {w: self.discounts[order][min(c, 3) - 1] for w, c in after.items()}
    seen = (after[word] - take[word]) / total if word in after else 0.0
    return seen + sum(take.values()) / total * lower


# Unigrams, counted 2, 1, 2 (a, b, end). One is counted once, two twice: Y =
# 1 / (1 + 2 * 2) = 0.2, and no discounts of their own, as nothing is counted
# three times. Left: 3 * 0.2 / 5 = 0.12, a fourth for each of unknown, end, a
# and b.
def test_unigrams_of_two_sentences_by_hand():
  model = ngrams.fit(X, Y, 1, 6)
  assert model.discounts == ((0.2, 0.2, 0.2),)
  np.testing.assert_allclose(
    model.distribution(np.zeros([1, 0], np.int32)),
    [[0, 0.03, 0.39, 0, 0.39, 0.19]],
    atol=1e-12,
  )


# Bigrams: start a twice; a b, b end, a end once. Y = 3 / (3 + 2) = 0.6.
# Before a comes start alone, before b a, before end both a and b: counts 1, 1,
# 2; Y = 2 / (2 + 2) = 0.5. Of these unigrams 1.5 / 4 is left, a fourth of it
# 0.09375: a, b 0.5 / 4 + 0.09375 = 0.21875; end 1.5 / 4 + 0.09375 = 0.46875.
LOWEST = np.array([0, 0.09375, 0.46875, 0, 0.21875, 0.21875])
# After start, 0.6 / 2 is left; after a, twice that; after b, 0.6 / 1. What was
# never seen before anything, the end, leaves all to the unigrams.
AFTER_START = 0.3 * LOWEST + [0, 0, 0, 0, 0.7, 0]
AFTER_A = 0.6 * LOWEST + [0, 0, 0.2, 0, 0, 0.2]
AFTER_B = 0.6 * LOWEST + [0, 0, 0.4, 0, 0, 0]


def test_bigrams_of_two_sentences_by_hand():
  model = ngrams.fit(X, Y, 2, 6)
  np.testing.assert_allclose(model.discounts, [[0.5] * 3, [0.6] * 3])
  np.testing.assert_allclose(
    model.distribution(np.array([[START], [A], [B], [END]])),
    [AFTER_START, AFTER_A, AFTER_B, LOWEST],
    atol=1e-12,
  )
  assert AFTER_START[A] == pytest.approx(0.765625)
  assert AFTER_A[END] == pytest.approx(0.48125)


# Trigrams: start start a twice, the other three once: again 0.6. Every bigram
# has one token before it, but those after start are counted as they are: again
# 2, 1, 1, 1.
def test_trigrams_of_two_sentences_by_hand():
  model = ngrams.fit(X, Y, 3, 6)
  np.testing.assert_allclose(
    model.distribution(np.array([[START, START], [START, A], [A, B], [B, A]])),
    [
      0.3 * AFTER_START + [0, 0, 0, 0, 0.7, 0],
      0.6 * AFTER_A + [0, 0, 0.2, 0, 0, 0.2],
      0.6 * AFTER_B + [0, 0, 0.4, 0, 0, 0],
      AFTER_A,
    ],
    atol=1e-12,
  )


# a, b and end after start are as likely as LOWEST and AFTER_START say. Words
# are a and b alone: after a, b is the first of them though the end is above it.
def test_two_sentences_are_measured_by_hand():
  model = ngrams.fit(X, Y, 2, 6)
  losses, ranks = model.score(X, Y)
  expected = -np.log(
    [
      [AFTER_START[A], AFTER_A[B], AFTER_B[END]],
      [AFTER_START[A], AFTER_A[END], 1],
    ]
  )
  np.testing.assert_allclose(losses, expected, atol=1e-12)
  np.testing.assert_array_equal(ranks, [[0, 0, -1], [0, -1, -1]])
  metrics = model.evaluate(X, Y)
  loss = expected.sum() / 5
  assert metrics == pytest.approx({
    'num_tokens': 5, 'num_words': 3, 'loss': loss, 'perplexity': math.exp(loss),
    'top1_recall': 1.0, 'top3_recall': 1.0,
  })  # fmt: skip
  # Of "b", b after start ties with nothing: a is above it.
  row = np.array([[START]]), np.array([[B]])
  assert model.evaluate(*row)['top1_recall'] == 0
  assert model.evaluate(*row)['top3_recall'] == 1


# Counts of 1, 2, 3 and 4: 10, 4, 2 and 1 n-grams. Y = 10 / 18 = 5 / 9; 1 - 2 Y
# 4 / 10 = 5 / 9; 2 - 3 Y 2 / 4 = 7 / 6; 3 - 4 Y 1 / 2 = 17 / 9.
def test_discounts_by_hand():
  counts = np.repeat([1, 2, 3, 4, 9], [10, 4, 2, 1, 7])
  assert ngrams._discounts(counts) == pytest.approx((5 / 9, 7 / 6, 17 / 9))


@pytest.mark.parametrize(
  ('counts', 'expected'),
  [
    ([2, 3, 3], 0.5),  # Nothing is counted once.
    ([1, 1, 1, 3], 0.5),  # Nothing is counted twice.
    ([1, 2, 3, 5], 1 / 3),  # Nothing is counted four times: 1 / (1 + 2).
    # 2 - 3 * (1 / 3) * 3 / 1 is below 0.
    ([1, 2, 3, 3, 3, 4], 1 / 3),
  ],
)
def test_one_discount_serves_all_where_counts_are_too_few(counts, expected):
  assert ngrams._discounts(np.array(counts)) == pytest.approx([expected] * 3)


@pytest.mark.parametrize('order', [1, 2, 3])
@pytest.mark.parametrize('count', [3, 400])
def test_it_is_what_dictionaries_give_and_sums_to_1(order, count):
  """After every history, seen or not, at few and at many counts."""
  size = 20
  sentences = some_sentences(order, count, size)
  model = ngrams.fit(*packed(sentences, 8), order, size)
  slow = SlowModel(sentences, order, size)
  contexts = list(itertools.product(range(size), repeat=order - 1))
  found = model.distribution(np.reshape(contexts, [len(contexts), order - 1]))
  predictable = [UNKNOWN, END, *range(A, size)]
  for context, row in zip(contexts, found, strict=True):
    expected = np.zeros(size)
    expected[predictable] = [slow.probability(w, context) for w in predictable]
    np.testing.assert_allclose(row, expected, rtol=1e-9, atol=0)
  np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
  if count > 3 and order == 3:
    assert len(set(model.discounts[-1])) == 3  # One for each count.


@pytest.mark.parametrize('order', [1, 2, 3])
@pytest.mark.parametrize('entries', [2**21, 30])
def test_places_are_scored_one_by_one(order, entries, monkeypatch):
  monkeypatch.setattr(ngrams, '_ENTRIES_AT_ONCE', entries)
  size = 12
  model = ngrams.fit(*packed(some_sentences(0, 200, size), 9), order, size)
  sentences = some_sentences(1, 40, size)
  x, y = packed(sentences, 9)
  losses, ranks = model.score(x, y)
  found = list(zip(losses[y > 0], ranks[y > 0], strict=True))
  for words in sentences:
    line = [START, START, *words, END][: 2 + 9]
    for k in range(2, len(line)):
      context = np.array([line[k - order + 1 : k]], np.int64)
      row = model.distribution(context.reshape(1, order - 1))[0]
      label = line[k]
      loss, rank = found.pop(0)
      assert loss == pytest.approx(-math.log(row[label]))
      assert rank == (-1 if label < A else np.sum(row[A:] > row[label]))
  assert not found
  assert np.all(losses[y == 0] == 0) and np.all(ranks[y == 0] == -1)


def test_a_history_ends_where_a_sentence_begins():
  """Sentences in one row or in several: the same model, the same scores."""
  sentences = some_sentences(0, 100, 12)
  together, alone = packed(sentences, 30), packed(sentences, 7)
  model = ngrams.fit(*together, 3, 12)
  other = ngrams.fit(*alone, 3, 12)
  contexts = np.array(list(itertools.product(range(12), repeat=2)))
  np.testing.assert_array_equal(
    model.distribution(contexts), other.distribution(contexts)
  )
  assert model.evaluate(*together) == pytest.approx(model.evaluate(*alone))


def test_a_window_without_a_start_begins_as_a_sentence_does():
  x, y = np.array([[A, B, A]]), np.array([[B, A, B]])
  model = ngrams.fit(x, y, 3, 6)
  with_start = ngrams.fit(
    np.array([[START, A, B, A]]), np.array([[0, B, A, B]]), 3, 6
  )
  contexts = np.array([[START, A], [A, B], [B, A], [START, START]])
  np.testing.assert_array_equal(
    model.distribution(contexts), with_start.distribution(contexts)
  )


def test_ties_count_for_the_label():
  model = ngrams.fit(np.array([[START]]), np.array([[A]]), 2, 9)
  # All words but a are equal; a is above them.
  x, y = np.full([5, 1], START), np.arange(A, 9)[:, np.newaxis]
  _, ranks = model.score(x, y)
  np.testing.assert_array_equal(ranks[:, 0], [0, 1, 1, 1, 1])


def test_groups_are_measured_alone():
  model = ngrams.fit(*packed(some_sentences(0, 100, 12), 9), 2, 12)
  x, y = packed(some_sentences(1, 30, 12), 9)
  groups = np.arange(len(x)) % 3 * 2  # Nobody is 1 or 3.
  found = model.evaluate(x, y, groups)
  for group in (0, 2, 4):
    alone = model.evaluate(x[groups == group], y[groups == group])
    assert {k: v[group] for k, v in found.items()} == pytest.approx(alone)
  assert found['num_tokens'][1] == 0
  assert all(np.isnan(found[k][1]) for k in ('loss', 'top1_recall'))
  assert found['num_tokens'].sum() == model.evaluate(x, y)['num_tokens']


def test_without_labels_recall_and_loss_are_no_numbers():
  model = ngrams.fit(X, Y, 2, 6)
  metrics = model.evaluate(X, np.zeros_like(Y))
  assert metrics['num_tokens'] == metrics['num_words'] == 0
  for name in ('loss', 'perplexity', 'top1_recall', 'top3_recall'):
    assert math.isnan(metrics[name])


@pytest.mark.parametrize('order', [0, 4])
def test_other_orders_are_refused(order):
  with pytest.raises(ngrams.NgramError, match=f'from 1 to 3, found {order}'):
    ngrams.fit(X, Y, order, 6)
  assert issubclass(ngrams.NgramError, errors.PipelineError)


@pytest.mark.parametrize(
  ('x', 'y', 'size', 'expected'),
  [
    (X, Y, 3, 'a vocabulary of 4 to 1048576 ids, found 3'),
    (X, Y, 5, 'ids from 0 to 4, found 0 to 5'),
    (X, Y[:, :2], 6, r'found \[2, 3\] and \[2, 2\]'),
    (X, np.zeros_like(Y), 6, 'tokens to predict, found none'),
    (X, X, 6, 'found START among them'),
  ],
)
def test_rows_that_fit_nothing_are_refused(x, y, size, expected):
  with pytest.raises(ngrams.NgramError, match=expected):
    ngrams.fit(x, y, 2, size)


def test_contexts_and_groups_that_do_not_fit_are_refused():
  model = ngrams.fit(X, Y, 2, 6)
  with pytest.raises(ngrams.NgramError, match=r'shape \[n, 1\], found \[1, 2'):
    model.distribution(np.array([[A, B]]))
  with pytest.raises(ngrams.NgramError, match='ids from 0 to 5, found 6 to 6'):
    model.distribution(np.array([[6]]))
  for groups in (np.array([0]), np.array([0, -1])):
    with pytest.raises(ngrams.NgramError, match='a group from 0 for each of 2'):
      model.evaluate(X, Y, groups)
