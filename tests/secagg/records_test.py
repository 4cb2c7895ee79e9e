import pytest

from tff_pipelines.secagg import encoding, errors, records

THREE = records.build([1, 4, 9], [b'ab', b'cd', b'ef'])


def test_records_are_found_by_owner():
  assert [THREE[owner] for owner in (9, 1, 4)] == [b'ef', b'ab', b'cd']
  assert dict(THREE.items()) == {1: b'ab', 4: b'cd', 9: b'ef'}
  assert len(THREE) == 3


def test_others_have_no_record():
  with pytest.raises(KeyError):
    THREE[2]


def test_some_and_all_but_one():
  assert THREE.select([1, 9]) == records.build([1, 9], [b'ab', b'ef'])
  assert THREE.without(4) == records.build([1, 9], [b'ab', b'ef'])
  assert THREE.without(1) == records.build([4, 9], [b'cd', b'ef'])
  assert THREE.without(9) == records.build([1, 4], [b'ab', b'cd'])
  assert records.build([3], [b'x']).without(3) == records.Records()


@pytest.mark.parametrize('given', [THREE, records.Records()])
def test_encoding_comes_back(given):
  reader = encoding.Reader(records.encode(given))
  assert records.read(reader) == given
  reader.finish()


def test_encoding_by_hand():
  assert records.encode(records.build([0, 2], [b'a', b'b'])) == (
    b'\0\0\0\1\5' + b'\0\1' + b'ab'
  )


@pytest.mark.parametrize(
  'encoded', [b'\0\0\0\0' + b'\0\1', b'\0\0\0\1\1' + b'\0\0']
)
def test_sizes_that_are_not_canonical_are_refused(encoded):
  with pytest.raises(errors.MalformedMessageError, match='records of some'):
    records.read(encoding.Reader(encoded))


@pytest.mark.parametrize(
  ('owners', 'contents'), [([1], []), ([1, 2], [b'a', b'bc'])]
)
def test_records_that_do_not_fit_are_refused(owners, contents):
  with pytest.raises(ValueError, match='one record of one size'):
    records.build(owners, contents)
