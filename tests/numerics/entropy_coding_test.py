"""Sizes after entropy coding."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import code_samples as samples
from tff_pipelines.numerics import (
  bit_packing,
  drive,
  entropy_coding,
  quantization,
)

SEED = tf.constant([3, 141], tf.int64)


def test_the_bound_by_hand():
  # 8 symbols: 4 of 1 bit, 2 of 2, 2 of 2; 12 bits and 2 for the end.
  symbols = np.array([0, 0, 0, 0, 1, 1, 2, 2])
  assert entropy_coding.arithmetic_bytes(symbols) == 2
  assert entropy_coding.arithmetic_bytes(np.zeros(1000)) == 1
  assert entropy_coding.arithmetic_bytes(np.zeros(0)) == 0


def test_even_symbols_stay_as_long_as_they_are():
  symbols = np.arange(2**12) % 16
  assert entropy_coding.arithmetic_bytes(symbols) == 2**11 + 1


@pytest.mark.parametrize('bits, shorter', [(1, 0.99), (4, 0.85)])
def test_levels_of_rotated_coordinates_are_uneven(bits, shorter):
  size = 2**14
  message = quantization.Quantization(bits).encode(
    tf.constant(samples.normals(size)), SEED, [[size]]
  )
  levels = bit_packing.unpack(message.levels, size).numpy()
  found = entropy_coding.arithmetic_bytes(levels)
  packed = message.levels.numpy().nbytes
  if bits == 1:
    assert found == pytest.approx(packed, rel=0.01)
  else:
    assert found < shorter * packed


def test_signs_cannot_be_made_shorter():
  size = 2**14
  message = drive.Drive().encode(
    tf.constant(samples.normals(size)), SEED, [[size]]
  )
  signs = message.signs.numpy()
  assert entropy_coding.deflated_bytes([signs]) >= signs.nbytes


def test_deflated_zeros_are_few_bytes():
  zeros = np.zeros(10_000, np.uint8)
  assert entropy_coding.deflated_bytes([zeros, zeros[::2]]) < 50
