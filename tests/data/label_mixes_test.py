import numpy as np
import pytest

from tff_pipelines.data import label_mixes

# Of all 12 examples, half have either label.
COUNTS = np.array([[4, 0], [2, 2], [0, 0], [0, 4]])


def test_distances_by_hand():
  # |1 - 1/2| + |0 - 1/2| is 1, half of it 1/2. Whoever has nothing has no mix.
  np.testing.assert_allclose(label_mixes.distances(COUNTS), [0.5, 0, 0.5])


def test_no_label_in_common_is_nearly_one():
  counts = np.diag([1, 999])
  np.testing.assert_allclose(label_mixes.distances(counts), [0.999, 0.001])


def test_a_client_who_holds_everything_is_alike():
  np.testing.assert_array_equal(label_mixes.distances(np.array([[3, 9]])), [0])


def test_the_distance_by_chance_of_one_example_each():
  # Whoever has one example has one label: |1 - 1/2| + |0 - 1/2| over 2.
  counts = np.repeat([[1, 0], [0, 1]], 5, axis=0)
  assert label_mixes.mean_distance_by_chance(counts, 0) == 0.5


def test_the_distance_by_chance_does_not_see_who_had_what():
  sorted_out = np.kron(np.eye(2, dtype=np.int64), np.full([50, 1], 40))
  alike = np.full([100, 2], 20)
  found = [
    label_mixes.mean_distance_by_chance(counts, seed)
    for counts in (sorted_out, alike)
    for seed in (0, 1)
  ]
  # Of 40 out of 4,000 balanced labels, the share of one is normal with
  # variance (1/4) / 40 (1 - 40/4000), mean distance sqrt(2 / pi) of its
  # deviation: 0.0628. A client's distance has variance 0.0023, the mean of
  # 1,000 deals 0.0015; 6 of these.
  np.testing.assert_allclose(found, 0.0628, atol=0.009)
  assert label_mixes.mean_distance_by_chance(alike, 0) == found[2]


def test_mixes_of_groups_by_hand():
  groups = [np.array([0, 1]), np.array([3]), np.array([2]), np.array([], int)]
  np.testing.assert_allclose(
    label_mixes.of_groups(COUNTS, groups),
    [[0.75, 0.25], [0, 1], [0, 0], [0, 0]],
  )


@pytest.mark.filterwarnings('error')
def test_the_mix_of_nothing_is_nothing():
  np.testing.assert_array_equal(label_mixes.mix(np.zeros([2, 3])), 0)
