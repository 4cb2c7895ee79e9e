import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import privacy_picture

pytestmark = pytest.mark.filterwarnings('error')


def noisy(level, included):
  return {'mechanism': 'location noise', 'noise': level, 'included': included}


def clipped(users, epsilon, included=1):
  return {
    'mechanism': 'clipping and noise',
    'noise': 1.0,
    'users': users,
    'epsilon': epsilon,
    'included': included,
  }


def _record(*curves):
  ends = samples.ends(*[(0.5 + 0.01 * i, 0.6) for i in range(len(curves))])
  return samples.record('privacy', list(curves), server=ends)


def test_in_and_out_of_one_setting_are_a_pair():
  record = _record(noisy(0.0, 1), noisy(1.0, 0), noisy(0.0, 0))
  first, second = privacy_picture.pairs(record, 'location noise')
  assert (first.inside, first.outside) == (0, 2)
  assert (second.inside, second.outside) == (None, 1)
  assert privacy_picture.pairs(record, 'clipping and noise') == []


def test_it_is_said_that_noise_on_places_guarantees_nothing():
  record = _record(noisy(0.0, 1), noisy(0.0, 0), noisy(1.0, 1), clipped(4, 1.0))
  figure = privacy_picture.privacy_picture(record)
  curves, levels, guaranteed = figure.axes
  assert curves.get_title('right') == 'this noise carries no guarantee'
  assert 'no guarantee' in samples.texts(levels)
  assert 'guaranteed' in samples.texts(guaranteed)
  assert samples.texts(curves) == ['noise level 0', 'noise level 1']


def test_with_the_outlier_is_solid_and_without_it_dashed():
  record = _record(noisy(0.0, 1), noisy(0.0, 0))
  curves, _ = privacy_picture.privacy_picture(record).axes
  assert [line.get_linestyle() for line in curves.get_lines()] == ['-', '--']


def test_a_line_for_each_epsilon_over_the_users():
  record = _record(
    clipped(4, 1.0), clipped(8, 1.0), clipped(4, 2.0), clipped(8, 2.0)
  )
  (axes,) = privacy_picture.privacy_picture(record).axes
  assert [line.get_xdata().tolist() for line in axes.get_lines()] == [
    [4.0, 8.0],
    [4.0, 8.0],
  ]
  assert axes.get_xlabel() == 'users'
  assert samples.texts(axes)[-2:] == [
    '\N{GREEK SMALL LETTER EPSILON} = 1',
    '\N{GREEK SMALL LETTER EPSILON} = 2',
  ]


def test_an_epsilon_that_falls_with_the_users_stands_at_every_point():
  record = _record(clipped(4, 8.0), clipped(8, 4.0), clipped(16, 2.0))
  (axes,) = privacy_picture.privacy_picture(record).axes
  assert len(axes.get_lines()) == 1
  assert [text[4:] for text in samples.texts(axes)[:3]] == ['8', '4', '2']


def test_with_the_same_users_the_axis_is_epsilon():
  curves = [
    {'mechanism': 'clipping and noise', 'included': 1, 'epsilon': epsilon}
    for epsilon in (1.0, 2.0)
  ]
  (axes,) = privacy_picture.privacy_picture(_record(*curves)).axes
  assert axes.get_xlabel() == 'epsilon (lower is safer)'
  assert axes.get_lines()[0].get_xdata().tolist() == [1.0, 2.0]


def test_without_either_there_is_no_figure():
  assert privacy_picture.privacy_picture(_record({'mechanism': 'x'})) is None


def test_epsilons_that_were_meant_to_be_the_same_are_one():
  record = _record(
    clipped(4, 3.99), clipped(4, 3.95, 0), clipped(8, 4.0), clipped(8, 2.0)
  )
  first, second, third = privacy_picture.pairs(record, 'clipping and noise')
  assert (first.inside, first.outside) == (0, 1)
  assert [p.values.number('epsilon') for p in (first, second, third)] == [
    4.0, 4.0, 2.0,
  ]  # fmt: skip
