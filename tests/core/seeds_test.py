import hashlib
import itertools

import numpy as np
import pytest

from tff_pipelines.core import seeds


# Whoever changes these changes every run that was ever recorded.
@pytest.mark.parametrize(
  ('path', 'expected'),
  [
    ((0,), 106848943311458146175955041348640449170),
    ((0, 'selection', 1), 44756359872522003814553471042978699481),
    ((0, 'selection', '1'), 202900622676982675141643645817600170136),
    ((7, 'batching', 3, 'alice'), 25398588475081509035129685129887057356),
  ],
)
def test_known_seeds(path, expected):
  assert seeds.derive(*path) == expected


def test_known_draws():
  draws = seeds.generator(0, 'selection', 1).integers(0, 1000, 5)
  np.testing.assert_array_equal(draws, [473, 485, 126, 28, 775])
  draws = seeds.generator(-3).integers(0, 1000, 5)
  np.testing.assert_array_equal(draws, [136, 518, 73, 667, 161])


def test_a_seed_is_the_digest_of_kind_length_and_text_of_each_part():
  encoded = b'i\0\0\0\x02-7' + b's\0\0\0\x05caf\xc3\xa9' + b'i\0\0\0\x0212'
  digest = hashlib.blake2b(encoded, digest_size=16).digest()
  assert seeds.derive(-7, 'café', 12) == int.from_bytes(digest, 'big')


def test_one_and_the_text_one_differ():
  assert seeds.derive(0, 1) != seeds.derive(0, '1')


def test_numpy_integers_are_integers():
  assert seeds.derive(np.int64(5), np.int32(1)) == seeds.derive(5, 1)


def test_no_two_of_many_paths_share_a_seed():
  parts = ['', 'a', 'b', 'ab', '1', 'i', 1, 0, -1, 11]
  paths = [
    path
    for length in range(4)
    for path in itertools.product(parts, repeat=length)
  ]
  derived = {seeds.derive(seed, *path) for seed in (0, 1) for path in paths}
  assert len(paths) == 1 + 10 + 100 + 1000
  assert len(derived) == 2 * len(paths)


def test_seeds_have_128_bits():
  derived = [seeds.derive(seed) for seed in range(200)]
  # Each bit is 0 in all 200, or 1 in all, with probability 2^-199.
  ever_set, always_set = 0, 2**128 - 1
  for value in derived:
    ever_set, always_set = ever_set | value, always_set & value
  assert (ever_set, always_set) == (2**128 - 1, 0)


def test_each_call_returns_a_fresh_generator():
  first = seeds.generator(3, 'x')
  np.testing.assert_array_equal(
    first.random(4), seeds.generator(3, 'x').random(4)
  )


@pytest.mark.parametrize(
  ('part', 'named'),
  [
    (1.0, '1.0 of type float'),
    (None, 'None of type NoneType'),
    (b'a', "b'a' of type bytes"),
  ],
)
def test_a_part_of_another_type_is_named(part, named):
  with pytest.raises(TypeError) as raised:
    seeds.derive(0, 'selection', part)
  assert str(raised.value) == (
    f'Expected a seed path of strings and integers, found {named}.'
  )
