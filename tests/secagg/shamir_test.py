import itertools
import random

import pytest

from tff_pipelines.secagg import field, polynomials, shamir


@pytest.mark.parametrize('threshold', [1, 2, 3, 4, 5])
def test_every_large_enough_set_of_five_gives_the_secrets_back(threshold):
  secrets = [0, 2**256 - 1, field.PRIME - 1]
  shares = shamir.share(secrets, [1, 2, 3, 4, 5], threshold)
  for size in range(threshold, 6):
    for chosen in itertools.combinations(range(5), size):
      points = tuple(i + 1 for i in chosen)
      for position, secret in enumerate(secrets):
        values = [shares[i][position] for i in chosen]
        assert shamir.reconstruct(points, values) == secret


def test_fewer_than_the_threshold_give_another_number():
  # Equal by chance with probability 2^-257 each.
  shares = shamir.share([12345], [1, 2, 3, 4, 5], 3)
  for chosen in itertools.combinations(range(5), 2):
    values = [shares[i][0] for i in chosen]
    points = tuple(i + 1 for i in chosen)
    assert shamir.reconstruct(points, values) != 12345


def test_too_few_shares_fit_every_secret():
  # For t - 1 shares and any other secret there is one polynomial through both.
  shares = shamir.share([1], [1, 2, 3], 3)
  known = [shares[0][0], shares[1][0]]
  for other in (0, 2, field.PRIME - 1):
    # Interpolate through (0, other) and the two shares, shifted by one.
    third = shamir.reconstruct((1, 2, 3), [other, *known])
    line = shamir.lagrange_basis((1, 2, 3))
    assert (
      third
      == (line[0] * other + line[1] * known[0] + line[2] * known[1])
      % field.PRIME
    )


def test_a_wrong_share_changes_the_secret():
  shares = shamir.share([77], [1, 2, 3], 2)
  assert shamir.reconstruct((1, 2), [shares[0][0] + 1, shares[1][0]]) != 77


def test_shares_of_a_sum_are_sums_of_shares():
  one = shamir.share([10], [1, 2, 3], 2)
  two = shamir.share([32], [1, 2, 3], 2)
  values = [(one[i][0] + two[i][0]) % field.PRIME for i in (0, 2)]
  assert shamir.reconstruct((1, 3), values) == 42


def test_sharing_twice_gives_different_shares():
  assert shamir.share([1], [1, 2], 2) != shamir.share([1], [1, 2], 2)


def test_basis_by_hand():
  # f(0) = 3 f(1) - 3 f(2) + f(3) for polynomials of degree 2.
  assert shamir.lagrange_basis((1, 2, 3)) == (3, field.PRIME - 3, 1)


def test_basis_sums_to_one():
  # It interpolates the constant 1.
  basis = shamir.lagrange_basis((3, 5, 100, 1000))
  assert sum(basis) % field.PRIME == 1


@pytest.mark.parametrize('seed', range(10))
def test_random_parameters(seed):
  generator = random.Random(seed)
  count = generator.randrange(2, 40)
  threshold = generator.randrange(1, count + 1)
  points = generator.sample(range(1, 2000), count)
  secret = generator.randrange(field.PRIME)
  shares = shamir.share([secret], points, threshold)
  chosen = generator.sample(range(count), threshold)
  assert (
    shamir.reconstruct(
      tuple(points[i] for i in chosen), [shares[i][0] for i in chosen]
    )
    == secret
  )


def test_coefficients_are_fresh_and_of_the_right_number(monkeypatch):
  seen = []

  def spy(drawn, points):
    seen.append(drawn)
    return [(0, 0) for _ in points]

  monkeypatch.setattr(polynomials, 'evaluate', spy)
  shamir.share([1, 2], [1, 2, 3], 3)
  ((first, second),) = seen
  assert first[0] == 1
  assert second[0] == 2
  assert len(first) == len(second) == 3
  assert not set(first[1:]) & set(second[1:])


@pytest.mark.parametrize('points', [[1, 1, 2], [0, 1, 2]])
def test_repeated_points_and_zero_are_refused(points):
  with pytest.raises(ValueError, match='distinct points above zero'):
    shamir.share([1], points, 2)


@pytest.mark.parametrize('threshold', [0, 4])
def test_an_impossible_threshold_is_refused(threshold):
  with pytest.raises(ValueError, match='threshold between 1 and 3'):
    shamir.share([1], [1, 2, 3], threshold)
