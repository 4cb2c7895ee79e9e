"""Cohorts as arrays: shards, blocks, capacities, and what they refuse."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.execution.xla import cohorts, graphs, programs

BATCHES = tff.SequenceType(tff.TensorType(np.float32, [None]))


def _lists(*clients):
  """Clients that hold batches of the given sizes; values count up."""
  numbers = itertools.count(1)
  return [
    [
      np.array([next(numbers) for _ in range(size)], np.float32)
      for size in sizes
    ]
    for sizes in clients
  ]


def _cohort(*clients):
  return cohorts.collect([_lists(*clients)], [BATCHES])


def test_clients_follow_each_other():
  (sequences,) = _cohort([2, 1], [], [2]).sequences
  (component,) = sequences.components
  assert component.tolist() == [[1, 2], [3, 0], [4, 5]]
  assert sequences.sizes.tolist() == [2, 1, 2]
  assert sequences.offsets.tolist() == [0, 2, 2, 3]


@pytest.mark.parametrize(
  'clients, all_full, only_last_short',
  [
    ([[2, 2], [2]], True, True),
    ([[2, 1], [2]], False, True),
    ([[1, 2], [2]], False, False),
    ([[1], [], [2, 1]], False, True),
    ([[]], True, True),
  ],
)
def test_how_even_batches_are(clients, all_full, only_last_short):
  (sequences,) = _cohort(*clients).sequences
  assert sequences.all_full == all_full
  assert sequences.only_last_short == only_last_short


@pytest.mark.parametrize(
  'clients, batch_size, expected',
  [
    ([[2, 2], [2]], 2, programs.Batching.FULL),
    ([[2, 1], [2]], 2, programs.Batching.LAST_SHORT),
    ([[1, 2]], 2, programs.Batching.ANY),
    # In blocks for larger batches all are short: of one a client, the last.
    ([[2], [2]], 3, programs.Batching.LAST_SHORT),
    ([[2, 2]], 3, programs.Batching.ANY),
  ],
)
def test_the_batching_that_a_cohort_needs(clients, batch_size, expected):
  cohort = _cohort(*clients)
  capacity = cohorts.Capacity(8, (8,), (batch_size,))
  assert programs.needed_batching(cohort, capacity) is expected


@pytest.mark.parametrize('count', range(1, 6))
@pytest.mark.parametrize(
  'clients', [[[2], [2], [2]], [[2] * 9, [2], [], [2]], [[], []], []]
)
def test_shards_are_all_clients_once_in_order(clients, count):
  found = cohorts.shards(_cohort(*clients), count)
  assert len(found) <= count
  assert [c for shard in found for c in shard] == list(range(len(clients)))


def test_shards_have_about_the_same_work():
  clients = [[1] * n for n in (1, 5, 2, 8, 3, 3, 9, 1)]
  cohort = _cohort(*clients)
  work = [sum(cohort.work()[c] for c in s) for s in cohorts.shards(cohort, 2)]
  assert max(work) - min(work) <= cohort.work().max()


@pytest.mark.parametrize('room', range(3, 8))
@pytest.mark.parametrize('num_clients', range(1, 6))
def test_blocks_are_all_clients_once_and_hold_their_data(room, num_clients):
  clients = [[1] * n for n in (1, 0, 3, 2, 0, 3)]
  cohort = _cohort(*clients)
  capacity = cohorts.Capacity(num_clients, (room,), (1,))
  assert capacity.holds(cohort)
  found = list(cohorts.blocks(cohort, range(6), capacity))
  seen = []
  for block in found:
    (leaf,) = block.leaves
    assert leaf.components[0].shape == (room, 1)
    assert leaf.offsets.shape == (num_clients + 1,)
    ends = leaf.offsets[: block.num_clients + 1]
    assert np.diff(ends).tolist() == [
      len(clients[c])
      for c in range(block.first, block.first + block.num_clients)
    ]
    assert set(leaf.offsets[block.num_clients :]) == {ends[-1]}
    seen += leaf.components[0][: ends[-1], 0].tolist()
  assert sum(block.num_clients for block in found) == 6
  assert seen == list(range(1, 10))


@pytest.mark.parametrize(
  'capacity, holds',
  [
    (cohorts.Capacity(1, (3,), (2,)), True),
    (cohorts.Capacity(1, (2,), (2,)), False),
    (cohorts.Capacity(1, (3,), (1,)), False),
    (cohorts.Capacity(9, (9,), (9,)), True),
  ],
)
def test_what_a_capacity_holds(capacity, holds):
  assert capacity.holds(_cohort([2, 2, 1], [1])) == holds


def test_merged_capacities_have_room_for_both():
  one, other = (
    cohorts.Capacity(1, (9, 2), (4, None)),
    cohorts.Capacity(5, (3, 4), (8, None)),
  )
  assert one.merged(other) == cohorts.Capacity(5, (9, 4), (8, None))


def test_the_chosen_capacity_holds_its_cohort_whatever_the_limit(monkeypatch):
  cohort = _cohort([2] * 5, [1], [])
  for num_bytes in (1, 10, 100, 2**20):
    monkeypatch.setattr(cohorts, '_BLOCK_BYTES', num_bytes)
    assert cohorts.choose_capacity(cohort, 2).holds(cohort)


def test_one_client_of_a_cohort_and_its_first_elements():
  cohort = _cohort([2], [2, 2, 1], [1])
  alone = cohorts.chosen(cohort, [1])
  assert alone.client_ids == ('number 1',)
  (sequences,) = cohorts.first_elements(alone, 2).sequences
  assert sequences.components[0].tolist() == [[3, 4], [5, 6]]
  assert sequences.offsets.tolist() == [0, 2]
  (sequences,) = cohorts.first_elements(alone, 9).sequences
  assert sequences.offsets.tolist() == [0, 3]


def test_nobody_has_arrays_of_the_right_types():
  types = [BATCHES, tff.types.to_type([np.int64, np.float32])]
  nobody = cohorts.empty(types)
  assert nobody.num_clients == 0
  assert [getattr(leaf, 'dtype', None) for leaf in nobody.leaves] == [
    None,
    np.int64,
    np.float32,
  ]


def test_client_batches_of_strings_are_padded_with_empty_ones():
  clients = samples.batches(
    [3], make=lambda n, seed: np.array([b'x'] * n, object), batch_size=2
  )
  cohort = cohorts.collect(
    [clients], [tff.SequenceType(tff.TensorType(np.str_, [None]))]
  )
  found = cohort.sequences[0].components[0]
  assert found.tolist() == [[b'x', b'x'], [b'x', b'']]


@pytest.mark.parametrize(
  'clients, type_spec, reason',
  [
    (
      [[1.0]],
      tff.TensorType(np.float32, [None]),
      r"its clients' tensors vary in shape \(float32\[\?\]\)",
    ),
    (
      [[[[1.0]]]],
      tff.SequenceType(tff.TensorType(np.float32, [None, None])),
      'the elements of its sequences vary in shape',
    ),
    (
      [[(np.ones([2], np.float32), np.ones([3], np.float32))]],
      tff.SequenceType(
        tff.types.tensorflow_to_type((tf.TensorSpec([None]),) * 2)
      ),
      'the components of its batches differ in size',
    ),
  ],
)
def test_data_of_varying_shapes_are_refused(clients, type_spec, reason):
  with pytest.raises(graphs.NotLowerableError, match=reason):
    cohorts.collect([clients], [type_spec])


@pytest.mark.parametrize(
  'arguments, types, message',
  [
    ([3.0], [np.float32], 'a ClientBatches, a list or a tuple'),
    ([[3.0]], [BATCHES], 'Expected a tf.data.Dataset or a list of elements'),
    ([samples.batches([1])], [np.float32], 'a sequence of batches a client'),
  ],
)
def test_what_is_no_client_data_is_a_type_error(arguments, types, message):
  with pytest.raises(TypeError, match=message):
    cohorts.collect(arguments, [tff.types.to_type(t) for t in types])


def test_arguments_for_different_numbers_of_clients_are_refused():
  with pytest.raises(ValueError, match='Conflicting cardinalities'):
    cohorts.collect([[1.0], [1.0, 2.0]], [tff.TensorType(np.float32)] * 2)
