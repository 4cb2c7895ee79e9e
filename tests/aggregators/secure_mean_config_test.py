"""A configuration is right or is refused."""

import math

import pytest

from tff_pipelines.aggregators import secure_mean_config
from tff_pipelines.core import errors


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'bits': 1}, 'bits at least 2, found 1'),
    ({'clip_range': 0.0}, r'clip_range between 2\^-60 and 2\^60, found 0.0'),
    ({'clip_range': math.nan}, 'clip_range .* found nan'),
    ({'target_share': 1.5}, 'target_share above 0, at most 1, found 1.5'),
    ({'rounding': 'up'}, 'rounding nearest or stochastic, found up'),
    ({'max_clients': 1}, 'max_clients at least 2, below 2.31, found 1'),
    ({'max_weight': 0}, 'max_weight at least 1, below 2.31, found 0'),
    (
      {'bits': 40, 'max_clients': 2**20, 'max_weight': 8},
      'at most 62, found 40 bits, 1048576 clients and weights up to 8, which '
      'need 63; take fewer bits, smaller cohorts or a smaller max_weight',
    ),
    (
      {'bits': 30, 'max_clients': 2, 'max_weight': 2**25},
      'integers of at most 53 bits, found 30 bits with weights up to 33554432',
    ),
  ],
)
def test_a_configuration_is_checked_when_it_is_made(options, message):
  with pytest.raises(secure_mean_config.SecureMeanConfigError, match=message):
    secure_mean_config.SecureMeanConfig(**options)
  assert issubclass(
    secure_mean_config.SecureMeanConfigError, errors.PipelineError
  )


def test_62_bits_are_accepted():
  assert (
    secure_mean_config.SecureMeanConfig(
      bits=40, max_clients=2**19, max_weight=8
    ).modulus_bits
    == 62
  )


@pytest.mark.parametrize(
  ('bits', 'max_clients', 'max_weight', 'expected'),
  [
    (2, 2, 1, 3),  # Inputs -1, 0, 1; sums -2 to 2: 5 values.
    (8, 4, 1, 10),  # Sums -508 to 508.
    (8, 5, 1, 11),
    (8, 4, 3, 12),
  ],
)
def test_the_modulus_is_the_least_power_of_2_that_holds_the_sums(
  bits, max_clients, max_weight, expected
):
  config = secure_mean_config.SecureMeanConfig(
    bits=bits, max_clients=max_clients, max_weight=max_weight
  )
  sums = 2 * config.levels * max_weight * max_clients + 1
  assert 2 ** (expected - 1) < sums <= 2**expected
  assert config.modulus_bits == expected
