import numpy as np
import tensorflow as tf

from tff_pipelines.models import bags

TABLE = tf.constant([[9.0, 9.0], [1.0, 2.0], [3.0, 5.0]])


def gradients(bag, table, ids, weights, upstream):
  """The gradients of sum(upstream * bag) to table and weights."""
  with tf.GradientTape() as tape:
    tape.watch([table, weights])
    total = tf.reduce_sum(upstream * bag(table, ids, weights))
  return tape.gradient(total, [table, weights])


def with_gather(table, ids, weights):
  return tf.reduce_sum(weights[:, :, tf.newaxis] * tf.gather(table, ids), 1)


def random_case(seed: int):
  rng = np.random.default_rng(seed)
  # More places than ids: many ids lie in a text twice.
  ids = rng.integers(0, 7, [5, 11]).astype(np.int32)
  weights = rng.normal(size=[5, 11]).astype(np.float32)
  table = rng.normal(size=[7, 3]).astype(np.float32)
  upstream = rng.normal(size=[5, 3]).astype(np.float32)
  return [tf.constant(a) for a in (table, ids, weights, upstream)]


def test_a_bag_by_hand():
  bag = bags.weighted_bag(
    TABLE, tf.constant([[1, 2, 1], [2, 0, 0]]),
    tf.constant([[1.0, 0.5, 2.0], [-1.0, 0.0, 0.0]]),
  )  # fmt: skip
  np.testing.assert_allclose(bag, [[4.5, 8.5], [-3.0, -5.0]])


def test_the_gradient_by_hand():
  upstream = tf.constant([[1.0, 10.0], [100.0, 1000.0]])
  table, weights = gradients(
    bags.weighted_bag,
    TABLE,
    tf.constant([[1, 2, 1], [2, 0, 0]]),
    tf.constant([[1.0, 0.5, 2.0], [-1.0, 0.0, 0.0]]),
    upstream,
  )
  # Padding has weight 0 and pulls nothing.
  np.testing.assert_allclose(
    table, [[0.0, 0.0], [3.0, 30.0], [0.5 - 100.0, 5.0 - 1000.0]]
  )
  assert weights is None


def test_bag_and_gradient_equal_those_of_gather():
  for seed in range(5):
    table, ids, weights, upstream = random_case(seed)
    np.testing.assert_allclose(
      bags.weighted_bag(table, ids, weights),
      with_gather(table, ids, weights),
      rtol=1e-6,
    )
    found, _ = gradients(bags.weighted_bag, table, ids, weights, upstream)
    oracle, _ = gradients(with_gather, table, ids, weights, upstream)
    np.testing.assert_allclose(
      found, tf.convert_to_tensor(oracle), rtol=1e-5, atol=1e-6
    )


def test_the_gradient_is_dense_where_that_of_gather_is_not():
  case = random_case(0)
  found, _ = gradients(bags.weighted_bag, *case)
  oracle, _ = gradients(with_gather, *case)
  assert isinstance(found, tf.Tensor)
  assert isinstance(oracle, tf.IndexedSlices)


def test_a_graph_with_an_unknown_number_of_texts_computes_the_same():
  table, ids, weights, upstream = random_case(1)

  @tf.function(
    input_signature=[
      tf.TensorSpec([7, 3]),
      tf.TensorSpec([None, 11], tf.int32),
      tf.TensorSpec([None, 11]),
      tf.TensorSpec([None, 3]),
    ]
  )
  def traced(*case):
    return gradients(bags.weighted_bag, *case)[0]

  eager, _ = gradients(bags.weighted_bag, table, ids, weights, upstream)
  np.testing.assert_allclose(traced(table, ids, weights, upstream), eager)
  nobody = traced(table, ids[:0], weights[:0], upstream[:0])
  np.testing.assert_array_equal(nobody, np.zeros([7, 3]))
