import itertools

import matplotlib.figure
import matplotlib.text
import numpy as np
import pytest

from tff_pipelines.reports import line_labels

pytestmark = pytest.mark.filterwarnings('error')


def test_places_with_room_stay():
  np.testing.assert_allclose(
    line_labels.spread([0.9, 0.1, 0.5], 0.1), [0.9, 0.1, 0.5]
  )


def test_ties_part_evenly():
  np.testing.assert_allclose(
    line_labels.spread([0.5, 0.5, 0.5], 0.1), [0.4, 0.5, 0.6]
  )


def test_nothing_leaves_the_axes():
  np.testing.assert_allclose(line_labels.spread([1.0, 1.0], 0.1), [0.9, 1.0])
  np.testing.assert_allclose(line_labels.spread([0.0, 0.0], 0.1), [0.0, 0.1])


def test_too_many_share_the_height():
  np.testing.assert_allclose(
    sorted(line_labels.spread([0.5] * 5, 1.0)), [0, 0.25, 0.5, 0.75, 1]
  )


def test_nothing_to_place():
  assert line_labels.spread([], 0.1) == []
  figure = matplotlib.figure.Figure()
  line_labels.draw(figure.add_subplot(), [])


@pytest.mark.parametrize('seed', range(20))
def test_order_and_gap_are_kept(seed):
  wanted = np.random.default_rng(seed).random(8)
  places = np.array(line_labels.spread(wanted.tolist(), 0.1))
  assert list(np.argsort(places)) == list(np.argsort(wanted))
  assert np.diff(np.sort(places)).min() >= 0.1 - 1e-12
  assert places.min() >= -1e-12
  assert places.max() <= 1 + 1e-12


def test_no_text_covers_another():
  figure = matplotlib.figure.Figure(figsize=(6.4, 3.4), layout='constrained')
  axes = figure.add_subplot()
  axes.set_ylim(0, 1)
  ends = [line_labels.End(1, 0.5, f'line {i}: 8', 'k') for i in range(7)]
  line_labels.draw(axes, ends)
  figure.draw_without_rendering()
  # Of the text alone: an annotation's own extent has its arrow.
  boxes = [matplotlib.text.Text.get_window_extent(t) for t in axes.texts]
  for one, other in itertools.combinations(boxes, 2):
    assert one.y0 >= other.y1 or other.y0 >= one.y1
  assert min(box.x0 for box in boxes) > axes.get_window_extent().x1
