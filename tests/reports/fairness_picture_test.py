import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import fairness_picture, run_reader

pytestmark = pytest.mark.filterwarnings('error')


def _names(figure):
  return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_a_strip_for_each_group_honest_users_first():
  users = [
    (curve, 0, user, kind, True, step, value)
    for curve in range(2)
    for user, kind, end in (
      ('a', 'label_flipper', 0.2),
      ('b', 'honest', 0.6),
      ('c', 'honest', 0.8),
    )
    for step in (0, 7)
    # The last step counts.
    for value in ([0.0, end][step > 0],)
  ]
  record = samples.record('fairness', [{}, {}], users=users)
  figure = fairness_picture.fairness_picture(record)
  assert _names(figure) == ['honest', 'label flipper'] * 2
  assert samples.texts(figure.axes[0]) == ['70.0 %', '20.0 %'] * 2 + [
    'c0',
    'c1',
  ]
  assert '1 seed' in figure.axes[0].get_xlabel()


def test_without_users_there_is_no_figure():
  record = samples.record('fairness', [{}])
  assert fairness_picture.fairness_picture(record) is None


class TestPersonalization:
  def _figure(self, write_run, head, rows):
    run_dir = write_run(personalization=(head, rows))
    return fairness_picture.personalization_picture(run_reader.read(run_dir))

  def test_before_stands_above_after(self, write_run):
    figure = self._figure(
      write_run,
      ('client_id', 'group', 'before_accuracy', 'after_accuracy'),
      [('a', 'honest', 0.5, 0.6), ('b', 'outlier', 0.2, 1.0)],
    )
    assert _names(figure) == ['honest', 'outlier'] * 2
    assert samples.texts(figure.axes[0]) == [
      *('50.0 %', '20.0 %', '60.0 %', '100.0 %'),
      *('shared model', 'after further training'),
    ]

  def test_a_single_group_is_not_named(self, write_run):
    figure = self._figure(
      write_run,
      ('client_id', 'group', 'before_auc', 'after_auc'),
      [('a', 'everyone', 0.5, 0.6)],
    )
    assert _names(figure) == ['', '']
    assert figure.axes[0].get_title('left') == 'AUC for each user'

  def test_without_a_metric_of_the_table_there_is_no_figure(self, write_run):
    head = ('client_id', 'group', 'before_x', 'after_x')
    assert self._figure(write_run, head, [('a', 'b', 1, 2)]) is None

  def test_without_a_file_there_is_no_figure(self, write_run):
    run = run_reader.read(write_run())
    assert fairness_picture.personalization_picture(run) is None
