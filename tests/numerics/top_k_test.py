"""The largest coordinates and nothing else."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import code_samples as samples
from tff_pipelines.numerics import top_k

SEED = tf.constant([3, 141], tf.int64)


def decoded(code: top_k.TopK, vector: np.ndarray) -> np.ndarray:
  shapes = [vector.shape]
  message = code.encode(tf.constant(vector), SEED, shapes)
  return code.decode(message, SEED, shapes).numpy()


def test_by_hand():
  vector = np.float32([0.1, -5, 0.2, 4, 0, -0.3])
  np.testing.assert_array_equal(
    decoded(top_k.TopK(0.5), vector), np.float32([0, -5, 0, 4, 0, -0.3])
  )


@pytest.mark.parametrize('size', [1, 2, 1000, 4096])
def test_the_largest_are_exact_and_the_others_zero(size):
  vector = samples.normals(size)
  found = decoded(top_k.TopK(0.25), vector)
  count = max(1, size // 4)
  least = np.sort(np.abs(vector))[-count]
  np.testing.assert_array_equal(
    found, np.where(np.abs(vector) >= least, vector, 0)
  )


def test_the_error_is_at_most_that_of_chance():
  vector = samples.normals(1000)
  error = np.sum((decoded(top_k.TopK(0.1), vector) - vector) ** 2)
  assert error < 0.9 * np.sum(vector**2)
  equal = np.ones(1000, np.float32)
  error = np.sum((decoded(top_k.TopK(0.1), equal) - equal) ** 2)
  assert error == pytest.approx(900)


def test_what_is_left_behind_and_added_again_arrives_in_the_end():
  # Error feedback: the sum of what arrives is the sum of what was to, but for
  # what is still kept.
  code, vector = top_k.TopK(0.2), samples.normals(50)
  kept, arrived = np.zeros_like(vector), np.zeros_like(vector)
  for _ in range(20):
    found = decoded(code, vector + kept)
    kept, arrived = vector + kept - found, arrived + found
  np.testing.assert_allclose(arrived + kept, 20 * vector, atol=1e-4)
  assert np.linalg.norm(kept) < 10 * np.linalg.norm(vector)


@pytest.mark.parametrize(
  'size, num_bytes', [(1, 1 + 4), (1000, 100 * 4 + 10 * 13)]
)
def test_places_have_as_many_bits_as_they_need(size, num_bytes):
  code = top_k.TopK(0.1)
  message = code.encode(tf.zeros([size]), SEED, [[size]])
  assert code.message_bytes(message) == num_bytes
