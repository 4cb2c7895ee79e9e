import itertools

import numpy as np
import pytest

from tff_pipelines.core import participation as participation_lib
from tff_pipelines.privacy import contributions

Limits = contributions.ContributionLimits


@pytest.mark.parametrize('most', [1, 2, 3, 8])
@pytest.mark.parametrize('separation', [1, 2, 3, 9])
def test_max_total_is_that_of_all_patterns(most, separation):
  weights = np.random.default_rng(most).random((8, 2))
  best = np.zeros(2)
  for count in range(1, most + 1):
    for chosen in itertools.combinations(range(8), count):
      if all(b - a >= separation for a, b in itertools.pairwise(chosen)):
        best = np.maximum(best, weights[list(chosen)].sum(axis=0))
  found = contributions.max_total(weights, Limits(most, separation))
  np.testing.assert_allclose(found, best)


def test_participations_fit_into_the_rounds():
  assert Limits(6, 313).participations_in(2000) == 6
  assert Limits(9, 313).participations_in(2000) == 7
  assert Limits(9, 313).participations_in(313) == 1
  assert Limits(9, 313).participations_in(0) == 0


def test_cyclic_cohorts_keep_what_the_plan_says():
  plan = participation_lib.Participation(10, 3, 'cyclic')
  assert contributions.planned_limits(plan, 7) == Limits(3, 3)
  history = contributions.ParticipationHistory()
  for round_num in range(1, 8):
    history.add(round_num, plan.select(1, round_num))
  assert history.limits == Limits(3, 3)


@pytest.mark.parametrize('scheme', ['uniform', 'poisson'])
def test_random_cohorts_ensure_nothing(scheme):
  plan = participation_lib.Participation(10, 3, scheme)
  assert contributions.planned_limits(plan, 7) == Limits(7, 1)


def test_history_counts_repeats_and_distances():
  history = contributions.ParticipationHistory()
  assert history.limits == Limits(0, 1)
  history.add(1, [1, 2])
  assert history.limits == Limits(1, 1)
  history.add(5, [2, 3])
  assert history.limits == Limits(2, 4)
  history.add(7, [2])
  assert history.limits == Limits(3, 2)


def test_history_resumes_from_its_state():
  history = contributions.ParticipationHistory()
  resumed = contributions.ParticipationHistory()
  rng = np.random.default_rng(0)
  for round_num in range(1, 20):
    cohort = rng.choice(30, 5, replace=False)
    history.add(round_num, cohort)
    resumed = contributions.ParticipationHistory.from_state(
      resumed.state, resumed.limits
    )
    resumed.add(round_num, cohort)
    assert resumed.limits == history.limits
    np.testing.assert_array_equal(resumed.state, history.state)


def test_a_client_twice_in_a_round_is_refused():
  history = contributions.ParticipationHistory()
  with pytest.raises(
    contributions.ContributionLimitsError, match='client 4 twice in round 2'
  ):
    history.add(2, [4, 5, 4])


def test_rounds_out_of_order_are_refused():
  history = contributions.ParticipationHistory()
  history.add(3, [1])
  with pytest.raises(
    contributions.ContributionLimitsError, match='found round 2 after 3'
  ):
    history.add(2, [1])


@pytest.mark.parametrize('values', [(-1, 1), (1, 0)])
def test_impossible_limits_are_refused(values):
  with pytest.raises(
    contributions.ContributionLimitsError, match='at least 0 participations'
  ):
    Limits(*values)


@pytest.mark.parametrize('scheme', ['uniform', 'poisson', 'cyclic'])
def test_limits_ahead_are_those_that_adding_leads_to(scheme):
  plan = participation_lib.Participation(8, 3, scheme)
  history = contributions.ParticipationHistory()
  for round_num in range(1, 12):
    clients = plan.select(2, round_num)
    before = history.limits
    ahead = history.limits_with(round_num, clients)
    assert history.limits == before
    history.add(round_num, clients)
    assert history.limits == ahead
