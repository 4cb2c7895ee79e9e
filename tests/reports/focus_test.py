import pytest

from tff_pipelines.reports import focus

pytestmark = pytest.mark.filterwarnings('error')


def test_a_bad_start_leaves_the_picture():
  curve = [0.1, 0.5, 0.9, 0.95, 0.97, 0.98]
  (low, high), cut = focus.focus_limits([curve], [], better='higher')
  assert cut
  assert 0.85 < low < 0.9
  assert 0.98 < high < 1.0


def test_a_level_is_always_seen():
  curve = [0.1, 0.5, 0.9, 0.95, 0.97, 0.98]
  (low, _), _ = focus.focus_limits([curve], [0.7], better='higher')
  assert low < 0.7


def test_losses_are_cut_above():
  curve = [9.0, 3.0, 0.3, 0.2, 0.15, 0.1]
  (low, high), cut = focus.focus_limits([curve], [], better='lower')
  assert cut
  assert 0.05 < low < 0.1
  assert 0.3 < high < 0.4


@pytest.mark.parametrize('better', ['higher', 'lower', None])
def test_slow_progress_is_shown_whole(better):
  curve = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
  (low, high), cut = focus.focus_limits([curve], [], better=better)
  assert not cut
  assert low < 0.1
  assert high > 0.6


def test_bounds_are_passed_by_the_width_of_a_line_only():
  (_, high), _ = focus.focus_limits(
    [[0.9, 1.0]], [], better='higher', bounds=(0.0, 1.0)
  )
  assert 1.0 < high < 1.005


@pytest.mark.parametrize('value', [0.0, 1.0, -3.0, 1e9])
def test_one_value_has_room(value):
  (low, high), cut = focus.focus_limits([[value]], [], better='higher')
  assert low < value < high
  assert not cut
