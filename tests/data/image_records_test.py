import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import image_records


def records(count: int, writers: bool = True) -> image_records.ImageRecords:
  """Image i is full of i, its label is i, its writer is wi."""
  images = np.full([count, 2, 3], 0, np.uint8)
  images += np.arange(count, dtype=np.uint8)[:, np.newaxis, np.newaxis]
  names = tuple(f'w{i}' for i in range(count)) if writers else None
  return image_records.ImageRecords(
    images, np.arange(count, dtype=np.int32), names
  )


def test_pixels_are_flat_and_from_0_to_1():
  found = records(9).pixels(max_value=8)
  assert (found.shape, found.dtype) == ((9, 6), np.float32)
  np.testing.assert_array_equal(found[[0, 4, 8]], [[0] * 6, [0.5] * 6, [1] * 6])


def test_pixels_are_those_of_rows_one_after_the_other():
  one = image_records.ImageRecords(
    np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8), np.zeros(1, np.int32)
  )
  np.testing.assert_array_equal(one.pixels(1), [[1, 2, 3, 4, 5, 6]])


@pytest.mark.parametrize('writers', [True, False])
def test_take_keeps_image_label_and_writer_together(writers):
  found = records(5, writers).take(np.array([4, 1]))
  np.testing.assert_array_equal(found.labels, [4, 1])
  np.testing.assert_array_equal(found.images[:, 0, 0], [4, 1])
  assert found.writers == (('w4', 'w1') if writers else None)


@pytest.mark.parametrize('fraction', [0.1, 0.25, 0.5, 0.9])
def test_split_puts_every_image_on_one_side_in_order(fraction):
  train, test = image_records.split(records(20), fraction, seed=0)
  assert len(test) == round(20 * fraction)
  for side in (train, test):
    assert sorted(side.labels) == side.labels.tolist()
    np.testing.assert_array_equal(side.images[:, 0, 0], side.labels)
  assert sorted([*train.labels, *test.labels]) == list(range(20))


def test_split_is_a_pure_function_of_the_seed():
  def held_out(seed):
    return image_records.split(records(20), 0.5, seed)[1].labels.tolist()

  first = held_out(0)
  assert held_out(1) != first
  assert held_out(0) == first


@pytest.mark.parametrize('fraction', [0.0, 0.04, 0.96, 1.0, 1.5, -0.1])
def test_split_with_an_empty_side_is_refused(fraction):
  with pytest.raises(image_records.ImageSplitError) as raised:
    image_records.split(records(10), fraction, seed=0)
  assert str(raised.value) == (
    'Expected images on both sides of the split, found 10 images at a test '
    f'fraction of {fraction}; give more images or another fraction.'
  )
  assert isinstance(raised.value, errors.PipelineError)


@pytest.mark.parametrize('wrong', ['labels', 'writers'])
def test_records_of_unequal_lengths_are_a_mistake(wrong):
  good = records(3)
  parts = {'labels': good.labels, 'writers': good.writers}
  parts[wrong] = parts[wrong][:2]
  with pytest.raises(ValueError, match='one label'):
    image_records.ImageRecords(good.images, **parts)
