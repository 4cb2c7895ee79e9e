import matplotlib.figure
import pytest

from tff_pipelines.reports import appearance

pytestmark = pytest.mark.filterwarnings('error')


def test_known_systems_keep_their_color_whoever_else_is_there():
  alone = appearance.looks(['central'])
  crowd = appearance.looks(['x', 'central', 'federated', 'y'])
  assert alone['central'] == crowd['central']


def test_eight_systems_differ_in_color_and_marker():
  systems = ['federated', 'central', 'local', 'secure_federated', *'abcd']
  looks = appearance.looks(systems).values()
  assert len({look.color for look in looks}) == 8
  assert len({look.marker for look in looks}) == 8


def test_other_systems_are_given_looks_in_a_cycle():
  looks = appearance.looks('abcdefghi')
  assert len({look.color for look in looks.values()}) == 8
  assert looks['a'] == looks['i']


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('plain', 'plain'),
    ('a\n\tb\x00', 'a b'),
    (r'$\frac$', r'\$\frac\$'),
    ('_hidden', ' _hidden'),
    ('x' * 30, 'x' * 27 + '\N{HORIZONTAL ELLIPSIS}'),
  ],
)
def test_label_makes_text_harmless(text, expected):
  assert appearance.label(text) == expected


def test_dollars_are_drawn_as_dollars():
  figure = matplotlib.figure.Figure()
  # Matplotlib would refuse this as mathematics.
  figure.text(0.5, 0.5, appearance.label(r'$\frac{$ and \$'))
  figure.draw_without_rendering()


@pytest.mark.parametrize(
  ('values', 'expected'),
  [
    ([1, 2, 4, 8], True),
    ([2, 4, 10, 20, 40, 80, 250], True),
    ([1, 2, 3, 4, 5, 6, 7, 8], False),
    ([0, 1, 2, 4, 8], False),
    ([1, 100], False),
    ([], False),
  ],
)
def test_values_that_double(values, expected):
  assert appearance.doubles(values) == expected


def test_ticks_are_at_the_values_that_were_tried():
  axes = appearance.figure(2).subplots()
  appearance.value_axis(axes, [8, 1, 4, 2, 4])
  assert axes.get_xscale() == 'log'
  assert axes.get_xticks().tolist() == [1, 2, 4, 8]
  appearance.value_axis(axes, range(1, 21), most=8)
  assert len(axes.get_xticks()) <= 8


def test_the_ground_says_who_can_see_a_figure():
  assert appearance.is_simulation_only(
    appearance.figure(2, simulation_only=True)
  )
  assert not appearance.is_simulation_only(appearance.figure(2))
