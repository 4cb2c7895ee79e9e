"""Packing is undone, and takes the bytes it says."""

import numpy as np
import pytest
import tensorflow as tf

from tests import slow_cases
from tff_pipelines.numerics import bit_packing


def test_by_hand():
  packed = bit_packing.pack(tf.constant([1, 2, 3, 0, 0, 0, 0, 0, 2]), 2)
  np.testing.assert_array_equal(packed, [[0b101, 0], [0b110, 1]])
  assert packed.dtype == tf.uint8


@pytest.mark.parametrize(
  'bits', slow_cases.all_but([1, 3, 31], [*range(1, 9), 18, 31])
)
@pytest.mark.parametrize('compile_it', [False, True])
def test_what_is_packed_is_unpacked(bits, compile_it):
  for size in (1, 8, 1001):
    rng = np.random.default_rng([bits, size])
    values = rng.integers(0, 2**bits, size).astype(np.int32)
    values[0] = 2**bits - 1

    def there_and_back(given, num=size):
      packed = bit_packing.pack(given, bits)
      return packed, bit_packing.unpack(packed, num)

    packed, found = tf.function(there_and_back, jit_compile=compile_it)(
      tf.constant(values)
    )
    np.testing.assert_array_equal(found, values)
    assert packed.numpy().nbytes == bit_packing.packed_bytes(size, bits)
    assert packed.numpy().nbytes == bits * ((size + 7) // 8)
