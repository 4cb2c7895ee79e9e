"""Populations made of another."""

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.data import batching, changed_population, population

BATCHING = batching.Batching(2, epochs=2)


@pytest.fixture(scope='module')
def base() -> population.ArrayPopulation:
  return population.ArrayPopulation(
    (np.arange(18, dtype=np.float32).reshape(9, 2), np.arange(9)),
    {
      'a': np.array([0, 1]),
      'b': np.array([2, 3, 4]),
      'c': np.array([5]),
      'd': np.array([6, 7, 8]),
    },
  )


def assert_same_batches(one, other) -> None:
  assert one.client_ids == other.client_ids
  np.testing.assert_array_equal(one.offsets, other.offsets)
  np.testing.assert_array_equal(one.batch_sizes, other.batch_sizes)
  tf.nest.map_structure(
    lambda a, b: np.testing.assert_array_equal(np.asarray(a), np.asarray(b)),
    one.elements,
    other.elements,
  )


@pytest.mark.parametrize(
  'clients', [np.array([3, 1]), np.array([False, True, False, True])]
)
def test_a_subset_has_the_clients_as_they_are_chosen(base, clients):
  subset = changed_population.SubsetPopulation(base, clients)
  order = ['d', 'b'] if clients.dtype != bool else ['b', 'd']
  assert subset.client_ids == tuple(order)
  assert subset.sizes.tolist() == [3, 3]
  assert subset.element_spec == base.element_spec
  for number, name in enumerate(order):
    expected = base.examples(base.client_ids.index(name), np.array([2, 0]))
    found = subset.examples(number, np.array([2, 0]))
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


def test_batches_of_a_subset_are_those_of_the_base(base):
  subset = changed_population.SubsetPopulation(base, np.array([3, 0, 1]))
  assert_same_batches(
    subset.batches([2, 0], BATCHING, seed=4, round_num=5),
    base.batches([1, 3], BATCHING, seed=4, round_num=5),
  )


def test_a_subset_of_a_subset_is_one_of_the_base(base):
  once = changed_population.SubsetPopulation(base, np.array([3, 0, 1]))
  twice = changed_population.SubsetPopulation(once, np.array([2, 0]))
  assert_same_batches(
    twice.batches([0, 1], BATCHING, seed=4, round_num=5),
    base.batches([1, 3], BATCHING, seed=4, round_num=5),
  )


@pytest.mark.parametrize('nobody', [np.zeros(0, np.int64), np.zeros(4, bool)])
def test_a_subset_of_nobody_is_refused(base, nobody):
  with pytest.raises(
    population.PopulationError, match=r'^Expected some clients, found none\.$'
  ):
    changed_population.SubsetPopulation(base, nobody)


def test_one_client_has_other_examples_and_nobody_else(base):
  x, y = np.full([4, 2], 7, np.float32), np.full(4, 9)
  changed = changed_population.ReplacedPopulation(base, 1, (x, y))
  assert changed.client_ids == base.client_ids
  assert changed.sizes.tolist() == [2, 4, 1, 3]
  assert base.sizes.tolist() == [2, 3, 1, 3]
  np.testing.assert_array_equal(changed.examples(1)[1], y)
  np.testing.assert_array_equal(changed.examples(1, np.array([3]))[1], [9])
  assert_same_batches(
    changed.batches([3, 0, 2], BATCHING, seed=4, round_num=5),
    base.batches([3, 0, 2], BATCHING, seed=4, round_num=5),
  )
  found = changed.batches([1], BATCHING, seed=4, round_num=5)
  assert found.num_examples == 8
  assert np.unique(np.asarray(found.elements[1])).tolist() == [9]


def test_the_same_examples_give_the_same_batches(base):
  changed = changed_population.ReplacedPopulation(base, 3, base.examples(3))
  assert_same_batches(
    changed.batches(range(4), BATCHING, seed=4, round_num=5),
    base.batches(range(4), BATCHING, seed=4, round_num=5),
  )


def test_a_client_with_nothing_is_there_without_a_batch(base):
  nothing = tf.nest.map_structure(lambda a: a[:0], base.examples(1))
  changed = changed_population.ReplacedPopulation(base, 1, nothing)
  found = changed.batches([0, 1, 2], BATCHING, seed=4, round_num=5)
  assert found.client_ids == ('a', 'b', 'c')
  assert np.diff(found.offsets).tolist() == [2, 0, 1]
