import matplotlib.figure
import numpy as np
import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import seed_bands

pytestmark = pytest.mark.filterwarnings('error')


def test_the_band_is_two_standard_errors_wide():
  # Deviations -1, 0, 1: standard deviation 1, standard error 1 / sqrt(3).
  band = seed_bands.band(np.array([[1.0], [2.0], [3.0]]))
  np.testing.assert_allclose(band.mean, [2.0])
  np.testing.assert_allclose(band.low, [2.0 - 2 / 3**0.5])
  np.testing.assert_allclose(band.high, [2.0 + 2 / 3**0.5])
  assert band.count == 3


def test_a_single_seed_has_no_error():
  band = seed_bands.band(np.array([[1.0, 4.0]]))
  assert band.mean.tolist() == [1.0, 4.0]
  assert band.low.tolist() == band.high.tolist() == [1.0, 4.0]


def test_by_step_keeps_the_steps_that_all_seeds_have():
  record = samples.record(
    'outliers',
    [{}, {}],
    server=[
      (0, 5, 0, 0, 0.1),
      (0, 5, 2, 1, 0.2),
      (0, 5, 4, 2, 0.3),
      (0, 7, 2, 1, 0.4),
      (0, 7, 0, 0, 0.5),
    ],
  )
  steps, values = seed_bands.by_step(record, 0)
  assert steps.tolist() == [0, 2]
  assert values.tolist() == [[0.1, 0.2], [0.5, 0.4]]
  steps, values = seed_bands.by_step(record, 1)
  assert len(steps) == len(values) == 0


def test_the_local_mean_is_of_those_who_take_part():
  record = samples.record(
    'drift',
    [{}],
    users=[
      (0, 0, 'a', 'honest', True, 0, 0.5),
      (0, 0, 'b', 'honest', True, 0, 0.7),
      (0, 0, 'c', 'outlier', False, 0, 0.0),
    ],
  )
  steps, values = seed_bands.local_by_step(record, 0)
  assert steps.tolist() == [0]
  np.testing.assert_allclose(values, [[0.6]])


def test_last_is_that_of_the_last_step_of_each_seed():
  record = samples.record(
    'sweep',
    [{}],
    server=[(0, 1, 4, 2, 0.4), (0, 1, 2, 1, 0.2), (0, 0, 2, 1, 0.7)],
    final=[(0, 1, 0.1, 0.2), (0, 0, 0.3, 0.4)],
  )
  assert seed_bands.last(record, 0).to_dict() == {0: 0.7, 1: 0.4}
  assert seed_bands.last_local(record, 0).to_dict() == {0: 0.3, 1: 0.1}


def test_without_tables_there_is_nothing():
  record = samples.record('sweep', [{}])
  assert seed_bands.last(record, 0).empty
  assert seed_bands.last_local(record, 0).empty
  assert len(seed_bands.local_by_step(record, 0)[0]) == 0


@pytest.mark.parametrize(
  ('counts', 'expected'),
  [
    ([1], '1 seed'),
    ([8, 8], 'mean of 8 seeds, ± 2 standard errors'),
    ([8, 5], 'mean of 5 to 8 seeds, ± 2 standard errors'),
    ([], '0 seeds'),
  ],
)
def test_the_words_say_how_many(counts, expected):
  assert seed_bands.band_text(counts) == expected


@pytest.mark.parametrize(
  ('difference', 'digits', 'expected'),
  [
    (0.05, None, '+5'),
    (-0.0123, 1, '\N{MINUS SIGN}1.2'),
    (-0.0001, 1, '0.0'),
    (0.0, None, '0'),
  ],
)
def test_points_have_a_sign(difference, digits, expected):
  assert seed_bands.points(difference, digits) == expected


def test_only_several_seeds_have_a_band():
  axes = matplotlib.figure.Figure().subplots()
  x = np.array([0.0, 1.0])
  seed_bands.fill(axes, x, seed_bands.band(np.ones((1, 2))), 'red')
  assert not axes.collections
  seed_bands.fill(axes, x, seed_bands.band(np.eye(2)), 'red')
  assert len(axes.collections) == 1
