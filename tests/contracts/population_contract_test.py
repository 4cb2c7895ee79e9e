"""What every client population satisfies, whatever it is made of.

A row in BUILDERS buys all of it.
"""

from collections.abc import Mapping, Sequence
import pathlib
import shutil
import tempfile
from typing import Any
import weakref

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import client_batches, participation
from tff_pipelines.data import batching, example_cache, population


class _PopulationOfLists(population.ClientPopulation):
  """The least that a population has to implement."""

  def __init__(self, examples: Any, rows_by_client: Mapping[str, Any]):
    self._examples = [
      tf.nest.map_structure(lambda a, r=rows: a[r], examples)
      for rows in rows_by_client.values()
    ]
    self.client_ids = tuple(rows_by_client)
    self.sizes = np.array([len(r) for r in rows_by_client.values()], np.int64)
    self.element_spec = tf.nest.map_structure(
      lambda a: tf.TensorSpec(a.shape[1:], a.dtype), examples
    )

  def examples(self, client: int, rows: np.ndarray | None = None) -> Any:
    taken = slice(None) if rows is None else rows
    return tf.nest.map_structure(lambda a: a[taken], self._examples[client])


def _cached(
  examples: Any, rows_by_client: Mapping[str, Any]
) -> example_cache.SqlPopulation:
  """An example cache, behind another split; its file goes with the test."""
  folder = tempfile.mkdtemp()
  path = pathlib.Path(folder) / 'examples.sqlite'
  people = _PopulationOfLists(examples, rows_by_client)
  example_cache.write(path, people, 'another')
  example_cache.write(path, people, 'this')
  found = example_cache.SqlPopulation(path, 'this')
  weakref.finalize(found, shutil.rmtree, folder)
  return found


BUILDERS = {
  'array': population.ArrayPopulation,
  'least': _PopulationOfLists,
  'cached': _cached,
}

# Example i is named by its label i + 1; none is 0, which is padding.
NUM_EXAMPLES = 20
EXAMPLES = (
  {
    'matrix': 1.0 + np.arange(120, dtype=np.float32).reshape(-1, 3, 2),
    'flag': np.arange(NUM_EXAMPLES) % 3 > 0,
  },
  1 + np.arange(NUM_EXAMPLES, dtype=np.int32),
)
# Rows are neither sorted nor all taken.
ROWS = {
  'five': np.array([9, 3, 17, 0, 12]),
  'none': np.array([], np.int64),
  'three': np.array([1, 2, 19]),
  'one': np.array([8]),
  'nobody': np.array([], np.int64),
  'eight': np.array([10, 11, 4, 5, 6, 7, 18, 16]),
}
SIZES = [5, 0, 3, 1, 0, 8]
EVERYONE = range(len(ROWS))


@pytest.fixture(params=BUILDERS, scope='module')
def clients(request) -> population.ClientPopulation:
  return BUILDERS[request.param](EXAMPLES, ROWS)


def batches_of(
  clients: population.ClientPopulation,
  cohort: Sequence[int] | np.ndarray = EVERYONE,
  batch_size: int = 3,
  seed: int = 0,
  round_num: int = 1,
  **choices,
) -> client_batches.ClientBatches:
  return clients.batches(
    cohort,
    batching.Batching(batch_size, **choices),
    seed=seed,
    round_num=round_num,
  )


def visited(batches: client_batches.ClientBatches) -> list[list[int]]:
  """The labels that each client visits, in order, read from the dense form."""
  labels = batches.elements[1]
  return [
    [
      int(label)
      for b in range(batches.offsets[c], batches.offsets[c + 1])
      for label in labels[b, : batches.batch_sizes[b]]
    ]
    for c in range(batches.num_clients)
  ]


def assert_same_batches(one, other) -> None:
  assert one.client_ids == other.client_ids
  np.testing.assert_array_equal(one.offsets, other.offsets)
  np.testing.assert_array_equal(one.batch_sizes, other.batch_sizes)
  tf.nest.map_structure(
    np.testing.assert_array_equal, one.elements, other.elements
  )


def test_clients_and_sizes(clients):
  assert clients.client_ids == tuple(ROWS)
  assert clients.num_clients == len(ROWS)
  np.testing.assert_array_equal(clients.sizes, SIZES)
  assert clients.sizes.dtype == np.int64
  assert clients.num_examples == 17


def test_the_batch_spec_is_the_element_spec_with_an_unknown_dimension(clients):
  assert clients.element_spec == (
    {
      'matrix': tf.TensorSpec([3, 2], tf.float32),
      'flag': tf.TensorSpec([], tf.bool),
    },
    tf.TensorSpec([], tf.int32),
  )
  assert clients.batch_spec == (
    {
      'matrix': tf.TensorSpec([None, 3, 2], tf.float32),
      'flag': tf.TensorSpec([None], tf.bool),
    },
    tf.TensorSpec([None], tf.int32),
  )


@pytest.mark.parametrize('client', EVERYONE)
def test_examples_are_those_of_the_client(clients, client):
  owned = list(ROWS.values())[client]
  tf.nest.map_structure(
    lambda found, all_: np.testing.assert_array_equal(found, all_[owned]),
    clients.examples(client),
    EXAMPLES,
  )


def test_rows_choose_among_the_examples_of_the_client(clients):
  x, y = clients.examples(5, np.array([7, 0, 0]))
  np.testing.assert_array_equal(y, [17, 11, 11])
  np.testing.assert_array_equal(x['matrix'], EXAMPLES[0]['matrix'][y - 1])
  np.testing.assert_array_equal(x['flag'], EXAMPLES[0]['flag'][y - 1])


def test_gather_puts_clients_one_after_the_other(clients):
  none = np.array([], np.int64)
  x, y = clients.gather([2, 1, 0], [np.array([2, 0]), none, np.array([4])])
  np.testing.assert_array_equal(y, [20, 2, 13])
  np.testing.assert_array_equal(x['matrix'], EXAMPLES[0]['matrix'][y - 1])


def test_batches_are_a_pure_function(clients):
  first = batches_of(clients, epochs=2, max_examples=4)
  batches_of(clients, seed=8, round_num=8)
  assert_same_batches(batches_of(clients, epochs=2, max_examples=4), first)


@pytest.mark.parametrize('builder', BUILDERS.values(), ids=BUILDERS)
def test_populations_of_the_same_examples_have_the_same_batches(builder):
  assert_same_batches(
    batches_of(builder(EXAMPLES, ROWS), epochs=2),
    batches_of(_PopulationOfLists(EXAMPLES, ROWS), epochs=2),
  )


@pytest.mark.parametrize('change', [{'seed': 1}, {'round_num': 2}])
def test_another_seed_or_round_is_another_order(clients, change):
  before, after = (
    visited(batches_of(clients)),
    visited(batches_of(clients, **change)),
  )
  assert sorted(before[5]) == sorted(after[5])
  assert before[5] != after[5]


def test_a_clients_batches_do_not_depend_on_who_else_is_chosen(clients):
  together = batches_of(clients, [5, 1, 0, 3], epochs=2)
  for position, client in enumerate([5, 1, 0, 3]):
    alone = batches_of(clients, [client], epochs=2)
    owned = slice(*together.offsets[position : position + 2])
    np.testing.assert_array_equal(
      together.batch_sizes[owned], alone.batch_sizes
    )
    tf.nest.map_structure(
      lambda a, b, o=owned: np.testing.assert_array_equal(a[o], b),
      together.elements,
      alone.elements,
    )


def test_the_cohort_keeps_the_order_of_the_draw(clients):
  cohort = np.array([5, 0, 2])  # As `Participation.select` returns it.
  assert batches_of(clients, cohort).client_ids == ('eight', 'five', 'three')


@pytest.mark.parametrize('shuffle', [True, False])
@pytest.mark.parametrize('epochs', [1, 2, 3])
@pytest.mark.parametrize('batch_size', [1, 2, 3, 100])
def test_epochs_visit_every_example_exactly_epochs_times(
  clients, batch_size, epochs, shuffle
):
  batches = batches_of(
    clients, batch_size=batch_size, epochs=epochs, shuffle=shuffle
  )
  for labels, rows in zip(visited(batches), ROWS.values(), strict=True):
    assert sorted(labels) == sorted(np.repeat(rows + 1, epochs))
  assert batches.num_examples == epochs * clients.num_examples
  assert batches.batch_size == batch_size


@pytest.mark.parametrize('shuffle', [True, False])
@pytest.mark.parametrize('max_examples', [1, 4, 8])
def test_max_examples_caps_the_distinct_examples_of_a_round(
  clients, max_examples, shuffle
):
  batches = batches_of(
    clients, epochs=3, max_examples=max_examples, shuffle=shuffle
  )
  for labels, rows in zip(visited(batches), ROWS.values(), strict=True):
    taken = min(len(rows), max_examples)
    assert len(set(labels)) == taken
    assert set(labels) <= set(rows + 1)
    assert sorted(labels) == sorted(3 * list(set(labels)))


def test_without_shuffle_the_batches_by_hand(clients):
  batches = batches_of(clients, [0, 1, 2], batch_size=2, shuffle=False)
  np.testing.assert_array_equal(
    batches.elements[1], [[10, 4], [18, 1], [13, 0], [2, 3], [20, 0]]
  )
  np.testing.assert_array_equal(batches.batch_sizes, [2, 2, 1, 2, 1])
  np.testing.assert_array_equal(batches.offsets, [0, 3, 3, 5])
  assert batches.batch_sizes.dtype == batches.offsets.dtype == np.int32


def test_epochs_follow_each_other_without_a_break(clients):
  batches = batches_of(clients, [2], batch_size=2, epochs=3, shuffle=False)
  np.testing.assert_array_equal(
    batches.elements[1], [[2, 3], [20, 2], [3, 20], [2, 3], [20, 0]]
  )


def test_padding_is_zero_in_every_component(clients):
  batches = batches_of(clients, batch_size=4, epochs=2)
  is_padding = np.arange(4) >= batches.batch_sizes[:, np.newaxis]
  assert is_padding.sum() == 4 * batches.num_batches - 2 * 17
  for component in map(np.asarray, tf.nest.flatten(batches.elements)):
    assert not np.any(component[is_padding])


def test_components_stay_together(clients):
  batches = batches_of(clients, batch_size=4, epochs=2)
  x, y = tf.nest.map_structure(np.asarray, batches.elements)
  is_example = y > 0
  np.testing.assert_array_equal(
    x['matrix'][is_example], EXAMPLES[0]['matrix'][y[is_example] - 1]
  )
  np.testing.assert_array_equal(
    x['flag'][is_example], EXAMPLES[0]['flag'][y[is_example] - 1]
  )


def test_a_client_without_examples_owns_no_batch(clients):
  batches = batches_of(clients, [1, 3, 4])
  np.testing.assert_array_equal(batches.offsets, [0, 0, 1, 1])
  assert visited(batches) == [[], [9], []]


@pytest.mark.parametrize('cohort', [[], [1], [4, 1]])
def test_a_cohort_without_examples_has_empty_arrays(clients, cohort):
  batches = batches_of(clients, cohort, epochs=2)
  assert batches.num_clients == len(cohort)
  assert batches.num_batches == batches.num_examples == 0
  np.testing.assert_array_equal(batches.offsets, [0] * (len(cohort) + 1))
  x, y = tf.nest.map_structure(np.asarray, batches.elements)
  assert (x['matrix'].shape, x['matrix'].dtype) == ((0, 3, 3, 2), np.float32)
  assert (x['flag'].shape, x['flag'].dtype) == ((0, 3), np.bool_)
  assert (y.shape, y.dtype) == ((0, 3), np.int32)
  assert [list(d) for d in batches.datasets()] == [[]] * len(cohort)


def test_an_empty_poisson_cohort_is_a_cohort(clients):
  drawn = participation.Participation(6, 1, 'poisson')
  round_num = next(r for r in range(1, 100) if not len(drawn.select(0, r)))
  cohort = drawn.select(0, round_num)
  assert batches_of(clients, cohort).client_ids == ()


def test_datasets_equal_the_dense_form_batch_by_batch(clients):
  batches = batches_of(clients, epochs=2)
  datasets = batches.datasets()
  assert len(datasets) == clients.num_clients
  for client, dataset in enumerate(datasets):
    assert dataset.element_spec == clients.batch_spec
    owned = range(*batches.offsets[client : client + 2])
    for b, batch in zip(owned, dataset.as_numpy_iterator(), strict=True):
      size = batches.batch_sizes[b]
      tf.nest.map_structure(
        lambda dense, found, b=b, size=size: np.testing.assert_array_equal(
          dense[b, :size], found
        ),
        batches.elements,
        batch,
      )


@pytest.mark.parametrize('builder', BUILDERS.values(), ids=BUILDERS)
def test_pooled_is_one_client_who_holds_everything(builder):
  pooled = builder(EXAMPLES, ROWS).pooled()
  assert pooled.num_clients == 1
  assert pooled.num_examples == 17
  held = np.concatenate(list(ROWS.values()))
  tf.nest.map_structure(
    lambda found, all_: np.testing.assert_array_equal(found, all_[held]),
    pooled.examples(0),
    EXAMPLES,
  )
  assert sorted(visited(batches_of(pooled, [0]))[0]) == sorted(held + 1)


def test_pooled_rows_come_in_the_order_they_are_asked_for(clients):
  held = np.concatenate(list(ROWS.values()))
  pooled = clients.pooled()
  for rows in ([16, 0, 5, 5, 9, 8], [], [8]):
    x, y = pooled.examples(0, np.array(rows, np.int64))
    np.testing.assert_array_equal(y, held[rows] + 1)
    np.testing.assert_array_equal(x['matrix'], EXAMPLES[0]['matrix'][y - 1])


def test_pooled_batches_are_the_same_for_all(clients):
  assert_same_batches(
    batches_of(clients.pooled(), [0], epochs=2),
    batches_of(
      population.ArrayPopulation(EXAMPLES, ROWS).pooled(), [0], epochs=2
    ),
  )
