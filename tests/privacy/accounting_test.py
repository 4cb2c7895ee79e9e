"""Published numbers, proven lower bounds, and what is refused."""

import dataclasses
import math
import time

import dp_accounting
from dp_accounting import pld as pld_lib
from dp_accounting import rdp as rdp_lib
import numpy as np
import pytest

from tff_pipelines.core import participation as participation_lib
from tff_pipelines.privacy import (
  accounting,
  central,
  composition,
  contributions,
  correlated,
  distributed,
  guarantee,
  ledger,
  local,
)

Participation = participation_lib.Participation
Limits = contributions.ContributionLimits
Plan = accounting.Plan
Relation = guarantee.Relation
Trust = guarantee.Trust

_SCIPY = pytest.mark.filterwarnings(
  'ignore:np.find_common_type:DeprecationWarning'
)


def _poisson(noise, cohort, population, rounds, secret=True):
  return Plan(
    central.Gaussian(noise),
    Participation(population, cohort, 'poisson'),
    rounds,
    secret_cohort=secret,
  )


def _epsilon(plan, delta, **kwargs):
  return accounting.planned(plan, delta, **kwargs).epsilon


@pytest.mark.parametrize(
  'plan,delta,rdp,pld',
  [
    (_poisson(1.2, 120, 3383, 100), 1e-5, 1.986, 1.708),
    (_poisson(1.0, 5000, 763430, 5000), 1e-9, 4.18, 3.90),
  ],
)
def test_sampled_gaussians(plan, delta, rdp, pld):
  # To half of the last digit that is given, or rounded up to it.
  digit = 1e-3 if rdp < 2 else 1e-2
  by_rdp = accounting.planned(plan, delta, method='rdp')
  assert abs(by_rdp.epsilon - rdp) < 0.55 * digit
  best = accounting.planned(plan, delta)
  assert abs(best.epsilon - pld) < 0.55 * digit
  assert (by_rdp.method, best.method) == ('rdp', 'pld')
  assert best.relation is Relation.ADD_OR_REMOVE
  assert best.trust is Trust.SERVER
  assert best.rho is None


def test_deployed_tree():
  start = time.perf_counter()
  plan = Plan(
    correlated.TreeAggregation(7.0),
    Participation(4_000_000, 6500),
    2000,
    limits=Limits(6, 313),
  )
  found = accounting.planned(plan, 1e-10)
  assert time.perf_counter() - start < 10
  assert round(found.rho, 2) == 0.81
  assert 8.50 < found.epsilon <= 8.90
  assert found.relation is Relation.ZERO_OUT
  assert found.method == 'gaussian'


@pytest.mark.parametrize(
  'mechanism,limits,rho,epsilon',
  [
    # The deployed 400-band matrix is divided by its sensitivity at the
    # 2000 / 400 = 5 participations it was planned for: 3 (1/5) / (2 1.411^2).
    (
      correlated.BandedMatrixFactorization(1.411, 400, 5**-0.5),
      Limits(3, 484),
      0.1506840,
      3.4240,
    ),
    (
      correlated.BandedMatrixFactorization(8.35, 1000),
      Limits(2, 1428),
      0.0143426,
      0.99355,
    ),
  ],
)
def test_deployed_matrices(mechanism, limits, rho, epsilon):
  plan = Plan(mechanism, Participation(10**7, 6500), 2000, limits=limits)
  found = accounting.planned(plan, 1e-10)
  assert abs(found.rho - rho) < 1e-7
  assert abs(found.epsilon - epsilon) < 1e-4
  # The general conversion of rho is looser.
  assert found.epsilon < accounting.zcdp_to_epsilon(found.rho, 1e-10)


def test_general_conversion_of_zcdp():
  assert abs(accounting.zcdp_to_epsilon(0.150684, 1e-10) - 3.582) < 3e-3
  assert abs(accounting.zcdp_to_epsilon(0.0143426, 1e-10) - 1.042) < 1e-3


@_SCIPY
@pytest.mark.slow
def test_random_sampled_gaussians_agree_with_dp_accounting():
  rng = np.random.default_rng(7)
  for _ in range(3):
    population = int(rng.integers(200, 5000))
    cohort = int(rng.integers(5, population // 3))
    plan = _poisson(
      rng.uniform(1.0, 3.0), cohort, population, int(rng.integers(1, 60))
    )
    event = dp_accounting.SelfComposedDpEvent(
      dp_accounting.PoissonSampledDpEvent(
        cohort / population,
        dp_accounting.GaussianDpEvent(plan.mechanism.noise_multiplier),
      ),
      plan.num_rounds,
    )
    by_pld = pld_lib.PLDAccountant().compose(event).get_epsilon(1e-6)
    by_rdp = rdp_lib.RdpAccountant().compose(event).get_epsilon(1e-6)
    assert _epsilon(plan, 1e-6) == pytest.approx(by_pld, rel=1e-6)
    assert _epsilon(plan, 1e-6, method='rdp') <= by_rdp + 1e-9
    assert _epsilon(plan, 1e-6) <= by_rdp


@pytest.mark.parametrize('noise,rate', [(0.7, 0.5), (1.0, 0.1), (2.0, 0.3)])
@pytest.mark.parametrize('rounds', [1, 2])
def test_poisson_is_above_the_integral_and_tight(
  noise, rate, rounds, normal_masses, divergence
):
  absent = normal_masses(0.0)
  present = np.logaddexp(
    np.log1p(-rate) + absent, np.log(rate) + normal_masses(1 / noise)
  )

  def exact(epsilon):
    return max(
      divergence(present, absent, rounds, epsilon),
      divergence(absent, present, rounds, epsilon),
    )

  plan = _poisson(noise, int(rate * 1000), 1000, rounds)
  for delta in (1e-2, 1e-4):
    for method in ('pld', 'rdp'):
      epsilon = _epsilon(plan, delta, method=method)
      # The integral is good to the square of its grid of 0.02 stddevs.
      assert exact(epsilon) <= delta * (1 + 4e-3)
    tight = _epsilon(plan, delta)
    assert exact(tight * 0.99 - 1e-3) > delta


@pytest.mark.parametrize('scheme', ['everyone', 'cyclic', 'uniform', 'poisson'])
def test_without_secret_cohorts_only_the_limits_count(scheme):
  population = 12
  cohort = 12 if scheme == 'everyone' else 4
  plan = Plan(
    central.Gaussian(2.0), Participation(population, cohort, scheme), 6
  )
  count = 2 if scheme == 'cyclic' else 6
  found = accounting.planned(plan, 1e-5)
  event = dp_accounting.GaussianDpEvent(2.0 / math.sqrt(count))
  by_rdp = rdp_lib.RdpAccountant().compose(event).get_epsilon(1e-5)
  assert found.rho == pytest.approx(count / 8)
  assert found.epsilon <= by_rdp
  assert found.method == 'gaussian'
  limited = accounting.planned(
    Plan(plan.mechanism, plan.participation, 6, limits=Limits(1, 6)), 1e-5
  )
  assert limited.rho == pytest.approx(1 / 8)


def test_replacement_doubles_the_sensitivity():
  plan = Plan(central.Gaussian(2.0), Participation(12, 12, 'everyone'), 1)
  single = accounting.planned(plan, 1e-5)
  double = accounting.planned(plan, 1e-5, relation=Relation.REPLACE)
  assert double.rho == pytest.approx(4 * single.rho)
  tree = Plan(
    correlated.TreeAggregation(2.0), plan.participation, 4, limits=Limits(1)
  )
  assert accounting.planned(
    tree, 1e-5, relation=Relation.REPLACE
  ).rho == pytest.approx(4 * accounting.planned(tree, 1e-5).rho)


def test_fixed_size_sampling_is_for_replacement():
  plan = Plan(
    central.Gaussian(4.0), Participation(1000, 20), 30, secret_cohort=True
  )
  found = accounting.planned(plan, 1e-5)
  assert found.relation is Relation.REPLACE
  assert found.method == 'pld'
  # Not better than Poisson sampling with the whole diameter as sensitivity.
  poisson = _epsilon(_poisson(2.0, 20, 1000, 30), 1e-5)
  assert found.epsilon >= poisson - 1e-6
  assert found.epsilon <= _epsilon(plan, 1e-5, method='rdp')


def test_smaller_populations_and_larger_cohorts_cost_more():
  base = _epsilon(_poisson(1.0, 20, 1000, 10), 1e-5)
  assert base < _epsilon(_poisson(1.0, 20, 500, 10), 1e-5)
  assert base < _epsilon(_poisson(1.0, 40, 1000, 10), 1e-5)
  assert base < _epsilon(_poisson(1.0, 20, 1000, 10, secret=False), 1e-5)


@pytest.mark.parametrize('rounds,restart', [(48, 16), (50, 10), (33, None)])
def test_trees_agree_with_dp_accounting(rounds, restart):
  # A client is once in every tree.
  period = restart or rounds
  trees = -(-rounds // period)
  event = dp_accounting.SelfComposedDpEvent(
    dp_accounting.SingleEpochTreeAggregationDpEvent(3.0, period), trees
  )
  relation = dp_accounting.NeighboringRelation.REPLACE_SPECIAL
  by_rdp = rdp_lib.RdpAccountant(neighboring_relation=relation).compose(event)
  for variance in ('standard', 'honaker'):
    plan = Plan(
      correlated.TreeAggregation(3.0, restart, variance),
      Participation(100, 10),
      rounds,
      limits=Limits(trees, period),
    )
    found = accounting.planned(plan, 1e-5, method='rdp')
    assert found.epsilon == pytest.approx(by_rdp.get_epsilon(1e-5))
    assert _epsilon(plan, 1e-5) <= found.epsilon


@pytest.mark.parametrize('scheme', ['uniform', 'poisson'])
def test_the_whole_population_is_not_amplified(scheme):
  people = Participation(10, 10, scheme)
  found = accounting.planned(Plan(central.Gaussian(2.0), people, 2, True), 1e-5)
  assert found.rho == pytest.approx(2 / 8)
  assert found.relation is Relation.ZERO_OUT


def test_counts_of_some_rounds_do_not_vouch_for_the_others():
  people = Participation(100, 10, 'cyclic')
  records = [
    ledger.Record(i, central.Gaussian(1.0), people, 10, limits=limits)
    for i, limits in ((1, None), (2, Limits(2, 1)), (3, None))
  ]
  assert accounting.spent(records, 1e-5).rho == pytest.approx(3 / 2)


def test_adaptive_clipping_counts_the_noise_of_the_count():
  # z = (1/1 + 1/(2 5)^2)^(-1/2).
  adaptive = central.AdaptiveClippingGaussian(1.0, 5.0)
  assert adaptive.effective_noise_multiplier == pytest.approx(1.01**-0.5)
  people = Participation(100, 10, 'poisson')
  found = _epsilon(Plan(adaptive, people, 5, True), 1e-4)
  plain = Plan(central.Gaussian(1.01**-0.5), people, 5, True)
  assert found == pytest.approx(_epsilon(plain, 1e-4), rel=1e-9)
  split = central.split_for_adaptive_clipping(0.8, 5.0)
  assert split.effective_noise_multiplier == pytest.approx(0.8)
  assert split.noise_multiplier > 0.8


@pytest.mark.parametrize(
  'mechanism', [central.Laplace(2.0), central.Geometric(2.0)]
)
def test_pure_mechanisms(mechanism):
  people = Participation(100, 100, 'everyone')
  assert _epsilon(Plan(mechanism, people, 4), 0.0) == pytest.approx(2.0)
  best = _epsilon(Plan(mechanism, people, 4), 1e-4)
  assert 0.5 < best < 2.0
  vector = type(mechanism)(2.0, num_coordinates=3)
  assert best <= _epsilon(Plan(vector, people, 4), 1e-4) + 1e-9 <= 2.0 + 1e-3
  sampled = Plan(mechanism, Participation(100, 10, 'poisson'), 4, True)
  assert _epsilon(sampled, 0.0) == pytest.approx(
    4 * math.log1p(0.1 * math.expm1(0.5))
  )


def test_geometric_is_the_sum_over_integers():
  x = np.arange(-80, 81)
  p = np.exp(-np.abs(x) / 1.5)
  p /= p.sum()
  exact = np.sum(np.maximum(p[2:] - math.exp(0.4) * p[:-2], 0.0))
  plan = Plan(
    central.Geometric(1.5, l1_sensitivity=2),
    Participation(9, 9, 'everyone'),
    1,
  )
  assert _epsilon(plan, float(exact)) == pytest.approx(0.4, abs=2e-3)
  assert _epsilon(plan, float(exact)) >= 0.4 - 1e-6


def test_randomized_response_by_enumeration():
  mechanism = local.RandomizedResponse(0.5, num_values=3)
  # Truth with 1/2 + 1/6, each other value with 1/6.
  assert mechanism.report_epsilon == pytest.approx(math.log(4))
  plan = Plan(mechanism, Participation(10, 5, 'cyclic'), 4)
  found = accounting.planned(plan, 0.0)
  assert found.epsilon == pytest.approx(2 * math.log(4))
  assert (found.trust, found.relation) == (Trust.NOTHING, Relation.REPLACE)
  p, q = np.array([4, 1, 1]) / 6, np.array([1, 4, 1]) / 6
  exact = np.sum(
    np.maximum(np.outer(p, p) - math.exp(1.0) * np.outer(q, q), 0.0)
  )
  assert _epsilon(plan, float(exact)) == pytest.approx(1.0, abs=1e-3)


def test_local_reports_compose_for_a_client():
  people = Participation(10, 10, 'everyone')
  one = accounting.planned(Plan(local.LocalGaussian(8.0), people, 1), 1e-5)
  assert one.rho == pytest.approx((2 / 8) ** 2 / 2)
  many = Plan(local.LocalGaussian(8.0, num_reports=3), people, 5)
  assert accounting.planned(many, 1e-5).rho == pytest.approx(15 * one.rho)
  laplace = Plan(local.LocalLaplace(4.0, num_reports=2), people, 3)
  assert _epsilon(laplace, 0.0) == pytest.approx(6 * 0.5)


def test_sampling_does_not_amplify_local_reports():
  people = Participation(100, 10, 'poisson')
  open_ = Plan(local.LocalGaussian(8.0), people, 5)
  secret = Plan(local.LocalGaussian(8.0), people, 5, secret_cohort=True)
  assert _epsilon(open_, 1e-5) == _epsilon(secret, 1e-5)


@pytest.mark.parametrize(
  'mechanism',
  [
    distributed.DistributedDiscreteGaussian(8.0, 20.0, 64),
    distributed.DistributedSkellam(8.0, 20.0, 64),
  ],
)
def test_distributed_noise_is_near_the_central_gaussian(mechanism):
  plan = Plan(mechanism, Participation(100, 100, 'everyone'), 3)
  found = accounting.planned(plan, 1e-5)
  assert found.trust is Trust.SUM
  gaussian = central.Gaussian(8.0 * 10 / 20.0)
  exact = _epsilon(Plan(gaussian, plan.participation, 3), 1e-5)
  assert exact <= found.epsilon <= 1.2 * exact


@pytest.mark.parametrize(
  'kind',
  [distributed.DistributedDiscreteGaussian, distributed.DistributedSkellam],
)
def test_dropped_and_colluding_clients_take_their_noise_away(kind):
  people = Participation(100, 100, 'everyone')

  def epsilon(contributors, colluding=0):
    mechanism = kind(8.0, 20.0, 64, colluding)
    plan = Plan(mechanism, people, 3, num_contributors=contributors)
    return _epsilon(plan, 1e-5)

  assert epsilon(100) < epsilon(80) < epsilon(50)
  assert epsilon(100, 50) == epsilon(50)
  with pytest.raises(distributed.MissingNoiseError, match='more than 5'):
    epsilon(5, 5)


def test_rounds_that_lost_noise_are_the_ones_a_client_pays_for():
  people = Participation(1000, 10)
  mechanism = distributed.DistributedSkellam(8.0, 20.0, 64)

  def spent(cohorts, limits):
    return accounting.spent(
      [
        ledger.Record(i, mechanism, people, n, limits=limits)
        for i, n in enumerate(cohorts, 1)
      ],
      1e-5,
    ).epsilon

  bad = spent([10, 10, 4, 10], Limits(1, 4))
  assert bad == pytest.approx(spent([4], Limits(1)))
  assert spent([10, 4, 4, 10], Limits(2, 2)) < spent(
    [10, 4, 4, 10], Limits(2, 1)
  )


def test_amplified_distributed_noise_trusts_the_server_with_the_cohort():
  mechanism = distributed.DistributedSkellam(40.0, 20.0, 64)
  people = Participation(1000, 100)
  amplified = accounting.planned(Plan(mechanism, people, 3, True), 1e-5)
  assert amplified.trust is Trust.SERVER
  assert amplified.relation is Relation.REPLACE
  plain = accounting.planned(
    Plan(mechanism, people, 3), 1e-5, relation=Relation.REPLACE
  )
  assert plain.trust is Trust.SUM
  assert amplified.epsilon < plain.epsilon


def test_central_discrete_gaussian_is_near_the_continuous_one():
  people = Participation(10, 10, 'everyone')
  discrete = central.CentralDiscreteGaussian(30.0, 10.0)
  found = _epsilon(Plan(discrete, people, 2), 1e-5)
  exact = _epsilon(Plan(central.Gaussian(3.0), people, 2), 1e-5)
  assert exact <= found <= 1.15 * exact


def test_heterogeneous_gaussians_take_the_worst_rounds():
  people = Participation(10, 2)
  noises = [1.0, 4.0, 2.0, 1.0]
  for limits, squares in [
    (Limits(1, 1), [1.0]),
    (Limits(2, 1), [1.0, 1.0]),
    (Limits(3, 1), [1.0, 1.0, 0.25]),
    (Limits(2, 2), [1.0, 1 / 16]),
  ]:
    records = [
      ledger.Record(i, central.Gaussian(z), people, 2, limits=limits)
      for i, z in enumerate(noises, 1)
    ]
    if limits == Limits(2, 2):
      squares = [1.0, 1.0]  # Rounds 1 and 4.
    found = accounting.spent(records, 1e-5)
    assert found.rho == pytest.approx(sum(squares) / 2)


def test_gaps_between_rounds_do_not_shrink_the_count():
  # Every third round, separation 3: a client can be in all of them.
  people = Participation(10, 2)
  for mechanism in (
    central.Gaussian(1.0),
    correlated.BandedMatrixFactorization(1.0, 1),
  ):
    records = [
      ledger.Record(i, mechanism, people, 2, limits=Limits(4, 3))
      for i in (1, 4, 7, 10)
    ]
    assert accounting.spent(records, 1e-5).rho == pytest.approx(2.0)


def test_repeats_beyond_the_plan_cost_more():
  people = Participation(100, 10, 'cyclic')
  mechanism = correlated.BandedMatrixFactorization(3.0, 10)

  def rho(limits):
    return accounting.planned(
      Plan(mechanism, people, 40, limits=limits), 1e-6
    ).rho

  assert rho(None) == pytest.approx(4 / 18)
  assert rho(Limits(5, 8)) == pytest.approx(2 * 5 / 18)
  assert rho(Limits(2, 10)) == pytest.approx(2 / 18)


def test_close_participations_are_bounded_for_a_banded_matrix():
  # Columns of one constant sign: k rounds s apart in a banded matrix.
  bands, rounds = 6, 30
  c = np.zeros((rounds, rounds))
  for j in range(rounds):
    c[j : j + bands, j] = 1.0
    c[:, j] /= np.linalg.norm(c[:, j])
  mechanism = correlated.BandedMatrixFactorization(1.0, bands)
  for separation in (1, 2, 3, 4, 6):
    for count in (1, 2, 4, 5):
      chosen = separation * np.arange(count)
      moved = np.sum(c[:, chosen], axis=1)
      bound = mechanism.mu_squared(rounds, Limits(count, separation))
      assert moved @ moved <= bound + 1e-9


def test_an_impossible_poisson_cohort_is_not_amplified():
  people = Participation(10_000, 10, 'poisson')
  record = ledger.Record(1, central.Gaussian(1.0), people, 500, True)
  found = accounting.spent([record], 1e-6)
  assert found.method == 'gaussian'
  likely = ledger.Record(1, central.Gaussian(1.0), people, 15, True)
  assert accounting.spent([likely], 1e-6).epsilon < found.epsilon


def test_a_larger_fixed_cohort_than_planned_costs_more():
  people = Participation(1000, 10)
  planned, larger = (
    ledger.Record(1, central.Gaussian(2.0), people, n, True) for n in (10, 50)
  )
  small = accounting.spent([planned], 1e-5).epsilon
  assert small < accounting.spent([larger], 1e-5).epsilon


def test_releases_of_one_round_share_its_cohort():
  people = Participation(1000, 10, 'poisson')

  def record(noise, round_num, query):
    return ledger.Record(
      round_num, central.Gaussian(noise), people, 10, True, query=query
    )

  both = accounting.spent([record(1.0, 1, 'a'), record(1.0, 1, 'b')], 1e-4)
  joint = accounting.spent([record(1.0 / math.sqrt(2), 1, 'a')], 1e-4)
  assert both.epsilon == pytest.approx(joint.epsilon, rel=1e-9)
  # Sampled twice, they would seem cheaper.
  apart = accounting.spent([record(1.0, 1, 'a'), record(1.0, 2, 'a')], 1e-4)
  assert both.epsilon > apart.epsilon


def test_an_open_release_about_a_secret_cohort_adds_at_most_its_own_cost(
  normal_masses, divergence
):
  # One cohort; query a is amplified, query b is not. The true joint release
  # against what is accounted.
  rate, people = 0.2, Participation(1000, 200, 'poisson')
  absent, present = normal_masses(0.0), normal_masses(1.0)
  # b has noise 2: the same grid of stddevs, half the shift.
  absent_b, present_b = normal_masses(0.0), normal_masses(0.5)
  without = np.add.outer(absent, absent_b).ravel()
  with_client = np.logaddexp(
    np.log1p(-rate) + without,
    np.log(rate) + np.add.outer(present, present_b).ravel(),
  )
  found = accounting.spent(
    [
      ledger.Record(1, central.Gaussian(1.0), people, 200, True, query='a'),
      ledger.Record(1, central.Gaussian(2.0), people, 200, query='b'),
    ],
    1e-3,
  )
  for first, second in ((with_client, without), (without, with_client)):
    assert divergence(first, second, 1, found.epsilon) <= 1e-3


def test_nothing_released_costs_nothing():
  assert accounting.spent([], 1e-5).epsilon == 0.0
  people = Participation(10, 2)
  empty = ledger.Record(1, central.Gaussian(1.0), people, 0)
  assert accounting.spent([empty], 1e-5).epsilon == 0.0


def test_mixed_queries_compose_by_the_best_common_method():
  people = Participation(100, 10, 'poisson')
  gaussian = ledger.Record(1, central.Gaussian(1.0), people, 9, True)
  laplace = ledger.Record(
    1, central.Laplace(2.0), people, 9, query='count', limits=Limits(1)
  )
  discrete = ledger.Record(
    1, central.CentralDiscreteGaussian(9.0, 3.0), people, 9, query='votes'
  )
  two = accounting.spent([gaussian, laplace], 1e-5)
  assert two.method == 'pld'
  assert two.epsilon >= accounting.spent([gaussian], 1e-5).epsilon
  three = accounting.spent([gaussian, laplace, discrete], 1e-5)
  assert three.method == 'rdp'
  assert three.epsilon >= two.epsilon


def test_poisson_sampled_distributed_noise_is_refused():
  plan = Plan(
    distributed.DistributedSkellam(8.0, 20.0, 64),
    Participation(100, 10, 'poisson'),
    3,
    secret_cohort=True,
  )
  with pytest.raises(
    accounting.UnaccountableError,
    match='DistributedSkellam with Poisson sampling cannot be accounted',
  ):
    accounting.planned(plan, 1e-5)


def test_cohorts_of_those_awake_amplify_nothing():
  people = Participation(100, 10, 'diurnal')
  with pytest.raises(accounting.UnaccountableError) as raised:
    accounting.planned(Plan(central.Gaussian(1.0), people, 2, True), 1e-5)
  assert str(raised.value) == (
    'Expected cohorts out of the whole population where their secrecy is to '
    'amplify privacy, found those of the scheme diurnal, out of clients of '
    'whom everyone knows that they are awake; draw them by the scheme poisson '
    'or uniform, or do without amplification (secret_cohort=False).'
  )
  # Without, only the number of participations counts.
  everyone = Participation(10, 10, 'everyone')
  assert accounting.planned(
    Plan(central.Gaussian(1.0), people, 2), 1e-5
  ) == accounting.planned(Plan(central.Gaussian(1.0), everyone, 2), 1e-5)


def test_other_neighbours_than_the_sampling_has_are_refused():
  with pytest.raises(
    accounting.MixedRelationsError,
    match='Gaussian with poisson sampling is for add_or_remove; the caller',
  ):
    accounting.planned(
      _poisson(1.0, 10, 100, 2), 1e-5, relation=Relation.REPLACE
    )
  poisson = ledger.Record(
    1, central.Gaussian(1.0), Participation(100, 10, 'poisson'), 10, True
  )
  fixed = ledger.Record(
    2, central.Gaussian(1.0), Participation(100, 10), 10, True
  )
  with pytest.raises(accounting.MixedRelationsError, match='fixed-size'):
    accounting.spent([poisson, fixed], 1e-5)


def test_differently_drawn_cohorts_of_one_round_are_refused():
  records = [
    ledger.Record(
      1,
      central.Gaussian(1.0),
      Participation(100, cohort, 'poisson'),
      10,
      True,
      query=str(cohort),
    )
    for cohort in (10, 20)
  ]
  with pytest.raises(
    accounting.UnaccountableError, match='one cohort in round 1'
  ):
    accounting.spent(records, 1e-5)


@pytest.mark.parametrize(
  'method,message',
  [('gaussian', 'Gaussian with poisson sampling'), ('pure', 'give a delta')],
)
def test_methods_that_do_not_apply_are_refused(method, message):
  with pytest.raises(accounting.UnaccountableError, match=message):
    accounting.planned(_poisson(1.0, 10, 100, 2), 1e-5, method=method)


def test_a_mechanism_without_a_distribution_is_refused_by_name():
  plan = Plan(
    central.CentralDiscreteGaussian(9.0, 3.0),
    Participation(10, 10, 'everyone'),
    1,
  )
  with pytest.raises(
    accounting.UnaccountableError, match='found DiscreteGaussian; use rdp'
  ):
    accounting.planned(plan, 1e-5, method='pld')


def test_a_gaussian_without_delta_is_refused():
  plan = Plan(central.Gaussian(1.0), Participation(10, 10, 'everyone'), 1)
  with pytest.raises(accounting.UnaccountableError, match='give a delta'):
    accounting.planned(plan, 0.0)


def test_tiny_deltas_avoid_the_rounding_of_the_transforms():
  found = accounting.planned(_poisson(2.0, 10, 100, 2), 1e-14)
  assert found.method == 'rdp'


def test_composition_of_nothing():
  assert composition.compose([], 1e-5).epsilon == 0.0


@pytest.mark.parametrize(
  'mechanism',
  [
    correlated.TreeAggregation(2.0),
    correlated.BandedMatrixFactorization(2.0, 4),
    central.Gaussian(2.0),
  ],
)
def test_counts_of_rounds_before_anyone_came_back_do_not_raise_epsilon(
  mechanism,
):
  # Limits as they are counted: separation 1 while nobody has come twice.
  people = Participation(8, 2, 'cyclic')
  history = contributions.ParticipationHistory()
  records = []
  for round_num in range(1, 11):
    history.add(round_num, people.select(1, round_num))
    records.append(
      ledger.Record(round_num, mechanism, people, 2, limits=history.limits)
    )
  planned = accounting.planned(Plan(mechanism, people, 10), 1e-5)
  assert accounting.spent(records, 1e-5).epsilon == planned.epsilon
  # Nor do rounds in which they really came back soon lower it.
  near = dataclasses.replace(records[4], limits=Limits(2, 1))
  worse = accounting.spent([*records[:4], near, *records[5:]], 1e-5)
  assert worse.epsilon >= planned.epsilon


@pytest.mark.parametrize(
  'mechanism, people, secret, amplified',
  [
    (central.Gaussian(1.0), Participation(9, 3, 'poisson'), True, True),
    (central.Gaussian(1.0), Participation(9, 3, 'uniform'), True, True),
    (central.Gaussian(1.0), Participation(9, 3, 'poisson'), False, False),
    (central.Gaussian(1.0), Participation(9, 3, 'cyclic'), True, False),
    (central.Gaussian(1.0), Participation(9, 9, 'everyone'), True, False),
    (local.LocalGaussian(1.0), Participation(9, 3, 'poisson'), True, False),
    (
      correlated.TreeAggregation(1.0),
      Participation(9, 3, 'poisson'),
      True,
      False,
    ),
  ],
)
def test_amplified_is_what_a_random_secret_cohort_makes_cheaper(
  mechanism, people, secret, amplified
):
  record = ledger.Record(1, mechanism, people, 3, secret)
  assert accounting.is_amplified(record) == amplified
