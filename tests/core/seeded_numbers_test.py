"""Random numbers that are the same on every runtime."""

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import seeded_numbers

_MASK = 2**64 - 1


def mixed(bits: int) -> int:
  """SplitMix64's mix, in Python's integers."""
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & _MASK
  return bits ^ (bits >> 31)


def test_mix_is_that_of_splitmix64():
  # The first three of java.util.SplittableRandom(0), published widely.
  step = 0x9E3779B97F4A7C15
  assert [mixed(step * k & _MASK) for k in (1, 2, 3)] == [
    0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F,
  ]  # fmt: skip


@pytest.mark.parametrize(('seed', 'index'), [(0, 0), (5, 3), (2**63 - 1, 7)])
def test_uniform_is_the_top_of_the_mixed_counter(seed, index):
  step = 0x9E3779B97F4A7C15
  start = mixed((mixed(seed) + step * index) & _MASK)
  expected = [
    (mixed((start + step * k) & _MASK) >> 40) / 2**24 for k in range(1, 6)
  ]
  found = seeded_numbers.uniform(seed, index, 5)
  np.testing.assert_array_equal(found, np.array(expected, np.float32))


@pytest.mark.parametrize(
  'draw', [seeded_numbers.uniform, seeded_numbers.normal]
)
def test_xla_draws_what_tensorflow_draws(draw):
  compiled = tf.function(lambda s, i: draw(s, i, 100), jit_compile=True)
  seed, index = tf.constant(2**40 + 1, tf.int64), tf.constant(4)
  np.testing.assert_allclose(
    compiled(seed, index), draw(seed, index, 100), rtol=1e-5, atol=1e-6
  )


def test_seed_and_index_are_all_that_counts():
  draws = {
    tuple(seeded_numbers.uniform(s, i, 4).numpy())
    for s in range(5)
    for i in range(5)
  }
  assert len(draws) == 25
  np.testing.assert_array_equal(
    seeded_numbers.normal(1, 2, 9), seeded_numbers.normal(1, 2, 9)
  )


def test_normal_numbers_have_mean_0_and_variance_1():
  count = 10**5
  drawn = seeded_numbers.normal(3, 0, count).numpy().astype(np.float64)
  # Six standard deviations: a false alarm in 10^8 seeds. Of the squares, whose
  # variance is 2.
  assert abs(drawn.mean()) < 6 / count**0.5
  assert abs((drawn**2).mean() - 1) < 6 * (2 / count) ** 0.5
  # Pairs of one Box-Muller radius are independent, too.
  assert abs((drawn[::2] * drawn[1::2]).mean()) < 6 / (count / 2) ** 0.5
