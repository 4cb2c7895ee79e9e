import numpy as np
import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import appearance, sweep_picture

pytestmark = pytest.mark.filterwarnings('error')


def _record(values=(2, 8, 4, 16), *, local=True, name='sweep_points', **others):
  ends = [(0.5 + i / 10, 0.7 + i / 10) for i in range(len(values))]
  final = [
    (curve, seed, value - 0.1, 0.0)
    for curve, of_curve in enumerate(ends)
    for seed, value in enumerate(of_curve)
  ]
  return samples.record(
    'sweep',
    [{'value': value} for value in values],
    name=name,
    server=samples.ends(*ends),
    final=final if local else None,
    **others,
  )


def test_values_are_in_order_on_a_logarithmic_axis():
  (axes,) = sweep_picture.sweep_picture(_record()).axes
  shared, alone = (
    line for line in axes.get_lines() if len(line.get_xdata()) == 4
  )
  assert shared.get_xdata().tolist() == [2, 4, 8, 16]
  np.testing.assert_allclose(shared.get_ydata(), [0.6, 0.8, 0.7, 0.9])
  np.testing.assert_allclose(alone.get_ydata(), [0.5, 0.7, 0.6, 0.8])
  assert axes.get_xscale() == 'log'
  assert [label.get_text() for label in axes.get_xticklabels()] == [
    '2', '4', '8', '16',
  ]  # fmt: skip
  assert axes.get_xlabel().startswith('places a user\n(mean of 2 seeds')
  assert samples.texts(axes) == ['shared: 90.0 %', "users' own: 80.0 %"]


def test_even_steps_are_linear():
  (axes,) = sweep_picture.sweep_picture(_record((0, 1, 2, 3))).axes
  assert axes.get_xscale() == 'linear'


def test_only_users_make_it_a_matter_of_simulations():
  with_users = sweep_picture.sweep_picture(_record())
  without = sweep_picture.sweep_picture(_record(local=False))
  assert appearance.is_simulation_only(with_users)
  assert not appearance.is_simulation_only(without)
  assert samples.texts(without.axes[0]) == ['shared: 90.0 %']


def test_names_stand_in_a_row():
  (axes,) = sweep_picture.sweep_picture(_record(('ring', 'diagonal'))).axes
  assert [label.get_text() for label in axes.get_xticklabels()] == [
    'ring',
    'diagonal',
  ]


@pytest.mark.parametrize('value', [3, 'ring'])
def test_a_single_value_is_a_point(value):
  (axes,) = sweep_picture.sweep_picture(_record((value,))).axes
  low, high = axes.get_xlim()
  assert high - low == 1


def test_the_knob_is_a_setting_or_in_the_name():
  assert sweep_picture.knob(_record()) == 'points'
  named = _record(settings={'knob': 'merge'})
  assert sweep_picture.knob(named) == 'merge'
  assert sweep_picture.knob_name('some_other') == 'some other'


def test_the_overview_has_a_panel_for_each_knob_on_one_scale():
  records = [_record(name=f'sweep_{k}') for k in ('points', 'users', 'x', 'y')]
  figure = sweep_picture.sweep_overview(records)
  panels = [axes for axes in figure.axes if axes.axison]
  assert [axes.get_xlabel() for axes in panels] == [
    'places a user', 'users', 'x', 'y',
  ]  # fmt: skip
  assert len({axes.get_ylim() for axes in panels}) == 1


def test_one_knob_has_no_overview():
  other = samples.record('table', [{}])
  assert sweep_picture.sweep_overview([_record(), other]) is None


def test_without_accuracy_there_is_no_figure():
  assert sweep_picture.sweep_picture(samples.record('sweep', [{}])) is None
