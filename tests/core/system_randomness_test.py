"""Texts of the operating system's randomness."""

import re

import numpy as np
import tensorflow as tf

from tff_pipelines.core import system_randomness

UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


def as_text(codes) -> str:
  return bytes(np.asarray(codes)).decode()


def test_a_read_is_the_text_of_a_version_4_uuid():
  text = as_text(system_randomness.read())
  assert UUID.fullmatch(text)
  assert text[14] == '4'


def test_a_graph_reads_anew_at_every_execution():
  read = tf.function(system_randomness.read)
  # Two of 122 random bits are equal with probability 2^-122.
  assert len({as_text(read()) for _ in range(20)}) == 20


def test_two_reads_of_one_graph_differ():
  both = tf.function(
    lambda: (system_randomness.read(), system_randomness.read())
  )
  first, second = both()
  assert as_text(first) != as_text(second)


def test_the_fast_texts_are_hexadecimal_and_never_the_same():
  texts = system_randomness.texts(50, 2)
  assert texts.shape == (50, 2, system_randomness.TEXT_BYTES)
  assert texts.dtype == np.uint8
  assert set(bytes(texts)) <= set(b'0123456789abcdef')
  assert len({bytes(t) for t in texts.reshape(100, -1)}) == 100


def test_the_fast_texts_are_uniform():
  # 360,000 digits, 16 values: chi-square with 15 degrees of freedom exceeds
  # 55.6 with probability 1.5e-6.
  digits = system_randomness.texts(10_000).ravel()
  _, counts = np.unique(digits, return_counts=True)
  expected = digits.size / 16
  assert len(counts) == 16
  assert np.sum((counts - expected) ** 2 / expected) < 55.6
