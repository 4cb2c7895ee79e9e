"""N-gram models: what the last words alone say about the next one.

The baseline of a language model: unigram, and interpolated Kneser-Ney bigram
and trigram, fitted by counting and measured on the same rows, by the same
rules, as the networks.

  P(w | h) = (c(h, w) - D(c(h, w))) / c(h) + left(h) P(w | h')

h' is h without its first token and left(h) is what the discounts D took away.
The highest order counts tokens; a lower one counts how many different tokens
come before (h', w), but what begins with START, which nothing comes before, is
counted as it is. The unigram falls back on equal probabilities for all that
can be predicted: every token but padding and START. The discounts of 1, 2, and
3 or more are estimated from how many n-grams are counted 1, 2, 3 and 4 times;
where there are too few for that, one discount serves all.

Sources: Kneser and Ney 1995, "Improved backing-off for m-gram language
modeling"; Chen and Goodman 1999, "An empirical study of smoothing techniques
for language modeling", Computer Speech and Language 13, the section on modified
Kneser-Ney smoothing.
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

import numpy as np

from tff_pipelines.core import errors, tokens

# Dense rows of the vocabulary that are worked on at once: 16 MB of float64.
_ENTRIES_AT_ONCE = 2**21
_LARGEST_VOCABULARY = 2**20  # Three tokens fit into 63 bits.
_MOST_TOKENS_OF_HISTORY = 2


class NgramError(errors.PipelineError):
  """Rows, or an order, that no n-gram model can be made of."""


@dataclasses.dataclass(frozen=True)
class _Level:
  """The n-grams of one order.

  Attributes:
    histories: int64[m], what was seen before a token, as one number, sorted.
    starts: int64[m + 1], where the tokens of a history begin and end.
    words: int64[k], the tokens that followed it.
    seen: float64[k], their discounted shares of the history's count.
    left: float64[m], what the discounts took away.
    discounts: For a count of 1, of 2, and of 3 or more.
  """

  histories: np.ndarray
  starts: np.ndarray
  words: np.ndarray
  seen: np.ndarray
  left: np.ndarray
  discounts: tuple[float, float, float]

  def rows(self, histories: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Returns the distributions after histories.

    Args:
      histories: int64[n], as one number each.
      lower: float64[n, vocabulary_size], what the lower order says; changed.
    """
    place = np.searchsorted(self.histories, histories)
    place = np.minimum(place, len(self.histories) - 1)
    known = np.flatnonzero(self.histories[place] == histories)
    place = place[known]
    lower[known] *= self.left[place, np.newaxis]
    counts = self.starts[place + 1] - self.starts[place]
    first = self.starts[place] - np.concatenate([[0], np.cumsum(counts)[:-1]])
    entry = np.arange(counts.sum()) + np.repeat(first, counts)
    lower[np.repeat(known, counts), self.words[entry]] += self.seen[entry]
    return lower


class NgramModel:
  """A fitted n-gram model.

  Attributes:
    order: How many tokens an n-gram has, from 1 to 3.
    vocabulary_size: How many ids there are, marks included.
  """

  def __init__(
    self, order: int, vocabulary_size: int, levels: tuple[_Level, ...]
  ):
    """Initializes the model; `fit` makes one.

    Args:
      order: From 1 to 3.
      vocabulary_size: Ids, marks included.
      levels: From the unigrams to the highest order.
    """
    self.order = order
    self.vocabulary_size = vocabulary_size
    self._levels = levels

  @property
  def discounts(self) -> tuple[tuple[float, float, float], ...]:
    """For each order from 1, what is taken from counts of 1, 2, and more."""
    return tuple(level.discounts for level in self._levels)

  def distribution(self, contexts: np.ndarray) -> np.ndarray:
    """Returns the probabilities of all tokens after contexts.

    Args:
      contexts: int[n, order - 1], the last tokens, the latest last. What
        begins a sentence has START in all places before it.

    Returns:
      float64[n, vocabulary_size]; each row sums to 1, with 0 for padding and
      START.

    Raises:
      NgramError: If contexts have another shape or ids beyond the vocabulary.
    """
    contexts = np.asarray(contexts, np.int64)
    if contexts.ndim != 2 or contexts.shape[1] != self.order - 1:
      raise NgramError(
        f'Expected contexts of shape [n, {self.order - 1}], found '
        f'{list(contexts.shape)}; give the last tokens of each.'
      )
    _check_ids(contexts, self.vocabulary_size)
    return self._distribution(_joined(contexts, self.vocabulary_size), 0)

  def _distribution(self, histories: np.ndarray, fallen: int) -> np.ndarray:
    """As `distribution`, of histories as numbers, `fallen` orders lower."""
    level = self._levels[-1 - fallen]
    if fallen == self.order - 1:
      uniform = np.full(
        (len(histories), self.vocabulary_size), 1.0 / (self.vocabulary_size - 2)
      )
      uniform[:, [tokens.PADDING, tokens.START]] = 0.0
      return level.rows(histories, uniform)
    shorter = histories % self.vocabulary_size ** (self.order - 2 - fallen)
    distinct, which = np.unique(shorter, return_inverse=True)
    return level.rows(
      histories, self._distribution(distinct, fallen + 1)[which]
    )

  def score(
    self, x: np.ndarray, y: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """Scores every place of rows.

    Args:
      x: int32[n, length], tokens.
      y: int32[n, length], what follows them; 0 where nothing is predicted.

    Returns:
      losses: float64[n, length], natural logarithms, 0 where y is 0.
      ranks: int64[n, length], how many words have a probability above that of
        y; -1 where y is no word.

    Raises:
      NgramError: If rows do not fit together, or ids are beyond the
        vocabulary.
    """
    _check_rows(x, y, self.vocabulary_size)
    losses = np.zeros(np.shape(y))
    ranks = np.full(np.shape(y), -1, np.int64)
    histories, labels, predicted = _places(x, y, self.order)
    # Sorted by the latest token first: neighbours share the lower orders.
    keys = _joined(
      np.column_stack([histories[:, ::-1], labels]), self.vocabulary_size
    )
    distinct, which = np.unique(keys, return_inverse=True)
    parts = _split(distinct, self.order, self.vocabulary_size)
    histories, labels = parts[:, -2::-1], parts[:, -1]
    probabilities = np.zeros(len(labels))
    above = np.full(len(labels), -1, np.int64)
    step = max(1, _ENTRIES_AT_ONCE // self.vocabulary_size)
    for start in range(0, len(labels), step):
      chunk = slice(start, start + step)
      probabilities[chunk], above[chunk] = self._score(
        histories[chunk], labels[chunk]
      )
    losses[predicted] = -np.log(probabilities)[which]
    ranks[predicted] = above[which]
    return losses, ranks

  def _score(
    self, histories: np.ndarray, labels: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    distinct, which = np.unique(
      _joined(histories, self.vocabulary_size), return_inverse=True
    )
    rows = self._distribution(distinct, 0)
    probabilities = rows[which, labels]
    words = rows[:, tokens.FIRST_WORD :]
    above = np.sum(words[which] > probabilities[:, np.newaxis], axis=1)
    return probabilities, np.where(labels >= tokens.FIRST_WORD, above, -1)

  def evaluate(
    self, x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None
  ) -> dict[str, Any]:
    """Measures the model as `token_metrics` measures a network.

    Args:
      x: int32[n, length], tokens.
      y: int32[n, length], what follows them; 0 where nothing is predicted.
      groups: int[n], from 0: whose row it is, to measure each group alone.

    Returns:
      As `measure`.

    Raises:
      NgramError: As `score`, or if there is not one group a row.
    """
    return measure(y, *self.score(x, y), groups)


def measure(
  y: np.ndarray,
  losses: np.ndarray,
  ranks: np.ndarray,
  groups: np.ndarray | None = None,
) -> dict[str, Any]:
  """Returns the metrics of scored rows.

  Args:
    y: int32[n, length], the labels; 0 where nothing is predicted.
    losses: float64[n, length], as `NgramModel.score` returns them.
    ranks: int64[n, length], likewise.
    groups: int[n], from 0: whose row it is, to measure each group alone.

  Returns:
    num_tokens and num_words, the places with a label and with a word for one;
    loss, the mean over tokens, natural logarithm, and its perplexity;
    top1_recall and top3_recall, over places with a word and among words (ties
    count for the label). Numbers; or, of groups, float64[num_groups], up to the
    largest there is. NaN where there is nothing.

  Raises:
    NgramError: If there is not one group a row.
  """
  rows = np.zeros(len(losses), np.int64) if groups is None else groups
  rows = np.asarray(rows, np.int64)
  if rows.shape != (len(losses),) or (len(rows) and rows.min() < 0):
    raise NgramError(
      f'Expected a group from 0 for each of {len(losses)} rows, found shape '
      f'{list(rows.shape)}; number whose row each is.'
    )
  count = 1 if groups is None else int(rows.max(initial=-1)) + 1

  def total(values: np.ndarray) -> np.ndarray:
    return np.bincount(rows, values.sum(axis=1), minlength=count)

  num_tokens, num_words = total(np.asarray(y) > 0), total(ranks >= 0)
  with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
    loss = total(losses) / num_tokens
    metrics = {
      'num_tokens': num_tokens,
      'num_words': num_words,
      'loss': loss,
      'perplexity': np.exp(loss),
      'top1_recall': total(ranks == 0) / num_words,
      'top3_recall': total((ranks >= 0) & (ranks < 3)) / num_words,
    }
  if groups is not None:
    return metrics
  return {name: float(values[0]) for name, values in metrics.items()}


def fit(
  x: np.ndarray, y: np.ndarray, order: int, vocabulary_size: int
) -> NgramModel:
  """Fits an n-gram model to rows.

  The history of a place is the order - 1 tokens up to it, cut at START and
  filled with START; so is one that the row's beginning cuts.

  Args:
    x: int32[n, length], tokens.
    y: int32[n, length], what follows them; 0 where nothing is predicted.
    order: 1 (unigram), 2 or 3.
    vocabulary_size: How many ids there are, marks included.

  Returns:
    The model. Unigrams alone are counted as tokens.

  Raises:
    NgramError: If the order is another, rows do not fit together, ids are
      beyond the vocabulary, START is to be predicted, or nothing is.
  """
  if not 1 <= order <= _MOST_TOKENS_OF_HISTORY + 1:
    raise NgramError(f'Expected an order from 1 to 3, found {order}.')
  if not tokens.START < vocabulary_size <= _LARGEST_VOCABULARY:
    raise NgramError(
      f'Expected a vocabulary of {tokens.START + 1} to {_LARGEST_VOCABULARY} '
      f'ids, found {vocabulary_size}.'
    )
  _check_rows(x, y, vocabulary_size)
  histories, labels, _ = _places(x, y, order)
  if not len(labels):
    raise NgramError('Expected tokens to predict, found none; give some text.')
  ngrams, counts = np.unique(
    _joined(np.column_stack([histories, labels]), vocabulary_size),
    return_counts=True,
  )
  levels = [_level(ngrams, counts, vocabulary_size)]
  occurrences = counts
  for length in range(order - 1, 0, -1):
    ngrams, which, counts = np.unique(
      ngrams % vocabulary_size**length, return_inverse=True, return_counts=True
    )
    occurrences = np.bincount(which, occurrences).astype(np.int64)
    if length > 1:
      first = ngrams // vocabulary_size ** (length - 1)
      counts = np.where(first == tokens.START, occurrences, counts)
    levels.append(_level(ngrams, counts, vocabulary_size))
  return NgramModel(order, vocabulary_size, tuple(reversed(levels)))


def _level(
  ngrams: np.ndarray, counts: np.ndarray, vocabulary_size: int
) -> _Level:
  """Returns the level of sorted n-grams int64[k] with counts int64[k]."""
  discounts = _discounts(counts)
  histories, starts = np.unique(ngrams // vocabulary_size, return_index=True)
  discounted = counts - np.array(discounts)[np.minimum(counts, 3) - 1]
  totals = np.add.reduceat(counts, starts).astype(np.float64)
  kept = np.add.reduceat(discounted, starts)
  ends = np.append(starts, len(ngrams))
  return _Level(
    histories=histories,
    starts=ends,
    words=ngrams % vocabulary_size,
    seen=discounted / np.repeat(totals, np.diff(ends)),
    left=(totals - kept) / totals,
    discounts=discounts,
  )


def _discounts(counts: np.ndarray) -> tuple[float, float, float]:
  """Estimates what to take from counts of 1, of 2, and of 3 or more.

  With n_k n-grams counted k times and Y = n_1 / (n_1 + 2 n_2): k - (k + 1) Y
  n_(k + 1) / n_k. Where one of them is none, or it gives no discount from 0 to
  k, Y for all; 0.5 where nothing is counted once or nothing twice.
  """
  n = np.bincount(np.minimum(counts, 5), minlength=6).astype(np.float64)
  if not n[1] or not n[2]:
    return (0.5, 0.5, 0.5)
  single = float(n[1] / (n[1] + 2 * n[2]))
  if n[3] and n[4]:
    one, two, more = (
      float(k - (k + 1) * single * n[k + 1] / n[k]) for k in (1, 2, 3)
    )
    if 0 < one <= 1 and 0 < two <= 2 and 0 < more <= 3:
      return (one, two, more)
  return (single, single, single)


def _places(
  x: np.ndarray, y: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns what is predicted, and from what.

  Returns:
    histories: int64[m, order - 1], the latest token last.
    labels: int64[m].
    predicted: bool[n, length], which places these are, in order of rows.
  """
  x, y = np.asarray(x), np.asarray(y)
  predicted = y > 0
  histories = np.full((*x.shape, order - 1), tokens.START, np.int64)
  for back in range(order - 1):
    place = order - 2 - back
    histories[:, back:, place] = x[:, : x.shape[1] - back]
    if back:
      begun = histories[..., place + 1] == tokens.START
      histories[begun, place] = tokens.START
  return histories[predicted], y[predicted].astype(np.int64), predicted


def _joined(parts: np.ndarray, vocabulary_size: int) -> np.ndarray:
  """Returns tokens int64[n, k] as one number each, the first the highest."""
  joined = np.zeros(len(parts), np.int64)
  for column in parts.T:
    joined = joined * vocabulary_size + column
  return joined


def _split(joined: np.ndarray, count: int, vocabulary_size: int) -> np.ndarray:
  """Returns the tokens int64[n, count] of `_joined`."""

  def columns() -> Iterator[np.ndarray]:
    for k in range(count - 1, -1, -1):
      yield joined // vocabulary_size**k % vocabulary_size

  return np.stack(list(columns()), axis=1)


def _check_rows(x: np.ndarray, y: np.ndarray, vocabulary_size: int) -> None:
  if np.ndim(x) != 2 or np.shape(x) != np.shape(y):
    raise NgramError(
      'Expected x and y of one shape [n, length], found '
      f'{list(np.shape(x))} and {list(np.shape(y))}.'
    )
  _check_ids(x, vocabulary_size)
  _check_ids(y, vocabulary_size)
  if np.any(np.asarray(y) == tokens.START):
    raise NgramError(
      'Expected labels that can be predicted, found START among them; a '
      'sentence begins in x alone.'
    )


def _check_ids(ids: np.ndarray, vocabulary_size: int) -> None:
  if np.size(ids) and not 0 <= np.min(ids) <= np.max(ids) < vocabulary_size:
    raise NgramError(
      f'Expected ids from 0 to {vocabulary_size - 1}, found '
      f'{np.min(ids)} to {np.max(ids)}; encode with this vocabulary.'
    )
