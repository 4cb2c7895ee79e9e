import math

import pytest

from tff_pipelines.reports import results

pytestmark = pytest.mark.filterwarnings('error')


def test_parse_fills_in_what_may_be_absent():
  parsed = results.parse({'columns': [{'key': 'spam_caught'}], 'rows': []})
  assert parsed == results.Results(
    title='Results',
    primary='spam_caught',
    columns=(results.Column('spam_caught', 'spam caught', 'ratio', None),),
    rows=(),
  )


def test_parse_leaves_parsed_results_as_they_are():
  parsed = results.parse({'columns': [], 'rows': []})
  assert results.parse(parsed) is parsed


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (None, 'to be an object with columns and rows, found NoneType'),
    ({'rows': []}, 'to hold a list of columns, found None'),
    ({'columns': []}, 'to hold a list of rows, found None'),
    (
      {'columns': [{}], 'rows': []},
      'every column of the results to have a key',
    ),
    (
      {'columns': [{'key': 'a', 'format': 'furlongs'}], 'rows': []},
      "format of column 'a' to be one of percent, ratio, .*, found 'furlongs'",
    ),
    (
      {'columns': [{'key': 'a', 'better': 'up'}], 'rows': []},
      "column 'a' to be better when higher or lower, found 'up'",
    ),
    ({'columns': [], 'rows': [{'accuracy': 1}]}, 'to name its system, found'),
  ],
)
def test_parse_says_what_is_malformed(content, message):
  with pytest.raises(results.MalformedResultsError, match=message):
    results.parse(content)


def test_row_and_column_are_found_by_name():
  parsed = results.parse({'columns': [], 'rows': [{'system': 'a', 'x': 1}]})
  assert parsed.row('a') == {'system': 'a', 'x': 1}
  assert parsed.row('b') is None
  assert parsed.column('f_score').title == 'f score'


@pytest.mark.parametrize('found', [None, math.nan, math.inf, True, '3'])
def test_value_is_a_finite_number_or_none(found):
  assert results.value({'x': found}, 'x') is None
  assert results.value({'x': 3}, 'x') == 3.0
  assert results.value({}, 'x') is None
  assert results.value(None, 'x') is None
