import numpy as np
import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import heat_colours, merge_maps

pytestmark = pytest.mark.filterwarnings('error')

_SLOPE = np.linspace(0, 1, 5) * np.ones((5, 1))
_PLACES = [
  ('a', 'honest', 0.1, 0.2, 1.0, False),
  ('b', 'outlier', 0.3, 0.4, 0.0, False),
]


def _record(*, steps=(0, 2, 4, 6, 8), users=2, **changes):
  parts = {
    'server': [(0, 0, 0, 0, 0.5), (0, 0, 4, 1, 0.75)],
    'server_maps': {(0, 0): _SLOPE, (0, 4): 1 - _SLOPE},
    'user_maps': {(0, step): np.stack([_SLOPE] * users) for step in steps},
    'places': _PLACES,
  } | changes
  return samples.record('merge', [{}], **parts)


def test_a_column_for_the_first_the_middle_and_the_last_step():
  figure = merge_maps.merge_maps(_record())
  # The shared model after step 4 is still the newest at step 8.
  assert [axes.get_title() for axes in figure.axes[:3]] == [
    'start: 50.0 %',
    'step 4: 75.0 %',
    'step 8: 75.0 %',
  ]
  first, middle, last = (axes.get_images()[0] for axes in figure.axes[:3])
  np.testing.assert_array_equal(first.get_array(), _SLOPE)
  np.testing.assert_array_equal(middle.get_array(), 1 - _SLOPE)
  np.testing.assert_array_equal(last.get_array(), 1 - _SLOPE)


def test_users_stand_in_reading_order_with_their_own_places():
  figure = merge_maps.merge_maps(_record(steps=(0,)))
  shared, users = figure.axes[:2]
  # Two users need two columns; the first row is on top.
  assert len(users.get_images()) == 2
  hot = [line for line in users.get_lines() if len(line.get_xdata())]
  assert hot[0].get_xdata().tolist() == [0.1]
  assert hot[0].get_ydata()[0] > 1
  assert hot[1].get_xdata()[0] > 1.3
  frames = [patch.get_edgecolor() for patch in users.patches[-2:]]
  assert frames[0] != frames[1]
  assert shared.get_aspect() == users.get_aspect() == 1.0


def test_before_the_first_shared_map_there_is_none():
  figure = merge_maps.merge_maps(_record(server_maps={(0, 4): _SLOPE}))
  assert samples.texts(figure.axes[0]) == ['none yet']
  assert samples.texts(figure.axes[1]) == []


def test_too_many_users_are_counted():
  figure = merge_maps.merge_maps(_record(steps=(0,), users=40, places=None))
  assert figure.axes[1].get_xlabel() == '36 of 40 users'
  assert len(figure.axes[1].get_images()) == 36


def test_the_legend_explains_what_is_there():
  record = _record(truth=_SLOPE)
  assert merge_maps.legend_of(record)[1] == [
    'a place seen as hot',
    'as cold',
    'where the model changes',
    'where it really changes',
    'an outlier',
  ]
  assert merge_maps.legend_of(_record(places=None))[1] == [
    'where the model changes'
  ]


def test_every_user_has_a_border():
  axes = merge_maps.merge_maps(_record(steps=(0,))).axes[1]
  (borders,) = axes.collections
  x = np.concatenate([path.vertices[:, 0] for path in borders.get_paths()])
  np.testing.assert_allclose(sorted({*x.round(6)}), [0.5, 1.62])


def test_without_maps_of_users_there_is_no_figure():
  assert merge_maps.merge_maps(_record(steps=())) is None


def test_the_colours_mean_the_same_in_every_panel():
  figure = merge_maps.merge_maps(_record())
  images = [i for axes in figure.axes[:6] for i in axes.get_images()]
  assert {image.get_clim() for image in images} == {(0.0, 1.0)}
  assert {image.get_cmap().name for image in images} == {heat_colours.HEAT.name}
