import numpy as np
import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import interpolation_picture

pytestmark = pytest.mark.filterwarnings('error')

# Out of order, as a reader may find them.
_ALIKE = {
  'name': 'started_alike',
  'weights': [1.0, -0.2, 0.0, 0.5, 1.2],
  'losses': [0.4, 0.9, 0.5, 0.3, 0.8],
}
_APART = {**_ALIKE, 'name': 'started_apart', 'losses': [0.4, 0.9, 0.5, 2.3, 1]}


def _figure(*curves):
  return interpolation_picture.interpolation_picture(
    samples.record('interpolation', list(curves))
  )


def test_a_panel_a_pair_with_the_mean_and_the_better_of_the_two():
  figure = _figure(_ALIKE, _APART)
  first, second = figure.axes
  better, line, ends, mean = first.get_lines()
  np.testing.assert_allclose(better.get_ydata(), 0.4)
  np.testing.assert_allclose(line.get_xdata(), [-0.2, 0, 0.5, 1, 1.2])
  np.testing.assert_allclose(line.get_ydata(), [0.9, 0.5, 0.3, 0.4, 0.8])
  np.testing.assert_allclose(ends.get_ydata(), [0.5, 0.4])
  np.testing.assert_allclose(mean.get_ydata(), 0.3)
  assert samples.texts(first) == ['0.3']
  assert samples.texts(second) == ['2.3']
  assert first.get_title('left') == 'Started alike'
  assert second.get_title('left') == 'Started apart'


def test_losses_begin_at_zero_and_all_are_seen():
  for axes, most in zip(_figure(_ALIKE, _APART).axes, (0.9, 2.3), strict=True):
    low, high = axes.get_ylim()
    assert low == 0
    assert high > most


@pytest.mark.parametrize(
  'changed',
  [
    {'weights': None},
    {'losses': [0.1, 0.2]},
    {'losses': [0.4, 0.9, 'high', 2.3, 1]},
    {'weights': [1.0, -0.2, 0.0, 0.4, 1.2]},
  ],
)
def test_without_all_that_it_shows_there_is_no_figure(changed):
  assert _figure(_ALIKE, {**_APART, **changed}) is None
