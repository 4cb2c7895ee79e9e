"""The prime field that secrets are shared in.

p = 2^257 - 93, the largest prime below 2^257: every 256-bit secret is an
element, and reduction is a multiplication by 93. An element travels in 33
bytes, big-endian.

Source: Shamir 1979, "How to share a secret"; the field is a parameter of
Bonawitz et al. 2017, section 3.1. Security level: information-theoretic.
"""

from collections.abc import Sequence
import secrets

PRIME = 2**257 - 93
ELEMENT_BYTES = 33


def random_elements(count: int) -> list[int]:
  """Draws uniform elements from the operating system (Shamir 1979)."""
  return [secrets.randbelow(PRIME) for _ in range(count)]


def encode(element: int) -> bytes:
  """Returns the 33 bytes of an element (canonical; Bonawitz, sec. 3.1).

  Raises:
    ValueError: If it is not in [0, p).
  """
  if not 0 <= element < PRIME:
    raise ValueError('Expected an element of the field, found a number beyond.')
  return element.to_bytes(ELEMENT_BYTES, 'big')


def decode(encoded: bytes) -> int:
  """Returns the element of 33 bytes (canonical; Bonawitz, sec. 3.1).

  Raises:
    ValueError: If the length is another or the number not below p.
  """
  element = int.from_bytes(encoded, 'big')
  if len(encoded) != ELEMENT_BYTES or element >= PRIME:
    raise ValueError('Expected 33 bytes of a field element, found others.')
  return element


def invert_all(elements: Sequence[int]) -> list[int]:
  """Returns the inverses of non-zero elements with a single inversion.

  Source: Montgomery 1987, "Speeding the Pollard and elliptic curve methods of
  factorization", section 10.3.1.
  """
  prefixes = [1]
  for element in elements:
    prefixes.append(prefixes[-1] * element % PRIME)
  inverse = pow(prefixes.pop(), -1, PRIME)
  inverses = []
  for element, prefix in zip(
    reversed(elements), reversed(prefixes), strict=True
  ):
    inverses.append(inverse * prefix % PRIME)
    inverse = inverse * element % PRIME
  return inverses[::-1]
