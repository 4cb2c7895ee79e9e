import math

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.data import truths


def hot(name: str, *places) -> list[bool]:
  return truths.by_name(name)(np.array(places, float)).tolist()


def test_the_diagonal_is_hot_above():
  assert hot('diagonal', (0.2, 0.3), (0.3, 0.2), (0.5, 0.5)) == [
    True,
    False,
    False,
  ]


def test_the_ring_is_hot_between_two_circles():
  across = [(0.5 + away, 0.5) for away in (0.0, 0.19, 0.21, 0.39, 0.41)]
  assert hot('ring', *across) == [False, False, True, True, False]


def test_the_checkerboard_alternates_up_to_the_edges():
  x0 = np.array([0.0, 0.32, 0.34, 0.66, 0.68, 1.0])
  along = [(x, 0.1) for x in x0]
  up = [(0.1, x) for x in x0]
  expected = [True, True, False, False, True, True]
  assert hot('checkerboard', *along) == hot('checkerboard', *up) == expected
  assert hot('checkerboard', (0.5, 0.5), (1.0, 1.0)) == [True, True]


def test_two_hills_are_two():
  line = np.linspace(0.0, 1.0, 1001)
  along = truths.by_name('two_hills')(np.stack([line, line], axis=1))
  assert np.count_nonzero(np.diff(along.astype(int))) == 4
  assert hot('two_hills', (0.3, 0.3), (0.72, 0.72), (0.3, 0.8)) == [
    True,
    True,
    False,
  ]


@pytest.mark.parametrize('name', truths.NAMES)
def test_every_truth_is_hot_on_a_fair_part_of_the_square(name):
  line = (np.arange(200) + 0.5) / 200
  places = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
  assert 0.2 < truths.by_name(name)(places).mean() < 0.6


def test_near_the_diagonal_is_the_distance_to_it():
  rng = np.random.default_rng(0)
  places = rng.random([2000, 2])
  away = np.abs(places[:, 0] - places[:, 1]) / math.sqrt(2)
  near = truths.near_border(truths.diagonal, places, 0.07)
  np.testing.assert_array_equal(near, away <= 0.07)


def test_the_edge_of_the_square_is_no_border():
  corners = np.array([[1.0, 0.0], [0.0, 1.0]])
  assert not truths.near_border(truths.diagonal, corners, 0.1).any()


def test_near_a_border_finds_what_is_narrower_than_the_distance():
  def stripe(places):
    return np.abs(places[:, 0] - 0.5) < 0.02

  near = truths.near_border(stripe, np.array([[0.45, 0.5]]), 0.1)
  assert near.tolist() == [True]


@pytest.fixture
def image(tmp_path):
  def written(pixels, encode=tf.io.encode_png) -> str:
    path = tmp_path / 'picture of mine.png'
    pixels = np.asarray(pixels, np.uint8)[:, :, np.newaxis]
    path.write_bytes(encode(pixels).numpy())
    return f'image:{path}'

  return written


def test_an_image_is_hot_where_it_is_bright(image):
  name = image([[0, 0, 255], [127, 128, 0]])
  left_to_right = (0.1, 0.5, 0.9)
  top = [(x, 0.9) for x in left_to_right]
  bottom = [(x, 0.1) for x in left_to_right]
  assert hot(name, *top) == [False, False, True]
  assert hot(name, *bottom) == [False, True, False]
  assert hot(name, (0.0, 0.0), (1.0, 1.0), (1.0, 0.0)) == [False, True, False]


def test_an_image_can_be_a_jpeg(image):
  halves = np.repeat([[0, 255]], 16, axis=0).repeat(8, axis=1)
  name = image(halves, tf.io.encode_jpeg)
  assert hot(name, (0.1, 0.5), (0.9, 0.5)) == [False, True]


@pytest.mark.parametrize('value, found', [(255, 'all bright'), (0, 'all dark')])
def test_an_image_that_says_nothing_is_refused(image, value, found):
  name = image(np.full([2, 2], value))
  with pytest.raises(truths.TruthError) as raised:
    truths.by_name(name)
  path = name.removeprefix('image:')
  assert isinstance(raised.value, errors.PipelineError)
  assert str(raised.value) == (
    f'Expected an image with bright and dark places, found {path} {found}; '
    'choose another.'
  )


def test_no_image_is_refused(tmp_path):
  with pytest.raises(truths.TruthError) as raised:
    truths.by_name(f'image:{tmp_path}/none.png')
  assert str(raised.value) == (
    f'Expected a PNG or JPEG image at {tmp_path}/none.png, found: [Errno 2] No '
    f"such file or directory: '{tmp_path}/none.png'"
  )


def test_what_is_not_an_image_is_refused(tmp_path):
  path = tmp_path / 'text.png'
  path.write_text('hello')
  with pytest.raises(
    truths.TruthError, match=f'^Expected a PNG or JPEG image at {path}, found: '
  ):
    truths.by_name(f'image:{path}')


def test_an_unknown_truth_is_refused():
  with pytest.raises(truths.TruthError) as raised:
    truths.by_name('spiral')
  assert str(raised.value) == (
    'Expected a truth out of diagonal, ring, checkerboard, two_hills or '
    "image:PATH, found 'spiral'."
  )
