import collections
import itertools
import math

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import batching


def hoeffding_bound(num_draws: int, false_alarm: float = 1e-9) -> float:
  """How far a mean of draws in [0, 1] strays with that probability at most."""
  return math.sqrt(math.log(2 / false_alarm) / (2 * num_draws))


def order(chosen, num_examples, seed=0, round_num=1, client_id='alice'):
  return chosen.order(
    num_examples, seed=seed, round_num=round_num, client_id=client_id
  )


# Whoever changes these changes every run that was ever recorded.
def test_known_orders():
  chosen = batching.Batching(2, epochs=2, max_examples=4)
  np.testing.assert_array_equal(order(chosen, 6), [3, 0, 2, 4, 3, 4, 2, 0])
  np.testing.assert_array_equal(
    order(chosen, 6, round_num=2), [0, 5, 1, 4, 1, 0, 4, 5]
  )


def test_without_shuffle_each_epoch_is_in_the_order_of_the_examples():
  chosen = batching.Batching(2, epochs=2, shuffle=False)
  np.testing.assert_array_equal(order(chosen, 3), [0, 1, 2, 0, 1, 2])


def test_without_shuffle_the_cap_takes_the_first_examples():
  chosen = batching.Batching(2, epochs=2, max_examples=2, shuffle=False)
  np.testing.assert_array_equal(order(chosen, 3), [0, 1, 0, 1])


def test_each_epoch_is_a_permutation_of_its_own():
  visited = order(batching.Batching(7, epochs=3), 100).reshape(3, 100)
  for epoch in visited:
    np.testing.assert_array_equal(np.sort(epoch), np.arange(100))
  assert len({tuple(epoch) for epoch in visited}) == 3


def test_a_capped_round_visits_one_subset_in_every_epoch():
  visited = order(batching.Batching(7, epochs=3, max_examples=5), 100)
  subsets = {frozenset(epoch.tolist()) for epoch in visited.reshape(3, 5)}
  assert [len(subset) for subset in subsets] == [5]


def test_a_cap_that_nobody_reaches_changes_nothing():
  capped = batching.Batching(2, epochs=2, max_examples=5)
  np.testing.assert_array_equal(
    order(capped, 5), order(batching.Batching(2, epochs=2), 5)
  )


@pytest.mark.parametrize('shuffle', [True, False])
def test_nothing_is_visited_where_nothing_is(shuffle):
  visited = order(batching.Batching(2, epochs=3, shuffle=shuffle), 0)
  assert visited.shape == (0,)
  assert visited.dtype == np.int64


def test_the_order_is_a_pure_function_of_seed_round_and_client():
  chosen = batching.Batching(2)
  first = order(chosen, 50)
  order(chosen, 50, client_id='bob')
  np.testing.assert_array_equal(order(batching.Batching(2), 50), first)
  others = [
    order(chosen, 50, seed=1),
    order(chosen, 50, round_num=2),
    order(chosen, 50, client_id='bob'),
  ]
  assert len({tuple(o) for o in [first, *others]}) == 4


def test_the_batch_size_does_not_change_the_order():
  np.testing.assert_array_equal(
    order(batching.Batching(1), 50), order(batching.Batching(20), 50)
  )


def test_every_order_is_equally_likely():
  num_rounds = 2000
  chosen = batching.Batching(2, epochs=2)
  visited = [order(chosen, 3, round_num=r) for r in range(num_rounds)]
  bound = hoeffding_bound(num_rounds)  # 0.073 of 1/6; 12 false alarms in 1e9
  for epoch in (slice(0, 3), slice(3, 6)):
    counts = collections.Counter(tuple(v[epoch].tolist()) for v in visited)
    for permutation in itertools.permutations(range(3)):
      assert abs(counts[permutation] / num_rounds - 1 / 6) < bound


def test_the_cap_draws_every_subset_equally_often():
  num_rounds = 2000
  chosen = batching.Batching(2, max_examples=2)
  counts = collections.Counter(
    frozenset(order(chosen, 4, round_num=r).tolist()) for r in range(num_rounds)
  )
  bound = hoeffding_bound(num_rounds)  # 6 false alarms in 1e9
  for subset in itertools.combinations(range(4), 2):
    assert abs(counts[frozenset(subset)] / num_rounds - 1 / 6) < bound


@pytest.mark.parametrize(
  'name', ['batch_size', 'epochs', 'max_examples', 'num_steps']
)
@pytest.mark.parametrize('value', [0, -3])
def test_what_is_below_1_is_refused(name, value):
  with pytest.raises(batching.BatchingError) as raised:
    batching.Batching(**({'batch_size': 1} | {name: value}))
  assert str(raised.value) == f'Expected {name} of at least 1, found {value}.'
  assert isinstance(raised.value, errors.PipelineError)


@pytest.mark.parametrize('num_examples', [1, 3, 8, 50])
def test_a_number_of_steps_is_full_batches_in_as_many_passes_as_needed(
  num_examples,
):
  found = order(batching.Batching(4, num_steps=5), num_examples)
  assert len(found) == 20
  counts = np.bincount(found, minlength=num_examples)
  # Every pass visits all: nobody is visited twice more than anyone else.
  assert counts.max() - counts.min() <= 1


def test_steps_begin_as_passes_do_and_nobody_without_examples_takes_one():
  np.testing.assert_array_equal(
    order(batching.Batching(4, num_steps=5), 10),
    order(batching.Batching(4, epochs=2), 10),
  )
  assert len(order(batching.Batching(4, num_steps=5), 0)) == 0
  in_order = batching.Batching(2, num_steps=2, shuffle=False)
  np.testing.assert_array_equal(order(in_order, 3), [0, 1, 2, 0])


def test_steps_go_through_the_capped_examples():
  found = order(batching.Batching(2, max_examples=3, num_steps=6), 40)
  assert len(found) == 12
  assert len(set(found.tolist())) == 3
