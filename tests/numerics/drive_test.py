"""One bit a coordinate has the error of theory, whatever the vector."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import slow_cases
from tests.numerics import code_samples as samples
from tff_pipelines.numerics import codes, drive

SIZE = 2**14
SEED = tf.constant([3, 141], tf.int64)
VECTORS = {
  'normal': samples.normals(SIZE),
  'one coordinate': np.eye(1, SIZE, 7, dtype=np.float32)[0],
  'two unequal': np.float32([1, 0.5] + [0] * (SIZE - 2)),
  'equal': np.ones(SIZE, np.float32),
  'heavy tails': samples.normals(SIZE) ** 5,
}


@pytest.mark.parametrize('vector', slow_cases.all_but(['two unequal'], VECTORS))
@pytest.mark.parametrize(
  'scale, theory',
  [('unbiased', math.pi / 2 - 1), ('least_error', 1 - 2 / math.pi)],
)
def test_the_error_is_that_of_theory(vector, scale, theory):
  found = samples.errors(drive.Drive(scale), VECTORS[vector], 50)
  mean, _ = found.mean_square()
  # The deviation of |y|_1 from its limit in blocks of 4096 is 0.75 / 64 of it
  # in each, so 4 % of the error; the mean of 50 is within 2 % (6 sigma).
  assert mean == pytest.approx(theory, rel=0.02)


def test_the_error_is_that_of_each_message():
  # Theorem 3: d |x|^2 / |y|_1^2 - 1, for one block.
  vector = tf.constant(samples.normals(4096))
  code = drive.Drive()
  message = code.encode(vector, SEED, [[4096]])
  norm = tf.norm(vector) ** 2
  absolute = norm / message.scale[0]
  decoded = code.decode(message, SEED, [[4096]])
  assert float(tf.norm(decoded - vector) ** 2 / norm) == pytest.approx(
    float(4096 * norm / absolute**2 - 1), rel=1e-4
  )
  # And nothing of it is along the vector.
  along = tf.tensordot(decoded, vector, 1) / norm
  assert float(along) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize(
  'vector',
  [
    [1, 0.5],
    *map(slow_cases.slow, ([1, 0.5, 0.25], [1, 1, 1], [3, -2, 1, 0.5, 0.1])),
  ],
)
def test_the_bias_is_small_in_the_smallest_blocks(vector):
  vector = np.float32(vector)
  found = samples.errors(drive.Drive(), vector, 4000)
  # Of the order of 1 / 512: at most 2.5 times that, and the noise of the test.
  limit = 2.5 / 512 * np.linalg.norm(vector) + 6 * found.stderr
  assert (np.abs(found.mean) <= limit).all()


def test_padding_does_not_travel_back():
  # Of the error in 512 coordinates, 2 are kept.
  found = samples.errors(drive.Drive(), np.float32([1, 0.5]), 500)
  assert found.mean_square()[0] < 4 * (math.pi / 2 - 1) * 2 / 512


@pytest.mark.parametrize(
  'size, num_bytes',
  # Signs of whole blocks and 4 bytes for each.
  [(7, 64 + 4), (512, 64 + 4), (199_210, 49 * (512 + 4))],
)
def test_it_is_one_bit_and_a_scale(size, num_bytes):
  message = drive.Drive().encode(tf.zeros([size]), SEED, [[size]])
  assert drive.Drive().message_bytes(message) == num_bytes


def test_scales_are_two():
  with pytest.raises(codes.CodeError) as raised:
    drive.Drive('best')
  assert str(raised.value) == (
    "Expected a scale out of unbiased, least_error, found 'best'."
  )
