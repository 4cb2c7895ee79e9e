"""The sentences of a guarantee: nothing may be smaller than the truth."""

import dataclasses
import math
import re

import numpy as np
import pytest

from tff_pipelines.reports import formats, privacy_promise, privacy_record

pytestmark = pytest.mark.filterwarnings('error')

_GUARANTEE = privacy_record.Guarantee(
  epsilon=1.986,
  delta=1e-5,
  relation='add_or_remove',
  trust='server',
  method='pld',
  num_rounds=100,
)


def _with(**changes):
  return dataclasses.replace(_GUARANTEE, **changes)


def test_the_promise_in_full():
  # e^1.986 = 7.28633.
  assert privacy_promise.promise(_GUARANTEE) == (
    'Take any conclusion that someone could draw from the models of all 100 '
    'rounds, and compare its probability with a client and without it: neither '
    'is more than 7.287 times the other plus 10⁻⁵ (1 in 100,000). It holds '
    'against everyone who sees the models, but not against the server: the '
    'server sees more than the models, and has to be trusted to keep that to '
    'itself. What is protected is a client with all of its examples. Computed '
    'as an upper bound, from privacy loss distributions.'
  )


@pytest.mark.parametrize(
  ('relation', 'worlds', 'goal'),
  [
    ('add_or_remove', 'with a client and without it', 'took part'),
    (
      'replace',
      "with a client's data and with any other data in their place",
      "which of two sets of data is one client's",
    ),
    (
      'zero_out',
      "with a client's contributions and with zeros in their place",
      'were exchanged for zeros',
    ),
  ],
)
def test_the_relation_is_that_of_the_guarantee(relation, worlds, goal):
  assert worlds in privacy_promise.promise(_with(relation=relation))
  assert goal in privacy_promise.meaning(_with(relation=relation))


@pytest.mark.parametrize(
  ('trust', 'expected'),
  [
    ('server', 'not against the server'),
    ('sum', 'nothing but the sum (secure aggregation)'),
    ('nothing', 'the server too: every report is noisy'),
  ],
)
def test_it_says_whom_to_trust(trust, expected):
  assert expected in privacy_promise.promise(_with(trust=trust))


def test_without_delta_nothing_is_added():
  text = privacy_promise.promise(_with(delta=0.0))
  assert 'times the other. It holds' in text


def test_one_round_is_one():
  text = privacy_promise.promise(_with(num_rounds=1))
  assert 'the models of the round,' in text


def test_epsilon_is_explained_once_with_numbers():
  text = privacy_promise.meaning(_GUARANTEE)
  assert 'epsilon 1.986 and delta 10⁻⁵' in text
  assert '(e^1.986 is 7.287)' in text
  # e^1.986 / (1 + e^1.986) = 0.87932.
  assert 'at most 88.0 % of the cases' in text
  assert 'worth having' not in text


def test_a_huge_epsilon_is_called_worthless():
  text = privacy_promise.meaning(_with(epsilon=1000.0))
  assert 'promises nothing that is worth having' in text
  assert 'at most 100 % of the cases' in text


@pytest.mark.parametrize('delta', [0.0, 1e-5, 0.1, 0.9])
def test_the_guess_is_bounded_from_above_and_tightly(delta):
  for epsilon in np.linspace(0.0, 15.0, 151):
    shown = float(
      privacy_promise.guess(_with(epsilon=epsilon, delta=delta))[:-2]
    )
    truth = 100 * (1 - (1 - delta) / (1 + math.exp(epsilon)))
    assert truth - 1e-9 <= shown
    # The error keeps two digits, percentages at least one decimal.
    assert 100 - shown >= 0.9 * (100 - truth) - 0.1
    assert shown < 100


@pytest.mark.parametrize(
  ('epsilon', 'expected'),
  [
    (0.0, '1'),
    (math.log(2.0), '2'),
    (1.0, '2.719'),
    (8.0, '2,981'),
    (20.0, '4.9 \N{MULTIPLICATION SIGN} 10⁸'),
    (1000.0, '2 \N{MULTIPLICATION SIGN} 10⁴³⁴'),
  ],
)
def test_factors_are_rounded_up(epsilon, expected):
  assert formats.factor(epsilon) == expected


def test_factors_are_never_below_the_truth():
  for epsilon in np.linspace(0.0, 13.8, 500):
    shown = float(formats.factor(epsilon).replace(',', ''))
    assert math.exp(epsilon) * (1 - 1e-9) <= shown
    assert shown <= 1.0011 * math.exp(epsilon)


@pytest.mark.parametrize(
  ('value', 'expected'),
  [
    (0.0, '0'),
    (0.01, '0.01'),
    (1e-5, '10⁻⁵'),
    (3.17e-5, '3.17 \N{MULTIPLICATION SIGN} 10⁻⁵'),
    (9.999e-7, '10⁻⁶'),
    (1e-10, '10⁻¹⁰'),
  ],
)
def test_small_numbers(value, expected):
  assert formats.small(value) == expected


@pytest.mark.parametrize(
  ('value', 'expected'),
  [
    (1.98649, '1.986'),
    (8.0, '8'),
    (12345.6, '12,346'),
    (None, '\N{EN DASH}'),
    (math.inf, '∞'),
    (math.nan, '\N{EN DASH}'),
  ],
)
def test_epsilons(value, expected):
  assert formats.epsilon(value) == expected


def test_a_method_that_is_not_known_is_named():
  assert re.search(r'Computed by magic\.$', privacy_promise.promise(
    _with(method='magic')
  ))  # fmt: skip
