"""Numbers out of run directories, and verdicts about them."""

import json
import math

import pytest

from tff_pipelines.programs import reproduction_measures, reproduction_paper

Number = reproduction_measures.Number
Measure = reproduction_paper.Measure


def test_rounds_are_interpolated_between_evaluations():
  points = [(0, 0.1), (10, 0.5), (20, 0.9)]
  assert reproduction_measures.rounds_to(points, 0.7) == Number.exactly(15)
  assert reproduction_measures.rounds_to(points, 0.5) == Number.exactly(10)
  assert reproduction_measures.rounds_to(points, 0.9) == Number.exactly(20)


def test_curve_is_made_monotone_before_it_is_interpolated():
  # Round 20 counts as 0.8, so half of the way to 1.0 at 30 is 0.9.
  points = [(0, 0.0), (10, 0.8), (20, 0.2), (30, 1.0)]
  assert reproduction_measures.rounds_to(points, 0.9) == Number.exactly(25)


def test_target_that_is_reached_at_the_start_takes_no_rounds():
  points = [(0, 0.99), (1, 0.5)]
  assert reproduction_measures.rounds_to(points, 0.97) == Number.exactly(0)


def test_target_that_is_not_reached_takes_more_than_all_rounds():
  found = reproduction_measures.rounds_to([(0, 0.1), (480, 0.96)], 0.97)
  assert found == Number(480, math.inf)
  assert found.exact is None


def test_ratio_of_numbers_is_exact():
  ratio = Number.exactly(12) / Number.exactly(4)
  assert (ratio, ratio.exact) == (Number(3, 3), 3)


def test_ratio_of_more_than_something_is_more_than_something():
  assert Number.more_than(100) / Number.exactly(20) == Number(5, math.inf)
  assert Number.exactly(20) / Number.more_than(100) == Number(0, 0.2)
  assert Number.more_than(5) / Number.more_than(5) == Number(0, math.inf)


def test_difference_of_more_than_something():
  assert Number.exactly(7) - Number.exactly(9) == Number(-2, -2)
  assert Number.more_than(7) - Number.exactly(3) == Number(4, math.inf)
  assert Number.exactly(3) - Number.more_than(7) == Number(-math.inf, -4)


@pytest.mark.parametrize(
  'numbers, expected',
  [
    ([Number.exactly(3), Number.exactly(9), Number.exactly(5)], Number(5, 5)),
    ([Number.exactly(3), Number.more_than(9), Number.exactly(5)], Number(5, 5)),
    (
      [Number.exactly(3), Number.more_than(9), Number.more_than(8)],
      Number(8, math.inf),
    ),
    ([Number.exactly(4), Number.exactly(5)], Number(4.5, 4.5)),
  ],
)
def test_median_over_seeds(numbers, expected):
  assert reproduction_measures.median(numbers) == expected


@pytest.mark.parametrize(
  'number, low, high, expected',
  [
    (Number.exactly(87), -math.inf, 87, 'met'),
    (Number.exactly(87.1), -math.inf, 87, 'missed'),
    (Number.more_than(87), -math.inf, 87, 'missed'),
    (Number.more_than(90), -math.inf, 87, 'missed'),
    (Number.more_than(80), -math.inf, 87, 'undecided'),
    (Number.more_than(80), 80, math.inf, 'met'),
    (Number.more_than(80), 81, math.inf, 'undecided'),
    (Number.exactly(0.5), 0.5, 0.6, 'met'),
    (Number.exactly(0.61), 0.5, 0.6, 'missed'),
    (Number.exactly(0.49), 0.5, 0.6, 'missed'),
    (Number(0, 0.2), 0.5, math.inf, 'missed'),
    (Number.exactly(math.nan), 0.5, math.inf, 'missed'),
    (Number.exactly(math.nan), -math.inf, math.inf, 'shown'),
    (Number.more_than(80), -math.inf, math.inf, 'shown'),
  ],
)
def test_verdict(number, low, high, expected):
  assert reproduction_measures.verdict(number, low, high) == expected


@pytest.fixture
def run_dir(tmp_path):
  (tmp_path / 'metrics.csv').write_text(
    'round_num,test/accuracy,uplink_bytes,cohort/clients\n'
    '0,0.1,,\n'
    '1,,100,5\n'
    '2,0.5,200,5\n'
    '3,,300,5\n'
    '4,0.4,400,5\n'
    '5,nan,500,5\n'
  )
  (tmp_path / 'central').mkdir()
  (tmp_path / 'central' / 'metrics.csv').write_text(
    'round_num,test/accuracy\n0,0.2\n1,0.9\n'
  )
  (tmp_path / 'results.json').write_text(
    json.dumps(
      {
        'rows': [{'system': 'federated', 'accuracy': 0.4, 'loss': None}],
        'details': {'loss': [3, 1.5]},
      }
    )
  )
  return tmp_path


@pytest.mark.parametrize(
  'what, expected',
  [
    (Measure('rounds_to', 'test/accuracy', target=0.3), Number.exactly(1)),
    (Measure('rounds_to', 'test/accuracy', target=0.6), Number.more_than(4)),
    (
      Measure('bytes_to', 'test/accuracy', target=0.3, column='uplink_bytes'),
      Number.exactly(100),
    ),
    (
      Measure('bytes_to', 'test/accuracy', target=0.6, column='uplink_bytes'),
      Number.more_than(400),
    ),
    (Measure('final', 'test/accuracy'), Number.exactly(0.4)),
    (Measure('highest', 'test/accuracy'), Number.exactly(0.5)),
    (Measure('lowest', 'test/accuracy'), Number.exactly(0.1)),
    (Measure('at', 'test/accuracy', round_num=3), Number.exactly(0.45)),
    (Measure('at', 'test/accuracy', round_num=0), Number.exactly(0.1)),
    (Measure('rise', 'test/accuracy', over=3), Number.exactly(0.1)),
    (Measure('final', 'test/accuracy', system='central'), Number.exactly(0.9)),
    (Measure('result', column='accuracy'), Number.exactly(0.4)),
    (
      Measure('json', file='results.json', path=('details', 'loss', 1)),
      Number.exactly(1.5),
    ),
  ],
  ids=lambda p: p.kind if isinstance(p, Measure) else '',
)
def test_measures_of_a_run(run_dir, what, expected):
  found = reproduction_measures.measure(run_dir, what, 'federated')
  assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
  'what, told',
  [
    (Measure('final', 'test/auc'), 'Expected values of test/auc in '),
    (
      Measure('bytes_to', 'test/accuracy', target=1, column='downlink_bytes'),
      'Expected values of downlink_bytes in ',
    ),
    (
      Measure('at', 'test/accuracy', round_num=9),
      'Expected round 9 among the evaluated rounds 0 to 4 of ',
    ),
    (
      Measure('result', column='accuracy', system='local'),
      'Expected local in the final table of ',
    ),
    (
      Measure('result', column='loss'),
      'Expected a number as loss of federated',
    ),
    (
      Measure('json', file='results.json', path=('details', 'loss', 2)),
      'Expected details/loss/2 in ',
    ),
    (Measure('json', file='x.json', path=('a',)), 'Expected JSON in '),
    (
      Measure('final', 'test/accuracy', system='local'),
      'Expected a table of numbers in ',
    ),
  ],
  ids=lambda p: p.kind if isinstance(p, Measure) else '',
)
def test_what_is_not_there_is_named(run_dir, what, told):
  with pytest.raises(reproduction_measures.MeasureError) as raised:
    reproduction_measures.measure(run_dir, what, 'federated')
  assert str(raised.value).startswith(told)


def test_table_that_holds_words_is_refused(tmp_path):
  path = tmp_path / 'metrics.csv'
  path.write_text('round_num,test/accuracy\n0,many\n')
  with pytest.raises(
    reproduction_measures.MeasureError, match='cannot be read'
  ):
    reproduction_measures.read_table(path)


def test_curves_of_a_table_and_of_a_figure(tmp_path):
  table = tmp_path / 'metrics.csv'
  table.write_text('round_num,a\n0,1\n1,\n2,3\n')
  assert reproduction_measures.curves(table, 'round_num', 'a') == {
    '': [(0.0, 1.0), (2.0, 3.0)]
  }
  figure = tmp_path / 'figure.json'
  figure.write_text(
    json.dumps(
      {'curves': [{'name': 'started_alike', 'w': [0, 1], 'l': [5, 6]}]}
    )
  )
  assert reproduction_measures.curves(figure, 'w', 'l') == {
    'started alike': [(0, 5), (1, 6)]
  }
  with pytest.raises(
    reproduction_measures.MeasureError, match='Expected curves with a name, x'
  ):
    reproduction_measures.curves(figure, 'x', 'l')
