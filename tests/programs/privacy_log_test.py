"""The ledger of a run: written first, exact, and never above its budget."""

import dataclasses
import functools
import json
import re

import numpy as np
import pytest

from tff_pipelines.core import errors, participation
from tff_pipelines.privacy import (
  accounting,
  central,
  contributions,
  correlated,
  distributed,
  guarantee,
  ledger,
  local,
  mechanism,
)
from tff_pipelines.programs import privacy_log, stop_rules

DELTA = 1e-3
SEED = 3
COINS = participation.Participation(12, 3, 'poisson')
TURNS = participation.Participation(12, 3, 'cyclic')
DRAWN = participation.Participation(12, 3, 'uniform')
GAUSSIAN = central.Gaussian(4.0)


def terms(
  ran: mechanism.Mechanism = GAUSSIAN,
  drawn: participation.Participation = COINS,
  rounds: int = 6,
  secret: bool = True,
  **changes,
) -> privacy_log.PrivacyTerms:
  plan = accounting.Plan(ran, drawn, rounds, secret)
  planned = accounting.planned(plan, DELTA)
  return privacy_log.PrivacyTerms(ran, drawn, DELTA, planned, secret, **changes)


def log(path, given: privacy_log.PrivacyTerms | None = None, attempts: int = 1):
  given = given or terms()
  cohort = functools.partial(given.participation.select, SEED)
  return privacy_log.PrivacyLog(path / 'privacy.json', given, cohort, attempts)


def run(path, given: privacy_log.PrivacyTerms, rounds: int, first: int = 1):
  """Appends rounds of whole cohorts; returns the log."""
  found = log(path, given)
  found.start()
  extend(found, given, first, rounds)
  return found


def extend(found, given, first: int, last: int) -> None:
  for round_num in range(first, last + 1):
    clients = given.participation.select(SEED, round_num)
    found.append(round_num, clients, len(clients))


def content(path) -> dict:
  return json.loads((path / 'privacy.json').read_text())


# What is written.


def test_a_run_that_released_nothing_has_spent_nothing(tmp_path):
  found = log(tmp_path)
  assert not (tmp_path / 'privacy.json').exists()
  found.start()
  assert content(tmp_path)['rounds'] == []
  assert content(tmp_path)['guarantee']['epsilon'] == 0.0
  assert found.metrics == {'privacy/epsilon': 0.0}


def test_file_is_a_ledger_with_the_guarantee_and_the_plan(tmp_path):
  given = terms()
  found = run(tmp_path, given, 4)
  read = ledger.Ledger.load(tmp_path / 'privacy.json')
  assert [r.round_num for r in read] == [1, 2, 3, 4]
  assert [r.num_contributors for r in read] == [
    len(COINS.select(SEED, r)) for r in (1, 2, 3, 4)
  ]
  spent = guarantee.Guarantee.from_json(content(tmp_path)['guarantee'])
  assert spent == found.guarantee
  assert spent.epsilon == accounting.spent(read, DELTA).epsilon
  planned = guarantee.Guarantee.from_json(content(tmp_path)['planned'])
  assert planned == given.planned


def test_epsilon_grows_with_every_round_and_ends_at_the_plan(tmp_path):
  given = terms()
  found, spent = log(tmp_path, given), []
  for round_num in range(1, 7):
    extend(found, given, round_num, round_num)
    spent.append(found.metrics['privacy/epsilon'])
  assert spent == sorted(spent) and len(set(spent)) == 6
  assert spent[-1] == given.planned.epsilon


@pytest.mark.parametrize(
  'ran', [correlated.TreeAggregation(4.0), correlated.BandedMatrixFactorization(
    4.0, 4
  )],
)  # fmt: skip
def test_limits_are_those_that_the_cohorts_really_kept(tmp_path, ran):
  given = terms(ran, TURNS, 9, secret=False)
  found = run(tmp_path, given, 9)
  # 4 cohorts of 3 take turns: everyone after 4 rounds.
  assert [row[3:] for row in content(tmp_path)['rounds']] == (
    [[1, 1]] * 4 + [[2, 4]] * 4 + [[3, 4]]
  )
  assert found.guarantee.epsilon == given.planned.epsilon


def test_round_without_a_cohort_is_a_record(tmp_path):
  found = log(tmp_path)
  found.append(1, np.array([], np.int64), 0)
  assert content(tmp_path)['rounds'] == [[1, 0, 0, 0, 1]]
  assert found.guarantee.epsilon > 0  # It tells that nobody was drawn.


def test_survivors_count_for_the_noise_and_the_cohort_for_the_limits(tmp_path):
  ran = distributed.DistributedSkellam(20.0, 30.0, 8)
  given = terms(ran, DRAWN, secret=False)
  found = log(tmp_path, given)
  found.append(1, np.array([1, 2, 3]), 2)
  assert content(tmp_path)['rounds'] == [[1, 0, 2, 1, 1]]
  whole = log(tmp_path / 'whole', given)
  whole.append(1, np.array([1, 2, 3]), 3)
  assert found.guarantee.epsilon > whole.guarantee.epsilon


def test_round_without_a_guarantee_is_refused_before_it_is_written(tmp_path):
  ran = distributed.DistributedSkellam(20.0, 30.0, 8, num_colluding=2)
  found = log(tmp_path, terms(ran, DRAWN, secret=False))
  found.start()
  with pytest.raises(distributed.MissingNoiseError, match='no guarantee'):
    found.append(1, np.array([1, 2, 3]), 2)
  assert content(tmp_path)['rounds'] == []


def test_a_later_round_is_appended_as_a_first_one_would_be(tmp_path):
  given = terms(drawn=DRAWN)
  found = run(tmp_path, given, 3)
  assert found.guarantee.relation is guarantee.Relation.REPLACE
  with pytest.raises(ledger.LedgerError, match='append-only'):
    found.append(3, np.array([1]), 1)


# What it rests on.


@pytest.mark.parametrize(
  'given, continuous, secret',
  [
    (terms(), True, True),
    (terms(central.AdaptiveClippingGaussian(4.0, 3.0)), True, True),
    (terms(central.Laplace(4.0)), True, True),
    (terms(drawn=DRAWN), True, True),
    (terms(secret=False), True, False),
    (terms(correlated.TreeAggregation(4.0), TURNS), True, False),
    (
      terms(correlated.BandedMatrixFactorization(4.0, 2), TURNS, secret=False),
      True,
      False,
    ),
    (terms(local.LocalGaussian(9.0), DRAWN), True, False),
    (terms(local.LocalLaplace(9.0), DRAWN), True, False),
    (terms(local.RandomizedResponse(0.9), DRAWN), False, False),
    (terms(central.Geometric(4.0)), False, True),
    (terms(central.CentralDiscreteGaussian(4.0, 1.0)), False, True),
    (
      terms(distributed.DistributedSkellam(20.0, 30.0, 8), DRAWN, secret=False),
      False,
      False,
    ),
  ],
  ids=lambda value: (
    value.mechanism.kind if isinstance(value, privacy_log.PrivacyTerms) else ''
  ),
)
def test_no_assumption_is_silent(tmp_path, given, continuous, secret):
  told = run(tmp_path, given, 1).guarantee.assumptions
  assert privacy_log.COVERS_MODELS in told
  assert privacy_log.REPEATED_ROUNDS in told
  assert (mechanism.CONTINUOUS_NOISE in told) == continuous
  assert (privacy_log.SIMULATED_COHORTS in told) == secret
  assert given.is_amplified == secret
  assert len(set(told)) == len(told)


def test_further_assumptions_are_told(tmp_path):
  given = terms(assumed=('The moon is round.',))
  assert 'The moon is round.' in log(tmp_path, given).guarantee.assumptions


@pytest.mark.parametrize(
  'changes, error, told',
  [
    ({'delta': 1.0}, guarantee.GuaranteeError, 'delta from 0 to below 1'),
    (
      {'delta': 1e-5},
      privacy_log.PrivacyTermsError,
      'Expected a plan for the delta 1e-05, found one for 0.001.',
    ),
    (
      {'stop_at_epsilon': 0.0},
      stop_rules.StopRuleError,
      'Expected a finite epsilon above 0 to stop at, found 0.0.',
    ),
    (
      {'tolerated_dropout': 1.0},
      privacy_log.PrivacyTermsError,
      'Expected a tolerated_dropout from 0 to below 1, found 1.0.',
    ),
  ],
)
def test_terms_that_cannot_be_kept_are_refused(changes, error, told):
  with pytest.raises(error, match=re.escape(told)) as raised:
    dataclasses.replace(terms(), **changes)
  assert isinstance(raised.value, errors.PipelineError)


# The round ahead.


@pytest.mark.parametrize(
  'given',
  [
    terms(),
    terms(correlated.TreeAggregation(4.0), TURNS, secret=False),
    terms(local.LocalGaussian(9.0), DRAWN, secret=False),
  ],
  ids=['sampled', 'tree', 'local'],
)
def test_prediction_is_what_the_next_round_brings(tmp_path, given):
  found = log(tmp_path, given)
  for round_num in range(1, 7):
    predicted = found.next_epsilon()
    extend(found, given, round_num, round_num)
    assert found.guarantee.epsilon == predicted


def test_prediction_counts_on_the_tolerated_dropout(tmp_path):
  ran = distributed.DistributedSkellam(20.0, 30.0, 8)
  few = terms(ran, DRAWN, secret=False, tolerated_dropout=0.4)
  found = log(tmp_path, few)
  predicted = found.next_epsilon()
  found.append(1, DRAWN.select(SEED, 1), 2)  # floor(0.4 * 3) = 1 is missing.
  assert found.guarantee.epsilon == predicted


def test_prediction_is_the_worst_of_all_attempts(tmp_path):
  given = terms(local.LocalGaussian(9.0), DRAWN, secret=False)
  cohorts = {(1, 0): [1], (2, 0): [2], (2, 1): [1]}
  found = privacy_log.PrivacyLog(
    tmp_path / 'privacy.json',
    given,
    lambda round_num, attempt: np.array(cohorts[round_num, attempt]),
    num_attempts=1,
  )
  found.append(1, np.array([1]), 1)
  spares = found.next_epsilon()
  found._num_attempts = 2
  repeats = found.next_epsilon()
  assert spares == found.guarantee.epsilon < repeats
  found.append(2, np.array([1]), 1)
  assert found.guarantee.epsilon == repeats


def test_round_ahead_without_a_guarantee_has_an_infinite_epsilon(tmp_path):
  ran = distributed.DistributedSkellam(20.0, 30.0, 8, num_colluding=2)
  given = terms(ran, DRAWN, secret=False, tolerated_dropout=0.4)
  assert log(tmp_path, given).next_epsilon() == np.inf


def test_asking_ahead_writes_and_changes_nothing(tmp_path):
  given = terms()
  found = run(tmp_path, given, 2)
  text, history = (tmp_path / 'privacy.json').read_bytes(), found.history
  found.next_epsilon()
  assert (tmp_path / 'privacy.json').read_bytes() == text
  np.testing.assert_array_equal(found.history, history)


# Resuming.


def test_history_is_of_fixed_size_with_counts_and_last_rounds(tmp_path):
  given = terms(drawn=TURNS, secret=False)
  found = log(tmp_path, given)
  assert found.history.shape == (12, 2)
  assert found.history.dtype == np.int32
  assert not found.history.any()
  extend(found, given, 1, 5)
  first = TURNS.select(SEED, 1)
  np.testing.assert_array_equal(found.history[first], [[2, 5]] * 3)
  assert found.history[:, 0].sum() == 15


@pytest.mark.parametrize('drawn', [COINS, TURNS, DRAWN])
@pytest.mark.parametrize('at', range(6))
@pytest.mark.parametrize('killed_at', [0, 1, 3])
def test_resumed_from_any_checkpoint_is_byte_for_byte_the_same(
  tmp_path, drawn, at, killed_at
):
  given = terms(drawn=drawn)
  run(tmp_path / 'whole', given, 6)
  expected = (tmp_path / 'whole' / 'privacy.json').read_bytes()
  # `killed_at` rounds after the checkpoint, which privacy.json has already.
  history = run(tmp_path / 'checkpoint', given, at).history
  run(tmp_path, given, min(6, at + killed_at))
  resumed = log(tmp_path, given)
  resumed.restore(at, history)
  assert len(content(tmp_path)['rounds']) == at
  np.testing.assert_array_equal(resumed.history, history)
  extend(resumed, given, at + 1, 6)
  assert (tmp_path / 'privacy.json').read_bytes() == expected


def test_restoring_what_is_there_does_not_write(tmp_path):
  given = terms()
  found = run(tmp_path, given, 3)
  before = (tmp_path / 'privacy.json').stat().st_mtime_ns
  log(tmp_path, given).restore(3, found.history)
  assert (tmp_path / 'privacy.json').stat().st_mtime_ns == before


def told_of(tmp_path, round_num: int, found: str) -> str:
  return (
    f'Expected the releases of the rounds 1 to {round_num} in '
    f'{tmp_path / "privacy.json"}, as there is a checkpoint of that round, '
    f'found {found}; choose another --output_dir.'
  )


def test_ledger_without_rounds_of_the_checkpoint_is_an_error(tmp_path):
  given = terms()
  history = run(tmp_path / 'other', given, 4).history
  run(tmp_path, given, 3)
  with pytest.raises(privacy_log.PrivacyLogError) as raised:
    log(tmp_path, given).restore(4, history)
  assert str(raised.value) == told_of(tmp_path, 4, '3 of them')
  assert isinstance(raised.value, errors.PipelineError)


def test_missing_ledger_is_an_error(tmp_path):
  with pytest.raises(privacy_log.PrivacyLogError) as raised:
    log(tmp_path).restore(0, np.zeros([12, 2], np.int32))
  assert str(raised.value) == told_of(tmp_path, 0, 'no such file')


DAMAGES = {
  'empty': lambda text: b'',
  'half': lambda text: text[: len(text) // 2],
  'no text': lambda text: b'\xff\xfe' + text,
  'a list': lambda text: b'[1, 2]',
  'another format': lambda text: text.replace(b'"format": 1', b'"format": 2'),
  'no plan': lambda text: text.replace(b'"planned"', b'"plan"'),
  'a mechanism that there is not': lambda text: text.replace(
    b'"Gaussian"', b'"Gauss"'
  ),
  'noise that is none': lambda text: text.replace(
    b'"noise_multiplier": 4.0', b'"noise_multiplier": -4.0'
  ),
  'a round twice': lambda text: text.replace(b'[2, 0,', b'[1, 0,'),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_damaged_ledger_is_one_sentence(tmp_path, damage):
  given = terms()
  history = run(tmp_path, given, 3).history
  path = tmp_path / 'privacy.json'
  damaged = DAMAGES[damage](path.read_bytes())
  assert damaged != path.read_bytes()
  path.write_bytes(damaged)
  with pytest.raises(privacy_log.PrivacyLogError, match='cannot be read') as e:
    log(tmp_path, given).restore(3, history)
  assert str(path) in str(e.value)
  assert path.read_bytes() == damaged


@pytest.mark.parametrize(
  'other',
  [
    terms(central.Gaussian(5.0)),
    terms(drawn=dataclasses.replace(COINS, clients_per_round=4)),
    terms(secret=False),
    terms(rounds=7),
  ],
  ids=['noise', 'cohorts', 'secrecy', 'plan'],
)
def test_ledger_of_other_terms_is_an_error(tmp_path, other):
  history = run(tmp_path, terms(), 3).history
  with pytest.raises(privacy_log.PrivacyLogError) as raised:
    log(tmp_path, other).restore(3, history)
  assert str(raised.value) == told_of(
    tmp_path, 3, 'those of a run on other terms'
  )


@pytest.mark.parametrize(
  'history',
  [
    np.zeros([0, 2], np.int32),
    np.zeros([11, 2], np.int32),
    np.zeros([12, 2], np.int32),
    np.full([12, 2], 9, np.int32),
  ],
)
def test_ledger_and_checkpoint_of_other_participants_is_an_error(
  tmp_path, history
):
  given = terms()
  run(tmp_path, given, 3)
  with pytest.raises(privacy_log.PrivacyLogError, match='other participants'):
    log(tmp_path, given).restore(3, history)


def test_history_that_was_restored_predicts_like_the_one_that_was_kept(
  tmp_path,
):
  given = terms(local.LocalGaussian(9.0), DRAWN, secret=False)
  kept = run(tmp_path, given, 5)
  restored = log(tmp_path, given)
  restored.restore(5, kept.history)
  assert restored.next_epsilon() == kept.next_epsilon()
  limits = contributions.ContributionLimits(
    *content(tmp_path)['rounds'][-1][3:]
  )
  assert restored._history.limits == limits
