"""What a reproduction is asked for, and what it refuses."""

import pathlib

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import flag_groups, reproduction_flags
from tff_pipelines.programs import reproduction_paper

PAPERS = pathlib.Path(__file__).parents[2] / 'tasks' / 'papers'


@pytest.fixture
def group(monkeypatch):
  # Other groups of this process may have flags of the same names.
  alone = flags.FlagValues()
  for name in ('string', 'boolean', 'integer', 'float', 'list', 'enum'):
    define = getattr(flags, f'DEFINE_{name}')
    monkeypatch.setattr(
      flags,
      f'DEFINE_{name}',
      lambda *a, _define=define, **k: _define(*a, **k, flag_values=alone),
    )
  monkeypatch.setattr(flags, 'FLAGS', alone)
  found = reproduction_flags.ReproductionFlags(PAPERS)
  with flagsaver.flagsaver():
    yield found


def parse(group, *arguments):
  flags.FLAGS(['reproduce', *arguments])
  group.check()
  return group


@pytest.mark.parametrize(
  'arguments, told',
  [
    ([], 'found neither; --list shows the papers'),
    (['--all', '--paper=mcmahan2017'], 'found both'),
    (['--all', '--experiment=cnn'], 'one --paper where --experiment'),
    (['--all', '--workers=-1'], '--workers of at least 0, found -1'),
  ],
)
def test_unclear_choices_are_refused(group, arguments, told):
  with pytest.raises(flag_groups.FlagError, match=told):
    parse(group, *arguments)


def test_unknown_paper_and_experiment_are_refused_with_the_known(group):
  with pytest.raises(flag_groups.FlagError, match=r'mcmahan2017.*--paper=x'):
    parse(group, '--paper=x').run()
  with pytest.raises(reproduction_paper.PaperError, match=r'2nn_table1.*cnn'):
    parse(group, '--paper=mcmahan2017', '--experiment=x').run()


def test_folder_of_data_has_to_be_there(group, tmp_path):
  with pytest.raises(flag_groups.FlagError, match=r'--data_dir=.*nowhere'):
    parse(group, '--all', f'--data_dir={tmp_path / "nowhere"}').run()


def test_list_shows_every_experiment_and_runs_nothing(group, capsys):
  parse(group, '--list').run()
  out = capsys.readouterr().out
  for paper in reproduction_paper.read_all(PAPERS):
    assert paper.name in out
    for experiment in paper.experiments:
      assert experiment.name in out


@pytest.mark.parametrize(
  'workers, name, expected',
  [(8, 'cnn', 2), (1, 'cnn', 1), (8, '2nn_table1', 8)],
)
def test_no_more_workers_than_jobs(group, workers, name, expected):
  chosen = parse(group, '--paper=mcmahan2017', f'--workers={workers}')
  experiment = reproduction_paper.read(PAPERS / 'mcmahan2017').experiment(name)
  assert chosen.num_workers(experiment) == expected
