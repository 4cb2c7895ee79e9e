"""What is read out of updates and sums, and how that is scored."""

import itertools
import math

import numpy as np
import pytest

from tff_pipelines.privacy import leakage

# Ann uses words 0 and 1, Bob word 1, Carol word 2, nobody word 3.
TRUTH = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], bool)


class TestReading:
  def test_a_word_is_used_if_its_row_moves_however_little(self):
    updates = np.array([[0.0, 1e-30, -2.0], [0.0, -0.0, 0.0]], np.float32)
    assert leakage.used_words(updates).tolist() == [
      [False, True, True], [False, False, False],
    ]  # fmt: skip

  def test_any_dimension_of_a_row_counts(self):
    updates = np.zeros([1, 3, 2], np.float32)
    updates[0, 1, 1] = 1
    assert leakage.used_words(updates).tolist() == [[False, True, False]]

  def test_a_sum_names_its_words_for_everyone(self):
    total = np.array([[0.0], [3.0], [-1.0]])
    named = leakage.used_by_anyone(total, 2)
    assert named.tolist() == [[False, True, True]] * 2

  def test_a_word_missing_in_a_sum_excludes_the_cohort(self):
    # Round 1 of Ann and Bob, round 2 of Bob and Carol; Dave never.
    took_part = np.array([[1, 1, 0, 0], [0, 1, 1, 0]], bool)
    used = np.concatenate([TRUTH, [[True] * 4]])
    moved = np.array([used[took].any(axis=0) for took in took_part])
    possible = leakage.not_excluded(took_part, moved)
    assert possible.astype(int).tolist() == [
      [1, 1, 0, 0],  # Ann: round 1 has the words 0 and 1.
      [0, 1, 0, 0],  # Bob: round 2 lacks word 0.
      [0, 1, 1, 0],  # Carol: word 1 could be hers.
      [0, 0, 0, 0],
    ]

  def test_what_is_used_is_never_excluded(self):
    # All 4^3 ways in which 2 people use 3 words, and all 2-round cohorts.
    sets = list(itertools.product([False, True], repeat=3))
    cohorts = list(itertools.product([False, True], repeat=2))
    for used in map(np.array, itertools.product(sets, repeat=2)):
      for rounds in map(np.array, itertools.product(cohorts, repeat=2)):
        moved = np.array([used[took].any(axis=0) for took in rounds])
        possible = leakage.not_excluded(rounds, moved)
        assert np.all(possible[rounds.any(axis=0)] >= used[rounds.any(axis=0)])


class TestScore:
  def test_by_hand(self):
    named = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    score = leakage.score(named, TRUTH)
    # Word 3 is neither used nor named, so 3 people times 3 words.
    assert (score.candidates, score.true) == (9, 4)
    assert (score.named, score.right) == (3, 2)
    assert score.recall == 2 / 4
    assert score.precision == 2 / 3
    assert score.prior == 4 / 9
    assert score.advantage == pytest.approx(2 / 4 - 1 / 5)
    # Word 0: two named, one of three uses it. Word 1: one, two of three.
    assert score.expected_if_shuffled == pytest.approx(2 / 3 + 2 / 3)

  def test_shuffled_is_the_mean_over_all_exchanges_of_the_people(self):
    named = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]], bool)
    right = [
      (named[list(order)] & TRUTH).sum()
      for order in itertools.permutations(range(3))
    ]
    score = leakage.score(named, TRUTH)
    assert score.expected_if_shuffled == pytest.approx(np.mean(right))

  def test_all_that_is_true_is_everything(self):
    score = leakage.score(TRUTH, TRUTH)
    assert score.recall == score.precision == score.advantage == 1

  def test_everything_for_everyone_is_the_prior(self):
    score = leakage.score(np.ones_like(TRUTH), TRUTH)
    assert score.recall == 1
    assert score.precision == score.prior == score.precision_if_shuffled
    assert score.advantage == 0

  @pytest.mark.parametrize('words', range(1, 2**4))
  def test_no_choice_of_words_for_everyone_knows_who_is_who(self, words):
    chosen = np.array([words >> bit & 1 for bit in range(4)], bool)
    score = leakage.score(np.repeat(chosen[np.newaxis], 3, axis=0), TRUTH)
    assert score.precision == pytest.approx(score.precision_if_shuffled)

  def test_nothing_named_has_no_precision(self):
    score = leakage.score(np.zeros_like(TRUTH), TRUTH)
    assert score.recall == score.advantage == 0
    assert math.isnan(score.precision)

  def test_other_shapes_are_refused(self):
    with pytest.raises(ValueError, match='Expected as many people and words'):
      leakage.score(TRUTH[:2], TRUTH)


class TestRates:
  def test_estimates_are_the_fewest_texts_that_explain_the_signal(self):
    # The median size is 2, a step.
    signal = np.array([2.0, -2.0, 1.0, 6.0, 0.0, -2.0])
    np.testing.assert_array_equal(
      leakage.estimated_rates(signal), [1, 0, 0.75, 1, np.nan, 0]
    )

  def test_no_signal_has_no_estimates(self):
    assert np.isnan(leakage.estimated_rates(np.zeros(2))).all()

  def test_score_by_hand(self):
    signal = np.array([3.0, -1.0, -1.0, 2.0, 0.0, 1.0])
    rates = np.array([1.0, 0.0, 0.75, 0.5, 1.0, np.nan])
    score = leakage.score_rates(signal, rates)
    # The first two of three that have a side; a step is 1.
    assert score.right_side == pytest.approx(2 / 3)
    assert score.mean_error == pytest.approx((0 + 0 + 0.75 + 0.5) / 4)
    # Ranks 4, 1.5, 1.5, 3 and 4, 1, 3, 2, means 2.5.
    expected = (1.5 * 1.5 + 1 * 1.5 - 1 * 0.5 - 0.5 * 0.5) / math.sqrt(4.5 * 5)
    assert score.rank_correlation == pytest.approx(expected)

  def test_equal_rates_have_no_rank_correlation(self):
    score = leakage.score_rates(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    assert math.isnan(score.rank_correlation)

  def test_a_claim_is_right_if_word_and_side_are(self):
    named = np.array([[1, 1, 1, 1, 0]], bool)
    signals = np.array([[1.0, 1.0, -1.0, -1.0, 1.0]])
    rates = np.array([[1.0, 0.0, np.nan, 0.5, 1.0]])
    # Right; the wrong side; not used; counts as neither; not named.
    assert leakage.claim_precision(named, signals, rates) == 1 / 3
