import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import outliers_picture

pytestmark = pytest.mark.filterwarnings('error')

_SERVER = [
  (curve, seed, step, step, 0.6 + 0.02 * step - 0.1 * curve + 0.02 * seed)
  for curve in range(2)
  for seed in range(2)
  for step in range(5)
]


def test_a_line_and_a_row_for_each_number_of_outliers():
  record = samples.record(
    'outliers',
    [{'name': 'none', 'included': 0}, {'name': 'one', 'included': 1}],
    server=_SERVER,
  )
  curves, dots = outliers_picture.outliers_picture(record).axes
  assert samples.texts(curves) == ['no outlier', '1 outlier']
  # 0.68 and 0.70; 0.58 and 0.60.
  assert samples.texts(dots) == ['69.0 %', '59.0 %']
  assert [label.get_text() for label in dots.get_yticklabels()] == [
    'no outlier',
    '1 outlier',
  ]
  assert '2 seeds' in curves.get_xlabel()


def test_a_curve_without_runs_is_left_out():
  record = samples.record('outliers', [{}, {}, {}], server=_SERVER)
  curves, _ = outliers_picture.outliers_picture(record).axes
  assert samples.texts(curves) == ['c0', 'c1']


def test_without_accuracy_there_is_no_figure():
  assert (
    outliers_picture.outliers_picture(samples.record('outliers', [{}])) is None
  )
