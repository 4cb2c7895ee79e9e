"""Files are whole or not there; a failure to write is one sentence."""

import contextlib
import json
import math
import os
import pathlib
import resource

import pytest
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.programs import files


class Killed(BaseException):
  """Stands for whatever ends a process in the middle of something."""


@contextlib.contextmanager
def largest_file(num_bytes: int):
  """Lets no file of this process grow above a size, as a full disk would.

  Python ignores SIGXFSZ, so a write beyond the limit fails with EFBIG.
  """
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names_in(folder: pathlib.Path) -> list[str]:
  return sorted(path.name for path in folder.iterdir())


# write_text and write_json.


def test_write_text_makes_the_folders_above_and_keeps_text_as_it_is(tmp_path):
  path = tmp_path / 'a' / 'b' / 'note.txt'
  files.write_text(path, 'one\r\ntwo\nGrüße\n')
  assert path.read_bytes() == 'one\r\ntwo\nGrüße\n'.encode()
  assert path.stat().st_mode & 0o777 == 0o644


def test_write_text_replaces_what_was_there(tmp_path):
  path = tmp_path / 'note.txt'
  files.write_text(path, 'a long first text')
  files.write_text(path, 'second')
  assert path.read_text() == 'second'
  assert names_in(tmp_path) == ['note.txt']


@pytest.mark.parametrize('step', ['chmod', 'replace'])
def test_interrupted_write_text_leaves_the_old_content(
  tmp_path, monkeypatch, step
):
  path = tmp_path / 'note.txt'
  files.write_text(path, 'old')

  def killed(*_):
    raise Killed

  monkeypatch.setattr(os, step, killed)
  with pytest.raises(Killed):
    files.write_text(path, 'new')
  monkeypatch.undo()
  assert path.read_text() == 'old'
  assert names_in(tmp_path) == ['note.txt']


def test_write_text_that_finds_no_room_leaves_the_old_content(tmp_path):
  path = tmp_path / 'note.txt'
  files.write_text(path, 'old')
  with largest_file(1000):
    files.write_text(path, 'x' * 1000)
    with pytest.raises(files.SavingFailedError, match='File too large'):
      files.write_text(path, 'y' * 1001)
  assert path.read_text() == 'x' * 1000
  assert names_in(tmp_path) == ['note.txt']


def test_write_text_below_a_file_says_where_and_what_to_do(tmp_path):
  (tmp_path / 'blocked').write_text('a file, not a folder')
  with pytest.raises(files.SavingFailedError) as raised:
    files.write_text(tmp_path / 'blocked' / 'note.txt', 'text')
  message = str(raised.value)
  assert isinstance(raised.value, errors.PipelineError)
  assert message.startswith(
    f'Expected to write note.txt at {tmp_path / "blocked"}, found: '
  )
  assert message.endswith('and run the same command to resume.')
  assert '\n' not in message


def test_json_is_read_back_as_it_was_written(tmp_path):
  value = {'a': [1, 2.5, None, True], 'b': {'c': 'Grüße'}, 'd': 1e-300}
  files.write_json(tmp_path / 'value.json', value)
  text = (tmp_path / 'value.json').read_text(encoding='utf-8')
  assert json.loads(text) == value
  assert text.endswith('}\n')


def test_json_keeps_what_is_not_a_number(tmp_path):
  files.write_json(tmp_path / 'value.json', {'auc': math.nan})
  assert math.isnan(json.loads((tmp_path / 'value.json').read_text())['auc'])


# saving.


def test_saving_says_the_reason_of_the_system_and_of_tensorflow(tmp_path):
  with (
    pytest.raises(files.SavingFailedError, match='No space left') as raised,
    files.saving('a thing', tmp_path),
    open('/dev/full', 'w') as full,
  ):
    full.write('text')
  assert isinstance(raised.value.__cause__, OSError)
  with (
    pytest.raises(files.SavingFailedError, match=r'quota is used up\. The'),
    files.saving('a thing', tmp_path),
  ):
    raise tf.errors.ResourceExhaustedError(None, None, 'quota is used up\nat x')


def test_saving_lets_other_errors_through(tmp_path):
  with (
    pytest.raises(KeyError, match='a bug'),
    files.saving('a thing', tmp_path),
  ):
    raise KeyError('a bug')


@pytest.mark.parametrize(
  'error', [OSError(), tf.errors.UnknownError(None, None, '')]
)
def test_saving_names_an_error_that_says_nothing(tmp_path, error):
  with (
    pytest.raises(
      files.SavingFailedError, match=f'found: {type(error).__name__}'
    ),
    files.saving('a thing', tmp_path),
  ):
    raise error


# writing_folder.


def test_folder_appears_when_it_is_whole(tmp_path):
  path = tmp_path / 'parent' / 'model'
  with files.writing_folder(path) as partial:
    (partial / 'weights').write_text('1')
    assert not path.exists()
  assert (path / 'weights').read_text() == '1'
  assert path.stat().st_mode & 0o777 == 0o755
  assert names_in(path.parent) == ['model']


def test_folder_replaces_the_one_before_with_all_its_files(tmp_path):
  path = tmp_path / 'model'
  for name in ('first', 'second'):
    with files.writing_folder(path) as partial:
      (partial / name).write_text(name)
  assert names_in(path) == ['second']
  assert names_in(tmp_path) == ['model']


@pytest.mark.parametrize('error', [Killed, ValueError])
def test_folder_whose_block_fails_leaves_the_one_before(tmp_path, error):
  path = tmp_path / 'model'
  with files.writing_folder(path) as partial:
    (partial / 'weights').write_text('old')
  with pytest.raises(error), files.writing_folder(path) as partial:
    (partial / 'weights').write_text('new')
    raise error
  assert (path / 'weights').read_text() == 'old'
  assert names_in(tmp_path) == ['model']


def test_folder_that_finds_no_room_says_so(tmp_path):
  with (
    largest_file(10),
    pytest.raises(
      files.SavingFailedError,
      match=f'write model at {tmp_path}, found: .*large',
    ),
    files.writing_folder(tmp_path / 'model') as partial,
  ):
    (partial / 'weights').write_text('x' * 11)
  assert names_in(tmp_path) == []


# remove_leftovers.


def test_leftovers_are_removed_and_nothing_else(tmp_path):
  leftovers = ('model3x.partial', 'round_3_temp1234', 'metrics.csv_temp9876')
  kept = ('round_3', 'metrics.csv', 'my_template', 'x_temp', 'a_temp_log.txt')
  for name in (*leftovers, *kept):
    if name.startswith('metrics'):
      (tmp_path / name).write_text('x')
    else:
      (tmp_path / name / 'inner').mkdir(parents=True)
  files.remove_leftovers(tmp_path)
  assert names_in(tmp_path) == sorted(kept)


def test_leftovers_end_in_four_digits_and_nothing_after_them(tmp_path):
  (tmp_path / 'room_temp21_celsius.csv').write_text('mine')
  files.remove_leftovers(tmp_path)
  assert names_in(tmp_path) == ['room_temp21_celsius.csv']


def test_a_table_ends_its_lines_by_newlines_and_quotes_what_has_to_be():
  rows = (row for row in [['Doe, "J"', 1], ['ann', 2.5]])
  assert files.csv_text(('name', 'value'), rows) == (
    'name,value\n"Doe, ""J""",1\nann,2.5\n'
  )


def test_text_is_appended_whole(tmp_path):
  path = tmp_path / 'rows.csv'
  files.write_text(path, 'a\n')
  files.append_text(path, 'b\n')
  assert path.read_text() == 'a\nb\n'


def test_appending_to_a_full_disk_leaves_the_file_as_it_was(tmp_path):
  path = tmp_path / 'rows.csv'
  files.write_text(path, 'a\n')
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
  try:
    with pytest.raises(OSError, match='No space left'):
      files.append_text(path, 'bcd\n')
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  assert path.read_text() == 'a\n'
