import numpy as np
import pytest

from tff_pipelines.secagg import errors, layout


def test_vectors_of_one_modulus_are_one_group():
  described = layout.Layout((8, 5, 8), (2, 3, 4))
  assert described.groups == (layout.Group(8, 6), layout.Group(5, 3))


def test_concatenation_and_splitting_by_hand():
  described = layout.Layout((8, 5, 8), (2, 1, 1))
  vectors = [np.array([1, 2]), np.array([3]), np.array([4])]
  arrays = described.concatenate(vectors)
  assert [array.tolist() for array in arrays] == [[1, 2, 4], [3]]
  assert [v.tolist() for v in described.split(arrays)] == [[1, 2], [3], [4]]


@pytest.mark.parametrize(
  ('modulus', 'bits', 'dtype'),
  [
    (2, 1, np.uint32),
    (3, 2, np.uint64),
    (2**20, 20, np.uint32),
    (2**20 + 1, 21, np.uint64),
    (2**32, 32, np.uint32),
    (2**33, 33, np.uint64),
    (2**62, 62, np.uint64),
  ],
)
def test_bits_and_words_of_a_group(modulus, bits, dtype):
  group = layout.Group(modulus, 1)
  assert group.bits == bits
  assert group.dtype == dtype


def test_sums_come_back_as_signed_integers():
  described = layout.Layout((2**62,), (1,))
  (vector,) = described.split([np.array([2**62 - 1], np.uint64)])
  assert vector.dtype == np.int64
  assert vector.tolist() == [2**62 - 1]


@pytest.mark.parametrize('modulus', [-1, 0, 1, 2**62 + 1, 2**64])
def test_moduli_out_of_range_are_refused(modulus):
  with pytest.raises(errors.InputError, match=r'moduli between 2 and 2\*\*62'):
    layout.Layout((modulus,), (1,))


@pytest.mark.parametrize(('moduli', 'lengths'), [((), ()), ((2,), (1, 2))])
def test_moduli_and_lengths_have_to_match(moduli, lengths):
  with pytest.raises(errors.InputError, match='one modulus for each vector'):
    layout.Layout(moduli, lengths)


def test_negative_lengths_are_refused():
  with pytest.raises(errors.InputError, match='lengths of 0 or more'):
    layout.Layout((2,), (-1,))


@pytest.mark.parametrize('vectors', [[], [np.zeros(2, int)] * 2])
def test_another_number_of_vectors_is_refused(vectors):
  with pytest.raises(errors.InputError, match='Expected 1 vectors'):
    layout.Layout((8,), (2,)).concatenate(vectors)


@pytest.mark.parametrize(
  'vector',
  [np.zeros(3, int), np.zeros((1, 2), int), np.zeros(2), np.zeros(2, bool)],
)
def test_other_shapes_and_dtypes_are_refused(vector):
  with pytest.raises(errors.InputError, match='vector 0 to be 2 integers'):
    layout.Layout((8,), (2,)).concatenate([vector])


@pytest.mark.parametrize('value', [-1, 8, 2**40])
def test_entries_out_of_range_are_refused(value):
  with pytest.raises(errors.InputError, match=r'vector 0 in \[0, 8\)'):
    layout.Layout((8,), (2,)).concatenate([np.array([0, value])])


def test_unsigned_entries_above_signed_ones_are_refused():
  with pytest.raises(errors.InputError, match='reduce them first'):
    layout.Layout((2**62,), (1,)).concatenate([np.array([2**63], np.uint64)])
