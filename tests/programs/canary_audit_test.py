"""What canaries say of a run, on runs that are arithmetic."""

import numpy as np
import pytest

from tests import slow_cases
from tff_pipelines.privacy import canaries, error_rates, gaussian_conversion
from tff_pipelines.programs import canary_audit
from tff_pipelines.reports import audit_record

K, D, ROUNDS, DELTA = 200, 20_000, 4, 1e-3
CANARIES = canaries.Canaries(seed=11, num_canaries=K, num_dimensions=D)
EVERYONE = np.ones([ROUNDS, K], bool)
# A lower bound of this confidence is wrong with probability 1e-6.
SURE = 1 - 1e-6


def models(participated, noise: float, seed: int = 0, dtype=np.float32):
  """Models of a run: each round adds its canaries and noise of that stddev."""
  rng = np.random.default_rng(seed)
  moves = [
    (CANARIES.total(row) if row.any() else 0) + noise * rng.standard_normal(D)
    for row in participated
  ]
  start = rng.standard_normal(D)
  return (start + np.cumsum([np.zeros(D), *moves], axis=0)).astype(dtype)


def analyse(found, participated=EVERYONE, **changes):
  known = {'accountant': None, 'gaussian': True, 'secret_cohorts': False}
  return canary_audit.analyse(
    found, participated, CANARIES, DELTA, **{**known, **changes}
  )


def promised(noise: float) -> float:
  """Epsilon of all rounds together, each with noise of that multiplier."""
  return gaussian_conversion.epsilon_of(ROUNDS**0.5 / noise, DELTA)


def test_without_noise_canaries_are_found():
  found = analyse(models(EVERYONE, 0.0))
  assert found['estimate'] > 20 and found['estimate_all_rounds'] > 20
  assert found['lower_bound'] > 15


@pytest.mark.parametrize('gaussian', [True, False])
def test_in_huge_noise_nothing_is_found(gaussian):
  found = analyse(models(EVERYONE, 1e4), gaussian=gaussian)
  # mu is at most 5 standard errors, 5 / sqrt(K), but for a probability of 6e-7.
  most = gaussian_conversion.epsilon_of(5 / K**0.5, DELTA)
  assert found['estimate'] < most
  # Both means have that error where the unobserved are sampled.
  assert found['estimate_all_rounds'] < gaussian_conversion.epsilon_of(
    5 * (2 / K) ** 0.5 * 1.4, DELTA
  )
  assert found['lower_bound'] < most / 2


def test_the_estimate_is_the_epsilon_of_the_noise():
  # mu = 2. Five standard errors of the mean are 0.35; what canaries are to each
  # other is noise of another sqrt(ROUNDS * K / D) and makes mu 2 % smaller.
  found = analyse(models(EVERYONE, 1.0))
  low, high = (gaussian_conversion.epsilon_of(m, DELTA) for m in (1.6, 2.4))
  assert low < found['estimate'] < high
  assert low < found['estimate_all_rounds'] < high


@pytest.mark.parametrize('seed', slow_cases.all_but([0], range(3)))
def test_half_of_the_noise_that_is_claimed_is_found(seed):
  claimed = promised(1.0)
  honest, forged = (
    analyse(models(EVERYONE, noise, seed), accountant=claimed, confidence=SURE)
    for noise in (1.0, 0.5)
  )
  assert honest['lower_bound'] <= claimed < forged['lower_bound']
  assert 'NOT HOLD' in canary_audit.sentence(forged)
  assert 'NOT HOLD' not in canary_audit.sentence(honest)


def test_any_mechanism_has_a_bound_too():
  claimed = promised(4.0)
  honest, forged = (
    analyse(models(EVERYONE, noise), gaussian=False, accountant=claimed)[
      'lower_bound'
    ]
    for noise in (4.0, 0.5)
  )
  assert honest <= claimed < forged


def test_a_run_into_the_other_direction_shows_no_bound():
  found = models(EVERYONE, 0.0)
  assert analyse(2 * found[0] - found)['lower_bound'] == 0


def test_whose_rounds_are_known_counts_if_it_took_part():
  participated = np.zeros([ROUNDS, K], bool)
  participated[1, :50] = participated[2, 30:60] = True
  found = analyse(models(participated, 1.0), participated)
  assert found['canaries'] == len(found['cosines']['observed']) == 60


def test_where_cohorts_are_secret_everyone_counts():
  # The chance to be in no cohort is a part of what sampling promises.
  participated = np.zeros([ROUNDS, K], bool)
  participated[1, :50] = True
  found = analyse(
    models(participated, 1.0), participated, secret_cohorts=True, gaussian=False
  )
  assert found['canaries'] == len(found['cosines']['observed']) == K


def test_rare_cohorts_do_not_contradict_what_sampling_promises():
  # Each round has a canary with chance 1/100 and hardly any noise. In and out
  # cannot be told apart more often than a canary is in any round at all: that
  # is (0, 0.039)-DP. Those that were in are seen plainly.
  rng = np.random.default_rng(3)
  participated = rng.random([ROUNDS, K]) < 0.01
  participated[0, :8] = True  # So that there are enough of them.
  run = models(participated, 0.2)
  delta = 1 - (1 - participated.mean()) ** ROUNDS
  known = {'accountant': 0.0, 'gaussian': False}
  secret = canary_audit.analyse(
    run, participated, CANARIES, delta, secret_cohorts=True, **known
  )
  told = canary_audit.analyse(
    run, participated, CANARIES, delta, secret_cohorts=False, **known
  )
  assert secret['lower_bound'] == 0 < told['lower_bound']


def test_who_sees_every_round_sees_a_canary_of_one_round_better():
  rng = np.random.default_rng(4)
  participated = np.zeros([16, K], bool)
  participated[rng.integers(0, 16, K), np.arange(K)] = True
  found = analyse(models(participated, 1.0), participated)
  # mu is 1 for who knows the round, 1/4 in the final model.
  assert found['estimate_all_rounds'] > 2 * found['estimate']


def test_estimates_by_round_are_of_all_rounds_so_far():
  found = analyse(models(EVERYONE, 1.0))
  rounds, estimates = zip(*found['by_round'], strict=True)
  assert rounds == (1, 2, 3, 4)
  assert estimates[-1] == pytest.approx(found['estimate'], rel=1e-6)
  # mu is 1 after the first round and 2 after the last.
  assert estimates[0] < estimates[-1]


def test_a_round_of_nobody_without_noise_is_passed_over():
  participated = EVERYONE.copy()
  participated[[0, 2]] = False
  rng = np.random.default_rng(0)
  run = models(participated, 0.0)
  run[2:] += rng.standard_normal(D).astype(np.float32)
  run[3] = run[2]
  found = analyse(run, participated)
  assert [r for r, _ in found['by_round']] == [2, 3, 4]
  assert found['estimate_all_rounds'] > 0


def test_the_report_reads_what_is_written():
  found = analyse(models(EVERYONE, 1.0), accountant=promised(1.0))
  read = audit_record.parse({'one_shot': found}).one_shot
  assert (read.canaries, read.dimension, read.delta) == (K, D, DELTA)
  assert read.estimate == found['estimate']
  assert read.accountant == promised(1.0)
  assert len(read.cosines) == K
  assert read.null_stddev == pytest.approx(D**-0.5)


def test_the_sentence_tells_both_views():
  found = analyse(models(EVERYONE, 1.0), accountant=promised(1.0))
  text = canary_audit.sentence(found)
  assert text.startswith('200 canaries: epsilon looks like ')
  assert 'to who sees the final model' in text
  assert 'to who sees every round, and is at least' in text
  assert text.endswith(f'the accountant says {promised(1.0):.3g}')
  assert 'accountant' not in canary_audit.sentence(analyse(models(EVERYONE, 1)))


def test_fewer_than_eight_canaries_are_refused():
  participated = np.zeros([ROUNDS, K], bool)
  participated[0, :7] = True
  with pytest.raises(
    error_rates.AuditError,
    match=r'^Expected at least 8 canaries that took part, found 7 of 200; in',
  ):
    analyse(models(participated, 1.0), participated)


def test_a_model_that_has_not_moved_is_refused():
  with pytest.raises(error_rates.AuditError, match='not zero'):
    analyse(np.ones([ROUNDS + 1, D], np.float32))
