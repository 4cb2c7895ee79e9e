import numpy as np
import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import drift_picture

pytestmark = pytest.mark.filterwarnings('error')


def _record(merges=(2, 4)):
  users, server = [], []
  for curve, merge in enumerate(merges):
    for seed in range(2):
      # A user gains 0.1 a step and is put back by 0.05 at a merge.
      users += [
        (curve, seed, 'a', 'honest', True, step, 0.5 + 0.01 * step)
        for step in range(5)
      ]
      server += [(curve, seed, 0, 0, 0.5)]
      server += [
        (curve, seed, step, step // merge, 0.9)
        for step in range(merge, 5, merge)
      ]
  curves = [{'name': f'every {m}', 'merge': m} for m in merges]
  return samples.record('drift', curves, users=users, server=server)


def test_the_curve_jumps_at_a_merge():
  axes = drift_picture.drift_picture(_record()).axes[0]
  zigzag = axes.get_lines()[0]
  assert zigzag.get_xdata().tolist() == [0, 1, 2, 2, 3, 4, 4]
  np.testing.assert_allclose(
    zigzag.get_ydata(), [0.5, 0.51, 0.52, 0.9, 0.53, 0.54, 0.9]
  )
  assert axes.get_lines()[1].get_xdata().tolist() == [2, 4]


def test_the_last_panel_compares_the_periods():
  figure = drift_picture.drift_picture(_record())
  panel = figure.axes[2]
  before, after = panel.get_lines()
  assert before.get_xdata().tolist() == [2.0, 4.0]
  np.testing.assert_allclose(before.get_ydata(), [0.54, 0.54])
  np.testing.assert_allclose(after.get_ydata(), [0.9, 0.9])


def test_panels_share_their_scale():
  figure = drift_picture.drift_picture(_record((2, 3, 4)))
  assert len({axes.get_ylim() for axes in figure.axes[:4]}) == 1


def test_a_single_period_has_no_comparison():
  figure = drift_picture.drift_picture(_record((2,)))
  assert sum(axes.axison for axes in figure.axes) == 1


def test_without_users_there_is_no_figure():
  record = samples.record('drift', [{}], server=[(0, 0, 0, 0, 0.5)])
  assert drift_picture.drift_picture(record) is None
