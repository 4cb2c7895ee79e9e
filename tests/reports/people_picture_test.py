import numpy as np
import pytest

from tests.reports import record_samples as samples
from tff_pipelines.reports import people_picture, run_reader

pytestmark = pytest.mark.filterwarnings('error')

_HEAD = ('client_id', 'test_examples', 'system', 'accuracy')


def _rows(**by_system):
  return [
    (f'p{index}', 9, system, value)
    for system, values in by_system.items()
    for index, value in enumerate(values)
  ]


def _figure(write_run, people, head=_HEAD, **changes):
  run_dir = write_run(people=(head, people), **changes)
  return people_picture.people_picture(run_reader.read(run_dir))


def _gains(figure):
  positive, negative = figure.axes[1].patches
  return positive.get_data().values + negative.get_data().values


def test_a_strip_for_each_system_in_the_order_of_the_table(write_run):
  rows = _rows(central=[0.2, 0.4], federated=[0.3, 0.6], unheard_of=[0.1, 0.1])
  figure = _figure(write_run, rows)
  axes = figure.axes[0]
  names = [label.get_text() for label in axes.get_yticklabels()]
  assert names == ['federated', 'central']
  assert samples.texts(axes) == ['45.0 %', '30.0 %']
  assert 'accuracy on the own text of 2 held-out people' in axes.get_xlabel()


def test_gains_over_the_best_ngram_are_sorted(write_run):
  ngrams = [
    {'system': 'bigram', 'accuracy': 0.2},
    {'system': 'trigram', 'accuracy': 0.3},
  ]
  rows = _rows(
    bigram=[0.0] * 4,
    trigram=[0.5, 0.5, 0.5, 0.5],
    central=[0.0] * 4,
    federated=[0.75, 0.25, 0.5, 0.625],
  )
  figure = _figure(
    write_run, rows, rows=[*ngrams, write_run.central, write_run.federated]
  )
  np.testing.assert_allclose(_gains(figure), [-25, 0, 12.5, 25])
  axes = figure.axes[1]
  assert axes.get_title('left') == '50.0 % of the people are better off'
  assert axes.get_ylabel() == 'federated minus trigram,\npoints'
  assert axes.get_xlabel().startswith('4 people')
  assert samples.texts(axes) == ['median: +6.2 points']


def test_without_ngrams_central_is_compared(write_run):
  figure = _figure(write_run, _rows(central=[0.2], federated=[0.1]))
  np.testing.assert_allclose(_gains(figure), [-10])
  assert figure.axes[1].get_ylabel().startswith('federated minus central')


def test_where_lower_is_better_less_is_a_gain(write_run):
  head = ('client_id', 'test_examples', 'system', 'loss')
  figure = _figure(
    write_run,
    _rows(central=[4.0, 3.0], federated=[3.5, 4.0]),
    head,
    primary='loss',
    columns=[{'key': 'loss', 'better': 'lower'}],
  )
  np.testing.assert_allclose(_gains(figure), [-1.0, 0.5])
  assert figure.axes[1].get_ylabel() == 'central minus federated'


def test_federated_alone_is_compared_with_nothing(write_run):
  figure = _figure(write_run, _rows(federated=[0.1, 0.2]))
  assert len(figure.axes) == 1


def test_people_without_a_value_are_left_out(write_run):
  rows = _rows(central=[0.25, 0.25, ''], federated=['nan', 0.5, 0.5])
  figure = _figure(write_run, rows)
  np.testing.assert_allclose(_gains(figure), [25])
  assert figure.axes[1].get_xlabel().startswith('1 person, sorted')


def test_nobody_in_common_is_no_comparison(write_run):
  rows = _rows(central=[0.25, ''], federated=['', 0.5])
  assert len(_figure(write_run, rows).axes) == 1


@pytest.mark.parametrize(
  ('head', 'rows'),
  [
    (_HEAD, []),
    (_HEAD, _rows(federated=['', 'nan'])),
    (_HEAD, _rows(unheard_of=[0.5])),
    (('client_id', 'test_examples', 'system', 'x'), _rows(federated=[0.5])),
  ],
)
def test_without_values_there_is_no_figure(write_run, head, rows):
  assert _figure(write_run, rows, head) is None


def test_without_a_file_there_is_no_figure(write_run):
  assert people_picture.people_picture(run_reader.read(write_run())) is None


@pytest.mark.parametrize(
  ('head', 'rows', 'message'),
  [
    (_HEAD[:2], [('a', 1)], 'a column system in .*people.csv, line 1'),
    (
      _HEAD,
      [('a', 1, 'x', 'much')],
      "a number in .*people.csv, line 2, column accuracy, found 'much'",
    ),
    (_HEAD, [('a', 1, 'x')], '4 cells in .*people.csv, line 2, found 3'),
    (
      _HEAD,
      [('007', 1, 'x', 0.5), ('007', 1, 'x', 0.5)],
      "one row a person and system in .*, found two of '007' with x",
    ),
  ],
)
def test_a_broken_file_is_said(write_run, head, rows, message):
  run_dir = write_run(people=(head, rows))
  with pytest.raises(run_reader.BrokenRunFileError, match=message):
    run_reader.read(run_dir)
