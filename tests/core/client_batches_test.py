import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import client_batches


def three_clients(**changes) -> client_batches.ClientBatches:
  # Client a holds 1 2 3 in batches of two, b nothing, c 10.
  fields = {
    'elements': np.array([[1, 2], [3, 0], [10, 0]], np.int32),
    'batch_sizes': np.array([2, 1, 1], np.int32),
    'offsets': np.array([0, 2, 2, 3], np.int32),
    'client_ids': ('a', 'b', 'c'),
  }
  return client_batches.ClientBatches(**(fields | changes))


def read(dataset: tf.data.Dataset) -> list:
  return [batch.tolist() for batch in dataset.as_numpy_iterator()]


def test_three_clients_by_hand():
  batches = three_clients()
  assert batches.num_clients == 3
  assert batches.num_batches == 3
  assert batches.batch_size == 2
  assert batches.num_examples == 4
  assert [read(d) for d in batches.datasets()] == [[[1, 2], [3]], [], [[10]]]


def test_nobody_has_no_datasets():
  batches = client_batches.ClientBatches(
    elements=np.zeros([0, 5], np.float32),
    batch_sizes=np.zeros([0], np.int32),
    offsets=np.array([0], np.int32),
    client_ids=(),
  )
  assert batches.datasets() == []
  assert batches.num_examples == batches.num_clients == batches.num_batches == 0
  assert batches.batch_size == 5


def test_datasets_keep_structure_shapes_and_types():
  x = {
    'image': np.arange(24.0).reshape(2, 2, 3, 2),
    'id': np.ones([2, 2], bool),
  }
  y = np.array([[1, 2], [3, 0]], np.int16)
  (dataset,) = three_clients(
    elements=(x, y),
    batch_sizes=np.array([2, 1]),
    offsets=np.array([0, 2]),
    client_ids=('a',),
  ).datasets()
  assert dataset.element_spec == (
    {
      'image': tf.TensorSpec([None, 3, 2], tf.float64),
      'id': tf.TensorSpec([None], tf.bool),
    },
    tf.TensorSpec([None], tf.int16),
  )
  first, second = dataset.as_numpy_iterator()
  np.testing.assert_array_equal(first[0]['image'], x['image'][0])
  np.testing.assert_array_equal(second[0]['image'], x['image'][1, :1])
  np.testing.assert_array_equal(first[1], [1, 2])
  np.testing.assert_array_equal(second[1], [3])


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    (
      {'client_ids': ('a', 'b')},
      'Expected one offset more than clients, found 4 offsets for 2 clients.',
    ),
    (
      {'offsets': np.array([0, 2, 2, 2])},
      'Expected offsets that rise from 0 to 3 batches, found [0, 2, 2, 2].',
    ),
    (
      {'offsets': np.array([1, 2, 2, 3])},
      'Expected offsets that rise from 0 to 3 batches, found [1, 2, 2, 3].',
    ),
    (
      {'offsets': np.array([0, 2, 1, 3])},
      'Expected offsets that rise from 0 to 3 batches, found [0, 2, 1, 3].',
    ),
    (
      {'elements': (np.zeros([3, 2]), np.zeros([2, 2, 7]))},
      'Expected 3 batches in every component, found a component of shape '
      '(2, 2, 7).',
    ),
    (
      {'batch_sizes': np.array([2, 1, 0])},
      'Expected batch sizes from 1 to 2, found 0 to 2.',
    ),
    (
      {'batch_sizes': np.array([2, 3, 1])},
      'Expected batch sizes from 1 to 2, found 1 to 3.',
    ),
    (
      {'batch_sizes': np.array([1, 2, 1])},
      "Expected only a client's last batch to be short.",
    ),
  ],
)
def test_what_does_not_fit_together_is_refused(changes, message):
  with pytest.raises(ValueError) as raised:
    three_clients(**changes)
  assert str(raised.value) == message
