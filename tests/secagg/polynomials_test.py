import random

import pytest

from tff_pipelines.secagg import field, polynomials


def horner(polynomial: list[int], point: int) -> int:
  value = 0
  for coefficient in reversed(polynomial):
    value = (value * point + coefficient) % field.PRIME
  return value


def check(drawn: list[list[int]], points: list[int]) -> None:
  expected = [tuple(horner(p, x) for p in drawn) for x in points]
  assert polynomials.evaluate(drawn, points) == expected


def test_a_constant_is_itself_everywhere():
  assert (
    polynomials.evaluate([[5], [field.PRIME - 1]], [1, 2, 1000])
    == [(5, field.PRIME - 1)] * 3
  )


def test_a_line_by_hand():
  assert polynomials.evaluate([[7, 3]], [0, 1, 10]) == [(7,), (10,), (37,)]


@pytest.mark.parametrize('seed', range(30))
def test_random_polynomials_agree_with_integers(seed):
  generator = random.Random(seed)
  degree = generator.randrange(1, 60)
  drawn = [
    [generator.randrange(field.PRIME) for _ in range(degree)]
    for _ in range(generator.randrange(1, 4))
  ]
  largest = 2 ** generator.randrange(1, 30)
  points = [generator.randrange(largest) for _ in range(20)]
  check(drawn, [*points, largest - 1, 1])


# The largest limbs, at points just below where more or fewer steps are taken
# without a carry: the bound in the module's docstring is nearly reached.
@pytest.mark.parametrize(
  'point',
  [1, 2, 3, 7, 15, 31, 63, 127, 1023, 1024, 2**15 - 1, 2**15, 2**30 - 1],
)
@pytest.mark.parametrize('degree', [1, 2, 3, 7, 8, 9, 100])
def test_the_largest_coefficients_do_not_overflow(point, degree):
  for largest in (field.PRIME - 1, 2**257 - 94, 2**256 - 1):
    check([[largest] * degree] * 2, [point])


@pytest.mark.parametrize('points', [[-1], [2**30], [1, 2**31]])
def test_large_points_are_refused(points):
  with pytest.raises(ValueError, match='evaluation points in'):
    polynomials.evaluate([[1, 2]], points)


def test_zero_alone_gives_the_constant():
  assert polynomials.evaluate([[9, 1, 1]], [0]) == [(9,)]
