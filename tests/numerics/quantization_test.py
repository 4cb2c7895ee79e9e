"""Stochastic rounding to few bits has the error that its steps tell."""

import numpy as np
import pytest
import tensorflow as tf

from tests import slow_cases
from tests.numerics import code_samples as samples
from tff_pipelines.numerics import bit_packing, codes, hadamard, quantization

SEED = tf.constant([3, 141], tf.int64)


def expected_error(blocks: np.ndarray, bits: int) -> float:
  """sum s^2 f (1 - f), for what is rounded, by hand."""
  blocks = blocks.astype(np.float64)
  low = blocks.min(axis=1, keepdims=True)
  step = (blocks.max(axis=1, keepdims=True) - low) / (2**bits - 1)
  share = (blocks - low) / step % 1
  return float(np.sum(step**2 * share * (1 - share)))


@pytest.mark.parametrize(
  'bits', slow_cases.all_but([1, 8], range(1, 9))
)  # fmt: skip
def test_the_error_is_that_of_the_steps(bits):
  vector = samples.normals(4096)
  code = quantization.Quantization(bits, rotate=False)
  mean, stderr = samples.errors(code, vector, 100).mean_square()
  theory = expected_error(vector[np.newaxis], bits) / np.sum(vector**2)
  # 6 standard errors, and what float32 rounds of 8 bits.
  assert mean == pytest.approx(theory, abs=6 * stderr + 1e-3 * theory)


@pytest.mark.parametrize('bits', slow_cases.all_but([2], [1, 2, 4]))
def test_a_rotated_vector_has_the_error_of_normal_coordinates(bits):
  # One coordinate alone: unrotated, it is exact; rotated, all are alike.
  vector = samples.normals(4096) ** 3
  code = quantization.Quantization(bits)
  mean, _ = samples.errors(code, vector, 100).mean_square()
  normal = np.stack([samples.normals(4096, seed) for seed in range(100)])
  theory = expected_error(normal, bits) / np.sum(normal**2)
  # The range of 4096 normal numbers is 7.2, with a stddev of 0.5 (Gumbel), so
  # its square has one of 14 %; means of 100 are within 6 * 2 % of each other.
  assert mean == pytest.approx(theory, rel=0.12)


@pytest.mark.parametrize('bits', slow_cases.all_but([1], [1, 2, 4]))
def test_the_error_is_below_the_bound_of_suresh_et_al(bits):
  # Theorem 3: (2 log d + 2) / (2^bits - 1)^2 |x|^2.
  code = quantization.Quantization(bits)
  mean, _ = samples.errors(code, samples.normals(4096), 20).mean_square()
  assert mean <= (2 * np.log(4096) + 2) / (2**bits - 1) ** 2


def test_levels_are_the_neighbours():
  vector = samples.normals(64)
  code = quantization.Quantization(3, rotate=False)
  message = code.encode(tf.constant(vector), SEED, [[64]])
  levels = bit_packing.unpack(message.levels, 64).numpy()
  scaled = (vector - message.lowest) / message.step
  assert (np.abs(levels - scaled) < 1 + 1e-5).all()
  assert (levels.min(), levels.max()) == (0, 7)


def test_the_ends_of_the_range_are_exact():
  vector = np.float32([-1, 3, -1, 3])
  code = quantization.Quantization(1, rotate=False)
  message = code.encode(tf.constant(vector), SEED, [[4]])
  np.testing.assert_array_equal(code.decode(message, SEED, [[4]]), vector)


@pytest.mark.parametrize(
  'size, bits, num_bytes',
  # Levels of whole blocks and 8 bytes for each.
  [(7, 1, 1 + 8), (7, 8, 8 + 8), (199_210, 2, 49 * (1024 + 8))],
)
def test_bytes(size, bits, num_bytes):
  code = quantization.Quantization(bits)
  message = code.encode(tf.zeros([size]), SEED, [[size]])
  assert code.message_bytes(message) == num_bytes
  assert hadamard.num_blocks(199_210, hadamard.block_size(199_210)) == 49


@pytest.mark.parametrize('bits', [0, 9])
def test_bits_are_one_to_eight(bits):
  with pytest.raises(codes.CodeError) as raised:
    quantization.Quantization(bits)
  assert str(raised.value) == (
    f'Expected 1 to 8 bits of a coordinate, found {bits}; more than that are '
    'not worth a code.'
  )
