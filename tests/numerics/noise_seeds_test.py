"""Seeds of 128 bits of the operating system."""

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import system_randomness
from tff_pipelines.numerics import noise_seeds


def codes(*texts: str) -> tf.Tensor:
  return tf.constant([list(text.encode()) for text in texts], tf.uint8)


ZERO = '00000000-0000-0000-0000-000000000000'


def bits(seed) -> np.ndarray:
  """The 128 bits of a seed."""
  words = np.asarray(seed).view(np.uint64)
  return ((words[:, np.newaxis] >> np.arange(64, dtype=np.uint64)) & 1).ravel()


def test_a_seed_is_the_sum_without_carry_of_the_first_and_the_turned_second():
  first = '00000001-0000-0000-f000-00000000000a'
  second = '0000000b-0000-0000-0000-0000000000c0'
  # Digit k of a half counts 16^k. The second's halves change places.
  expected = [
    (1 << 28) ^ (0xC << 56),
    0xF ^ (0xA << 60) ^ (0xB << 28),
  ]
  found = noise_seeds.mixed(codes(first, second)).numpy().view(np.uint64)
  assert [int(word) for word in found] == expected


def test_every_bit_depends_on_one_bit_of_each_text():
  touched = np.zeros(128, int)
  for position in range(system_randomness.TEXT_BYTES):
    if ZERO[position] == '-':
      continue
    for digit in '1248':
      text = ZERO[:position] + digit + ZERO[position + 1 :]
      for texts in ((text, ZERO), (ZERO, text)):
        changed = bits(noise_seeds.mixed(codes(*texts)))
        assert changed.sum() == 1
        touched += changed.astype(int)
  assert (touched == 2).all()


def test_no_bit_is_made_of_fixed_bits_only():
  # The version is digit 12; the variant is in the two high bits of digit 16.
  fixed = [(12, '8'), (12, '4'), (12, '2'), (12, '1'), (16, '8'), (16, '4')]
  digits = [k for k, c in enumerate(ZERO) if c != '-']
  touched = np.zeros(128, int)
  for place, digit in fixed:
    position = digits[place]
    text = ZERO[:position] + digit + ZERO[position + 1 :]
    for texts in ((text, ZERO), (ZERO, text)):
      touched += bits(noise_seeds.mixed(codes(*texts))).astype(int)
  assert touched.max() == 1


def test_drawn_seeds_are_balanced_in_every_bit():
  draw = tf.function(lambda: noise_seeds.draw())
  drawn = np.stack([bits(draw()) for _ in range(1000)])
  # By Hoeffding, one of 128 means of 1,000 fair bits is off by 0.1 with a
  # probability of at most 128 * 2 exp(-2 * 1000 * 0.1^2) = 5e-7.
  assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.1


def test_a_graph_never_draws_the_same_seed_twice():
  draw = tf.function(lambda: noise_seeds.draw())
  assert len({tuple(draw().numpy()) for _ in range(100)}) == 100


def test_a_test_seed_is_a_pure_function_of_its_path():
  first = noise_seeds.draw(3, tf.constant(1))
  assert (first.numpy() == noise_seeds.draw(3, tf.constant(1)).numpy()).all()


@pytest.mark.parametrize(
  ('seed', 'path'),
  [
    (4, [tf.constant(1)]),
    (3, [tf.constant(2)]),
    (3, []),
    (3, [tf.constant(1), tf.constant(1)]),
    (3, [tf.constant([1.0, 2.0])]),
    (3, [tf.constant([2.0, 1.0])]),
  ],
)
def test_other_test_seeds_and_paths_give_other_seeds(seed, path):
  assert (
    noise_seeds.draw(3, tf.constant(1)).numpy()
    != noise_seeds.draw(seed, *path).numpy()
  ).any()


def test_parts_of_a_seed_differ():
  parts = noise_seeds.split(noise_seeds.draw(0), 50)
  assert len({tuple(part.numpy()) for part in parts}) == 50


def test_xla_splits_as_tensorflow_does():
  def split(seed):
    return tf.stack(noise_seeds.split(seed, 3))

  seed = tf.constant([5, -7], tf.int64)
  compiled = tf.function(split, jit_compile=True)(seed)
  np.testing.assert_array_equal(compiled, split(seed))
