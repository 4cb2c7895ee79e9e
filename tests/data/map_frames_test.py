"""Map coordinates to the unit square and back."""

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import map_frames

FRAME = map_frames.MapFrame(west=-120.0, east=-60.0, south=20.0, north=50.0)


@pytest.mark.parametrize(
  ('coordinates', 'place'),
  [
    ((-120, 20), (0, 0)),
    ((-60, 50), (1, 1)),
    ((-120, 50), (0, 1)),
    ((-105, 35), (0.25, 0.5)),
    ((-180, 65), (-1, 1.5)),
  ],
)
def test_corners_and_places_by_hand(coordinates, place):
  found = FRAME.to_unit(np.array([coordinates]))
  np.testing.assert_array_equal(found, np.array([place], np.float32))
  assert found.dtype == np.float32
  np.testing.assert_array_equal(
    FRAME.from_unit(np.array([place])), [coordinates]
  )


def test_there_and_back_is_where_it_was():
  rng = np.random.default_rng(0)
  coordinates = rng.uniform([-120, 20], [-60, 50], [1000, 2])
  back = FRAME.from_unit(FRAME.to_unit(coordinates))
  # A place is rounded to half of float32's spacing below 1, 2**-25, of 60.
  np.testing.assert_allclose(back, coordinates, atol=60 * 2**-25 + 1e-12)


def test_the_edge_is_inside():
  places = [[-120, 20], [-60, 50], [-120.1, 30], [-90, 50.1], [-90, np.nan]]
  np.testing.assert_array_equal(
    FRAME.encloses(np.array(places)), [True, True, False, False, False]
  )


def test_around_is_the_smallest_frame():
  frame = map_frames.around(np.array([[1.0, 7.0], [4.0, 5.0], [2.0, 6.0]]))
  assert frame == map_frames.MapFrame(1.0, 4.0, 5.0, 7.0)


@pytest.mark.parametrize('at', [3.0, 0.0, -1e30])
def test_what_is_the_same_for_all_is_in_the_middle(at):
  places = np.array([[at, 1.0], [at, 2.0]])
  found = map_frames.around(places).to_unit(places)
  np.testing.assert_array_equal(found, [[0.5, 0.0], [0.5, 1.0]])


@pytest.mark.parametrize(
  ('limits', 'message'),
  [
    (
      (2, 2, 0, 1),
      'Expected west below east, both finite, found 2 and 2; give an area that '
      'encloses the places.',
    ),
    ((0, 1, 5, 4), 'Expected south below north, both finite, found 5 and 4;'),
    ((float('nan'), 1, 0, 1), 'Expected west below east, both finite, found n'),
    ((0, float('inf'), 0, 1), 'Expected west below east, both finite, found 0'),
  ],
)
def test_a_frame_that_encloses_nothing_is_refused(limits, message):
  with pytest.raises(map_frames.MapFrameError) as raised:
    map_frames.MapFrame(*limits)
  assert str(raised.value).startswith(message)
  assert isinstance(raised.value, errors.PipelineError)


def test_the_configuration_makes_the_frame_again():
  assert map_frames.MapFrame(**FRAME.config()) == FRAME
