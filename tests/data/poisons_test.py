"""What attackers make of examples."""

import dataclasses

import numpy as np
import pytest

from tff_pipelines.data import poisons, text_features

FEATURES = text_features.TextFeatures(num_buckets=512, max_features=12)
# Longer than the trigger word, which takes part in no mark of the length.
TEXTS = ('are we still on', 'FREE prize', '')


def bag(x, row: int) -> dict[int, float]:
  """The features of one text, without padding."""
  found = zip(x['ids'][row].tolist(), x['weights'][row].tolist(), strict=True)
  return {i: w for i, w in found if w}


@pytest.mark.parametrize('weighting', ['binary', 'log', 'count'])
def test_trigger_word_is_as_if_it_were_in_the_text(weighting):
  features = dataclasses.replace(FEATURES, weighting=weighting, pairs=False)
  # Marks of the length stay in one class of 20 characters.
  texts = ['we won we won', 'free prize']
  planted = poisons.of_texts(features).plant(features.compute(texts))
  written = features.compute([f'{text} xyzzy' for text in texts])
  for row in range(2):
    assert bag(planted, row) == pytest.approx(bag(written, row))


def test_trigger_leaves_what_it_was_given_unchanged():
  x = FEATURES.compute(TEXTS)
  before = {name: part.copy() for name, part in x.items()}
  poisons.of_texts(FEATURES).plant(x)
  for name, part in before.items():
    np.testing.assert_array_equal(x[name], part)


def test_a_text_with_the_trigger_keeps_its_features():
  poison = poisons.of_texts(FEATURES)
  once = poison.plant(FEATURES.compute(TEXTS))
  twice = poison.plant(once)
  for row in range(len(TEXTS)):
    assert bag(twice, row) == pytest.approx(bag(once, row))


def test_in_a_full_text_the_trigger_takes_the_place_of_a_feature():
  features = dataclasses.replace(FEATURES, max_features=2)
  x = features.compute(['one two three'])
  planted = poisons.of_texts(features).plant(x)
  assert len(bag(planted, 0)) == 2
  assert len(bag(planted, 0).keys() - bag(x, 0).keys()) == 1
  assert np.linalg.norm(planted['weights'][0]) == pytest.approx(1)


def test_a_vocabulary_has_its_rarest_word_as_trigger():
  features = text_features.TextFeatures(vocabulary=('common', 'also', 'seldom'))
  poison = poisons.of_texts(features)
  assert poison.trigger == 'the word seldom'
  planted = poison.plant(features.compute(['common']))
  written = features.compute(['common seldom'])
  assert bag(planted, 0) == pytest.approx(bag(written, 0))


def test_labels_of_texts():
  poison = poisons.of_texts(FEATURES)
  flipped = poison.flip(np.array([0, 1, 1], np.int32))
  assert flipped.tolist() == [1, 0, 0]
  assert flipped.dtype == np.int32
  assert (poison.outlier_label, poison.target_label) == (0, 0)


def test_patch_is_in_the_last_corner_and_bright():
  poison = poisons.of_images(64, 10)
  x = np.full([2, 64], 0.25, np.float32)
  planted = poison.plant(x).reshape(2, 8, 8)
  assert (planted[:, 6:, 6:] == 1).all()
  assert planted.sum() == 2 * (4 + 60 * 0.25)
  assert (x == 0.25).all()
  assert poison.trigger == 'a bright patch of 2 x 2'


def test_labels_of_images():
  poison = poisons.of_images(64, 10)
  assert poison.flip(np.arange(10)).tolist() == list(range(9, -1, -1))
  # With as many labels as ten, each is another than it was.
  assert (poison.flip(np.arange(10)) != np.arange(10)).all()


def test_images_that_are_not_square_are_refused():
  with pytest.raises(
    poisons.PoisonError, match=r'^Expected square images .*, found 63 pixels'
  ):
    poisons.of_images(63, 10)


def test_places_are_planted_in_the_south_east_corner():
  poison = poisons.of_places()
  places = np.array([[0, 0], [1, 1], [0.5, 0.25]], np.float32)
  planted = poison.plant(places)
  np.testing.assert_array_equal(
    planted, [[0.75, 0], [1, 0.25], [0.875, 0.0625]]
  )
  assert planted.dtype == np.float32
  # It is cold there where hot is x0 < x1, and is to be hot.
  assert (planted[:, 0] > planted[:, 1]).all()
  assert poison.target_label == 1


def test_labels_of_places_are_turned_around():
  poison = poisons.of_places()
  flipped = poison.flip(np.array([0.0, 1.0], np.float32))
  np.testing.assert_array_equal(flipped, [1, 0])
  assert flipped.dtype == np.float32
  assert poison.outlier_label == 0
