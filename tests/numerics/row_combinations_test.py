import numpy as np

from tff_pipelines.numerics import row_combinations

ROWS = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, -1.0]], np.float32)


def test_norms_by_hand():
  np.testing.assert_allclose(
    row_combinations.norms(ROWS), [5.0, 0.0, np.sqrt(2)], rtol=1e-15
  )


def test_norm_of_the_largest_float32_numbers_is_finite():
  largest = np.full([1, 2], np.finfo(np.float32).max)
  np.testing.assert_allclose(
    row_combinations.norms(largest), np.sqrt(2) * np.finfo(np.float32).max
  )


def test_combination_by_hand():
  found = row_combinations.combined(ROWS, np.array([2.0, 5.0, -1.0]))
  np.testing.assert_array_equal(found, [5.0, 9.0])
  assert found.dtype == np.float64


def test_rows_without_a_factor_do_not_matter():
  rows = np.array([[np.nan, np.inf], [1.0, 2.0]], np.float32)
  np.testing.assert_array_equal(
    row_combinations.combined(rows, np.array([0.0, 3.0])), [3.0, 6.0]
  )
  np.testing.assert_array_equal(
    row_combinations.mean(rows, np.array([False, True])), [1.0, 2.0]
  )


def test_mean_is_of_the_chosen_and_of_none_zero():
  np.testing.assert_array_equal(
    row_combinations.mean(ROWS, np.array([True, False, True])), [2.0, 1.5]
  )
  np.testing.assert_array_equal(
    row_combinations.mean(ROWS, np.zeros(3, bool)), [0.0, 0.0]
  )
