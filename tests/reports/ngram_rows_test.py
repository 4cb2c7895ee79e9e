import pytest

from tff_pipelines.reports import ngram_rows, results

pytestmark = pytest.mark.filterwarnings('error')


def _final(values, better='higher'):
  rows = tuple({'system': name, 'x': value} for name, value in values.items())
  column = results.Column('x', 'x', 'percent', better)
  return results.Results('title', 'x', (column,), rows)


@pytest.mark.parametrize(
  ('values', 'better', 'expected'),
  [
    ({'unigram': 0.1, 'bigram': 0.3, 'trigram': 0.2}, 'higher', 'bigram'),
    ({'unigram': 0.1, 'bigram': 0.3, 'trigram': 0.2}, 'lower', 'unigram'),
    ({'trigram': 0.2, 'bigram': 0.2}, 'higher', 'trigram'),
    ({'trigram': None, 'bigram': 0.2, 'federated': 0.9}, 'higher', 'bigram'),
    ({'central': 0.2}, 'higher', None),
    ({}, None, None),
  ],
)
def test_the_strongest_has_the_best_primary_value(values, better, expected):
  final = _final(values, better)
  assert ngram_rows.strongest(final) == expected
  assert expected not in ngram_rows.weaker(final)


def test_only_those_that_come_into_question():
  final = _final({'unigram': 0.1, 'bigram': 0.3, 'trigram': 0.2})
  assert ngram_rows.strongest(final, ['trigram', 'central']) == 'trigram'
