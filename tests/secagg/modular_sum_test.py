import numpy as np
import pytest

from tff_pipelines.secagg import layout, modular_sum

MODULI = [
  2,
  3,
  7,
  2**8,
  2**16 + 1,
  2**31,
  2**32 - 1,
  2**32,
  2**32 + 1,
  2**34,
  2**61 - 1,
  2**62 - 1,
  2**62,
]


@pytest.mark.parametrize('modulus', MODULI)
@pytest.mark.parametrize('seed', [0, 1])
def test_sums_are_those_of_integers(modulus, seed):
  generator = np.random.default_rng(seed)
  group = layout.Group(modulus, 20)
  total, expected = modular_sum.ModularSum(group), np.zeros(20, object)
  for _ in range(60):
    values = generator.integers(modulus, size=20)
    values[:3] = [0, modulus - 1, modulus // 2]
    if generator.integers(2):
      total.add(values.astype(group.dtype))
      expected = expected + values.astype(object)
    else:
      total.subtract(values.astype(group.dtype))
      expected = expected - values.astype(object)
  np.testing.assert_array_equal(
    total.result().astype(object), expected % modulus
  )


@pytest.mark.parametrize('modulus', MODULI)
def test_the_largest_entries_do_not_overflow(modulus):
  group = layout.Group(modulus, 1)
  total = modular_sum.ModularSum(group)
  largest = np.array([modulus - 1], group.dtype)
  for _ in range(10):
    total.add(largest)
  assert total.result().tolist() == [-10 % modulus]
  for _ in range(11):
    total.subtract(largest)
  assert total.result().tolist() == [1 % modulus]


@pytest.mark.parametrize('modulus', [2**20, 2**32, 2**34, 2**62])
def test_whole_words_count_modulo_a_power_of_two(modulus):
  group = layout.Group(modulus, 1)
  total = modular_sum.ModularSum(group)
  word = np.array([np.iinfo(group.dtype).max], group.dtype)
  total.add(word)
  assert total.result().tolist() == [modulus - 1]
  total.subtract(word)
  assert total.result().tolist() == [0]


@pytest.mark.parametrize('modulus', [2**20, 1000003])
def test_the_result_is_not_changed_by_later_additions(modulus):
  group = layout.Group(modulus, 2)
  total = modular_sum.ModularSum(group)
  before = total.result()
  total.add(np.ones(2, group.dtype))
  assert before.tolist() == [0, 0]
