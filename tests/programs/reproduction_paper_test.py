"""The reader of expected.json: what it takes, and what it refuses."""

import copy
import json
import math
import pathlib

import pytest

from tff_pipelines.programs import reproduction_paper

PAPERS = pathlib.Path(__file__).parents[2] / 'tasks' / 'papers'

ROUNDS = {'rounds_to': {'metric': 'test/accuracy', 'target': 0.97}}
CONTENT = {
  'title': 'Averaging',
  'authors': 'McMahan et al.',
  'year': 2017,
  'arxiv': '1602.05629',
  'experiments': [
    {
      'name': 'table1',
      'title': 'Rounds to 97 %',
      'where': 'Table 1',
      'task': 'digits',
      'minutes': 15,
      'seeds': [0, 1],
      'grid': {'client_learning_rate': [0.1, 0.2], 'batch_size': [10, 20]},
      'choose': {'least': ROUNDS},
      'runs': [
        {'name': 'iid', 'flagfile': 'a.flags', 'flags': {'rounds': 5}},
        {
          'name': 'central',
          'label': 'Central',
          'grid': {},
          'seeds': [3],
          'system': 'central',
          'minutes': 2,
        },
      ],
      'claims': [
        {
          'label': 'fast',
          'run': 'iid',
          'measure': ROUNDS,
          'paper': 87,
          'at_most': 87,
          'why': 'the number of the paper',
          'row': '0.1',
          'column': 'IID',
        },
        {
          'label': 'near',
          'run': 'iid',
          'measure': {'final': {'metric': 'test/accuracy'}},
          'than': 'central',
          'combine': 'difference',
          'within': [-0.01, 1],
          'why': 'one point',
        },
      ],
      'figures': [
        {
          'title': 'Accuracy',
          'y': 'test/accuracy',
          'runs': ['iid', 'central', 'iid/central'],
          'paper': [{'label': 'paper', 'points': [[87, 0.97]]}],
        },
        {'title': 'Rounds', 'kind': 'claims', 'log': True},
      ],
    }
  ],
}


@pytest.fixture
def folder(tmp_path):
  (tmp_path / 'a.flags').write_text('--rounds=3\n')
  return tmp_path


def read(folder, content) -> reproduction_paper.Paper:
  (folder / 'expected.json').write_text(json.dumps(content))
  return reproduction_paper.read(folder)


def test_paper_is_read(folder):
  paper = read(folder, CONTENT)
  assert (paper.name, paper.title) == (folder.name, 'Averaging')
  assert (paper.authors, paper.year) == ('McMahan et al.', 2017)
  assert paper.source == 'arXiv 1602.05629'
  (experiment,) = paper.experiments
  assert paper.experiment('table1') is experiment
  assert experiment.minutes == 15


def test_runs_inherit_what_they_do_not_say(folder):
  iid, central = read(folder, CONTENT).experiments[0].runs
  assert (iid.label, iid.task, iid.system) == ('iid', 'digits', 'federated')
  assert iid.flagfile == folder / 'a.flags'
  assert (iid.seeds, central.seeds) == ((0, 1), (3,))
  assert (central.task, central.system) == ('digits', 'central')
  assert (central.flagfile, central.file_arguments) == (None, ())
  assert central.grid_values() == [{}]
  assert iid.grid_values() == [
    {'client_learning_rate': 0.1, 'batch_size': 10},
    {'client_learning_rate': 0.1, 'batch_size': 20},
    {'client_learning_rate': 0.2, 'batch_size': 10},
    {'client_learning_rate': 0.2, 'batch_size': 20},
  ]


def test_claims_have_bounds_and_formats(folder):
  fast, near = read(folder, CONTENT).experiments[0].claims
  assert (fast.low, fast.high, fast.paper) == (-math.inf, 87, 87)
  assert (fast.format, near.format) == ('count', 'percent')
  assert (near.low, near.high, near.paper) == (-0.01, 1, None)
  assert near.than_measure == near.measure
  assert fast.than_measure is None


def test_figures_name_systems(folder):
  curves, dots = read(folder, CONTENT).experiments[0].figures
  assert curves.runs == (
    ('iid', 'federated'),
    ('central', 'central'),
    ('iid', 'central'),
  )
  assert curves.paper[0].points == ((87.0, 0.97),)
  assert (dots.kind, dots.log) == ('claims', True)


def changed(*path, value):
  content = copy.deepcopy(CONTENT)
  at = content
  for key in path[:-1]:
    at = at[key]
  if value is None:
    del at[path[-1]]
  else:
    at[path[-1]] = value
  return content


EXPERIMENT = ('experiments', 0)
RUN = (*EXPERIMENT, 'runs', 0)
CLAIM = (*EXPERIMENT, 'claims', 0)
NEAR = (*EXPERIMENT, 'claims', 1)
FIGURE = (*EXPERIMENT, 'figures', 0)


@pytest.mark.parametrize(
  'path, value, told',
  [
    (('titel',), 'x', "'titel'; correct or remove it"),
    (('title',), None, "Expected 'title' at the top, found authors, year"),
    (('year',), 'MMXVII', "Expected whole number at year, found 'MMXVII'"),
    (('source',), 'x', 'Expected one of arxiv and source at the top'),
    ((*EXPERIMENT, 'seed'), 1, 'experiments[0] only '),
    ((*EXPERIMENT, 'seeds'), [0, 0], 'each once, at experiments[0].seeds'),
    ((*EXPERIMENT, 'name'), 'a/b', 'experiments[0].name'),
    ((*EXPERIMENT, 'choose'), None, 'Expected experiments[0].choose, which'),
    ((*EXPERIMENT, 'choose'), {'best': ROUNDS}, 'one of least and most'),
    ((*EXPERIMENT, 'runs'), [], 'Expected a run at experiments[0].runs'),
    ((*EXPERIMENT, 'grid', 'x'), [], 'a list of values at'),
    ((*EXPERIMENT, 'grid', 'seed'), [1], 'Expected no --seed at'),
    ((*RUN, 'race_rounds'), 'soon', 'runs[0].race_rounds'),
    ((*RUN, 'flagfile'), 'b.flags', "runs[0].flagfile, found 'b.flags'"),
    ((*RUN, 'flags'), {'x': {}}, 'runs[0].flags.x, found {}'),
    ((*RUN, 'flags'), {'output_dir': 'x'}, 'Expected no --output_dir at'),
    ((*RUN, 'flags'), {'batch_size': 3}, 'or in the grid, found it in both'),
    ((*RUN, 'flag'), {}, 'runs[0] only name, flagfile'),
    ((*EXPERIMENT, 'runs', 1, 'name'), 'iid', "found 'iid' twice"),
    ((*CLAIM, 'run'), 'iidd', 'a run out of iid'),
    ((*CLAIM, 'why'), None, 'claims[0].why, the reason of its bound'),
    ((*CLAIM, 'at_least'), 3, 'Expected one of at_most and at_least'),
    ((*CLAIM, 'measure'), {'round_to': {}}, 'one of rounds_to, bytes_to'),
    (
      (*CLAIM, 'measure'),
      {'rounds_to': {'metric': 'x'}},
      "Expected 'target' at experiments[0].claims[0].measure.rounds_to",
    ),
    (
      (*CLAIM, 'measure'),
      {'final': {'metric': 'x', 'target': 3}},
      "measure.final only metric, found 'target'",
    ),
    ((*CLAIM, 'column'), None, 'both or none of row and column'),
    ((*NEAR, 'combine'), 'sum', 'one of ratio, difference'),
    ((*NEAR, 'combine'), None, 'both or none of than and combine'),
    ((*NEAR, 'within'), [2, 1], 'Expected [low, high]'),
    ((*CLAIM, 'than_measure'), ROUNDS, 'Expected than with than_measure'),
    ((*FIGURE, 'runs'), ['other'], "figures[0].runs, found 'other'"),
    ((*FIGURE, 'y'), None, "Expected 'y' at experiments[0].figures[0]"),
    ((*FIGURE, 'paper', 0, 'points'), [[1]], 'Expected pairs [x, y]'),
  ],
)
def test_what_does_not_fit_is_refused_by_its_place(folder, path, value, told):
  with pytest.raises(reproduction_paper.PaperError) as raised:
    read(folder, changed(*path, value=value))
  assert told in str(raised.value)
  assert str(raised.value).startswith(f'{folder / "expected.json"}: ')


@pytest.mark.parametrize(
  'text, told',
  [('{', 'cannot be read'), ('{"a": 1, "a": 2}', "'a' stands twice")],
)
def test_what_is_no_json_is_refused(folder, text, told):
  (folder / 'expected.json').write_text(text)
  with pytest.raises(reproduction_paper.PaperError, match=told):
    reproduction_paper.read(folder)


def test_unknown_experiment_is_refused_with_the_known(folder):
  with pytest.raises(
    reproduction_paper.PaperError, match="out of table1, found 'x'"
  ):
    read(folder, CONTENT).experiment('x')


@pytest.mark.parametrize(
  'folder',
  sorted(p.parent for p in PAPERS.glob('*/expected.json')),
  ids=lambda p: p.name,
)
def test_papers_of_this_repository_can_be_read_and_say_what_they_are(folder):
  paper = reproduction_paper.read(folder)
  assert paper.experiments
  assert (folder / 'README.md').is_file()
  flagfiles = {
    run.flagfile for each in paper.experiments for run in each.runs
  } - {None}
  # None lies about unused, and there is no Python.
  assert {p for p in folder.iterdir() if p.suffix == '.flags'} == flagfiles
  assert not list(folder.rglob('*.py'))


def test_a_source_may_have_no_year(folder):
  content = {k: v for k, v in CONTENT.items() if k != 'year'}
  assert read(folder, content).year is None


def test_a_flagfile_is_read_with_the_paper(folder):
  path = folder / 'a.flags'
  path.write_text('# Of the paper.\n--rounds=3\n--clients_per_round=2\n')
  iid, _ = read(folder, CONTENT).experiments[0].runs
  path.write_text('--rounds=4')
  assert iid.file_arguments == ('--rounds=3', '--clients_per_round=2')


def test_a_race_needs_a_choice_by_rounds(folder):
  content = changed(*RUN, 'race_rounds', value=30)
  assert read(folder, content).experiments[0].runs[0].race_rounds == 30
  content['experiments'][0]['choose'] = {
    'most': {'final': {'metric': 'test/accuracy'}}
  }
  with pytest.raises(reproduction_paper.PaperError, match='least rounds_to'):
    read(folder, content)


@pytest.mark.parametrize(
  ('kind', 'combine', 'signed'),
  [
    ('final', None, False),
    ('rise', None, True),
    ('final', 'difference', True),
    ('rise', 'ratio', False),
  ],
)
def test_differences_and_rises_have_a_sign(kind, combine, signed):
  measure = reproduction_paper.Measure(kind)
  claim = reproduction_paper.Claim('c', 'run', measure, combine=combine)
  assert claim.is_difference == signed
