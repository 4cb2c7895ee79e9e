import collections
import itertools
import math

import numpy as np
import pytest

from tff_pipelines.core import errors, participation

SCHEMES = ('uniform', 'poisson', 'cyclic', 'diurnal')


def hoeffding_bound(num_draws: int, false_alarm: float = 1e-9) -> float:
  """How far a mean of draws in [0, 1] strays with that probability at most."""
  return math.sqrt(math.log(2 / false_alarm) / (2 * num_draws))


def cohorts(
  chosen: participation.Participation, num_rounds: int, seed: int = 0
):
  return [chosen.select(seed, r) for r in range(1, num_rounds + 1)]


# Whoever changes these changes every run that was ever recorded.
@pytest.mark.parametrize(
  ('scheme', 'expected'),
  [
    ('uniform', ([1, 4, 3], [8, 2, 4])),
    ('poisson', ([1, 2, 5, 7, 8], [2, 3])),
    ('cyclic', ([0, 9, 6], [5, 8, 4])),
    ('diurnal', ([3, 1, 0], [4, 1, 2])),
  ],
)
def test_known_cohorts(scheme, expected):
  chosen = participation.Participation(10, 3, scheme, 8, 0.4)
  np.testing.assert_array_equal(chosen.select(0, 1), expected[0])
  np.testing.assert_array_equal(chosen.select(0, 2), expected[1])


@pytest.mark.parametrize('scheme', ['uniform', 'cyclic', 'diurnal'])
def test_a_cohort_has_clients_per_round_distinct_clients(scheme):
  chosen = participation.Participation(20, 7, scheme, awake_share=0.4)
  for cohort in cohorts(chosen, 50):
    assert cohort.dtype == np.int64
    assert len(cohort) == len(set(cohort)) == 7
    assert set(cohort) <= set(range(20))


def test_everyone_is_the_whole_population_in_every_round():
  chosen = participation.Participation(4, 4, 'everyone')
  for cohort in cohorts(chosen, 3):
    np.testing.assert_array_equal(cohort, [0, 1, 2, 3])


@pytest.mark.parametrize('scheme', [*SCHEMES, 'everyone'])
def test_a_population_of_one_takes_part(scheme):
  chosen = participation.Participation(1, 1, scheme)
  np.testing.assert_array_equal(np.concatenate(cohorts(chosen, 9)), [0] * 9)


@pytest.mark.parametrize('scheme', SCHEMES)
def test_a_cohort_is_a_pure_function_of_seed_and_round(scheme):
  chosen = participation.Participation(40, 10, scheme)
  forwards = cohorts(chosen, 6)
  equal = participation.Participation(40, 10, scheme)
  backwards = [equal.select(0, r) for r in range(6, 0, -1)]
  for one, other in zip(forwards, reversed(backwards), strict=True):
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('scheme', SCHEMES)
def test_rounds_and_seeds_differ(scheme):
  chosen = participation.Participation(1000, 100, scheme)
  drawn = [
    tuple(chosen.select(seed, round_num))
    for seed in (0, 1)
    for round_num in (1, 2)
  ]
  assert len(set(drawn)) == 4


def test_uniform_draws_every_subset_equally_often():
  chosen = participation.Participation(4, 2)
  num_rounds = 2000
  counts = collections.Counter(
    frozenset(cohort.tolist()) for cohort in cohorts(chosen, num_rounds)
  )
  bound = hoeffding_bound(num_rounds)  # 0.073 of 1/6; 6 false alarms in 1e9
  for subset in itertools.combinations(range(4), 2):
    assert abs(counts[frozenset(subset)] / num_rounds - 1 / 6) < bound


def test_poisson_draws_every_client_at_the_sampling_rate():
  chosen = participation.Participation(100, 30, 'poisson')
  num_rounds = 2000
  takes_part = np.zeros([num_rounds, 100])
  for round_num, cohort in enumerate(cohorts(chosen, num_rounds)):
    takes_part[round_num, cohort] = 1
  # All draws are independent: the mean of 200,000 is within 0.0073.
  assert abs(takes_part.mean() - 0.3) < hoeffding_bound(takes_part.size)
  # Each client's 2000 draws: within 0.073, with 100 false alarms in 1e9.
  assert np.all(np.abs(takes_part.mean(0) - 0.3) < hoeffding_bound(num_rounds))


def test_poisson_draws_clients_independently():
  chosen = participation.Participation(2, 1, 'poisson')
  num_rounds = 2000
  counts = collections.Counter(
    tuple(cohort) for cohort in cohorts(chosen, num_rounds)
  )
  # Half and half for each: 4 cohorts alike, the empty one among them.
  for cohort in ((), (0,), (1,), (0, 1)):
    frequency = counts[cohort] / num_rounds
    assert abs(frequency - 1 / 4) < hoeffding_bound(num_rounds)


SMALL = [(n, k) for n in range(1, 9) for k in range(1, n + 1)]


@pytest.mark.parametrize(('population_size', 'clients_per_round'), SMALL)
def test_cyclic_separation_by_brute_force(population_size, clients_per_round):
  chosen = participation.Participation(
    population_size, clients_per_round, 'cyclic'
  )
  rounds_of = collections.defaultdict(list)
  for round_num, cohort in enumerate(cohorts(chosen, 3 * chosen.separation)):
    for client in cohort:
      rounds_of[client].append(round_num)
  gaps = {
    later - earlier
    for rounds in rounds_of.values()
    for earlier, later in itertools.pairwise(rounds)
  }
  assert gaps == {chosen.separation}
  # Whole cohorts only: the remainder of the population stays out.
  assert len(rounds_of) == population_size - population_size % clients_per_round


def test_sampling_rate_and_separation():
  uniform = participation.Participation(10, 4)
  cyclic = participation.Participation(10, 4, 'cyclic')
  everyone = participation.Participation(10, 10, 'everyone')
  assert (uniform.sampling_rate, uniform.separation) == (0.4, 1)
  assert (cyclic.sampling_rate, cyclic.separation) == (0.4, 2)
  assert (everyone.sampling_rate, everyone.separation) == (1.0, 1)


def test_a_day_by_hand():
  # 8 clients, 2 awake at once, a day of 4 rounds.
  chosen = participation.Participation(8, 1, 'diurnal', 4, 0.25)
  days = [chosen.awake(r).tolist() for r in range(1, 9)]
  assert days[:4] == [[0, 1], [2, 3], [4, 5], [6, 7]]
  assert days[4:] == days[:4]


def test_midnight_divides_nobody():
  chosen = participation.Participation(5, 1, 'diurnal', 5, 0.4)
  assert chosen.awake(5).tolist() == [4, 0]


@pytest.mark.parametrize(
  ('population_size', 'day_rounds', 'awake_share'),
  [(12, 24, 0.25), (7, 3, 0.5), (100, 10, 0.33), (3, 1, 1.0), (5, 8, 0.01)],
)
def test_every_cohort_is_awake(population_size, day_rounds, awake_share):
  chosen = participation.Participation(
    population_size, 1, 'diurnal', day_rounds, awake_share
  )
  for round_num, cohort in enumerate(cohorts(chosen, 3 * day_rounds), 1):
    awake = chosen.awake(round_num)
    assert len(set(awake)) == len(awake) == chosen.num_awake
    assert set(cohort) <= set(awake)
    np.testing.assert_array_equal(awake, chosen.awake(round_num + day_rounds))


def test_everyone_is_awake_for_its_share_of_the_day():
  chosen = participation.Participation(24, 1, 'diurnal', 12, 0.25)
  hours = np.zeros(24, int)
  for round_num in range(1, 13):
    hours[chosen.awake(round_num)] += 1
  np.testing.assert_array_equal(hours, 3)


def test_among_the_awake_every_subset_is_drawn_equally_often():
  chosen = participation.Participation(8, 2, 'diurnal', 1, 0.5)
  num_rounds = 2000
  counts = collections.Counter(
    frozenset(cohort.tolist()) for cohort in cohorts(chosen, num_rounds)
  )
  bound = hoeffding_bound(num_rounds)  # 0.073 of 1/6; 6 false alarms in 1e9
  for subset in itertools.combinations(range(4), 2):
    assert abs(counts[frozenset(subset)] / num_rounds - 1 / 6) < bound


@pytest.mark.parametrize('scheme', ['uniform', 'poisson', 'cyclic'])
def test_without_a_day_everyone_is_awake(scheme):
  chosen = participation.Participation(6, 2, scheme)
  assert chosen.num_awake == 6
  np.testing.assert_array_equal(chosen.awake(5), np.arange(6))


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (
      (10, 3, 'random'),
      'Expected a participation scheme out of uniform, poisson, cyclic, '
      "everyone, diurnal, found 'random'.",
    ),
    (
      (10, 11),
      'Expected between 1 and population_size clients per round, found 11 '
      'clients per round of a population of 10; choose fewer.',
    ),
    (
      (10, 0),
      'Expected between 1 and population_size clients per round, found 0 '
      'clients per round of a population of 10; choose fewer.',
    ),
    (
      (0, 0),
      'Expected between 1 and population_size clients per round, found 0 '
      'clients per round of a population of 0; choose fewer.',
    ),
    (
      (10, 3, 'everyone'),
      'Expected clients_per_round to be the population of 10 under the scheme '
      'everyone, found 3; choose the scheme uniform for fewer.',
    ),
    (
      (10, 3, 'diurnal', 0),
      'Expected a day of at least 1 round, found 0.',
    ),
    (
      (10, 3, 'diurnal', 24, 0.0),
      'Expected clients who are awake for a share of the day above 0 and up to '
      '1, found 0.0.',
    ),
    (
      (10, 3, 'diurnal', 24, 1.1),
      'Expected clients who are awake for a share of the day above 0 and up to '
      '1, found 1.1.',
    ),
    (
      (10, 3, 'diurnal', 24, 0.2),
      'Expected at most the 2 of 10 clients who are awake at once in a round, '
      'found 3; choose fewer, or let them be awake for longer.',
    ),
  ],
)
def test_what_cannot_be_carried_out_is_refused(arguments, message):
  with pytest.raises(participation.ParticipationError) as raised:
    participation.Participation(*arguments)
  assert str(raised.value) == message
  assert isinstance(raised.value, errors.PipelineError)


@pytest.mark.parametrize('scheme', SCHEMES)
def test_round_0_is_the_initial_state_and_has_no_cohort(scheme):
  with pytest.raises(ValueError) as raised:
    participation.Participation(3, 1, scheme).select(0, 0)
  assert str(raised.value) == 'Expected a round_num of at least 1, found 0.'


@pytest.mark.parametrize('scheme', SCHEMES)
def test_no_cohort_is_larger_than_the_largest(scheme):
  chosen = participation.Participation(12, 5, scheme, awake_share=0.5)
  sizes = [len(chosen.select(0, r)) for r in range(1, 200)]
  assert max(sizes) <= chosen.max_clients_per_round
  assert chosen.max_clients_per_round == (12 if scheme == 'poisson' else 5)


@pytest.mark.parametrize('scheme', ['uniform', 'poisson', 'diurnal'])
def test_another_attempt_has_another_cohort(scheme):
  chosen = participation.Participation(1000, 100, scheme)
  cohorts = [tuple(chosen.select(3, 7, attempt)) for attempt in range(3)]
  assert len(set(cohorts)) == 3
  assert cohorts[1] == tuple(chosen.select(3, 7, 1))
  assert cohorts[0] == tuple(chosen.select(3, 7))


def test_a_scheme_that_fixes_the_cohort_keeps_it_for_another_attempt():
  chosen = participation.Participation(12, 4, 'cyclic')
  np.testing.assert_array_equal(chosen.select(3, 2), chosen.select(3, 2, 1))
