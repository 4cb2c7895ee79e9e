import numpy as np
import pytest

from tff_pipelines.core import gathered

EXAMPLES = np.arange(1, 13, dtype=np.float32).reshape(6, 2)
ROWS = np.array([[5, 0], [3, 3], [1, -1]])
WHOLE = np.float32([[[11, 12], [1, 2]], [[7, 8], [7, 8]], [[3, 4], [0, 0]]])


@pytest.fixture
def batches():
  return gathered.GatheredBatches(EXAMPLES, ROWS)


def test_the_whole_is_the_rows_with_zeros_for_padding(batches):
  np.testing.assert_array_equal(np.asarray(batches), WHOLE)
  assert np.asarray(batches).dtype == np.float32
  assert np.asarray(batches, np.int32).dtype == np.int32


@pytest.mark.parametrize(
  'index',
  [0, 2, slice(1, 3), slice(0, 0), (1, slice(0, 1)), (slice(None), 1), [2, 0]],
)
def test_parts_are_those_of_the_whole(batches, index):
  np.testing.assert_array_equal(batches[index], WHOLE[index])


def test_it_describes_itself_as_the_whole(batches):
  assert batches.shape == WHOLE.shape
  assert batches.dtype == WHOLE.dtype
  assert batches.ndim == WHOLE.ndim
  assert batches.nbytes == WHOLE.nbytes
  assert len(batches) == len(WHOLE)


def test_batches_are_written_into_memory_that_is_there(batches):
  out = np.full([4, 2, 2], 99, np.float32)
  batches.read_into(slice(1, 3), out[:2])
  np.testing.assert_array_equal(out[:2], WHOLE[1:])
  np.testing.assert_array_equal(out[2:], np.full([2, 2, 2], 99))


def test_chosen_batches(batches):
  chosen = batches.chosen(np.array([2, 0, 0]))
  assert isinstance(chosen, gathered.GatheredBatches)
  np.testing.assert_array_equal(chosen, WHOLE[[2, 0, 0]])


def test_examples_of_no_dimension_and_of_strings():
  labels = gathered.GatheredBatches(np.array([7, 8, 9]), np.array([[2, -1]]))
  assert labels[:].tolist() == [[9, 0]]
  words = np.array([b'a', b'b'], object)
  assert gathered.GatheredBatches(words, np.array([[1, 0]]))[:].tolist() == [
    [b'b', b'a']
  ]


def test_nothing_of_nothing():
  none = gathered.GatheredBatches(
    np.zeros([0, 3], np.int32), np.zeros([0, 4], np.int64)
  )
  assert none[:].shape == (0, 4, 3)
  assert np.asarray(none).dtype == np.int32
