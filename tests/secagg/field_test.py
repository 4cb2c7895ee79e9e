import random

import pytest

from tff_pipelines.secagg import field


def is_probably_prime(n: int) -> bool:
  """Miller and Rabin with 24 bases: wrong with probability below 2^-48."""
  odd, twos = n - 1, 0
  while odd % 2 == 0:
    odd, twos = odd // 2, twos + 1
  for base in range(2, 26):
    x = pow(base, odd, n)
    if x in (1, n - 1):
      continue
    for _ in range(twos - 1):
      x = x * x % n
      if x == n - 1:
        break
    else:
      return False
  return True


def test_the_modulus_is_prime_and_holds_256_bits():
  assert is_probably_prime(field.PRIME)
  assert field.PRIME > 2**256


def test_no_larger_prime_has_as_many_bits():
  assert not any(map(is_probably_prime, range(field.PRIME + 2, 2**257, 2)))


@pytest.mark.parametrize('element', [0, 1, 2**256, field.PRIME - 1])
def test_encoding_undoes_decoding(element):
  encoded = field.encode(element)
  assert len(encoded) == field.ELEMENT_BYTES
  assert field.decode(encoded) == element


@pytest.mark.parametrize('element', [-1, field.PRIME, 2**260])
def test_numbers_outside_of_the_field_are_not_encoded(element):
  with pytest.raises(ValueError, match='found a number beyond'):
    field.encode(element)


@pytest.mark.parametrize(
  'encoded',
  [b'', bytes(32), bytes(34), b'\xff' * 33, field.PRIME.to_bytes(33, 'big')],
)
def test_bytes_that_are_no_element_are_not_decoded(encoded):
  with pytest.raises(ValueError, match='Expected 33 bytes'):
    field.decode(encoded)


def test_random_elements_are_elements_and_differ():
  drawn = field.random_elements(1000)
  assert len(set(drawn)) == 1000
  assert all(0 <= element < field.PRIME for element in drawn)


def test_every_bit_of_random_elements_varies():
  # A bit is constant over 1,000 draws with probability 2^-999 (p is 2^257 up
  # to 93, so each bit is fair up to 2^-250).
  ones, zeros = 0, 0
  for element in field.random_elements(1000):
    ones |= element
    zeros |= ~element
  assert ones & zeros & (2**257 - 1) == 2**257 - 1


def test_inverses_times_elements_are_one():
  generator = random.Random(0)
  elements = [1, 2, field.PRIME - 1] + [
    generator.randrange(1, field.PRIME) for _ in range(50)
  ]
  for element, inverse in zip(
    elements, field.invert_all(elements), strict=True
  ):
    assert element * inverse % field.PRIME == 1


def test_no_elements_have_no_inverses():
  assert field.invert_all([]) == []


def test_zero_has_no_inverse():
  with pytest.raises(ValueError, match='not invertible'):
    field.invert_all([1, 0])
