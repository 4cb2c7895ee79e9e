import collections

import pytest

from tff_pipelines.secagg import graph


def test_the_complete_graph_joins_all():
  complete = graph.Graph(4, None, bytes(32))
  assert [complete.neighbours(i) for i in range(4)] == [
    (1, 2, 3),
    (0, 2, 3),
    (0, 1, 3),
    (0, 1, 2),
  ]


@pytest.mark.parametrize(('n', 'k'), [(5, 2), (6, 4), (50, 8), (301, 100)])
def test_sparse_graphs_are_regular_and_symmetric(n, k):
  sparse = graph.Graph(n, k, bytes(range(32)))
  for i in range(n):
    neighbours = sparse.neighbours(i)
    assert len(set(neighbours)) == k
    assert list(neighbours) == sorted(neighbours)
    assert i not in neighbours
    assert all(i in sparse.neighbours(j) for j in neighbours)


@pytest.mark.parametrize(('n', 'k'), [(12, 2), (12, 4), (12, 6)])
def test_a_harary_graph_is_a_power_of_a_circle(n, k):
  # Every client has k/2 neighbours that share k - 2 or more with it or so:
  # walking to the common nearest neighbours must visit all.
  sparse = graph.Graph(n, k, bytes(range(32)))
  seen, queue = {0}, collections.deque([0])
  while queue:
    for other in sparse.neighbours(queue.popleft()):
      if other not in seen:
        seen.add(other)
        queue.append(other)
  assert len(seen) == n


def test_the_graph_is_a_function_of_the_seed():
  one = [graph.Graph(50, 6, bytes(32)).neighbours(i) for i in range(50)]
  same = [graph.Graph(50, 6, bytes(32)).neighbours(i) for i in range(50)]
  other = [graph.Graph(50, 6, b'\1' * 32).neighbours(i) for i in range(50)]
  assert one == same
  assert one != other


def test_known_neighbours():
  # Parties that place clients differently cannot work together.
  sparse = graph.Graph(10, 4, bytes(range(32)))
  assert sparse.neighbours(0) == (2, 4, 5, 8)


def test_every_pair_is_joined_equally_often():
  # Over 2,000 seeds a pair of 6 clients is joined with probability 2/5. By
  # Hoeffding each frequency is within sqrt(ln(2 * 15 / 1e-9) / 4000) = 0.0777
  # but for a probability of 1e-9.
  counts = collections.Counter()
  for number in range(2000):
    sparse = graph.Graph(6, 2, number.to_bytes(32, 'big'))
    for i in range(6):
      counts.update((i, j) for j in sparse.neighbours(i) if i < j)
  assert len(counts) == 15
  assert all(abs(count / 2000 - 0.4) < 0.0777 for count in counts.values())
