import numpy as np
import pytest

from tff_pipelines.data import image_records, small_digits


def test_a_fifth_of_1797_digits_is_held_out():
  source = small_digits.load(0.2, seed=0)
  assert (len(source.train), len(source.test)) == (1438, 359)
  assert source.max_value == 16
  assert source.label_names == tuple('0123456789')
  labels = np.concatenate([source.train.labels, source.test.labels])
  np.testing.assert_array_equal(
    np.bincount(labels), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
  )
  for side in (source.train, source.test):
    assert side.images.shape[1:] == (8, 8)
    assert (side.images.dtype, side.labels.dtype) == (np.uint8, np.int32)
    assert (side.images.min(), side.images.max()) == (0, 16)
    assert side.writers is None


def test_pixels_are_those_of_scikit_learn():
  from sklearn import datasets

  x, y = datasets.load_digits(return_X_y=True)
  source = small_digits.load(0.5, seed=0)
  found = {
    (row.tobytes(), int(label))
    for side in (source.train, source.test)
    for row, label in zip(side.pixels(16), side.labels, strict=True)
  }
  expected = {
    ((row / 16).astype(np.float32).tobytes(), int(label))
    for row, label in zip(x, y, strict=True)
  }
  assert found == expected


def test_provenance_names_the_source_and_the_licence():
  assert small_digits.load(0.25, seed=3).provenance == {
    'source': 'small_digits (in scikit-learn)',
    'sha256': (
      '87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826'
    ),
    'licence': 'CC BY 4.0',
    'test_fraction': 0.25,
  }


def test_the_seed_decides_what_is_held_out():
  first, same, other = (
    small_digits.load(0.2, seed).test.images for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(same, first)
  assert not np.array_equal(other, first)


def test_nothing_held_out_is_refused():
  with pytest.raises(
    image_records.ImageSplitError, match='found 1797 images at a test fraction'
  ):
    small_digits.load(0.0, seed=0)
