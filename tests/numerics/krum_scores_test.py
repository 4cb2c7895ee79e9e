"""Krum's scores are those of the definition, by brute force."""

import itertools

import numpy as np
import pytest

from tff_pipelines.numerics import krum_scores

CAPACITY = 9


def padded(vectors: np.ndarray) -> np.ndarray:
  rows = np.full([CAPACITY, vectors.shape[1]], np.nan, np.float32)
  rows[: len(vectors)] = vectors
  return rows


def scores(vectors: np.ndarray, tolerated: int) -> np.ndarray:
  """The scores of the vectors."""
  found = krum_scores.scores(
    krum_scores.squared_distances(padded(vectors)), len(vectors), tolerated
  ).numpy()
  assert np.all(np.isinf(found[len(vectors) :]))
  return found[: len(vectors)]


def best(vectors: np.ndarray, tolerated: int, number: int = 1) -> list[int]:
  """The positions of the best."""
  score = np.full([CAPACITY], np.inf)
  score[: len(vectors)] = scores(vectors, tolerated)
  return np.flatnonzero(krum_scores.best(score, number)).tolist()


def vectors(count: int, dimension: int = 6, seed: int = 0) -> np.ndarray:
  rng = np.random.default_rng([seed, count])
  return rng.normal(size=[count, dimension]).astype(np.float32)


def on_a_line(*places: float) -> np.ndarray:
  return np.array(places, np.float32)[:, np.newaxis]


def test_distances_by_hand():
  rows = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]], np.float32)
  np.testing.assert_array_equal(
    krum_scores.squared_distances(rows), [[0, 25, 9], [25, 0, 16], [9, 16, 0]]
  )


def test_distances_by_brute_force():
  rows = vectors(8, 50)
  wide = rows.astype(np.float64)
  expected = ((wide[:, np.newaxis] - wide) ** 2).sum(axis=2)
  found = krum_scores.squared_distances(rows).numpy()
  np.testing.assert_allclose(found, expected, rtol=1e-12)
  np.testing.assert_array_equal(found, found.T)
  np.testing.assert_array_equal(np.diag(found), np.zeros(8))


def test_distances_of_huge_vectors_leave_the_others_alone():
  rows = vectors(4)
  rows[1] = 3e38
  found = krum_scores.squared_distances(rows).numpy()
  honest = [0, 2, 3]
  assert np.all(np.isfinite(found))
  np.testing.assert_allclose(
    found[np.ix_(honest, honest)],
    krum_scores.squared_distances(rows[honest]),
    rtol=1e-12,
  )


def test_five_clients_with_one_attacker_by_hand():
  # Two neighbours each: 1 + 4, 1 + 1, 4 + 1, 36 + 49, then the far one.
  rows = on_a_line(0.0, 1.0, 2.0, 8.0, 100.0)
  np.testing.assert_allclose(
    scores(rows, 1), [5, 2, 5, 85, 92**2 + 98**2], rtol=1e-12
  )
  assert best(rows, 1) == [1]
  assert best(rows, 1, 3) == [0, 1, 2]
  assert best(rows, 1, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize('count', range(2, CAPACITY + 1))
@pytest.mark.parametrize('tolerated', range(4))
def test_scores_by_brute_force(count, tolerated):
  rows = vectors(count).astype(np.float64)
  neighbours = max(count - tolerated - 2, 1)
  expected = [
    sum(
      sorted(((rows[i] - rows[j]) ** 2).sum() for j in range(count) if j != i)[
        :neighbours
      ]
    )
    for i in range(count)
  ]
  np.testing.assert_allclose(scores(rows, tolerated), expected, rtol=1e-12)


def test_alone_there_is_nobody_to_be_far_from():
  assert scores(vectors(1), 1).tolist() == [0.0]
  assert best(vectors(1), 1) == [0]


def test_nobody_is_no_best():
  assert best(vectors(0), 1) == []


def test_those_that_tie_are_all_best():
  # The two nearest of three, and a square.
  assert best(on_a_line(0.0, 5.0, 6.0), 0) == [1, 2]
  square = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
  assert best(square, 1) == [0, 1, 2, 3]


def test_order_does_not_matter():
  rows = vectors(5)
  chosen = rows[best(rows, 1, 3)].tolist()
  for order in itertools.permutations(range(5)):
    shuffled = rows[list(order)]
    assert sorted(shuffled[best(shuffled, 1, 3)].tolist()) == sorted(chosen)


def test_moved_vectors_keep_their_scores():
  rows = vectors(6)
  shift = np.linspace(-3, 3, 6, dtype=np.float32)
  # float32 rounds the moved vectors by some 2^-22 each.
  np.testing.assert_allclose(
    scores(rows + shift, 1), scores(rows, 1), rtol=1e-5
  )


FAR = [
  (1e30, 1e30),  # At one place.
  (1e30, -1e30),
  (3.0, 3.0),  # Near, at one place.
]


@pytest.mark.parametrize('values', FAR)
@pytest.mark.parametrize('who', [*itertools.combinations(range(7), 2)])
def test_two_attackers_of_seven_are_near_an_honest_one_if_chosen(who, values):
  honest = vectors(5)
  rows = np.empty([7, 6], np.float32)
  others = [c for c in range(7) if c not in who]
  rows[others] = honest
  rows[list(who)] = np.reshape(values, [2, 1])
  (chosen,) = best(rows, 2)
  limit = np.sqrt(
    min(sum(sorted(((a - b) ** 2).sum() for b in honest)[1:4]) for a in honest)
  )
  nearest = min(
    np.linalg.norm(rows[chosen].astype(np.float64) - h) for h in honest
  )
  assert nearest <= limit * (1 + 1e-6)


def test_a_majority_at_one_place_is_chosen():
  rows = vectors(7)
  rows[:4] = 1e30
  assert set(best(rows, 2)) == {0, 1, 2, 3}


def test_one_attacker_more_is_among_those_that_multi_krum_averages():
  rows = vectors(7)
  rows[:3] = [[1e30], [-1e30], [2e30]]
  assert not {0, 1, 2} & set(best(rows, 2))
  assert {0, 1, 2} & set(best(rows, 2, number=5))
