"""Rows of metrics: one a round, replaced when a round is done again."""

import asyncio
import collections
import csv
import math
import pathlib
import resource
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.programs import files, metrics_log, run_directory


def release(log: metrics_log.MetricsLog, **metrics_by_round) -> None:
  for name, metrics in metrics_by_round.items():
    asyncio.run(log.release(metrics, int(name.removeprefix('r'))))


@pytest.fixture
def directory(tmp_path) -> run_directory.RunDirectory:
  return run_directory.RunDirectory(tmp_path / 'run')


def lines(directory: run_directory.RunDirectory) -> list[str]:
  return directory.metrics_csv.read_bytes().decode().split('\r\n')


# flatten.


def test_nested_names_are_joined_and_scalars_kept():
  metrics = collections.OrderedDict(
    train=collections.OrderedDict(
      loss=np.float32(0.5), by_class={'a': 1, 'b': 2}
    ),
    rounds=np.int64(3),
    done=True,
  )
  flat = metrics_log.flatten('test', metrics)
  assert list(flat.items()) == [
    ('test/train/loss', np.float32(0.5)),
    ('test/train/by_class/a', 1),
    ('test/train/by_class/b', 2),
    ('test/rounds', 3),
    ('test/done', True),
  ]


def test_empty_prefix_leaves_names_as_they_are():
  assert metrics_log.flatten('', {'a': {'b': 1.0}}) == {'a/b': 1.0}


def test_a_number_alone_has_the_prefix_for_its_name():
  assert metrics_log.flatten('loss', tf.constant(2.0)) == {'loss': 2.0}


def test_several_values_and_empty_levels_are_left_out():
  metrics = {
    'matrix': np.zeros([2, 2]),
    'vector_of_one': np.zeros([1]),
    'tuple': (1.0, 2.0),
    'list': [1.0],
    'nothing': (),
    'empty': {},
    'kept': 0.0,
  }
  assert metrics_log.flatten('', metrics) == {'kept': 0.0}


# The log.


def test_rows_by_round_have_empty_cells_where_nothing_was_measured(directory):
  log = metrics_log.MetricsLog(directory)
  release(
    log,
    r0={'test/loss': 1.5},
    r1={'cohort/clients': 3, 'train/loss': 0.25},
    r2={'cohort/clients': 2, 'train/loss': np.float32(0.5), 'test/loss': 1.0},
  )
  assert lines(directory) == [
    'round_num,test/loss,cohort/clients,train/loss',
    '0,1.5,,',
    '1,,3,0.25',
    '2,1.0,2,0.5',
    '',
  ]
  assert log.history(2) == [
    {'round_num': 0, 'test/loss': 1.5},
    {'round_num': 1, 'cohort/clients': 3, 'train/loss': 0.25},
    {'round_num': 2, 'cohort/clients': 2, 'train/loss': 0.5, 'test/loss': 1.0},
  ]


def test_history_ends_with_the_round_asked_for(directory):
  log = metrics_log.MetricsLog(directory)
  release(log, r0={'a': 1.0}, r1={'a': 2.0}, r2={'a': 3.0})
  assert log.history(1) == [
    {'round_num': 0, 'a': 1.0},
    {'round_num': 1, 'a': 2.0},
  ]
  assert log.history(-1) == []


def test_what_is_no_number_is_read_back_as_such(directory):
  log = metrics_log.MetricsLog(directory)
  release(log, r0={'auc': np.float32('nan'), 'low': -1e-300, 'norm': math.inf})
  assert lines(directory)[1] == '0,nan,-1e-300,inf'
  (row,) = log.history(0)
  assert math.isnan(row['auc']) and row['norm'] == math.inf
  assert row['low'] == -1e-300


def test_every_bit_of_a_double_is_read_back(directory):
  log = metrics_log.MetricsLog(directory)
  values = {'a': 0.1 + 0.2, 'b': np.nextafter(1.0, 2.0), 'c': 5e-324}
  release(log, r0=values)
  assert log.history(0) == [{'round_num': 0, **values}]


def test_releasing_a_round_replaces_it_and_all_later_ones(directory):
  log = metrics_log.MetricsLog(directory)
  release(log, r0={'a': 0}, r1={'a': 1}, r2={'a': 2}, r3={'a': 3})
  release(log, r1={'a': -1})
  assert lines(directory) == ['round_num,a', '0,0', '1,-1', '']
  release(log, r2={'a': -2})
  assert lines(directory) == ['round_num,a', '0,0', '1,-1', '2,-2', '']


def test_releasing_the_initial_round_again_starts_an_empty_table(directory):
  log = metrics_log.MetricsLog(directory)
  release(log, r0={'a': 0}, r1={'b': 1})
  release(log, r0={'c': 2})
  assert lines(directory) == ['round_num,c', '0,2', '']


ROUNDS = {
  'r0': {'test/loss': 1.0},
  'r1': {'train/loss': 0.1},
  'r2': {'train/loss': 0.2, 'test/loss': 0.5},
  'r3': {'train/loss': 0.3, 'late': 3.0},
  'r4': {'late': 4.0, 'train/loss': 0.4, 'test/loss': 0.25},
}


@pytest.mark.parametrize('killed_after', range(5))
@pytest.mark.parametrize('saved', range(5))
def test_resumed_log_is_the_uninterrupted_one_byte_for_byte(
  tmp_path, killed_after, saved
):
  whole = run_directory.RunDirectory(tmp_path / 'whole')
  release(metrics_log.MetricsLog(whole), **ROUNDS)
  resumed = run_directory.RunDirectory(tmp_path / 'resumed')
  rounds = list(ROUNDS.items())
  release(metrics_log.MetricsLog(resumed), **dict(rounds[: killed_after + 1]))
  log = metrics_log.MetricsLog(resumed)
  assert len(log.history(saved)) == min(saved, killed_after) + 1
  release(log, **dict(rounds[min(saved, killed_after) + 1 :]))
  assert resumed.metrics_csv.read_bytes() == whole.metrics_csv.read_bytes()


def test_new_log_of_a_new_run_is_empty(directory):
  assert metrics_log.MetricsLog(directory).history(10**9) == []
  assert lines(directory) == ['round_num', '']


def test_leftovers_of_a_killed_process_are_removed(directory):
  release(metrics_log.MetricsLog(directory), r0={'a': 1.0})
  leftover = directory.path / 'metrics.csv_temp4321'
  leftover.write_text('round_n')
  log = metrics_log.MetricsLog(directory)
  assert not leftover.exists()
  assert log.history(0) == [{'round_num': 0, 'a': 1.0}]


def summaries(folder: pathlib.Path) -> list[tuple[Any, ...]]:
  """Step, name, value and plugin of all that a folder's event file has."""
  (events,) = folder.iterdir()
  return [
    (
      event.step,
      value.tag,
      tf.make_ndarray(value.tensor).tobytes(),
      value.metadata.SerializeToString(),
    )
    for event in tf.compat.v1.train.summary_iterator(str(events))
    for value in event.summary.value
  ]


def test_tensorboard_has_what_the_manager_of_tff_writes(directory, tmp_path):
  rows: list[tuple[int, dict[str, Any]]] = [
    (0, {'test/loss': np.float32(1.5), 'cohort/clients': 3, 'done': True}),
    (3, {'test/loss': math.nan, 'bytes': np.int64(2**40), 'train/loss': 1 / 3}),
  ]
  log = metrics_log.MetricsLog(directory)
  # Its files are named by the second, and are written when it is forgotten.
  manager = tff.program.TensorBoardReleaseManager(tmp_path / 'of_tff')
  for round_num, row in rows:
    asyncio.run(log.release(row, round_num))
    asyncio.run(manager.release(row, round_num))
  del log, manager
  written = summaries(directory.tensorboard)
  assert len(written) == 6
  assert sorted(written) == sorted(summaries(tmp_path / 'of_tff'))


def test_full_disk_is_one_sentence_and_keeps_the_rows_before(directory):
  log = metrics_log.MetricsLog(directory)
  release(log, r0={'a': 1.0})
  before = directory.metrics_csv.read_bytes()
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 3, hard))
  try:
    with pytest.raises(
      files.SavingFailedError, match=r'metrics of round 1 at .*metrics\.csv'
    ):
      release(log, r1={'a': 1 / 3})
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  assert directory.metrics_csv.read_bytes() == before
  log = metrics_log.MetricsLog(directory)
  release(log, r1={'a': 2.0})
  assert log.history(1)[1] == {'round_num': 1, 'a': 2.0}


def test_place_below_a_file_is_refused(tmp_path):
  (tmp_path / 'blocked').write_text('a file, not a folder')
  with pytest.raises(files.SavingFailedError, match=r'write metrics at .*bl'):
    metrics_log.MetricsLog(run_directory.RunDirectory(tmp_path / 'blocked'))


@pytest.mark.parametrize(
  'content, found',
  [
    (b'', 'no column round_num'),
    (b'step,a\r\n0,1.0\r\n', 'no column round_num'),
    (b'round_num,a\r\n0,"1,5"\r\n', "could not convert string to float: '1,5'"),
    (b'round_num,a\r\n0\r\n', 'float() argument must be'),
    (b'round_num,a\r\n0,1.0,2.0\r\n', 'float() argument must be'),
    (b'round_num,a\r\n,1.0\r\n', 'round_num'),
    (b'round_num,a\r\n0.5,1.0\r\n', 'a round_num that is not an integer'),
    (b'round_num,a\r\n0,\xff\r\n', "'utf-8' codec"),
    (b'round_num,a\r\n0,"%s\r\n' % (b'1' * csv.field_size_limit()), 'field'),
  ],
)
def test_damaged_table_is_one_sentence(directory, content, found):
  directory.path.mkdir()
  directory.metrics_csv.write_bytes(content)
  with pytest.raises(metrics_log.MetricsUnreadableError) as raised:
    metrics_log.MetricsLog(directory)
  message = str(raised.value)
  assert message.startswith(
    f'Expected a table of numbers by round in {directory.metrics_csv}, found '
    'that it cannot be read ('
  )
  assert message.endswith('; choose another --output_dir.')
  assert found in message
  assert directory.metrics_csv.read_bytes() == content


@pytest.mark.parametrize(
  'last, left', [(-1, 0), (0, 1), (1, 2), (2, 3), (9, 3)]
)
def test_cut_takes_later_rounds_out_and_a_later_release_goes_on(
  directory, last, left
):
  whole = {
    f'r{i}': {'test/loss': i / 4, 'privacy/epsilon': 0.1} for i in (0, 1)
  }
  whole['r2'] = {'test/loss': 0.5, 'privacy/epsilon': 0.2, 'late': 1}
  log = metrics_log.MetricsLog(directory)
  release(log, **whole)
  expected = directory.metrics_csv.read_bytes()
  log.cut(last)
  assert lines(directory) == [
    *expected.decode().split('\r\n')[: left + 1],
    '',
  ]
  release(log, **{f'r{i}': whole[f'r{i}'] for i in range(left, 3)})
  assert directory.metrics_csv.read_bytes() == expected


def test_cut_without_later_rounds_writes_nothing(directory):
  log = metrics_log.MetricsLog(directory)
  release(log, r0={'a': 1.0}, r1={'a': 2.0})
  before = directory.metrics_csv.stat().st_mtime_ns
  log.cut(1)
  assert directory.metrics_csv.stat().st_mtime_ns == before
