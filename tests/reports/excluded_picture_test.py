import numpy as np
import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import excluded_picture

pytestmark = pytest.mark.filterwarnings('error')

_CURVES = [
  {'name': 'everyone'},
  {'name': 'without a', 'excluded': 'a', 'kind': 'honest'},
  {'name': 'without b', 'excluded': 'b', 'kind': 'outlier'},
]


def test_changes_are_those_of_single_seeds_and_the_best_is_on_top():
  record = samples.record(
    'excluded',
    _CURVES,
    server=samples.ends((0.5, 0.9), (0.4, 0.8), (0.6, 1.0)),
  )
  (axes,) = excluded_picture.excluded_picture(record).axes
  assert [label.get_text() for label in axes.get_yticklabels()] == [
    'b (outlier)',
    'a',
  ]
  seeds = [
    line.get_xdata() for line in axes.get_lines() if line.get_alpha() == 0.25
  ]
  # Seeds differ by 0.4, but both gain, or lose, as much.
  np.testing.assert_allclose(seeds, [[0.1, 0.1], [-0.1, -0.1]])
  assert '80.0 %' in samples.texts(axes)
  assert ' everyone takes part: 70.0 % ' in samples.texts(axes)


def test_of_many_users_the_middle_is_left_out_and_it_is_said():
  curves = [{}] + [{'excluded': f'u{i}'} for i in range(60)]
  record = samples.record(
    'excluded',
    curves,
    server=samples.ends(*[(0.5 + i / 200,) for i in range(61)]),
  )
  (axes,) = excluded_picture.excluded_picture(record).axes
  assert len(axes.get_yticklabels()) == 40
  assert '20 in the middle not shown' in axes.get_xlabel()


@pytest.mark.parametrize(
  ('curves', 'ends'),
  [
    (_CURVES[:1], [(0.5,)]),
    (_CURVES[1:], [(0.5,), (0.5,)]),
    (_CURVES, []),
  ],
  ids=['nobody left out', 'nothing to compare with', 'no runs'],
)
def test_otherwise_there_is_no_figure(curves, ends):
  record = samples.record('excluded', curves, server=samples.ends(*ends))
  assert excluded_picture.excluded_picture(record) is None


def test_without_seeds_in_common_there_is_no_figure():
  server = [(0, 0, 1, 1, 0.5), (1, 1, 1, 1, 0.5)]
  record = samples.record('excluded', _CURVES[:2], server=server)
  assert excluded_picture.excluded_picture(record) is None
