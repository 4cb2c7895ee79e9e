import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import sweep_table

pytestmark = pytest.mark.filterwarnings('error')


def _record(cells, **others):
  return samples.record(
    'table',
    [{'value': row, 'value2': column} for row, column in cells],
    name='sweep_merge_points',
    server=samples.ends(*[(0.5 + i / 10,) * 2 for i in range(len(cells))]),
    **others,
  )


def test_the_numbers_are_in_the_cells_in_order():
  record = _record([(10, 1.0), (2, 1.0), (10, 0.5)])
  (axes,) = sweep_table.sweep_table(record).axes
  assert [label.get_text() for label in axes.get_yticklabels()] == ['2', '10']
  assert [label.get_text() for label in axes.get_xticklabels()] == ['0.5', '1']
  # The setting that nobody ran is a dash.
  assert samples.texts(axes) == ['\N{EN DASH}', '60.0', '70.0', '50.0']
  assert axes.get_ylabel() == 'local steps between merges'
  assert axes.get_xlabel() == 'places a user'
  assert axes.get_title('right') == 'mean of 2 seeds'


def test_settings_name_the_knobs():
  settings = {'knob': 'users', 'knob2': 'force_pair'}
  (axes,) = sweep_table.sweep_table(_record([(1, 1)], settings=settings)).axes
  assert axes.get_ylabel() == 'users'
  assert axes.get_xlabel() == 'force pair'


def test_without_accuracy_there_is_no_figure():
  assert sweep_table.sweep_table(samples.record('table', [{}])) is None
