"""The run directory: opened by a flag, finished with a table and a report."""

import json
import os
import pathlib
import re

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import app, flag_groups, run_flags
from tff_pipelines.data import population
from tff_pipelines.programs import files, results, run_directory

COLUMNS = (
  results.Column('accuracy', 'accuracy', 'accuracy', 'percent', 'higher'),
)


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def people(sizes: dict[str, int]) -> population.ArrayPopulation:
  """People with texts that are no text; every second one is spam."""
  num_examples = sum(sizes.values())
  ends = np.cumsum(list(sizes.values()))
  return population.ArrayPopulation(
    (np.zeros([num_examples]), np.arange(num_examples, dtype=np.int32) % 2),
    {
      name: np.arange(end - size, end)
      for (name, size), end in zip(sizes.items(), ends, strict=True)
    },
  )


DATASET = population.FederatedDataset(
  'mail',
  people({'ann': 4, 'bob': 1}),
  people({'ann': 2}),
  ('ham', 'spam'),
  {'sha256': 'abc'},
)


class Task:
  """A task of two flags and a run directory, with a command line."""

  def __init__(self, *arguments: str):
    training = flag_groups.FlagGroup('Training')
    training.define('rounds', 4, 'rounds')
    self.run = run_flags.RunFlags()
    self.application = app.Application('mail', '', [training, self.run])
    flags.FLAGS(['program', *arguments])

  def open(self):
    return self.run.open(self.application, DATASET, seed=7)


def test_open_makes_the_directory_and_shows_who_holds_what(tmp_path, capsys):
  path = tmp_path / 'run'
  with Task(f'--output_dir={path}', '--rounds=9').open() as directory:
    assert directory == run_directory.RunDirectory(path)
  manifest = json.loads((path / 'manifest.json').read_text())
  assert manifest['task'] == 'mail'
  assert manifest['seed'] == 7
  # Where a run is kept does not make it another run.
  assert manifest['configuration'] == {'rounds': 9}
  assert manifest['data'] == {'name': 'mail', 'sha256': 'abc'}
  assert (path / 'simulation_only' / 'clients.csv').read_text() == (
    'client_id,train_examples,test_examples,train:ham,train:spam,test:ham,'
    'test:spam\n'
    'ann,4,2,2,2,1,1\n'
    'bob,1,0,1,0,0,0\n'
  )
  out = capsys.readouterr().out
  assert out.startswith('train  2 clients, 5 examples ')
  assert out.endswith(
    f'run directory: {path} (--output_dir={path} resumes it)\n'
  )


def test_without_output_dir_every_run_has_a_new_folder(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  task = Task()
  for _ in range(2):
    with task.open():
      pass
  folders = sorted(path.name for path in (tmp_path / 'runs').iterdir())
  assert len(folders) == 2
  out = capsys.readouterr().out
  for folder in folders:
    assert re.fullmatch(r'mail-\d{8}-\d{6}(-2)?', folder)
    assert f'(--output_dir=runs/{folder} resumes it)' in out


def test_home_is_understood(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  with Task('--output_dir=~/run').open() as directory:
    assert directory.path == tmp_path / 'run'


def test_directory_of_other_flags_is_refused_by_name(tmp_path):
  task = Task(f'--output_dir={tmp_path}')
  with task.open():
    pass
  with task.open() as directory:
    assert directory.path == tmp_path
  flags.FLAGS(['program', '--rounds=5'])
  with (
    pytest.raises(
      run_directory.RunDirectoryMismatchError,
      match='found --rounds=5 where it has 4;',
    ),
    task.open(),
  ):
    pass


# What is written at the end.


def finish(task: Task, directory: run_directory.RunDirectory) -> None:
  """Finishes a run with a table of one system."""
  task.run.finish(
    directory,
    title='Mail: spam',
    primary='accuracy',
    columns=COLUMNS,
    rows=[{'system': 'federated', 'accuracy': 0.75}],
    notes=[],
  )


@pytest.fixture
def finished(tmp_path, capsys) -> tuple[pathlib.Path, str]:
  """A run directory after `finish`, and what that has printed."""
  task = Task(f'--output_dir={tmp_path}')
  with task.open() as directory:
    directory.metrics_csv.write_text(
      'round_num,test/loss,test/accuracy\r\n0,0.7,0.5\r\n1,0.5,0.75\r\n'
    )
    capsys.readouterr()
    task.run.finish(
      directory,
      title='Mail: spam',
      primary='accuracy',
      columns=COLUMNS,
      rows=[
        {'system': 'central', 'accuracy': 0.875},
        {'system': 'federated', 'accuracy': 0.75},
      ],
      notes=['federated: stopped early, it was enough'],
    )
  return tmp_path, capsys.readouterr().out


def test_finish_writes_the_table_and_the_report_and_prints_both(finished):
  path, out = finished
  table = json.loads((path / 'results.json').read_text())
  assert table['title'] == 'Mail: spam'
  assert [row['accuracy'] for row in table['rows']] == [0.875, 0.75]
  report = (path / 'report.html').read_text()
  for shown in ('Mail: spam', '87.5', '75.0', 'stopped early'):
    assert shown in report
  for shown in ('central', '87.5 %', 'federated', '75.0 %', 'stopped early'):
    assert shown in out
  # On one line, however long, so that it can be copied.
  assert f'report: {path / "report.html"}\n' in out


def test_without_a_report_there_is_the_table_alone(tmp_path, capsys):
  task = Task(f'--output_dir={tmp_path}', '--report=false')
  with task.open() as directory:
    finish(task, directory)
  assert (tmp_path / 'results.json').exists()
  assert not (tmp_path / 'report.html').exists()
  assert '75.0 %' in capsys.readouterr().out


def test_report_that_cannot_be_written_is_one_sentence(tmp_path):
  task = Task(f'--output_dir={tmp_path}')
  with task.open() as directory:
    (tmp_path / 'report.html').mkdir()
    with pytest.raises(files.SavingFailedError, match='write the report at'):
      finish(task, directory)


# The run whose model is used.


def test_trained_run_is_the_one_named(tmp_path):
  assert Task(f'--output_dir={tmp_path}').run.trained_run() == tmp_path


def test_trained_run_is_otherwise_the_newest_with_a_model(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  for age, name in ((30, 'b'), (10, 'a'), (20, 'c')):
    model = tmp_path / 'runs' / name / 'model' / 'model.json'
    model.parent.mkdir(parents=True)
    model.write_text('{}')
    os.utime(model, (1e9 - age, 1e9 - age))
  (tmp_path / 'runs' / 'unfinished').mkdir()
  assert Task().run.trained_run() == pathlib.Path('runs/a')


def test_no_trained_run_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(flag_groups.FlagError) as raised:
    Task().run.trained_run()
  assert str(raised.value) == (
    'Expected a trained run under runs/, found none; train one first or name '
    'its folder with --output_dir.'
  )
