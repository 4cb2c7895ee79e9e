"""Which aggregators should withstand how many attackers."""

import pytest

from tff_pipelines.aggregators import registry
from tff_pipelines.cli import defence_theory

MEANS = (
  'mean', 'uniform_mean', 'secure_mean', 'secure_uniform_mean', 'norm_bound',
  'zeroing', 'zeroing_clipping', 'dp_fixed',
)  # fmt: skip
ROBUST = ('median', 'geometric_median', 'trimmed_mean', 'krum', 'multi_krum')


@pytest.mark.parametrize('name', [*MEANS, *ROBUST])
def test_without_attackers_all_hold(name):
  assert defence_theory.should_hold(name, [(0, 16), (0, 0)], 0)


@pytest.mark.parametrize('name', MEANS)
def test_one_attacker_is_too_many_for_a_mean(name):
  assert not defence_theory.should_hold(name, [(0, 16), (1, 16)], 4)


@pytest.mark.parametrize('name', ROBUST)
def test_robust_statistics_withstand_a_quarter(name):
  assert defence_theory.should_hold(name, [(4, 16), (0, 16)], 4)


@pytest.mark.parametrize(
  ('name', 'most'),
  [
    # Of 16 clients, built to tolerate 5.
    ('median', 7),
    ('geometric_median', 7),
    ('trimmed_mean', 5),
    ('krum', 5),
    ('multi_krum', 5),
  ],
)
def test_breakdown_points(name, most):
  held = [
    attackers
    for attackers in range(17)
    if defence_theory.should_hold(name, [(attackers, 16)], 5)
  ]
  assert held == list(range(most + 1))


@pytest.mark.parametrize('name', ['trimmed_mean', 'krum', 'multi_krum'])
def test_a_round_too_small_for_what_was_planned_gives_the_median(name):
  # Of 7 clients nobody can trim 5 a side, and Krum needs more than 12.
  assert defence_theory.should_hold(name, [(3, 7)], 5)
  assert not defence_theory.should_hold(name, [(4, 7)], 5)


def test_one_round_with_too_many_is_enough_to_doubt():
  assert not defence_theory.should_hold('median', [(1, 16), (8, 16)], 4)


def test_the_names_are_those_of_the_registry():
  named = {*ROBUST, *MEANS} - {'dp_fixed'}
  assert named <= set(registry.AGGREGATORS)
