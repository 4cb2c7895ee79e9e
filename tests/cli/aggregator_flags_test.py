"""Flags of aggregators become factories, noise, and terms of privacy."""

import functools
import re
import types

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tff_pipelines.aggregators import (
  attackers,
  central_dp,
  clip_norms,
  distributed_dp,
  local_dp,
  norm_bound,
  registry,
  server_noise,
)
from tff_pipelines.cli import (
  aggregator_flags,
  comparison,
  flag_groups,
  private_aggregators,
  private_request,
  secure_sum_flags,
  training_flags,
)
from tff_pipelines.core import participation
from tff_pipelines.data import batching
from tff_pipelines.privacy import (
  accounting,
  calibration,
  central,
  contributions,
  correlated,
  distributed,
  guarantee,
  local,
  weak_privacy,
)
from tff_pipelines.programs import privacy_log, training

PRIVATE = tuple(private_aggregators.PRIVATE_AGGREGATORS)
CENTRAL = ('dp_fixed', 'dp_adaptive', 'dp_ftrl_tree', 'dp_ftrl_banded')
# Their noise is found at once; fixed clipping with sampling takes seconds.
QUICK = tuple(
  name for name in PRIVATE if not name.startswith(('dp_fixed', 'dp_adaptive'))
)
# 20 parameters.
MODEL = types.SimpleNamespace(initial_weights=((np.zeros([4, 5]),), ()))


@pytest.fixture(autouse=True)
def registry_of_flags(tmp_path, monkeypatch):
  """absl's registry, without the flags of this test afterwards."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  with flagsaver.flagsaver():
    yield


def build(**arguments) -> dict:
  """Stands for what builds a learning process."""
  return arguments


def systems(
  *arguments: str, population: int = 200, clients: int = 20, rounds: int = 12
) -> list[comparison.TrainedSystem]:
  group = aggregator_flags.AggregatorFlags()
  program = training_flags.ProgramFlags(
    rounds=rounds, clients_per_round=clients, batch_size=10, evaluate_every=2
  )
  secure_sums = secure_sum_flags.SecureSumFlags()
  flags.FLAGS(['program', *arguments])
  for one in (group, program, secure_sums):
    one.check()
  return group.systems(
    build, functools.partial(program.get, population), MODEL, secure_sums
  )


def system(*arguments: str, **sizes) -> comparison.TrainedSystem:
  (found,) = systems(*arguments, **sizes)
  return found


def factory(found: comparison.TrainedSystem):
  return found.build()['aggregator']


def terms(found: comparison.TrainedSystem) -> privacy_log.PrivacyTerms:
  assert found.program.privacy is not None
  return found.program.privacy


# What promises nothing.


@pytest.mark.parametrize('name', registry.AGGREGATORS)
def test_every_registered_aggregator_is_a_choice(name, monkeypatch):
  row = registry.Aggregator(
    'what it does',
    lambda setting: tff.aggregators.SumFactory(),
    registry.AGGREGATORS[name].stack,
  )
  monkeypatch.setitem(registry.AGGREGATORS, name, row)
  found = system(f'--aggregator={name}')
  assert type(factory(found)) is tff.aggregators.SumFactory
  assert (found.name, found.choice) == ('federated', 'federated')
  assert (found.promise, found.program.privacy) == (None, None)
  assert found.program.participation.scheme == 'uniform'


@pytest.mark.parametrize('name', [*registry.AGGREGATORS, *PRIVATE])
def test_help_describes_every_aggregator(name):
  group = aggregator_flags.AggregatorFlags()
  (_, text), *_ = group.help_lines()
  assert f'{name}: ' in text


def test_default_is_the_mean():
  assert type(factory(system())) is tff.aggregators.MeanFactory


@pytest.mark.parametrize('given', ['mode', '', 'mean,mode', 'mean,mean'])
def test_aggregators_that_there_are_not_or_twice_are_refused(given):
  with pytest.raises(aggregator_flags.AggregatorError) as raised:
    system(f'--aggregator={given}')
  assert str(raised.value) == (
    f'Expected different aggregators out of '
    f'{", ".join([*registry.AGGREGATORS, *PRIVATE])}, found '
    f'--aggregator={given}.'
  )


@pytest.mark.parametrize('name', registry.AGGREGATORS)
@pytest.mark.parametrize('flag', ['epsilon', 'noise_multiplier'])
def test_privacy_cannot_be_added_to_other_aggregators(name, flag):
  with pytest.raises(
    aggregator_flags.AggregatorError,
    match=rf'where --{flag} is given, found --aggregator={name}, which adds no '
    'noise and weights or bounds clients otherwise than a guarantee needs',
  ):
    system(f'--aggregator={name}', f'--{flag}=1')


# Attackers that are tolerated.


TOLERATING = ('trimmed_mean', 'krum', 'multi_krum')


@pytest.mark.parametrize('name', TOLERATING)
@pytest.mark.parametrize(
  'given, tolerated', [([], 5), (['--tolerated_attackers=3'], 3)]
)
def test_a_quarter_of_the_cohort_is_tolerated_by_default(
  name, given, tolerated
):
  made = factory(system(f'--aggregator={name}', *given))
  assert made.tolerated_attackers == tolerated
  assert made.max_clients == 20


def test_random_cohorts_tolerate_a_quarter_of_the_expected_one():
  made = factory(system('--aggregator=trimmed_mean', '--participation=poisson'))
  assert made.tolerated_attackers == 5
  assert made.max_clients == 200


@pytest.mark.parametrize('name', TOLERATING)
def test_more_attackers_than_the_cohort_tolerates_are_refused(name):
  with pytest.raises(
    attackers.TooManyAttackersError, match='10 attackers, found 20; tolerate'
  ):
    system(f'--aggregator={name}', '--tolerated_attackers=10')


def test_norm_bound_that_is_given_arrives():
  made = factory(system('--aggregator=norm_bound', '--norm_bound=0.5'))
  assert type(made) is norm_bound.NormBoundFactory
  assert made.norm_bound == 0.5


def test_norm_bound_is_the_median_by_default():
  made = factory(system('--aggregator=norm_bound'))
  assert type(made) is norm_bound.MedianNormBoundFactory
  assert made.max_clients == 20


# Privacy that is asked for.


@pytest.mark.parametrize('name', PRIVATE)
@pytest.mark.parametrize(
  'given, found',
  [([], 'neither'), (['--epsilon=8', '--noise_multiplier=1'], 'both')],
)
def test_there_is_no_usual_privacy(name, given, found):
  with pytest.raises(
    aggregator_flags.AggregatorError,
    match=f'^Expected one of --epsilon and --noise_multiplier with --aggregator'
    f'={name}, found {found}; nobody but you',
  ):
    system(f'--aggregator={name}', *given)


@pytest.mark.parametrize(
  'name, scheme, relation, trust, mechanism',
  [
    slow_cases.slow(
      ('dp_fixed', 'poisson', 'ADD_OR_REMOVE', 'SERVER', central.Gaussian)
    ),
    slow_cases.slow(
      (
        'dp_adaptive',
        'poisson',
        'ADD_OR_REMOVE',
        'SERVER',
        central.AdaptiveClippingGaussian,
      )
    ),
    (
      'dp_ftrl_tree',
      'cyclic',
      'ZERO_OUT',
      'SERVER',
      correlated.TreeAggregation,
    ),
    (
      'dp_ftrl_banded',
      'cyclic',
      'ZERO_OUT',
      'SERVER',
      correlated.BandedMatrixFactorization,
    ),
    (
      'distributed_dp',
      'cyclic',
      'ZERO_OUT',
      'SUM',
      distributed.DistributedDiscreteGaussian,
    ),
    ('local_dp', 'cyclic', 'REPLACE', 'NOTHING', local.LocalGaussian),
  ],
)
def test_target_is_kept_and_hardly_undercut(
  name, scheme, relation, trust, mechanism
):
  found = system(
    f'--aggregator={name}', '--epsilon=8', '--delta=1e-3',
    '--allow_weak_privacy',
  )  # fmt: skip
  given = terms(found)
  assert type(given.mechanism) is mechanism
  assert given.participation == found.program.participation
  assert given.participation == participation.Participation(200, 20, scheme)
  assert given.planned.relation is guarantee.Relation[relation]
  assert given.planned.trust is guarantee.Trust[trust]
  assert (given.planned.delta, given.planned.num_rounds) == (1e-3, 12)
  assert 0.98 * 8 < given.planned.epsilon <= 8
  assert found.plain_updates == (name in CENTRAL)


@pytest.mark.parametrize('name', slow_cases.all_but(QUICK, PRIVATE))
def test_run_that_keeps_the_plan_spends_what_was_promised(name, tmp_path):
  found = system(
    f'--aggregator={name}', '--epsilon=8', '--tolerated_dropout=0',
    '--allow_weak_privacy',
  )  # fmt: skip
  program, given = found.program, terms(found)
  log = privacy_log.PrivacyLog(
    tmp_path / 'privacy.json',
    given,
    functools.partial(program.participation.select, program.seed),
  )
  for round_num in range(1, program.rounds + 1):
    cohort = program.participation.select(program.seed, round_num)
    log.append(round_num, cohort, len(cohort))
  assert log.guarantee.epsilon == pytest.approx(given.planned.epsilon, rel=1e-9)


def test_default_delta_is_below_one_over_the_population():
  found = system('--aggregator=dp_fixed', '--epsilon=8')
  assert terms(found).delta == guarantee.default_delta(200)


@pytest.mark.parametrize('name', CENTRAL)
def test_noise_that_is_given_is_the_noise_of_mechanism_and_factory(name):
  found = system(
    f'--aggregator={name}', '--noise_multiplier=3', '--clip_norm=0.5',
    '--allow_weak_privacy',
  )  # fmt: skip
  ran, made = terms(found).mechanism, factory(found)
  assert isinstance(made, central_dp.CentralDpFactory)
  assert made.clipping.initial == 0.5
  assert made.noise.noise_multiplier == ran.noise
  assert made.denominator == 20
  if name == 'dp_adaptive':
    assert ran.effective_noise_multiplier == pytest.approx(3)
    assert made.clipping.count_noise_stddev == ran.count_noise_stddev
    # A tenth of the budget, at most, for the count.
    assert (2 * ran.count_noise_stddev / 3) ** -2 <= 0.1 * (1 + 1e-12)
  else:
    assert ran.noise == 3


def test_count_noise_is_a_twentieth_of_a_large_cohort():
  found = system(
    '--aggregator=dp_adaptive', '--noise_multiplier=1', clients=100,
    population=5000,
  )  # fmt: skip
  assert terms(found).mechanism.count_noise_stddev == 5.0


def test_flags_of_the_adaptive_clip_arrive():
  found = system(
    '--aggregator=dp_adaptive', '--noise_multiplier=2', '--clip_quantile=0.7',
    '--clip_learning_rate=0.1',
  )  # fmt: skip
  clip = factory(found).clipping
  assert isinstance(clip, clip_norms.AdaptiveClip)
  assert (clip.target_quantile, clip.learning_rate) == (0.7, 0.1)
  assert clip.initial_clip_norm == 0.1


def test_restarts_arrive_at_noise_and_accountant():
  found = system(
    '--aggregator=dp_ftrl_tree', '--noise_multiplier=9', '--restart_rounds=4'
  )
  assert terms(found).mechanism == correlated.TreeAggregation(9.0, 4, 'honaker')
  assert factory(found).noise == server_noise.TreeNoise(
    9.0, 4, 'honaker', unrestarted_rounds=12
  )


@pytest.mark.parametrize('given, bands', [([], 10), (['--num_bands=3'], 3)])
def test_bands_are_as_many_as_rounds_until_a_client_comes_back(given, bands):
  found = system('--aggregator=dp_ftrl_banded', '--epsilon=8', *given)
  strategy = factory(found).noise.strategy
  assert (strategy.num_rounds, strategy.num_bands) == (12, bands)
  assert terms(found).mechanism.num_bands == bands


def test_one_band_is_refused_as_independent_noise():
  with pytest.raises(flag_groups.FlagError) as raised:
    system(
      '--aggregator=dp_ftrl_banded', '--epsilon=8', '--participation=uniform'
    )
  assert str(raised.value) == (
    'Expected at least 2 bands for dp_ftrl_banded, found 1, which is '
    'independent noise: a client can come back after 1 round(s); draw cohorts '
    'by --participation=cyclic, smaller ones or out of more clients.'
  )


@pytest.mark.parametrize('noise', ['gaussian', 'laplace'])
def test_local_noise_arrives(noise):
  found = system(
    '--aggregator=local_dp', '--noise_multiplier=9', f'--local_noise={noise}',
    '--clip_norm=2', '--allow_weak_privacy',
  )  # fmt: skip
  assert terms(found).mechanism == (
    local.LocalGaussian(9.0) if noise == 'gaussian' else local.LocalLaplace(
      9.0, 20
    )
  )  # fmt: skip
  made = factory(found)
  assert isinstance(made, local_dp.LocalDpFactory)
  assert (made.clip_norm, made.noise_multiplier, made.noise) == (
    2.0,
    9.0,
    noise,
  )


@pytest.mark.parametrize(
  'noise, secure_sum',
  [
    ('discrete_gaussian', 'masked'),
    ('skellam', 'masked'),
    ('skellam', 'insecure'),
  ],
)
def test_distributed_noise_counts_on_the_tolerated_dropout(noise, secure_sum):
  found = system(
    '--aggregator=distributed_dp', '--epsilon=8', '--tolerated_dropout=0.25',
    '--tolerated_corrupted=0.1', '--bits_per_coordinate=18',
    f'--distributed_noise={noise}', f'--secure_sum={secure_sum}',
  )  # fmt: skip
  made = factory(found)
  assert isinstance(made, distributed_dp.DistributedDpFactory)
  config = made.config
  assert (config.mechanism, config.bits) == (noise, 18)
  assert (config.num_contributors, config.num_clients) == (15, 20)
  given = terms(found)
  assert given.mechanism.num_colluding == 2
  assert given.tolerated_dropout == 0.25
  # Sums in the clear have the noise of masked ones, and protect nobody.
  assert bool(given.assumed) == (secure_sum == 'insecure')


def test_sums_in_the_clear_are_told():
  found = system(
    '--aggregator=distributed_dp', '--epsilon=8', '--secure_sum=insecure'
  )
  assert '--secure_sum=insecure' in terms(found).assumed[0]
  assert 'protects nobody' in found.promise


# Secrecy of cohorts, and what clients keep.


@pytest.mark.parametrize('name', ['dp_fixed', 'dp_adaptive'])
def test_those_awake_are_no_secret_sample(name):
  with pytest.raises(
    accounting.UnaccountableError, match='found those of the scheme diurnal'
  ):
    system(
      f'--aggregator={name}', '--epsilon=4', '--participation=diurnal',
      '--allow_weak_privacy',
    )  # fmt: skip


def test_what_needs_no_sampling_takes_those_awake():
  found = system(
    '--aggregator=dp_ftrl_tree', '--epsilon=8', '--participation=diurnal',
    '--allow_weak_privacy',
  )  # fmt: skip
  assert found.program.participation.scheme == 'diurnal'
  assert terms(found).planned.epsilon <= 8
  assert 'drawn at random of those who are awake' in found.promise


def test_secret_cohorts_need_less_noise():
  assert _noise([]) < _noise(['--nosecret_cohorts'])


def _noise(given) -> float:
  with flagsaver.flagsaver():
    found = system('--aggregator=dp_fixed', '--epsilon=8', *given)
  assert terms(found).secret_cohort == (not given)
  return terms(found).mechanism.noise


def test_noise_is_for_the_participations_that_will_really_happen():
  found = system('--aggregator=local_dp', '--epsilon=8', '--allow_weak_privacy')
  history = contributions.ParticipationHistory()
  for round_num in range(1, 13):
    history.add(round_num, found.program.participation.select(0, round_num))
  most = history.limits.max_participations
  assert most < 12
  planned = accounting.planned(
    accounting.Plan(
      terms(found).mechanism, found.program.participation, 12, False,
      history.limits,
    ),
    terms(found).delta,
  )  # fmt: skip
  assert planned == terms(found).planned


@pytest.mark.slow
def test_participation_that_is_given_is_that_of_cohorts_and_ledger():
  found = system(
    '--aggregator=dp_fixed', '--epsilon=8', '--participation=uniform'
  )
  assert found.program.participation.scheme == 'uniform'
  assert terms(found).participation == found.program.participation
  assert terms(found).planned.relation is guarantee.Relation.REPLACE


# What means nothing.


@pytest.mark.parametrize(
  'given, error, told',
  [
    slow_cases.slow(
      (
        ['--epsilon=20.5'],
        weak_privacy.LargeEpsilonError,
        'at most 20, found 20',
      )
    ),
    slow_cases.slow(
      (
        ['--epsilon=1', '--delta=0.1'],
        weak_privacy.LargeDeltaError,
        'at most 1/population',
      )
    ),
    (
      ['--noise_multiplier=1000'],
      weak_privacy.SmallCohortError,
      'at least 448 clients per round',
    ),
  ],
)
def test_weak_privacy_is_refused_unless_allowed(given, error, told):
  with flagsaver.flagsaver(), pytest.raises(error, match=told):
    system('--aggregator=dp_fixed', *given)
  system('--aggregator=dp_fixed', '--allow_weak_privacy', *given)


def test_local_noise_that_drowns_everything_is_refused():
  with pytest.raises(weak_privacy.SmallCohortError, match='for reports'):
    system('--aggregator=local_dp', '--noise_multiplier=100')


def test_correlated_noise_is_not_measured_by_a_single_round():
  system('--aggregator=dp_ftrl_tree', '--noise_multiplier=1000')


def test_target_out_of_reach_is_refused():
  with pytest.raises(
    calibration.CalibrationError, match='finite epsilon above'
  ):
    system('--aggregator=dp_fixed', '--epsilon=0')


@pytest.mark.parametrize(
  'name, useless',
  [
    ('mean', '--clip_norm=1'),
    ('mean', '--delta=1e-5'),
    ('mean', '--stop_at_epsilon=3'),
    ('mean', '--allow_weak_privacy'),
    ('dp_fixed', '--clip_quantile=0.6'),
    ('dp_fixed', '--restart_rounds=3'),
    ('dp_ftrl_tree', '--num_bands=3'),
    ('dp_ftrl_tree', '--secret_cohorts'),
    ('dp_fixed', '--bits_per_coordinate=12'),
    ('local_dp', '--distributed_noise=skellam'),
    ('distributed_dp', '--local_noise=laplace'),
    ('mean', '--tolerated_attackers=1'),
    ('median', '--tolerated_attackers=1'),
    ('zeroing', '--norm_bound=1'),
  ],
)
def test_flags_without_effect_are_refused(name, useless):
  target = ['--epsilon=8'] if name in PRIVATE else []
  flag = re.match(r'--(\w+)', useless)[1]
  with pytest.raises(
    flag_groups.FlagError,
    match=f'where --{flag} is given, found --aggregator={name}, with which it',
  ):
    system(f'--aggregator={name}', useless, *target)


# Several, and what is printed.


def test_several_aggregators_are_systems_with_terms_of_their_own():
  mean, fixed, tree = systems(
    '--aggregator=mean,dp_fixed,dp_ftrl_tree', '--epsilon=8', '--clip_norm=2',
    '--restart_rounds=6', '--stop_at_epsilon=7',
  )  # fmt: skip
  assert [s.name for s in (mean, fixed, tree)] == [
    'mean', 'dp_fixed', 'dp_ftrl_tree',
  ]  # fmt: skip
  assert mean.program.privacy is None
  assert [s.program.participation.scheme for s in (mean, fixed, tree)] == [
    'uniform', 'poisson', 'cyclic',
  ]  # fmt: skip
  assert terms(fixed).stop_at_epsilon == terms(tree).stop_at_epsilon == 7.0


@pytest.mark.parametrize('name', slow_cases.all_but(QUICK, PRIVATE))
def test_promise_says_what_to_whom_trusting_whom_assuming_what(name):
  found = system(
    f'--aggregator={name}', '--epsilon=8', '--delta=1e-3', '--clip_norm=0.25',
    '--stop_at_epsilon=7.5', '--allow_weak_privacy',
  )  # fmt: skip
  text = ' '.join(found.promise.split())
  given = terms(found)
  assert text.startswith(f'privacy of federated ({name}) promise epsilon ')
  for told in (
    f'epsilon {given.planned.epsilon:.4g} at delta 0.001 over 12 rounds',
    'each client, with all of its data',
    '0.25',
    '20 of 200 clients a round',
    'times the noise in',
    'stops at epsilon 7.5',
    *given.planned.assumptions,
    *given.assumptions,
  ):
    assert told in text, told
  assert max(map(len, found.promise.splitlines())) <= 80


def test_signal_of_a_round_is_cohort_over_noise_and_dimension():
  found = system('--aggregator=dp_fixed', '--noise_multiplier=2')
  # 20 / (2 sqrt 20).
  assert 'at most 2.24 times the noise in one round' in ' '.join(
    found.promise.split()
  )


def test_secure_system_is_as_before():
  program = training_flags.ProgramFlags(
    rounds=3, clients_per_round=5, batch_size=2, evaluate_every=1
  )
  flags.FLAGS(['program'])
  found = aggregator_flags.secure_system(build, program.get(9))
  assert (found.name, found.choice) == ('secure_federated',) * 2
  assert found.program == program.get(9)
  made = found.build()
  assert made['secure_metrics'] is True
  assert type(made['aggregator']) is type(registry.build('secure_mean', 5))
  assert isinstance(found.program, training.TrainingProgram)


@pytest.mark.parametrize(
  'given, found',
  [({}, 'neither'), ({'epsilon': 1.0, 'noise_multiplier': 1.0}, 'both')],
)
def test_request_needs_one_target(given, found):
  program = training.TrainingProgram(
    1, participation.Participation(4, 2), batching.Batching(1), seed=0
  )
  with pytest.raises(flag_groups.FlagError) as raised:
    private_request.Request(program, num_coordinates=1, **given)
  assert str(raised.value) == (
    'Expected one of --epsilon and --noise_multiplier with a private '
    f'aggregator, found {found}; there is no usual privacy.'
  )


# One aggregator of cohorts of any size.


def one_of(*arguments: str) -> aggregator_flags.AggregatorFlags:
  group = aggregator_flags.AggregatorFlags('uniform_mean')
  flags.FLAGS(['program', *arguments])
  return group


@pytest.mark.parametrize(
  ('arguments', 'depends'),
  [((), False), (('--aggregator=median',), True)],
)
def test_the_plain_mean_alone_is_the_same_for_all_cohorts(arguments, depends):
  assert one_of(*arguments).depends_on_clients == depends


def test_aggregator_of_a_cohort_tolerates_a_quarter_of_it():
  group = one_of('--aggregator=krum')
  for cohort, tolerated in ((8, 2), (16, 4)):
    assert group.of_cohort(cohort).tolerated_attackers == tolerated


@pytest.mark.parametrize('found', ['mean,median', 'dp_fixed'])
def test_several_aggregators_or_a_private_one_are_not_one_of_a_cohort(found):
  group = one_of(f'--aggregator={found}')
  with pytest.raises(aggregator_flags.AggregatorError) as raised:
    group.of_cohort(16)
  assert str(raised.value) == (
    'Expected one aggregator without a promise of privacy here, found '
    f'--aggregator={found}.'
  )
