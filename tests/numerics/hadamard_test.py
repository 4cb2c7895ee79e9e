"""A random rotation is orthogonal, flattens, and is undone by its seed."""

import math

import numpy as np
import pytest
from scipy import linalg
import tensorflow as tf

from tff_pipelines.numerics import hadamard

SEED = tf.constant([3, 141], tf.int64)


def normals(size: int, seed: int = 0) -> np.ndarray:
  return np.random.default_rng(seed).normal(size=size).astype(np.float32)


def compiled(function):
  return tf.function(function, jit_compile=True)


@pytest.mark.parametrize(
  ('size', 'padded'), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (199210, 2**18)]
)
def test_the_padded_size_is_the_next_power_of_two(size, padded):
  assert hadamard.padded_size(size) == padded


@pytest.mark.parametrize(
  ('log_size', 'wrap'),
  [(k, lambda f: f) for k in range(11)] + [(7, compiled)],
)
def test_the_transform_is_the_product_with_the_hadamard_matrix(log_size, wrap):
  vector = normals(2**log_size)
  expected = linalg.hadamard(2**log_size) @ vector.astype(np.float64)
  found = wrap(hadamard.transform)(tf.constant(vector))
  # At most 10 rounded sums, relative to the largest possible sum.
  atol = 10 * 2**-23 * np.abs(vector).sum()
  np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def test_the_transform_of_integers_is_exact():
  vector = np.random.default_rng(0).integers(-99, 99, 512).astype(np.float64)
  found = hadamard.transform(tf.constant(vector))
  assert (found.numpy() == linalg.hadamard(512) @ vector).all()


@pytest.mark.parametrize('size', [1, 2, 3, 8, 100, 1000, 4096])
def test_the_seed_undoes_a_rotation_and_the_norm_stays(size):
  vector = normals(size)
  rotated = hadamard.rotate(tf.constant(vector), SEED)
  assert rotated.shape == [hadamard.padded_size(size)]
  norm = np.linalg.norm(vector)
  assert np.linalg.norm(rotated) == pytest.approx(norm, rel=1e-6)
  back = hadamard.rotate_back(rotated, SEED, size)
  np.testing.assert_allclose(back, vector, atol=1e-5)


def test_a_rotation_of_a_sum_is_the_sum_of_the_rotations():
  one, other = normals(100, 1), normals(100, 2)
  np.testing.assert_allclose(
    hadamard.rotate(tf.constant(one + other), SEED),
    hadamard.rotate(tf.constant(one), SEED)
    + hadamard.rotate(tf.constant(other), SEED),
    atol=1e-5,
  )


def test_another_seed_does_not_undo_it():
  vector = normals(1000)
  rotated = hadamard.rotate(tf.constant(vector), SEED)
  back = hadamard.rotate_back(rotated, SEED + 1, 1000)
  # Two independent directions: a cosine of stddev 1 / 32, and 6 of them.
  cosine = np.dot(back, vector) / np.dot(vector, vector)
  assert abs(cosine) < 6 / 32


@pytest.mark.parametrize(
  'vector',
  [np.eye(4096)[7], np.ones(4096), linalg.hadamard(4096)[5], normals(4096)],
  ids=['one coordinate', 'constant', 'aligned', 'normal'],
)
def test_no_coordinate_of_a_rotation_is_large(vector):
  rotated = hadamard.rotate(tf.constant(vector, tf.float32), SEED)
  stddev = np.linalg.norm(vector) / math.sqrt(4096)
  # Sub-Gaussian: 2 * 4096 * exp(-k^2 / 2) = 1e-6 at k = 6.8.
  assert np.abs(rotated).max() <= 6.8 * stddev


def test_signs_are_balanced_and_those_of_two_seeds_are_independent():
  size = 2**16
  one, other = (
    np.sign(hadamard.rotate_back(tf.eye(1, size)[0] + 0.0, seed, size))
    for seed in (SEED, SEED + 1)
  )
  # Row 0 of H is ones, so these are the signs: means within 5 stddevs, 6e-7.
  for signs in (one, other, one * other, one[1:] * one[:-1]):
    assert abs(signs.mean()) < 5 / math.sqrt(size)


# In blocks.


@pytest.mark.parametrize('shape', [(1, 8), (3, 1), (5, 16), (2, 128)])
def test_blocks_are_transformed_one_by_one(shape):
  blocks = normals(shape[0] * shape[1]).reshape(shape)
  found = hadamard.transform_blocks(tf.constant(blocks))
  expected = [hadamard.transform(tf.constant(block)) for block in blocks]
  np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize('size', [1, 7, 512, 1300])
@pytest.mark.parametrize('times', [0, 1, 2])
def test_seeds_undo_rotations_in_blocks(size, times):
  vector, seeds = normals(size), [SEED + k for k in range(times)]
  block = hadamard.block_size(size)
  rotated = hadamard.rotate_blocks(tf.constant(vector), block, seeds)
  assert rotated.shape == [hadamard.num_blocks(size, block), block]
  norm = np.linalg.norm(vector)
  assert np.linalg.norm(rotated) == pytest.approx(norm, rel=1e-6)
  back = hadamard.rotate_blocks_back(rotated, seeds, size)
  np.testing.assert_allclose(back, vector, atol=1e-5)


@pytest.mark.parametrize(
  ('size', 'least', 'block'),
  [(1, 1, 1), (7, 1, 8), (7, 512, 512), (4096, 1, 4096), (199_210, 1, 4096)],
)
def test_blocks_are_padded_little(size, least, block):
  assert hadamard.block_size(size, least) == block


def test_padding_in_blocks_is_a_small_part_of_long_vectors():
  for size in range(1000, 300_000, 997):
    block = hadamard.block_size(size)
    assert hadamard.num_blocks(size, block) * block <= 1.26 * size


def test_two_rotations_give_many_values_where_one_gives_two():
  vector = tf.constant(np.float32([1, 0.5] + [0] * 510))
  once, twice = (
    hadamard.rotate_blocks(vector, 512, [SEED + k for k in range(times)])
    for times in (1, 2)
  )
  assert len(np.unique(np.abs(once.numpy()).round(6))) == 2
  assert len(np.unique(np.abs(twice.numpy()).round(6))) > 20
