import pytest

from tff_pipelines.reports import result_sentence, results

pytestmark = pytest.mark.filterwarnings('error')


def _sentence(rows, value_format='percent', title='accuracy'):
  column = results.Column('x', title, value_format, 'higher')
  final = results.Results('title', 'x', (column,), tuple(rows))
  return result_sentence.result_sentence(final)


def test_it_compares_with_every_other_system():
  assert _sentence(
    [
      {'system': 'federated', 'x': 0.987},
      {'system': 'central', 'x': 0.989},
      {'system': 'local', 'x': 0.926, 'x_min': 0.5, 'x_max': 0.97},
    ]
  ) == (
    'Federated reaches 98.7 % accuracy, 0.2 points below central and 6.1 above '
    'the median local model.'
  )


def test_of_ngrams_it_names_the_best_behind_central():
  rows = [
    {'system': 'unigram', 'x': 0.061},
    {'system': 'bigram', 'x': 0.196},
    {'system': 'trigram', 'x': 0.271},
    {'system': 'central', 'x': 0.315},
    {'system': 'local', 'x': 0.252, 'x_min': 0.1, 'x_max': 0.3},
    {'system': 'federated', 'x': 0.312},
  ]
  assert _sentence(rows, title='top-1 recall') == (
    'Federated reaches 31.2 % top-1 recall, 0.3 points below central, 4.1 '
    'above the trigram and 6.0 above the median local model.'
  )
  without_central = [row for row in rows if row['system'] != 'central']
  assert _sentence(without_central, title='top-1 recall') == (
    'Federated reaches 31.2 % top-1 recall, 4.1 points above the trigram and '
    '6.0 above the median local model.'
  )


def test_a_tie_has_no_unit_and_the_next_difference_has():
  assert _sentence(
    [
      {'system': 'central', 'x': 0.9},
      {'system': 'federated', 'x': 0.9},
      {'system': 'secure_federated', 'x': 0.8},
    ]
  ) == (
    'Federated reaches 90.0 % accuracy, the same as central and 10.0 points '
    'above secure federated.'
  )


def test_the_difference_is_that_of_the_numbers_in_the_table():
  # 98.66 and 98.84 are written 98.7 and 98.8.
  assert '0.1 points below central' in _sentence(
    [{'system': 'federated', 'x': 0.9866}, {'system': 'central', 'x': 0.9884}]
  )


def test_ratios_have_no_points():
  assert (
    _sentence(
      [{'system': 'federated', 'x': 0.9}, {'system': 'central', 'x': 0.95}],
      value_format='ratio',
      title='AUC',
    )
    == 'Federated reaches AUC 0.900, 0.050 below central.'
  )


def test_local_alone_is_a_median():
  assert (
    _sentence([{'system': 'local', 'x': 0.91, 'x_min': 0.5, 'x_max': 0.97}])
    == 'Local reaches 91.0 % accuracy (median over its models; 50.0 to 97.0).'
  )


@pytest.mark.parametrize('value', [None, float('nan')])
def test_missing_values_are_said_or_left_out(value):
  missing = {'system': 'federated', 'x': value}
  assert _sentence([missing]) == 'Federated has no value for accuracy.'
  assert (
    _sentence([{'system': 'federated', 'x': 0.5}, {'system': 'a', 'x': value}])
    == 'Federated reaches 50.0 % accuracy.'
  )


def test_no_rows_are_said():
  assert _sentence([]) == 'This run has no results.'
