import numpy as np
import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import appearance, merge_picture

pytestmark = pytest.mark.filterwarnings('error')

# Two users who merge at step 2; a third never sends anything.
_USERS = [
  (0, 3, user, 'honest', user != 'c', step, value)
  for user, values in (
    ('a', (0.5, 0.6, 0.7, 0.8)),
    ('b', (0.5, 0.4, 0.3, 0.8)),
    ('c', (0.5, 0.5, 0.5, 0.5)),
  )
  for step, value in enumerate(values)
]
_SERVER = [(0, 3, 0, 0, 0.5), (0, 3, 2, 1, 0.75)]


def _drawn(**changes):
  tables = {'users': _USERS, 'server': _SERVER} | changes
  record = samples.record('merge', [{'name': 'every 2'}], **tables)
  return merge_picture.merge_picture(record)


def _line(axes, color):
  return [line for line in axes.get_lines() if line.get_color() == color]


def test_the_shared_model_starts_at_the_first_merge():
  axes = _drawn().axes[1]
  steps, _ = _line(axes, merge_picture.SHARED)[1:]
  assert steps.get_xdata().tolist() == [2, 3]
  assert steps.get_ydata().tolist() == [0.75, 0.75]


def test_the_mean_is_of_those_who_take_part():
  axes = _drawn().axes[1]
  mean = next(line for line in axes.get_lines() if line.get_linewidth() == 1.6)
  np.testing.assert_allclose(mean.get_ydata(), [0.5, 0.5, 0.5, 0.8])


def test_who_never_sends_is_dashed():
  axes = _drawn().axes[1]
  users = [line for line in axes.get_lines() if line.get_linewidth() == 0.7]
  assert [line.get_linestyle() for line in users] == ['-', '-', '--']


def test_the_counters_and_the_ends_are_written():
  counters, axes = _drawn().axes
  assert samples.texts(counters)[::2] == ['3', '1', '75.0 %']
  assert samples.texts(axes) == ["mean of users' own: 80.0 %", 'shared: 75.0 %']
  assert axes.get_title('right') == appearance.SIMULATION_ONLY


def test_before_any_merge_there_is_no_shared_line():
  counters, axes = _drawn(server=_SERVER[:1]).axes
  assert samples.texts(counters)[::2] == ['3', '0', '\N{EN DASH}']
  assert not _line(axes, merge_picture.SHARED)


def test_of_several_seeds_one_is_drawn():
  others = [(0, 4, *row[2:]) for row in _USERS]
  assert len(_drawn(users=_USERS + others).axes[1].get_lines()) == len(
    _drawn().axes[1].get_lines()
  )


def test_many_merges_are_ticks():
  server = [(0, 3, step, step, 0.5) for step in range(80)]
  axes = _drawn(server=server).axes[1]
  marks = [line for line in axes.get_lines() if len(line.get_xdata()) == 2]
  assert min(line.get_ydata()[0] for line in marks) > 0.9


@pytest.mark.parametrize('missing', ['users', 'server'])
def test_without_a_table_there_is_no_figure(missing):
  assert _drawn(**{missing: None}) is None
