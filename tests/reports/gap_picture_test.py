import numpy as np
import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import gap_picture

pytestmark = pytest.mark.filterwarnings('error')

_LEVELS = [
  {'mechanism': 'location noise', 'noise': level, 'included': included}
  for level in (0.0, 1.0)
  for included in (1, 0)
]


def _figure(curves, *ends):
  record = samples.record('privacy', curves, server=samples.ends(*ends))
  return gap_picture.gap_picture(record)


def test_the_gap_is_without_minus_with_and_has_a_sign():
  figure = _figure(_LEVELS, (0.5, 0.7), (0.6, 0.8), (0.5, 0.7), (0.4, 0.7))
  (axes,) = figure.axes
  seeds = [
    line.get_xdata() for line in axes.get_lines() if line.get_alpha() == 0.3
  ]
  np.testing.assert_allclose(seeds, [[0.1, 0.1], [-0.1, 0.0]], atol=1e-12)
  assert samples.texts(axes) == ['+10.0', '\N{MINUS SIGN}5.0']
  assert [label.get_text() for label in axes.get_yticklabels()] == [
    'noise level 0',
    'noise level 1',
  ]
  assert '2 seeds' in axes.get_xlabel()
  assert axes.get_ylabel() == 'no guarantee'


def test_the_zero_is_in_the_middle():
  low, high = _figure(_LEVELS, (0.5,), (0.6,)).axes[0].get_xlim()
  np.testing.assert_allclose(low, -high)


def test_both_kinds_of_noise_have_a_panel_on_one_scale():
  clipped = [
    {'mechanism': 'clipping and noise', 'included': k, 'epsilon': 2.0,
     'users': users}
    for users in (4, 8)
    for k in (1, 0)
  ]  # fmt: skip
  figure = _figure(_LEVELS[:2] + clipped, *[(0.5,)] * 6)
  first, second = figure.axes
  assert first.get_xlim() == second.get_xlim()
  assert [label.get_text() for label in second.get_yticklabels()] == [
    '\N{GREEK SMALL LETTER EPSILON} = 2, 4 users',
    '\N{GREEK SMALL LETTER EPSILON} = 2, 8 users',
  ]
  assert second.get_ylabel() == ''


def test_without_both_ways_there_is_no_figure():
  assert _figure(_LEVELS[:1], (0.5,)) is None


def test_only_seeds_that_ran_both_ways_count():
  server = [(0, 0, 1, 1, 0.5), (0, 1, 1, 1, 0.5), (1, 1, 1, 1, 0.7)]
  record = samples.record('privacy', _LEVELS[:2], server=server)
  (axes,) = gap_picture.gap_picture(record).axes
  assert '1 seed;' in axes.get_xlabel()
  assert samples.texts(axes) == ['+20.0']
