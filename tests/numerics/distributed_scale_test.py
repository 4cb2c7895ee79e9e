"""Scales fill the modulus and no more; coarse ones are refused."""

import dataclasses
import math

import numpy as np
import pytest

from tff_pipelines.numerics import distributed_scale as ds
from tff_pipelines.numerics import rounding

MECHANISMS = ('discrete_gaussian', 'skellam')


def request(**options) -> ds.Request:
  chosen = {
    'mechanism': 'skellam',
    'clip_norm': 0.5,
    'size': 1024,
    'num_contributors': 90,
    'num_clients': 100,
    'bits': 14,
    'noise_multiplier': 2.0,
  }
  return ds.Request(**(chosen | options))


@pytest.mark.parametrize('mechanism', MECHANISMS)
@pytest.mark.parametrize('bits', [10, 12, 14])
@pytest.mark.parametrize('probability', [1e-12, 1e-6, 0.1])
def test_the_scale_is_the_largest_of_the_probability(
  mechanism, bits, probability
):
  wanted = request(
    mechanism=mechanism, bits=bits, wrap_around_probability=probability
  )
  found = ds.unchecked(wanted)
  assert found.wrap_around_probability <= probability * (1 + 1e-9)
  assert math.exp(ds._log_wrap(wanted, 1.001 * found.scale)) > probability


def test_shares_make_up_the_noise_that_is_asked_for():
  wanted = request()
  found = ds.choose(wanted)
  together = math.sqrt(90) * found.share_stddev / found.scale
  assert together == pytest.approx(2.0 * 0.5)


def test_the_sensitivity_is_the_bound_of_the_rounding():
  wanted = request()
  found = ds.choose(wanted)
  norm = found.scale * wanted.clip_norm
  assert found.l2_sensitivity == rounding.max_norm(norm, 1024, wanted.beta)
  assert found.inflation == pytest.approx(found.l2_sensitivity / norm)
  assert found.inflation >= 1


def test_head_room_by_hand():
  # One client, d = 1: variance of scale^2 (1 + 1) + 1/4, twice its root is 8.
  wanted = request(
    clip_norm=1.0,
    size=1,
    num_contributors=1,
    num_clients=1,
    noise_multiplier=1.0,
    bits=4,
    head_room=2.0,
  )
  found = ds.unchecked(wanted)
  assert found.scale == pytest.approx(math.sqrt((16 - 0.25) / 2))


def test_less_head_room_wraps_around_more():
  found = [
    ds.unchecked(request(head_room=k)).wrap_around_probability
    for k in (8.0, 6.0, 1.0)
  ]
  assert found[0] < found[1] < found[2] == 1.0


def test_finer_scales_with_more_bits_fewer_clients_and_less_noise():
  scale = ds.unchecked(request()).scale
  for better in (
    {'bits': 15},
    {'num_clients': 90},
    {'noise_multiplier': 1.5},
    {'wrap_around_probability': 1e-3},
  ):
    assert ds.unchecked(request(**better)).scale > scale


@pytest.mark.parametrize('mechanism', MECHANISMS)
def test_more_bits_than_are_of_use_do_not_make_it_finer(mechanism):
  found = ds.choose(request(mechanism=mechanism, bits=32))
  assert found.share_stddev == pytest.approx(1024.0)
  assert found.inflation < 1.01
  tiny = ds.choose(
    request(mechanism='skellam', bits=32, noise_multiplier=1e-9, size=1)
  )
  assert tiny.scale * 0.5 <= 2.0**30


@pytest.mark.parametrize('mechanism', MECHANISMS)
def test_sums_wrap_around_no_more_often_than_stated(mechanism):
  # Aligned updates, the worst case; 16 coordinates, 4000 sums.
  wanted = request(
    mechanism=mechanism,
    size=16,
    num_contributors=10,
    num_clients=10,
    bits=10,
    noise_multiplier=1.0,
    wrap_around_probability=0.2,
  )
  found = ds.unchecked(wanted)
  rng, rounds = np.random.default_rng(0), 4000
  # A client's update along (1, ..., 1) or (1, 0, ..., 0), rotated.
  for signal in (
    rng.choice([-1, 1], [rounds, 16]) / 4,
    rng.normal(size=[rounds, 16]) / 4,
  ):
    total = 10 * found.scale * 0.5 * signal
    if mechanism == 'skellam':
      mean = 10 * found.share_stddev**2 / 2
      total += rng.poisson(mean, [rounds, 16]) - rng.poisson(mean, [rounds, 16])
    else:
      total += rng.normal(
        scale=found.share_stddev * math.sqrt(10), size=[rounds, 16]
      )
    total += rng.uniform(-0.5, 0.5, [rounds, 16, 10]).sum(axis=2)
    wrapped = (np.abs(total) >= 512).any(axis=1).mean()
    # Hoeffding: exp(-2 n t^2) = 1e-6.
    assert wrapped <= 0.2 + math.sqrt(math.log(1e6) / (2 * rounds))


def test_the_bound_of_skellam_tails_is_one_of_the_true_tail():
  from scipy import special

  # Nothing but noise of variance 9 in one coordinate.
  wanted = request(
    size=1,
    clip_norm=1e-9,
    num_contributors=1,
    num_clients=1,
    noise_multiplier=3e9,
    beta=1e-12,
  )
  for bits in (4, 5, 6):
    bound = math.exp(ds._log_wrap(dataclasses.replace(wanted, bits=bits), 1.0))
    values = np.arange(2 ** (bits - 1), 400)
    tail = 2 * special.ive(values, 9.0).sum()
    assert tail <= bound <= 1e4 * tail


def test_the_bias_of_conditional_rounding_takes_room():
  wanted = request(num_clients=1000, num_contributors=1000, bits=12)
  # 1000 clients and a beta of 0.61 use up to 624 of 2048.
  assert (
    ds.unchecked(dataclasses.replace(wanted, beta=1e-6)).scale
    > ds.unchecked(wanted).scale
  )


def test_too_few_bits_are_refused_with_those_that_would_do():
  with pytest.raises(ds.TooFewBitsError, match='at most 2 times') as raised:
    ds.choose(request(bits=9))
  enough = raised.value.enough
  assert f'take at least {enough} bits' in str(raised.value)
  assert 'with 9 bits a coordinate for 100 clients' in str(raised.value)
  ds.choose(request(bits=enough))
  with pytest.raises(ds.TooFewBitsError):
    ds.choose(request(bits=enough - 1))


def test_no_room_at_all_is_refused():
  with pytest.raises(ds.TooFewBitsError, match='take at least'):
    ds.choose(request(bits=4))


def test_narrow_shares_of_discrete_gaussian_noise_are_refused():
  options = {'size': 1, 'num_contributors': 100, 'noise_multiplier': 0.2}
  ds.choose(request(bits=10, **options))
  with pytest.raises(ds.TooFewBitsError, match=r'at least 0\.5 integers') as e:
    ds.choose(request(mechanism='discrete_gaussian', bits=10, **options))
  found = ds.choose(
    request(mechanism='discrete_gaussian', bits=e.value.enough, **options)
  )
  assert found.share_stddev >= 0.5


def test_where_no_bits_suffice_the_message_says_so():
  with pytest.raises(ds.TooFewBitsError, match='no number of bits') as raised:
    ds.choose(
      request(num_clients=2**33, num_contributors=2**33, bits=32, size=2**20)
    )
  assert raised.value.enough is None


@pytest.mark.parametrize(
  ('options', 'expected'),
  [
    ({'mechanism': 'normal'}, 'mechanism discrete_gaussian or skellam'),
    ({'clip_norm': 0.0}, 'clip_norm finite and above 0'),
    ({'size': 12}, 'size a power of two'),
    ({'num_contributors': 0}, 'num_contributors at least 1'),
    ({'num_clients': 89}, 'num_clients at least num_contributors, 90'),
    ({'bits': 1}, 'bits 2 to 32'),
    ({'bits': 33}, 'bits 2 to 32'),
    ({'noise_multiplier': 0.0}, 'noise_multiplier finite'),
    ({'noise_multiplier': math.inf}, 'noise_multiplier finite'),
    ({'beta': 0.0}, 'beta above 0 and below 1'),
    ({'beta': 1.0}, 'beta above 0 and below 1'),
    ({'wrap_around_probability': 0.0}, 'wrap_around_probability above 0'),
    ({'wrap_around_probability': 1.0}, 'wrap_around_probability above 0'),
    ({'head_room': 0.0}, 'head_room above 0, or None'),
  ],
)
def test_numbers_out_of_range_are_refused(options, expected):
  with pytest.raises(ds.DistributedScaleError, match=expected):
    request(**options)
