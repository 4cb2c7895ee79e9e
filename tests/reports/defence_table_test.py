import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import defence_table

pytestmark = pytest.mark.filterwarnings('error')


def _curve(attack, aggregator, **others):
  return {'attack': attack, 'aggregator': aggregator, **others}


def _axes(*curves):
  ends = samples.ends(*[(0.5 + i / 10,) for i in range(len(curves))])
  record = samples.record('defences', list(curves), server=ends)
  (axes,) = defence_table.defence_table(record).axes
  return axes


def test_a_row_for_each_aggregator_and_a_column_for_each_attack():
  axes = _axes(
    _curve('none', 'mean'),
    _curve('label_flipper', 'mean', expected=True),
    _curve('none', 'median'),
  )
  assert [label.get_text() for label in axes.get_yticklabels()] == [
    'mean',
    'median',
  ]
  assert [label.get_text() for label in axes.get_xticklabels()] == [
    'none',
    'label flipper',
  ]
  assert samples.texts(axes) == ['50.0 %', '60.0 %', '70.0 %', '\N{EN DASH}']
  assert axes.get_title('right') == '1 seed'
  assert axes.get_xlabel() == ''


def test_success_of_the_attack_stands_below():
  axes = _axes(
    _curve('backdoor', 'mean', attack_success=0.98),
    _curve('none', 'mean', attack_success=None),
  )
  assert samples.texts(axes) == ['50.0 %', 'attack 98 %', '60.0 %']
  assert 'planted answer' in axes.get_xlabel()


def test_what_theory_does_not_promise_is_framed():
  axes = _axes(
    _curve('x', 'mean', expected=False), _curve('y', 'mean', expected=True)
  )
  frames = [patch for patch in axes.patches if patch.get_linestyle() != '-'
            and patch.get_linestyle() != 'solid']  # fmt: skip
  assert len(frames) == 1
  assert frames[0].get_x() < 0
  assert 'dashed frame' in axes.get_xlabel()


def test_without_accuracy_there_is_no_figure():
  record = samples.record('defences', [_curve('x', 'y')])
  assert defence_table.defence_table(record) is None
