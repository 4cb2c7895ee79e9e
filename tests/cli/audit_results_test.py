"""What an audit leaves."""

import math
import re

import pytest

from tff_pipelines.cli import audit_results

ONE_SHOT = {
  'accountant': 2.0,
  'estimate': math.inf,
  'estimate_all_rounds': 1.5,
  'lower_bound': 0.78,
}


def test_a_row_for_each_attack_and_no_infinite_epsilon():
  rows = audit_results.rows(
    {
      'one_shot': ONE_SHOT,
      'membership': [{'name': 'loss threshold', 'auc': 0.6}],
      'outlier': {'systems': [{'name': 'with noise', 'told_apart': 0.5}]},
    }
  )
  assert [row['system'] for row in rows] == [
    'canaries, final model',
    'canaries, every round',
    'loss threshold',
    'outlier, with noise',
  ]
  assert [row['estimate'] for row in rows] == [None, 1.5, None, None]
  assert [row['lower_bound'] for row in rows] == [None, 0.78, None, None]
  assert rows[2]['auc'] == 0.6
  assert rows[3]['told_apart'] == 0.5


def test_nothing_found_is_no_row():
  assert audit_results.rows({}) == []


@pytest.mark.parametrize(
  ('accountant', 'least', 'said'),
  [
    (2.0, 0.78, r'at least 0\.78; the accountant says at most 2\.'),
    (
      0.5,
      0.78,
      r'at least 0\.78, which contradicts the accountant, who says 0\.5\.',
    ),
    (None, 0.78, r'at least 0\.78; the run promises nothing\.'),
  ],
)
def test_the_sentence_compares_bound_and_accountant(accountant, least, said):
  found = {'one_shot': {'accountant': accountant, 'lower_bound': least}}
  assert re.search(said, audit_results.sentence(found))
  assert audit_results.sentence({}) is None
