"""What a server can read about single people out of what it sees.

Models of bags of words: the update of a person who trains on some texts moves
the table's rows of the words in them and no others. Plain arrays in and out.

Words are columns: [people, words] is by row of the model's table, however
words came to rows. Truth is what the people's own texts say.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class LeakScore:
  """How well pairs (person, word) were named.

  Candidates are all people times the words that anyone used or was said to
  use.

  Attributes:
    candidates: Pairs that can be named.
    true: Those that are true: the person used the word.
    named: Those that were named.
    right: True ones that were named.
    expected_if_shuffled: How many of the named would be right, in expectation,
      if the people were exchanged at random: as many people for every word,
      but unknown who. Whoever sees only what is symmetric in the people, such
      as their sum, cannot exceed it, whichever words are picked.
  """

  candidates: int
  true: int
  named: int
  right: int
  expected_if_shuffled: float

  @property
  def recall(self) -> float:
    """Share of the true pairs that were named."""
    return _ratio(self.right, self.true)

  @property
  def precision(self) -> float:
    """Share of the named pairs that are true."""
    return _ratio(self.right, self.named)

  @property
  def prior(self) -> float:
    """Share of the candidates that are true: what naming at random gives."""
    return _ratio(self.true, self.candidates)

  @property
  def precision_if_shuffled(self) -> float:
    """The precision without knowing who is who."""
    return _ratio(self.expected_if_shuffled, self.named)

  @property
  def advantage(self) -> float:
    """Recall minus the share of untrue pairs that were named.

    0 for naming at random, everything or nothing, 1 for knowing. Reference:
    Yeom et al. 2018, arXiv 1709.01604, definition 4, of the membership of a
    word in a person's texts.
    """
    wrong = self.named - self.right
    return self.recall - _ratio(wrong, self.candidates - self.true)


@dataclasses.dataclass(frozen=True)
class RateScore:
  """How well one person's spam rates of words were estimated.

  Attributes:
    right_side: Share of the words said to be rather in spam or rather in ham
      that are; words in as many of both do not count.
    rank_correlation: Spearman's, of the signal with the true rate.
    mean_error: Mean distance of estimated and true rates.
  """

  right_side: float
  rank_correlation: float
  mean_error: float


def used_words(updates: np.ndarray) -> np.ndarray:
  """Returns who used which word: whose update moves the word's row at all.

  The threshold is zero, not a matter of choice: the gradient of the row of a
  word that is not in the batches is a sum of nothing, and every optimizer here
  adds exactly 0 for it, also in floating point. What it misses: words
  whose steps cancel, such as one in a spam and a ham text of the same batch at
  a probability of one half.

  Args:
    updates: [people, words] or [people, words, dimension].

  Returns:
    bool[people, words].
  """
  moved = updates != 0
  return moved.any(axis=2) if updates.ndim == 3 else moved


def used_by_anyone(total: np.ndarray, num_people: int) -> np.ndarray:
  """Returns the best that one sum says: every word in it, for everyone.

  Args:
    total: The sum of the updates, [words] or [words, dimension].
    num_people: How many are in it.

  Returns:
    bool[people, words], all rows the same: nothing in the sum tells them apart.
  """
  moved = used_words(total[np.newaxis])
  return np.repeat(moved, num_people, axis=0)


def not_excluded(took_part: np.ndarray, moved: np.ndarray) -> np.ndarray:
  """Returns the pairs that the sums of several rounds leave possible.

  Where a word does not move the sum, nobody of that round's cohort uses it:
  group testing, with cohorts as the pools. Assumes that people use the same
  words in all of their rounds.

  Args:
    took_part: bool[rounds, people], which the server knows.
    moved: bool[rounds, words], the words in each round's sum.

  Returns:
    bool[people, words]. Nothing is possible for who never took part.
  """
  seen = took_part.T.astype(np.int32)  # [people, rounds]
  excluded = seen @ (~moved).astype(np.int32) > 0
  return ~excluded & took_part.any(axis=0)[:, np.newaxis]


def score(named: np.ndarray, truth: np.ndarray) -> LeakScore:
  """Compares named with true pairs, both bool[people, words]."""
  if named.shape != truth.shape:
    raise ValueError(
      f'Expected as many people and words in both, found {named.shape} named '
      f'and {truth.shape} true.'
    )
  num_people = len(truth)
  words = named.any(axis=0) | truth.any(axis=0)
  # Pairs of a named and a true person of the same word, over all exchanges.
  shuffled = named.sum(axis=0) @ truth.sum(axis=0) / max(num_people, 1)
  return LeakScore(
    candidates=num_people * int(words.sum()),
    true=int(truth.sum()),
    named=int(named.sum()),
    right=int((named & truth).sum()),
    expected_if_shuffled=float(shuffled),
  )


def estimated_rates(signal: np.ndarray) -> np.ndarray:
  """Estimates the share of spam among the texts with each word.

  A text with the word moves the signal by one step, up if it is spam and down
  if not. Most words are used once, so the median size of a signal is about a
  step, and the fewest texts that explain a signal of s steps are max(1, |s|),
  of which (1 + s) / 2 (or all, or none) are spam.

  Args:
    signal: float[words], how an update changes the logit of each word; 0 for
      words that it does not touch.

  Returns:
    float[words] from 0 to 1, NaN where the signal is 0.
  """
  moved = signal != 0
  rates = np.full(signal.shape, np.nan)
  if moved.any():
    steps = signal[moved] / np.median(np.abs(signal[moved]))
    rates[moved] = 0.5 + 0.5 * np.clip(steps, -1.0, 1.0)
  return rates


def score_rates(signal: np.ndarray, true_rates: np.ndarray) -> RateScore:
  """Compares what a signal says with one person's true spam rates.

  Args:
    signal: As `estimated_rates` takes it.
    true_rates: float[words], NaN for words that the person does not use.

  Returns:
    The score over the words that the person uses and the signal tells of.
  """
  known = (signal != 0) & ~np.isnan(true_rates)
  signs, rates = np.sign(signal[known]), true_rates[known]
  sided = rates != 0.5
  errors = np.abs(estimated_rates(signal)[known] - rates)
  return RateScore(
    right_side=_mean((signs == np.sign(rates - 0.5))[sided]),
    rank_correlation=_rank_correlation(signal[known], rates),
    mean_error=_mean(errors),
  )


def claim_precision(
  named: np.ndarray, signals: np.ndarray, true_rates: np.ndarray
) -> float:
  """Returns the share of right claims 'uses this word, rather in spam (ham)'.

  Args:
    named: bool[people, words], of which pairs it is claimed.
    signals: float[people, words], above 0 for spam.
    true_rates: float[people, words], NaN where the person does not use the
      word. Pairs of rate 1/2 do not count.
  """
  counted = named & (true_rates != 0.5)
  right = np.sign(signals) == np.sign(true_rates - 0.5)  # NaN is never equal.
  return _mean(right[counted])


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
  if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
    return float('nan')
  return float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
  """Ranks from 1, equal values sharing their mean rank."""
  _, inverse, counts = np.unique(
    values, return_inverse=True, return_counts=True
  )
  return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _mean(values: np.ndarray) -> float:
  return float(np.mean(values)) if len(values) else float('nan')


def _ratio(part: float, whole: float) -> float:
  return part / whole if whole else float('nan')
