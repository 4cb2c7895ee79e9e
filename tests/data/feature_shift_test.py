import math

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import batching, feature_shift, population

_SHAPE = (3, 3)
# An image for each of 8 examples, all different, pixels from 0 to 1.
IMAGES = np.random.default_rng(3).random((8, *_SHAPE)).astype(np.float32)
ROWS = {
  'ann': np.array([0, 1, 2]),
  'bob': np.array([], np.int64),
  'cid': np.array([7, 3]),
  'dee': np.array([4, 5, 6]),
}


def people(rows=None) -> population.ArrayPopulation:
  return population.ArrayPopulation(
    (IMAGES.reshape(8, 9), np.arange(8, dtype=np.int32)), rows or ROWS
  )


def shifted(kind='brightness', strength=1.0, rows=None, **choices):
  return feature_shift.with_shift(
    people(rows),
    feature_shift.FeatureShift(kind, strength),
    _SHAPE,
    **({'seed': 0} | choices),
  )


# Turning.


@pytest.mark.parametrize('turns', [0, 1, 2, 3, -1])
def test_quarter_turns_are_exact(turns):
  np.testing.assert_allclose(
    feature_shift.rotated(IMAGES, 90 * turns),
    np.rot90(IMAGES, turns, axes=(1, 2)),
    atol=1e-6,
  )


def test_nothing_comes_from_beyond_the_edge():
  # The corners of a square lie farther out than its edges.
  turned = feature_shift.rotated(np.ones([1, 5, 5], np.float32), 45)
  for corner in ((0, 0), (0, 4), (4, 0), (4, 4)):
    assert turned[0][corner] < 0.2
  np.testing.assert_allclose(turned[0, 1:4, 1:4], 1, atol=1e-6)


def test_a_pixel_in_between_is_mixed_from_its_neighbours():
  image = np.array([[[0.0, 0.0, 1.0]]])
  # cos 60 = 1/2: of one row, the ends are taken from half-way to the middle,
  # and from sin 60 above or below it, where there is nothing.
  turned = feature_shift.rotated(image, 60)
  np.testing.assert_allclose(
    turned, [[[0, 0, 0.5 * (1 - math.sin(math.pi / 3))]]], atol=1e-12
  )


def test_an_image_that_is_no_square_keeps_its_shape():
  images = np.arange(24.0).reshape(2, 3, 4)
  np.testing.assert_allclose(
    feature_shift.rotated(images, 180), images[:, ::-1, ::-1], atol=1e-9
  )


def test_a_turn_and_back_leaves_a_smooth_image_as_it_was():
  place = np.linspace(-2, 2, 41)
  image = np.exp(-(place**2) - 3 * (place[:, np.newaxis] - 0.3) ** 2)
  there = feature_shift.rotated(image[np.newaxis], 30)
  back = feature_shift.rotated(there, -30)[0]
  assert np.abs(there[0] - image).max() > 0.1
  # Interpolating twice errs by up to 2 (1/8) h^2 |f''| along either axis, with
  # h = 0.1 and |f''| <= 6: 0.03.
  assert np.abs(back - image).max() < 0.03


# Populations.


def test_names_labels_and_batches_stay():
  before, after = people(), shifted()
  assert after.client_ids == before.client_ids
  np.testing.assert_array_equal(after.sizes, before.sizes)
  assert after.element_spec == before.element_spec
  choice = batching.Batching(2, epochs=2)
  old, new = (
    p.batches(range(4), choice, seed=4, round_num=2) for p in (before, after)
  )
  np.testing.assert_array_equal(
    np.asarray(old.elements[1]), np.asarray(new.elements[1])
  )


@pytest.mark.parametrize('kind', ['rotation', 'brightness'])
def test_what_a_client_has_depends_on_its_name_alone(kind):
  alone = shifted(kind, rows={'cid': ROWS['cid']})
  np.testing.assert_array_equal(
    alone.examples(0)[0], shifted(kind).examples(2)[0]
  )


@pytest.mark.parametrize('kind', ['rotation', 'brightness'])
def test_seeds_and_clients_differ(kind):
  same = {'ann': ROWS['ann'], 'dee': ROWS['ann']}
  drawn = [
    shifted(kind, rows=same, seed=seed).examples(client)[0].tobytes()
    for seed in (0, 1)
    for client in (0, 1)
  ]
  assert len(set(drawn)) == 4
  again = shifted(kind, rows=same).examples(0)[0].tobytes()
  assert again == drawn[0]


def line(client: int, **choices) -> tuple[float, float]:
  """Contrast and what was added, from pixels that were not cut off."""
  before = people().examples(client)[0].ravel()
  after = shifted(**choices).examples(client)[0].ravel()
  inside = (after > 0) & (after < 1)
  contrast, added = np.polyfit(before[inside] - 0.5, after[inside] - 0.5, 1)
  np.testing.assert_allclose(
    after,
    np.clip(0.5 + contrast * (before - 0.5) + added, 0, 1),
    atol=1e-5,
  )
  return contrast, added


def test_all_images_of_a_client_have_one_contrast_and_brightness():
  for client in (0, 2, 3):
    contrast, added = line(client)
    assert 0.5 <= contrast <= 2
    assert -0.5 <= added <= 0.5


def test_the_weakest_shift_is_none():
  np.testing.assert_allclose(
    shifted(strength=1e-6).examples(0)[0], people().examples(0)[0], atol=1e-5
  )


def test_the_angle_is_uniform():
  """By the image that is bright on one side: where its middle goes."""
  num_clients = 1000
  image = np.zeros([1, 41, 41], np.float32)
  place = np.arange(41) - 20
  image[0] = np.exp(
    -(((place - 12) / 3.0) ** 2) - (place[:, np.newaxis] / 3.0) ** 2
  )
  law = feature_shift.FeatureShift('rotation', 60.0)
  angles = []
  for seed in range(num_clients):
    turned = law.draw_and_apply(image, np.random.default_rng(seed))[0]
    right = np.sum(turned * place)
    down = np.sum(turned * place[:, np.newaxis])
    angles.append(math.degrees(math.atan2(-down, right)))
  found = np.sort(angles)
  assert found[0] > -60.1
  assert found[-1] < 60.1
  # Dvoretzky, Kiefer, Wolfowitz: one false alarm in 1e9 for 0.104.
  bound = math.sqrt(math.log(2 / 1e-9) / (2 * num_clients))
  expected = (found + 60) / 120
  assert np.max(np.abs(expected - np.arange(num_clients) / 1000)) < bound


def test_each_example_can_have_a_shift_of_its_own():
  before = people().examples(0)[0]
  after = shifted(whose='example', strength=0.5).examples(0)[0]
  contrasts = {
    float(np.median(np.diff(new) / np.diff(old)).round(3))
    for old, new in zip(before, after, strict=True)
  }
  assert len(contrasts) == 3


@pytest.mark.parametrize(
  ('kind', 'strength', 'message'),
  [
    (
      'colour',
      1.0,
      "Expected a feature shift out of rotation, brightness, found 'colour'.",
    ),
    (
      'rotation',
      181.0,
      'Expected a rotation of a strength above 0 and up to 180, found 181.0.',
    ),
    (
      'brightness',
      0.0,
      'Expected a brightness of a strength above 0 and up to 1, found 0.0.',
    ),
  ],
)
def test_a_shift_that_there_is_not_is_refused(kind, strength, message):
  with pytest.raises(feature_shift.FeatureShiftError) as raised:
    feature_shift.FeatureShift(kind, strength)
  assert str(raised.value) == message
  assert isinstance(raised.value, errors.PipelineError)
