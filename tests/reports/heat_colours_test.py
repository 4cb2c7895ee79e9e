import matplotlib.colors
import matplotlib.figure
import numpy as np
import pytest

from tff_pipelines.reports import heat_colours

pytestmark = pytest.mark.filterwarnings('error')

# Viénot, Brettel and Mollon 1999: linear RGB as seen without red cones, and
# without green ones.
_BLIND = {
  'protan': np.array(
    [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]
  ),
  'deutan': np.array(
    [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]
  ),
}


def _lightness(rgb):
  """CIE L* of sRGB."""
  rgb = np.asarray(rgb)
  linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
  luminance = linear @ [0.2126, 0.7152, 0.0722]
  return 116 * np.cbrt(np.maximum(luminance, 0.008856)) - 16


def test_undecided_is_lightest_and_both_ends_are_dark():
  lightness = _lightness(heat_colours.HEAT(np.linspace(0, 1, 41))[:, :3])
  assert lightness.argmax() == 20
  assert (np.diff(lightness[:21]) > 0).all()
  assert (np.diff(lightness[20:]) < 0).all()


@pytest.mark.parametrize('kind', _BLIND)
def test_hot_and_cold_differ_for_the_colour_blind(kind):
  cold, hot = heat_colours.HEAT(np.array([0.0, 1.0]))[:, :3] ** 2.2
  seen = np.stack([cold, hot]) @ _BLIND[kind].T
  # Blue against yellow is what they see: of opposite signs.
  blue = seen[:, 2] - seen[:, :2].mean(axis=1)
  assert blue[0] > 0.1
  assert blue[1] < 0


def test_marks_differ_in_shape():
  hot, cold = heat_colours.place_legend()
  assert hot.get_marker() != cold.get_marker()


def test_a_map_fills_its_square_with_places_in_the_middle_of_pixels():
  axes = matplotlib.figure.Figure().subplots()
  outputs = np.array([[0.0, 1.0], [0.0, 1.0]])
  image = heat_colours.draw_map(axes, outputs, corner=(10, 20), size=(4, 2))
  assert image.get_extent() == [8, 16, 19, 23]
  assert image.origin == 'lower'


def test_the_border_is_where_the_output_crosses():
  axes = matplotlib.figure.Figure().subplots()
  heat_colours.draw_border(axes, np.array([[0.0, 1.0], [0.0, 1.0]]))
  (border,) = axes.collections
  (path,) = border.get_paths()
  np.testing.assert_allclose(path.vertices[:, 0], 0.5)


@pytest.mark.parametrize(
  'outputs',
  [np.zeros((3, 3)), np.ones((1, 1)), np.full((2, 2), np.nan)],
  ids=['constant', 'single', 'unknown'],
)
def test_without_a_crossing_there_is_no_border(outputs):
  axes = matplotlib.figure.Figure().subplots()
  heat_colours.draw_border(axes, outputs)
  assert not axes.collections


def test_places_are_marked_by_what_was_seen():
  axes = matplotlib.figure.Figure().subplots()
  places = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
  heat_colours.draw_places(
    axes, places, np.array([True, False, True]), size=5.0
  )
  hot, cold = axes.get_lines()
  assert hot.get_xdata().tolist() == [0.1, 0.5]
  assert cold.get_ydata().tolist() == [0.4]


def test_the_sequence_goes_from_blue_to_orange_and_is_dark_enough():
  colors = heat_colours.sequence(6)
  assert colors[0] == '#0072b2'
  assert colors[-1] == heat_colours.OUTLIER
  assert len(set(colors)) == 6
  assert heat_colours.sequence(1) == ['#0072b2']
  lightness = _lightness([matplotlib.colors.to_rgb(c) for c in colors])
  assert (lightness < 60).all()  # On white, which has 100.


@pytest.mark.parametrize('share', np.linspace(0, 1, 11))
def test_text_can_be_read_on_every_cell(share):
  color = heat_colours.SHARE(share)
  ink = matplotlib.colors.to_rgb(heat_colours.ink_on(color))
  assert abs(_lightness(ink) - _lightness(color[:3])) > 35
