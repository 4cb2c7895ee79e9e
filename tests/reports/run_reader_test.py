import math

import pytest

from tff_pipelines.core import errors
from tff_pipelines.reports import run_reader

pytestmark = pytest.mark.filterwarnings('error')


def test_a_complete_run_is_read(write_run):
  run = run_reader.read(write_run.complete())
  assert run.manifest['task'] == 'spam'
  assert run.results.systems == ('federated', 'central', 'local')
  assert list(run.metrics) == ['federated', 'central']
  assert run.metrics['federated']['round_num'].tolist() == [0, 1, 2, 3, 4]
  assert math.isnan(run.metrics['federated']['test/accuracy'][1])
  assert run.clients['client_id'].tolist() == ['0000', '0001', '0002']
  assert run.clients['train:spam'].tolist() == [0, 1, 2]
  assert run.local_models['auc'].isna().all()


def test_all_but_two_files_may_be_missing(write_run):
  run = run_reader.read(str(write_run()))
  assert run.metrics == {}
  assert run.clients is None
  assert run.local_models is None


def test_errors_are_pipeline_errors():
  assert issubclass(run_reader.NotARunDirectoryError, errors.PipelineError)
  assert issubclass(run_reader.BrokenRunFileError, errors.PipelineError)


def test_no_directory(tmp_path):
  with pytest.raises(
    run_reader.NotARunDirectoryError, match='found no such directory'
  ):
    run_reader.read(tmp_path / 'nothing')


def test_a_directory_that_is_no_run(tmp_path):
  with pytest.raises(
    run_reader.NotARunDirectoryError,
    match=r'Expected manifest.json and results.json in .*, found neither; give',
  ):
    run_reader.read(tmp_path)


def test_a_run_that_has_not_ended(tmp_path):
  (tmp_path / 'manifest.json').write_text('{}')
  with pytest.raises(
    run_reader.NotARunDirectoryError,
    match=r'found only manifest.json; a run writes results.json when it ends',
  ):
    run_reader.read(tmp_path)


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    ('{\n"a": 1,\n}', r'JSON in .*manifest\.json, found .* line 3, column 1: '),
    ('[]', r'JSON object in .*manifest\.json, found list'),
    (b'\xff', r'UTF-8 text in .*manifest\.json, found byte 0xff at position 0'),
  ],
)
def test_broken_json(write_run, content, message):
  run_dir = write_run()
  content = content.encode() if isinstance(content, str) else content
  (run_dir / 'manifest.json').write_bytes(content)
  with pytest.raises(run_reader.BrokenRunFileError, match=message):
    run_reader.read(run_dir)


def test_results_of_another_form_name_the_file(write_run):
  run_dir = write_run()
  (run_dir / 'results.json').write_text('{"rows": []}')
  with pytest.raises(
    run_reader.BrokenRunFileError,
    match=r'results\.json: Expected the results to hold a list of columns',
  ):
    run_reader.read(run_dir)


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    ('', 'column round_num in .*, line 1, found an empty line'),
    ('a,b\n1,2\n', 'column round_num in .*metrics.csv, line 1, found a, b'),
    (
      'round_num,a,a\n1,2,3\n',
      'name of its own, found in line 1: round_num, a, a',
    ),
    ('round_num,a\n0,1\n1\n', '2 cells in .*metrics.csv, line 3, found 1'),
    (
      'round_num,a\n0,1\n1,x\n',
      "number in .*metrics.csv, line 3, column a, found 'x'",
    ),
    ('round_num,a\nx,1\n', "line 2, column round_num, found 'x'"),
    (
      'round_num,a\n0,"' + 200_000 * 'x',
      'CSV in .*metrics.csv, found a mistake in line 2: field larger',
    ),
  ],
)
def test_broken_csv(write_run, content, message):
  run_dir = write_run()
  (run_dir / 'metrics.csv').write_text(content)
  with pytest.raises(run_reader.BrokenRunFileError, match=message):
    run_reader.read(run_dir)


def test_a_column_of_text_is_left_out(write_run):
  table = (('round_num', 'when', 'x/y'), [(0, 'now', 1), (1, 'then', '')])
  run = run_reader.read(write_run(metrics={'federated': table}))
  assert list(run.metrics['federated'].columns) == ['round_num', 'x/y']


def test_quoted_line_ends_stay_in_their_cell(write_run):
  table = (('client_id', 'train_examples'), [('a\nb\u2028c', 1), ('d', 2)])
  run = run_reader.read(write_run(clients=table))
  assert run.clients['client_id'].tolist() == ['a\nb\u2028c', 'd']


def test_only_what_a_server_sees_is_a_system(write_run):
  run_dir = write_run.complete()
  (run_dir / 'simulation_only' / 'metrics.csv').write_text('round_num\n0\n')
  assert list(run_reader.read(run_dir).metrics) == ['federated', 'central']
