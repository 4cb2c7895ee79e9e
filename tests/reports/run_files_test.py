import os

import numpy as np
import pytest

from tff_pipelines.reports import run_files

pytestmark = pytest.mark.filterwarnings('error')


def _table(tmp_path, content, **columns):
  path = tmp_path / 'a.csv'
  path.write_text(content)
  return run_files.read_table(path, **columns)


class TestReadTable:
  def test_only_named_columns_are_read(self, tmp_path):
    table = _table(
      tmp_path,
      'a,b,c,d\n1,NA,3,x\n4,007,6,y\n',
      numbers=('a',),
      text=('b',),
      optional=('c', 'e'),
    )
    assert list(table.columns) == ['a', 'b', 'c']
    assert table['a'].tolist() == [1.0, 4.0]
    # Text stays as it is: 'NA' is a name, and so is '007'.
    assert table['b'].tolist() == ['NA', '007']

  def test_no_file_is_none(self, tmp_path):
    assert run_files.read_table(tmp_path / 'b.csv', numbers=('a',)) is None

  def test_nan_is_a_number(self, tmp_path):
    table = _table(tmp_path, 'a\nnan\n1\n', numbers=('a',))
    assert np.isnan(table['a'][0])
    assert table['a'][1] == 1.0

  def test_no_rows(self, tmp_path):
    assert _table(tmp_path, 'a\n', numbers=('a',)).empty

  @pytest.mark.parametrize(
    ('content', 'message'),
    [
      ('', 'column a in .*a.csv, line 1, found an empty line'),
      ('b\n1\n', 'column a in .*a.csv, line 1, found b'),
      ('a\n1\nx\n', "number in .*a.csv, line 3, column a, found 'x'"),
    ],
  )
  def test_what_is_wrong_is_said_with_its_line(
    self, tmp_path, content, message
  ):
    with pytest.raises(run_files.BrokenRunFileError, match=message):
      _table(tmp_path, content, numbers=('a',))

  def test_a_short_row_is_said_with_its_line(self, tmp_path):
    message = '2 cells in .*a.csv, line 3, found 1'
    with pytest.raises(run_files.BrokenRunFileError, match=message):
      _table(tmp_path, 'a,b\n1,2\n1\n', numbers=('a', 'b'))

  def test_optional_columns_hold_numbers(self, tmp_path):
    with pytest.raises(run_files.BrokenRunFileError, match='column b, found'):
      _table(tmp_path, 'a,b\n1,x\n', numbers=('a',), optional=('b',))


class TestReadArrays:
  def test_by_name(self, tmp_path):
    np.savez(tmp_path / 'a.npz', **{'0/20': np.arange(3)})
    arrays = run_files.read_arrays(tmp_path / 'a.npz')
    assert arrays['0/20'].tolist() == [0, 1, 2]

  def test_no_file_is_none(self, tmp_path):
    assert run_files.read_arrays(tmp_path / 'a.npz') is None

  @pytest.mark.parametrize('cut', [0, 10, 100, -30])
  def test_a_damaged_file(self, tmp_path, cut):
    path = tmp_path / 'a.npz'
    np.savez(path, a=np.arange(30))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(
      run_files.BrokenRunFileError, match=r'arrays of numbers in .*a\.npz'
    ):
      run_files.read_arrays(path)

  def test_objects_are_not_unpickled(self, tmp_path):
    np.savez(tmp_path / 'a.npz', a=np.array([{}], dtype=object))
    with pytest.raises(run_files.BrokenRunFileError, match='arrays of numbers'):
      run_files.read_arrays(tmp_path / 'a.npz')


class TestWriteAtomically:
  def test_it_replaces_and_leaves_nothing_else(self, tmp_path):
    path = tmp_path / 'a'
    path.write_bytes(b'old')
    run_files.write_atomically(path, b'new')
    assert path.read_bytes() == b'new'
    assert list(tmp_path.iterdir()) == [path]

  def test_a_failure_keeps_what_was_there(self, tmp_path, monkeypatch):
    path = tmp_path / 'a'
    path.write_bytes(b'old')

    def fail(*_):
      raise OSError('disk full')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(OSError, match='disk full'):
      run_files.write_atomically(path, b'new')
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]
