"""Populations with canaries in them."""

import numpy as np
import pytest

from tff_pipelines.data import batching, canary_population, population


@pytest.fixture(scope='module')
def clients() -> canary_population.CanaryPopulation:
  base = population.ArrayPopulation(
    (np.arange(10, dtype=np.float32).reshape(5, 2), np.arange(5)),
    {'a': np.array([0, 1]), 'b': np.array([2, 3, 4])},
  )
  return canary_population.CanaryPopulation(base, 2)


def test_canaries_come_after_the_clients(clients):
  assert clients.client_ids == ('a', 'b', 'canary 0', 'canary 1')
  assert clients.sizes.tolist() == [2, 3, 1, 1]
  assert clients.is_canary(np.arange(4)).tolist() == [False, False, True, True]
  assert clients.canaries(np.array([3, 0, 2])).tolist() == [1, 0]


def test_a_client_keeps_its_examples(clients):
  x, y = clients.examples(1)
  assert x['features'].tolist() == [[4, 5], [6, 7], [8, 9]]
  assert y.tolist() == [2, 3, 4]
  assert x['canary'].tolist() == [0, 0, 0]


def test_rows_of_a_client_are_chosen(clients):
  x, y = clients.examples(1, np.array([2, 0]))
  assert y.tolist() == [4, 2]
  assert x['canary'].tolist() == [0, 0]


def test_a_canary_has_one_example_with_its_number(clients):
  x, y = clients.examples(3)
  assert x['features'].tolist() == [[0, 0]]
  assert x['canary'].tolist() == [2]
  assert y.tolist() == [0]


def test_batches_are_of_the_element_spec(clients):
  batches = clients.batches(
    [2, 1], batching.Batching(2, 1, shuffle=False), seed=0, round_num=1
  )
  assert batches.client_ids == ('canary 0', 'b')
  x, y = batches.elements
  assert np.asarray(x['canary']).tolist() == [[1, 0], [0, 0], [0, 0]]
  assert np.asarray(y).tolist() == [[0, 0], [2, 3], [4, 0]]
  assert batches.batch_sizes.tolist() == [1, 2, 1]
  spec, _ = clients.element_spec
  assert spec['features'].shape == [2]
  assert spec['canary'].shape == []


def test_no_canary_is_refused(clients):
  with pytest.raises(
    population.PopulationError, match=r'^Expected at least 1 canary, found 0'
  ):
    canary_population.CanaryPopulation(clients.base, 0)
