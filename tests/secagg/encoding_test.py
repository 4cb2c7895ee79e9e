import numpy as np
import pytest

from tff_pipelines.secagg import encoding, errors


def test_integers_are_big_endian():
  assert encoding.integer(258, 4) == b'\0\0\1\2'
  assert encoding.Reader(b'\0\0\1\2').integer(4) == 258


def test_blobs_carry_their_length():
  assert encoding.blob(b'ab') == b'\0\0\0\0\0\0\0\2ab'
  assert encoding.Reader(encoding.blob(b'ab')).blob() == b'ab'


@pytest.mark.parametrize(
  ('indices', 'encoded'),
  [
    ((), b'\0\0\0\0'),
    ((0,), b'\0\0\0\1\1'),
    ((0, 1, 7), b'\0\0\0\1\x83'),
    ((8,), b'\0\0\0\2\0\1'),
  ],
)
def test_sets_by_hand(indices, encoded):
  assert encoding.index_set(indices) == encoded
  assert encoding.Reader(encoded).index_set() == indices


@pytest.mark.parametrize('seed', range(20))
def test_random_sets_come_back(seed):
  generator = np.random.default_rng(seed)
  size = int(generator.integers(1, 2000))
  chosen = tuple(np.flatnonzero(generator.random(size) < 0.3).tolist())
  reader = encoding.Reader(encoding.index_set(chosen))
  assert reader.index_set() == chosen
  reader.finish()


@pytest.mark.parametrize('encoded', [b'\0\0\0\1\0', b'\0\0\0\2\1\0'])
def test_sets_with_a_zero_at_the_end_are_refused(encoded):
  with pytest.raises(errors.MalformedMessageError, match='last byte'):
    encoding.Reader(encoded).index_set()


def test_huge_sets_are_refused_before_they_are_read():
  with pytest.raises(errors.MalformedMessageError, match='at most'):
    encoding.Reader(b'\xff' * 4).index_set()


@pytest.mark.parametrize('size', [1, 2**40])
def test_reading_beyond_the_end_is_refused(size):
  with pytest.raises(errors.MalformedMessageError, match='more bytes'):
    encoding.Reader(b'').raw(size)


def test_bytes_behind_the_end_are_refused():
  reader = encoding.Reader(b'ab')
  reader.raw(1)
  with pytest.raises(errors.MalformedMessageError, match='found 1 more'):
    reader.finish()
