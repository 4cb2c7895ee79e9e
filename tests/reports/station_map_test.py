import math

import numpy as np
import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import station_map

pytestmark = pytest.mark.filterwarnings('error')

_EDGES = {'west': -120.0, 'east': -60.0, 'south': 20.0, 'north': 50.0}
# From west to east, 0 to 10 degrees.
_SURFACE = np.linspace(0, 10, 11) * np.ones((11, 1))
_STATIONS = [
  ('a', 'honest', 0.25, 0.5, 2.0, True),
  ('b', 'honest', 0.75, 0.5, 3.0, True),
  ('c', 'honest', 0.75, 0.2, 1.0, False),
]


def _figure(**changes):
  parts = {
    'settings': {**_EDGES, 'unit': '°C', 'threshold': 5.0},
    'server_maps': {(0, 5): 0 * _SURFACE, (0, 20): _SURFACE},
    'places': _STATIONS,
  } | changes
  return station_map.station_map(samples.record('stations', [{}], **parts))


def _legend(figure):
  return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_newest_map_lies_between_its_edges():
  axes = _figure().axes[0]
  assert axes.get_xlim() == (-120.0, -60.0)
  assert axes.get_ylim() == (20.0, 50.0)
  np.testing.assert_array_equal(axes.get_images()[0].get_array(), _SURFACE)


def test_a_degree_of_longitude_is_shorter_in_the_north():
  aspect = _figure().axes[0].get_aspect()
  assert aspect == pytest.approx(1 / math.cos(math.radians(35)))


def test_only_held_out_stations_on_the_wrong_side_are_ringed():
  figure = _figure()
  rings = [
    line
    for line in figure.axes[0].get_lines()
    if line.get_markerfacecolor() == 'none'
  ]
  # The map says 7.5 degrees of b, which observed 3; c was trained on.
  assert rings[0].get_xdata().tolist() == [-75.0]
  assert rings[0].get_ydata().tolist() == [35.0]
  assert _legend(figure) == [
    'where the model changes: 5 °C',
    'a station, as it observed (3)',
    'held out and wrong: 1 of 2 (50.0 % right)',
  ]


def test_degrees_and_units_are_written():
  figure = _figure()
  figure.draw_without_rendering()
  axes, scale = figure.axes
  assert '120° W' in [label.get_text() for label in axes.get_xticklabels()]
  assert '20° N' in [label.get_text() for label in axes.get_yticklabels()]
  assert all(
    label.get_text().endswith('°C') for label in scale.get_xticklabels()
  )


def test_of_classes_the_scale_has_words():
  places = [(*row[:4], float(row[4] > 2), row[5]) for row in _STATIONS]
  figure = _figure(
    places=places, settings=_EDGES, server_maps={(0, 1): _SURFACE / 10}
  )
  figure.draw_without_rendering()
  assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == [
    'cold',
    'undecided',
    'hot',
  ]
  assert _legend(figure)[0] == 'where the model changes'


def test_the_map_is_read_between_its_points():
  outputs = np.array([[0.0, 1.0], [2.0, 3.0]])
  places = np.array([[0.5, 0.0], [0.0, 0.5], [1.0, 1.0], [0.25, 0.5]])
  values = station_map.interpolate(outputs, places)
  np.testing.assert_allclose(values, [0.5, 1.0, 3.0, 1.25])


@pytest.mark.parametrize(
  'changes',
  [
    {'server_maps': {}},
    {'settings': {}},
    {'settings': {**_EDGES, 'east': -130.0}},
  ],
  ids=['no map', 'no edges', 'edges in a wrong order'],
)
def test_otherwise_there_is_no_figure(changes):
  assert _figure(**changes) is None


def test_without_stations_there_is_the_map():
  assert _legend(_figure(places=None)) == ['where the model changes: 5 °C']
