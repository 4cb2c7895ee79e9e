"""The report of a reproduction: tables, figures, page."""

import copy
import html
import json
import math

import numpy as np
import pytest
import rich.console

from tff_pipelines.reports import (
  reproduction_page,
  reproduction_picture,
  reproduction_tables,
  run_files,
)

CLAIM = {
  'label': 'IID, C = 0.1', 'where': 'Table 1', 'row': 'C = 0.1',
  'column': 'IID', 'format': 'count', 'sign': False, 'paper': 87,
  'low': -math.inf, 'high': 87, 'why': 'the <paper>',
  'numbers': [[61.5, 61.5], [70, 70]], 'median': [65.75, 65.75],
  'verdict': 'met', 'reason': '',
}  # fmt: skip
MISSED = {
  **CLAIM, 'label': 'C = 1', 'row': 'C = 1.0', 'paper': 380,
  'numbers': [[480, math.inf]], 'median': [480, math.inf],
  'verdict': 'missed',
}  # fmt: skip
FAILED = {
  **CLAIM, 'label': 'C = 0', 'row': 'C = 0.0', 'numbers': [], 'median': None,
  'verdict': 'failed', 'reason': 'Expected <bread>, found none.',
}  # fmt: skip
CURVES = {
  'title': 'Accuracy', 'kind': 'curves', 'x': 'round_num',
  'y': 'test/accuracy', 'x_title': '', 'y_title': '', 'log': False,
  'y_limits': [0, 1],
  'curves': [
    {
      'label': 'IID',
      'lines': [
        {'seed': 0, 'points': [[0, 0.1], [1, 0.9]]},
        {'seed': 1, 'points': [[0, 0.2], [1, 0.8]]},
      ],
    }
  ],
  'paper': [{'label': 'paper', 'points': [[87, 0.97]], 'line': False}],
}  # fmt: skip
DOTS = {
  **CURVES, 'title': 'Rounds', 'kind': 'claims', 'curves': [], 'paper': [],
  'y_limits': None,
}  # fmt: skip
RECORD = {
  'paper': {
    'name': 'p', 'title': 'Paper', 'authors': 'A & B', 'year': 2017,
    'source': 'arXiv 1',
  },
  'machine': {'processor': 'a CPU', 'cores': 2},
  'experiments': [
    {
      'name': 'table1', 'title': 'Rounds to 97 %', 'where': 'Table 1',
      'deviations': ['Fewer <seeds>.'], 'minutes': 15, 'seconds': 90.0,
      'runs': [
        {
          'name': 'iid', 'label': 'IID', 'seeds': [0, 1],
          'best': {'client_learning_rate': 0.1},
          'tried': [
            {
              'values': {'client_learning_rate': 0.1}, 'standing': 'finished',
              'score': [61.5, 61.5],
            },
            {
              'values': {'client_learning_rate': 0.2}, 'standing': 'cut',
              'score': [62, math.inf],
            },
          ],
          'jobs': [],
        }
      ],
      'claims': [CLAIM, MISSED, FAILED],
      'figures': [CURVES, DOTS],
    }
  ],
}  # fmt: skip


@pytest.mark.parametrize(
  'number, kind, sign, expected',
  [
    ([87, 87], 'count', False, '87'),
    ([61.54, 61.54], 'count', False, '61.5'),
    ([1468.2, 1468.2], 'count', False, '1,468'),
    ([480, math.inf], 'count', False, '> 480'),
    ([0, 0.2], 'ratio', False, '< 0.2'),
    ([-math.inf, -4], 'ratio', True, '< \N{MINUS SIGN}4'),
    ([1, 2], 'ratio', False, '1 to 2'),
    ([0.9712, 0.9712], 'percent', False, '97.12 %'),
    ([-0.0041, -0.0041], 'percent', True, '\N{MINUS SIGN}0.41 points'),
    ([0.0041, 0.0041], 'percent', True, '+0.41 points'),
    ([3, 3], 'count', True, '+3'),
    ([2.5e6, 2.5e6], 'bytes', False, '2.5 MB'),
    (None, 'count', False, '\N{EN DASH}'),
  ],
)
def test_numbers_are_written_with_what_is_known_of_them(
  number, kind, sign, expected
):
  assert reproduction_tables.number_text(number, kind, sign=sign) == expected


@pytest.mark.parametrize(
  'low, high, expected',
  [
    (-math.inf, 87, 'at most 87'),
    (20, math.inf, 'at least 20'),
    (20, 87, '20 to 87'),
    (-math.inf, math.inf, ''),
  ],
)
def test_bounds_in_words(low, high, expected):
  claim = {**CLAIM, 'low': low, 'high': high}
  assert reproduction_tables.bound_text(claim) == expected


def test_table_on_a_terminal_shows_what_was_missed_with_its_number():
  console = rich.console.Console(width=100)
  with console.capture() as captured:
    console.print(reproduction_tables.claims(RECORD['experiments'][0]))
  text = captured.get()
  assert 'Rounds to 97 % (Table 1)' in text
  (missed,) = [line for line in text.splitlines() if 'MISSED' in line]
  assert missed.split()[:4] == ['C', '=', '1', '380']
  assert '> 480' in missed
  assert 'FAILED' in text


@pytest.mark.parametrize(
  'kind, sign, numbers, expected',
  [
    ('percent', False, [0.9, 0.913], '90, 91.3 %'),
    ('percent', True, [0.01, -0.01], '+1.00, \N{MINUS SIGN}1.00 points'),
    ('bytes', False, [2.5e6, 3e6], '2.5, 3.0 MB'),
    ('bytes', False, [2.5e6, 3e9], '2.5 MB, 3.0 GB'),
    ('count', False, [87, math.inf], '87, > 87'),
  ],
)
def test_numbers_of_seeds_have_their_unit_once(kind, sign, numbers, expected):
  low = [min(n, 87) if kind == 'count' else n for n in numbers]
  claim = {
    **CLAIM, 'format': kind, 'sign': sign,
    'numbers': list(zip(low, numbers, strict=True)),
  }  # fmt: skip
  assert reproduction_tables.cells(claim)[4] == expected


def test_why_claims_failed_is_told_once():
  other = {**FAILED, 'reason': 'Expected luck.'}
  experiment = {'claims': [CLAIM, FAILED, other, MISSED, FAILED]}
  assert reproduction_tables.failures(experiment) == [
    'FAILED: Expected <bread>, found none.',
    'FAILED: Expected luck.',
  ]


def test_summary_counts_what_was_asked():
  shown = {**CLAIM, 'verdict': 'shown'}
  experiment = {**RECORD['experiments'][0], 'claims': [CLAIM, MISSED, shown]}
  assert reproduction_tables.summary([experiment]) == (
    '1 of 2 claims met, 1 missed.'
  )


def ends_differ(figure):
  """The figure with a second seed that went on for longer."""
  found = copy.deepcopy(figure)
  found['curves'][0]['lines'][1]['points'].append([2, 0.95])
  return found


def test_seeds_that_were_measured_alike_are_a_median_in_a_band():
  drawn = reproduction_picture.draw(CURVES, [])
  (axes,) = drawn.axes
  middle, paper = axes.get_lines()
  np.testing.assert_allclose(middle.get_ydata(), [0.15, 0.85])
  (band,) = axes.collections
  (path,) = band.get_paths()
  assert {tuple(np.round(v, 6)) for v in path.vertices} == {
    (0.0, 0.1), (0.0, 0.2), (1.0, 0.8), (1.0, 0.9),
  }  # fmt: skip
  assert list(paper.get_xdata()) == [87]
  assert axes.get_ylim() == (0, 1)
  (legend,) = drawn.legends
  assert [t.get_text() for t in legend.get_texts()] == ['IID', 'paper']
  assert 'the median of 2 seeds in a band' in (
    reproduction_picture.caption(CURVES)
  )


def test_seeds_that_ended_at_different_rounds_have_a_line_each():
  figure = ends_differ(CURVES)
  drawn = reproduction_picture.draw(figure, [])
  (axes,) = drawn.axes
  first, second, paper = axes.get_lines()
  assert list(first.get_ydata()) == [0.1, 0.9]
  assert first.get_color() == second.get_color() != paper.get_color()
  assert not axes.collections
  assert 'a line for each of 2 seeds' in reproduction_picture.caption(figure)


@pytest.mark.parametrize('figure', [CURVES, ends_differ(CURVES)])
def test_logarithmic_axis_has_no_round_without_bytes(figure):
  found = reproduction_picture.draw({**figure, 'log': True}, [])
  assert 0 not in {x for line in found.axes[0].lines for x in line.get_xdata()}


def test_the_seeds_extent_is_in_the_table_of_places():
  assert reproduction_tables.extent_text({**CLAIM, 'numbers': [[3, 3]]}) == ''
  known = {**CLAIM, 'numbers': [[87, 87], [93, 93], [90, 90]]}
  assert reproduction_tables.extent_text(known) == '87 to 93'
  assert (
    reproduction_tables.extent_text(
      {**known, 'numbers': [[87, 87], [90, math.inf]]}
    )
    == ''
  )


def test_numbers_of_which_nothing_is_claimed_have_no_verdict():
  shown = {**CLAIM, 'verdict': 'shown', 'low': -math.inf, 'high': math.inf}
  experiment = {**RECORD['experiments'][0], 'claims': [shown]}
  assert reproduction_tables.summary([experiment]) == (
    'Numbers of which nothing was claimed.'
  )
  assert 'verdict' not in reproduction_tables.claims_html(experiment)


def test_cell_without_a_number_of_the_paper_does_not_name_it(tmp_path):
  record = copy.deepcopy(RECORD)
  for claim in record['experiments'][0]['claims']:
    claim['paper'] = None
  (tmp_path / 'reproduction.json').write_text(json.dumps(record))
  assert 'paper: ' not in reproduction_page.write(tmp_path).read_text()


def test_source_without_a_year(tmp_path):
  record = copy.deepcopy(RECORD)
  record['paper']['year'] = None
  (tmp_path / 'reproduction.json').write_text(json.dumps(record))
  page = reproduction_page.write(tmp_path, dpi=50).read_text()
  assert 'A &amp; B. arXiv 1' in page


def test_dots_stand_at_their_rows_and_those_unknown_are_arrows():
  claims = RECORD['experiments'][0]['claims']
  drawn = reproduction_picture.draw(DOTS, claims)
  (axes,) = drawn.axes
  assert [t.get_text() for t in axes.get_xticklabels()] == [
    'C = 0.1', 'C = 1.0', 'C = 0.0',
  ]  # fmt: skip
  medians = {
    line.get_xdata()[0]: line
    for line in axes.get_lines()
    if line.get_markersize() == 8
  }
  assert [float(line.get_ydata()[0]) for line in medians.values()] == [
    65.75, 480,
  ]  # fmt: skip
  assert 'arrow' in axes.get_title(loc='right')


@pytest.mark.parametrize('figure', [CURVES, DOTS])
def test_nothing_is_drawn_of_nothing(figure):
  assert reproduction_picture.draw({**figure, 'curves': []}, [FAILED]) is None


def test_page_holds_it_all(tmp_path):
  (tmp_path / 'reproduction.json').write_text(json.dumps(RECORD))
  report = reproduction_page.write(tmp_path, dpi=50)
  page = report.read_text(encoding='utf-8')
  for text in (
    'Paper, reproduced', 'A &amp; B, 2017. arXiv 1',
    '1 of 3 claims met, 1 missed, 1 failed.', 'Fewer &lt;seeds&gt;.',
    'Expected &lt;bread&gt;', 'the &lt;paper&gt;', 'paper: 87', '&gt; 480',
    'on 2 cores of a CPU', 'client learning rate 0.2: &gt; 62',
  ):  # fmt: skip
    assert text in page, html.unescape(text)
  assert page.count('<img ') == 2
  assert sorted(p.name for p in (tmp_path / 'figures').iterdir()) == [
    'table1_1.png', 'table1_1.svg', 'table1_2.png', 'table1_2.svg',
  ]  # fmt: skip


def test_page_without_a_grid_places_or_figures_is_shorter(tmp_path):
  record = copy.deepcopy(RECORD)
  (experiment,) = record['experiments']
  experiment['figures'] = []
  experiment['runs'][0]['tried'] = experiment['runs'][0]['tried'][:1]
  for claim in experiment['claims']:
    claim['row'] = claim['column'] = ''
  (tmp_path / 'reproduction.json').write_text(json.dumps(record))
  page = reproduction_page.write(tmp_path).read_text(encoding='utf-8')
  assert '<img ' not in page and 'The grid' not in page
  assert 'paper: 87' not in page


def test_record_that_is_missing_or_damaged(tmp_path):
  assert reproduction_page.read_record(tmp_path) is None
  (tmp_path / 'reproduction.json').write_text('{')
  with pytest.raises(run_files.BrokenRunFileError):
    reproduction_page.read_record(tmp_path)
