import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import client_kinds, errors
from tff_pipelines.data import grid_world, population, truths

GridWorld = grid_world.GridWorld
HONEST, OUTLIER = (
  client_kinds.ClientKind.HONEST,
  client_kinds.ClientKind.OUTLIER,
)


def known(world: GridWorld, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
  """Places [users, points, 2] and labels [users, points]."""
  train = world.dataset(seed).train
  users = [train.examples(user) for user in range(world.users)]
  places, labels = zip(*users, strict=True)
  return np.stack(places), np.stack(labels)


def is_hot(places: np.ndarray) -> np.ndarray:
  return places[..., 0] < places[..., 1]


def test_users_are_named_and_hold_places_with_their_truth():
  world = GridWorld(users=12, points=7)
  dataset = world.dataset(3)
  assert isinstance(dataset, population.FederatedDataset)
  assert (dataset.name, dataset.label_names) == ('grid', ('cold', 'hot'))
  assert dataset.train.client_ids[0] == 'user01'
  assert dataset.train.client_ids[11] == 'user12'
  assert dataset.train.client_ids == world.user_names
  assert dataset.train.sizes.tolist() == [7] * 12
  assert dataset.train.element_spec == (
    tf.TensorSpec([2], tf.float32),
    tf.TensorSpec([], tf.float32),
  )
  places, labels = known(world, 3)
  assert places.min() >= 0.03 and places.max() <= 0.97
  np.testing.assert_array_equal(labels, is_hot(places))


def test_the_map_is_the_grid_without_the_diagonal():
  test = GridWorld().dataset(0).test
  assert test.client_ids == ('map',)
  places, labels = test.examples(0)
  assert (places.dtype, labels.dtype) == (np.float32, np.float32)
  cells = np.round(20 * places).astype(int)
  np.testing.assert_allclose(places, cells / 20, atol=1e-7)
  assert {tuple(c) for c in cells} == {
    (i, j) for i in range(21) for j in range(21) if i != j
  }
  np.testing.assert_array_equal(labels, cells[:, 0] < cells[:, 1])


def test_own_maps_are_the_map_as_each_user_reports_it():
  world = GridWorld(users=3, outliers=1)
  own = world.own_maps()
  assert own.client_ids == world.user_names
  places, labels = world.dataset(0).test.examples(0)
  for user in range(3):
    own_places, own_labels = own.examples(user)
    np.testing.assert_array_equal(own_places, places)
    np.testing.assert_array_equal(
      own_labels, labels if user < 2 else 0 * labels
    )


@pytest.mark.parametrize('name', truths.NAMES)
def test_the_map_of_every_truth_keeps_most_of_the_grid(name):
  places, labels = GridWorld(truth=name).dataset(0).test.examples(0)
  assert 300 < len(places) < 441
  np.testing.assert_array_equal(
    labels, truths.by_name(name)(places.astype(float))
  )


def test_the_grid_runs_along_rows():
  expected = [[0, 0], [0.5, 0], [1, 0], [0, 0.5]]
  np.testing.assert_array_equal(grid_world.grid(3)[:4], expected)
  assert grid_world.grid(3).shape == (9, 2)


def test_a_world_is_a_pure_function_of_its_seed():
  world = GridWorld(noise=2.0, outliers=3)
  for one, again, other in zip(
    known(world, 5), known(world, 5), known(world, 6), strict=True
  ):
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
  'change',
  [{'users': 64}, {'points': 32}, {'outliers': 8}, {'noise': 0.0}],
  ids=str,
)
def test_what_a_user_knows_does_not_depend_on(change):
  base = GridWorld(users=16, points=4, noise=0.0)
  changed = dataclasses.replace(base, **change)
  (places, labels), (more_places, more_labels) = known(base), known(changed)
  np.testing.assert_array_equal(more_places[:16, :4], places)
  honest = 16 - changed.outliers
  np.testing.assert_array_equal(more_labels[:honest, :4], labels[:honest])


def test_noise_of_a_user_does_not_depend_on_who_else_there_is():
  noisy = known(GridWorld(users=4, noise=3.0))[0]
  among_more = known(GridWorld(users=32, outliers=20, noise=3.0))[0]
  np.testing.assert_array_equal(among_more[:4], noisy)


def test_the_last_users_are_outliers_and_report_cold_everywhere():
  world = GridWorld(users=6, points=20, outliers=2)
  assert world.kinds(0) == (HONEST,) * 4 + (OUTLIER,) * 2
  places, labels = known(world)
  assert not labels[4:].any() and is_hot(places[4:]).any()
  np.testing.assert_array_equal(labels[:4], is_hot(places[:4]))


def test_noise_moves_a_place_its_share_of_the_way():
  still = known(GridWorld(points=32))[0]
  to_the_end = known(GridWorld(points=32, noise=5.0))[0]
  inside = (to_the_end > 0.06) & (to_the_end < 0.94)
  for level in (1.0, 2.5, 4.0):
    places, labels = known(GridWorld(points=32, noise=level))
    expected = still + level / 5 * (to_the_end - still)
    unclipped = inside & (expected > 0.06) & (expected < 0.94)
    assert unclipped.mean() > 0.7
    np.testing.assert_allclose(
      places[unclipped], expected[unclipped], atol=1e-6
    )
    assert places.min() >= np.float32(0.06)
    assert places.max() <= np.float32(0.94)
    np.testing.assert_array_equal(labels, is_hot(still))


def test_without_noise_places_stay_near_the_edge():
  places = known(GridWorld(users=64, points=32))[0]
  assert places.min() < 0.04 and places.max() > 0.96


def test_avoiding_the_middle_leaves_out_places_near_the_border():
  world = GridWorld(users=64, points=32, avoid_middle=True)
  places, _ = known(world)
  away = np.abs(places[..., 0] - places[..., 1])
  assert away.min() > 0.1 - 1e-6
  # 2048 places, a tenth of which are within 0.15 of those kept: one is there.
  assert away.min() < 0.11


def test_avoiding_the_middle_can_need_more_than_the_first_candidates():
  world = GridWorld(
    users=2, points=300, truth='checkerboard', avoid_middle=True
  )
  places, _ = known(world)
  assert places.shape == (2, 300, 2)


@pytest.mark.parametrize('seed', range(5))
def test_a_forced_pair_puts_two_of_each_class_first(seed):
  world = GridWorld(users=40, points=4, force_pair=True)
  _, labels = known(world, seed)
  assert labels.sum(axis=1).tolist() == [2.0] * 40
  _, fewer = known(dataclasses.replace(world, points=3), seed)
  np.testing.assert_array_equal(fewer, labels[:, :3])


def test_a_forced_pair_only_moves_places_to_the_front():
  free = known(GridWorld(points=100))[0]
  forced = known(GridWorld(points=100, force_pair=True))[0]
  for one, other in zip(free, forced, strict=True):
    assert sorted(map(tuple, one)) == sorted(map(tuple, other))
  np.testing.assert_array_equal(free[:, 0], forced[:, 0])


def test_provenance_has_what_makes_the_world_again():
  world = GridWorld(users=3, noise=1.5)
  assert world.dataset(4).provenance == {
    'source': 'grid (drawn from a seed)',
    'users': 3,
    'points': 4,
    'truth': 'diagonal',
    'avoid_middle': False,
    'force_pair': False,
    'outliers': 0,
    'noise': 1.5,
    'seed': 4,
  }


@pytest.mark.parametrize(
  'options, message',
  [
    ({'users': 0}, 'Expected users of at least 1, found 0.'),
    ({'points': -1}, 'Expected points of at least 1, found -1.'),
    (
      {'users': 4, 'outliers': 5},
      'Expected from 0 to 4 outliers among as many users, found 5.',
    ),
    (
      {'outliers': -1},
      'Expected from 0 to 16 outliers among as many users, found -1.',
    ),
    ({'noise': 5.5}, 'Expected noise from 0 to 5, found 5.5.'),
    ({'noise': float('nan')}, 'Expected noise from 0 to 5, found nan.'),
  ],
)
def test_a_world_that_cannot_be_is_refused(options, message):
  with pytest.raises(grid_world.GridWorldError) as raised:
    GridWorld(**options)
  assert isinstance(raised.value, errors.PipelineError)
  assert str(raised.value) == message


def test_an_unknown_truth_is_refused_at_once():
  with pytest.raises(truths.TruthError, match="found 'square'"):
    GridWorld(truth='square')


def test_too_many_points_are_refused():
  with pytest.raises(grid_world.GridWorldError) as raised:
    GridWorld(users=1, points=1001).dataset(0)
  assert str(raised.value) == (
    'Expected 1001 places away from the middle among 1000 candidates, found '
    '1000; take fewer points, or do not avoid the middle.'
  )
