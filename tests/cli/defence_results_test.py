"""What came of aggregators under attack, in words and files."""

import csv
import dataclasses
import json

import pytest

from tff_pipelines.cli import defence_results
from tff_pipelines.programs import run_directory


def defence(attack, aggregator, lost, *, success=None, expected=False):
  return defence_results.Defence(
    attack,
    aggregator,
    accuracy=0.9 - lost,
    lost=lost,
    attack_success=success,
    expected=expected,
    by_round=((3, 0, 0.5), (3, 2, 0.9 - lost)),
  )


FOUND = defence_results.Defences(
  defences=(
    defence('none', 'mean', 0.0, success=0.125, expected=True),
    defence('none', 'median', 0.0, success=0.125, expected=True),
    defence('sign_flip', 'mean', 0.5),
    defence('sign_flip', 'median', 0.0625, expected=True),
    defence('backdoor', 'mean', -0.25, success=1.0),
    defence('backdoor', 'median', 0.03125, success=0.25, expected=True),
  ),
  num_clients=16,
  num_attackers=4,
  most_attackers=(3, 8),
  settings={'seed': 5, 'attackers': 4},
  backdoor='backdoor: a patch',
)


def without_backdoor() -> defence_results.Defences:
  return dataclasses.replace(FOUND, defences=FOUND.defences[:4], backdoor=None)


def test_rows_are_pairs_with_what_was_measured():
  assert [row['system'] for row in FOUND.rows] == [
    'mean, none', 'median, none', 'mean, sign_flip', 'median, sign_flip',
    'mean, backdoor', 'median, backdoor',
  ]  # fmt: skip
  assert FOUND.rows[4] == {
    'system': 'mean, backdoor',
    'accuracy': 1.15,
    'lost': -0.25,
    'attack_success': 1.0,
  }
  assert FOUND.rows[3]['attack_success'] is None


def test_without_a_backdoor_there_is_no_column_for_it():
  keys = [column.key for column in without_backdoor().columns]
  assert keys == ['accuracy', 'lost']
  assert list(without_backdoor().rows[0]) == ['system', *keys]


def test_sentence_names_the_best_and_the_worst():
  assert FOUND.sentence == (
    'With 4 of 16 clients attacking, median loses up to 6.2 points of accuracy '
    '(sign_flip) and mean loses up to 50.0 points of accuracy (sign_flip).'
  )


def test_sentence_of_one_aggregator():
  alone = dataclasses.replace(FOUND, defences=FOUND.defences[0::2])
  assert alone.sentence == (
    'With 4 of 16 clients attacking, mean loses up to 50.0 points of accuracy '
    '(sign_flip).'
  )


def test_notes_say_what_theory_says():
  counts, hold, do_not, backdoor = FOUND.notes
  assert counts.startswith(
    '4 of 16 clients attack, at the most 3 of the 8 in a round'
  )
  assert hold == (
    'by theory so many are withstood by median, the better the more alike '
    'honest clients are; most is lost by median, 6.2 points of accuracy to '
    'sign_flip'
  )
  assert do_not == 'by theory so many are not withstood by mean'
  assert backdoor == 'backdoor: a patch'


def test_notes_where_all_or_none_should_hold():
  all_hold = dataclasses.replace(
    without_backdoor(), defences=FOUND.defences[1:4:2]
  )
  assert len(all_hold.notes) == 2
  assert 'withstood by median, the' in all_hold.notes[1]
  none_holds = dataclasses.replace(
    without_backdoor(), defences=FOUND.defences[0:3:2]
  )
  assert none_holds.notes[1:] == ['by theory so many are not withstood by mean']


@pytest.fixture
def folder(tmp_path):
  defence_results.write(run_directory.RunDirectory(tmp_path), FOUND)
  return tmp_path / 'maps' / 'defences'


def table(path):
  with open(path, newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def test_figure_has_a_curve_for_each_pair(folder):
  figure = json.loads((folder / 'figure.json').read_text())
  assert figure['figure'] == figure['kind'] == 'defences'
  assert figure['settings'] == {'seed': 5, 'attackers': 4}
  assert figure['notes'] == FOUND.notes
  assert figure['curves'][3] == {
    'name': 'median, sign_flip',
    'attack': 'sign_flip',
    'aggregator': 'median',
    'accuracy': 0.9 - 0.0625,
    'lost': 0.0625,
    'attack_success': None,
    'expected': True,
  }
  assert len(figure['curves']) == 6


def test_server_has_the_accuracy_by_round(folder):
  rows = table(folder / 'server.csv')
  assert len(rows) == 12
  assert rows[5] == {
    'curve': '2', 'seed': '3', 'step': '2', 'round_num': '2', 'accuracy': '0.4',
  }  # fmt: skip


def test_table_has_a_row_for_each_pair(folder):
  rows = table(folder / 'defences.csv')
  assert [row['attack'] for row in rows][::2] == [
    'none',
    'sign_flip',
    'backdoor',
  ]
  assert rows[4]['attack_success'] == '1.0'
  assert rows[2] == {
    'attack': 'sign_flip',
    'aggregator': 'mean',
    'accuracy': '0.4',
    'lost': '0.5',
    'attack_success': '',
    'expected': 'False',
  }
