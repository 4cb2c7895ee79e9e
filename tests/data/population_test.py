import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.data import population


def three_clients() -> population.ArrayPopulation:
  examples = (
    {'word': np.array([b'a', b'b', b'c', b'd']), 'size': np.arange(4.0)},
    np.array([0, 1, 1, 0], np.int32),
  )
  return population.ArrayPopulation(
    examples, {'zoe': [2, 0], 'abe': [], 'kim': [3, 2]}
  )


def test_three_clients_by_hand():
  clients = three_clients()
  assert clients.client_ids == ('zoe', 'abe', 'kim')
  assert clients.num_clients == 3
  np.testing.assert_array_equal(clients.sizes, [2, 0, 2])
  assert clients.sizes.dtype == np.int64
  assert clients.num_examples == 4  # Row 1 is nobody's, row 2 is in two.
  x, y = clients.examples(0)
  np.testing.assert_array_equal(x['size'], [2, 0])
  np.testing.assert_array_equal(x['word'], [b'c', b'a'])
  np.testing.assert_array_equal(y, [1, 0])


def test_chosen_rows_are_counted_within_the_client():
  x, y = three_clients().examples(2, np.array([1, 1, 0]))
  np.testing.assert_array_equal(x['size'], [2, 2, 3])
  np.testing.assert_array_equal(y, [1, 1, 0])


def test_gather_puts_clients_one_after_the_other():
  x, y = three_clients().gather([2, 0], [np.array([0]), np.array([1, 0])])
  np.testing.assert_array_equal(x['size'], [3, 0, 2])
  np.testing.assert_array_equal(y, [0, 0, 1])


def test_the_specs_are_those_of_the_arrays():
  clients = population.ArrayPopulation(
    (np.zeros([2, 28, 28], np.float32), np.zeros([2], np.int64)), {'a': [0]}
  )
  assert clients.element_spec == (
    tf.TensorSpec([28, 28], tf.float32),
    tf.TensorSpec([], tf.int64),
  )
  assert clients.batch_spec == (
    tf.TensorSpec([None, 28, 28], tf.float32),
    tf.TensorSpec([None], tf.int64),
  )


def test_pooled_is_one_client_with_what_the_clients_hold():
  pooled = three_clients().pooled()
  assert pooled.client_ids == ('everyone',)
  np.testing.assert_array_equal(pooled.sizes, [4])
  np.testing.assert_array_equal(pooled.examples(0)[0]['size'], [2, 0, 3, 2])


def test_components_of_different_lengths_are_refused():
  with pytest.raises(population.PopulationError) as raised:
    population.ArrayPopulation(
      ({'a': np.zeros([4]), 'b': np.zeros([3])}, np.zeros([4])), {'zoe': [0]}
    )
  assert str(raised.value) == (
    'Expected every component to have the same number of examples, found 3, 4.'
  )
  assert isinstance(raised.value, errors.PipelineError)


def test_a_population_of_nobody_is_refused():
  with pytest.raises(population.PopulationError) as raised:
    population.ArrayPopulation(np.zeros([4]), {})
  assert str(raised.value) == 'Expected at least one client, found none.'
