"""Idx files, made by hand."""

import gzip
import pathlib

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import idx


def write(tmp_path: pathlib.Path, content: bytes) -> pathlib.Path:
  path = tmp_path / 'array.gz'
  path.write_bytes(gzip.compress(content))
  return path


def test_bytes_by_hand(tmp_path):
  content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255])
  found = idx.read(write(tmp_path, content))
  np.testing.assert_array_equal(found, [[1, 2, 3], [4, 5, 255]])
  assert found.dtype == np.uint8


def test_integers_are_big_endian(tmp_path):
  content = bytes([0, 0, 12, 1, 0, 0, 0, 2, 0, 0, 1, 2, 255, 255, 255, 254])
  found = idx.read(write(tmp_path, content))
  np.testing.assert_array_equal(found, [258, -2])
  assert found.dtype == np.int32 and found.dtype.isnative


@pytest.mark.parametrize(
  ('code', 'dtype'),
  [(8, 'u1'), (9, 'i1'), (11, '>i2'), (12, '>i4'), (13, '>f4'), (14, '>f8')],
)
@pytest.mark.parametrize('shape', [(), (0,), (5,), (2, 3), (1, 2, 3, 4)])
def test_every_type_and_shape_is_read_back(tmp_path, code, dtype, shape):
  array = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
  header = bytes([0, 0, code, len(shape)]) + np.array(shape, '>u4').tobytes()
  found = idx.read(write(tmp_path, header + array.tobytes()))
  np.testing.assert_array_equal(found, array)
  assert found.shape == shape
  assert found.dtype == np.dtype(dtype).newbyteorder('=')


@pytest.mark.parametrize(
  ('content', 'found'),
  [
    (b'', 'of an empty file'),
    (b'\0\0', '00 00'),
    (b'\0\0\x08', '00 00 08'),
    (b'\x89PNG', '89 50 4e 47'),
    (b'\0\0\x0a\x01\0\0\0\0', '00 00 0a 01'),  # There is no type 10.
    (b'\0\x01\x08\x01\0\0\0\0', '00 01 08 01'),
    (b'\0\0\x08\x02\0\0\0\x01', '00 00 08 02'),  # One size of two.
  ],
)
def test_a_wrong_start_is_named(tmp_path, content, found):
  path = write(tmp_path, content)
  with pytest.raises(idx.MalformedIdxError) as raised:
    idx.read(path)
  assert str(raised.value) == (
    f'Expected {path} to start as an idx file, found the bytes {found}; '
    'restore the original file.'
  )
  assert isinstance(raised.value, errors.PipelineError)


@pytest.mark.parametrize('length', [0, 7, 9])
def test_missing_and_surplus_numbers_are_counted(tmp_path, length):
  header = bytes([0, 0, 12, 2, 0, 0, 0, 1, 0, 0, 0, 2])
  path = write(tmp_path, header + bytes(length))
  with pytest.raises(idx.MalformedIdxError) as raised:
    idx.read(path)
  assert str(raised.value) == (
    f'Expected 8 bytes after the header of {path}, for 1 x 2 numbers, found '
    f'{length}; restore the original file.'
  )


@pytest.mark.parametrize('damage', ['not gzip', 'cut', 'changed'])
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
  path = write(tmp_path, bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(range(9)))
  content = bytearray(path.read_bytes())
  if damage == 'not gzip':
    content = b'plain'
  elif damage == 'cut':
    del content[-9:]
  else:
    content[-6] ^= 1  # In the checksum at the end.
  path.write_bytes(content)
  with pytest.raises(idx.MalformedIdxError) as raised:
    idx.read(path)
  message = str(raised.value)
  assert message.startswith(f'Expected a whole gzip file at {path}, found: ')
  assert message.endswith('; restore the original file.')
