"""Attacks on models by clients' losses."""

import numpy as np
import pytest

from tff_pipelines.privacy import error_rates, guarantee
from tff_pipelines.programs import membership_audit
from tff_pipelines.reports import audit_record

CLIENTS, PAIRS = 40, 8
PROMISE = guarantee.Guarantee(
  epsilon=2.0,
  delta=1e-3,
  relation=guarantee.Relation.ADD_OR_REMOVE,
  num_rounds=9,
  trust=guarantee.Trust.SERVER,
  method='test',
)


def trained(
  gap: float, seed: int = 0, difficulty: float = 1.0
) -> membership_audit.Trained:
  """Losses that are lower by the gap, in stddevs of the models, for members.

  Clients differ by `difficulty` stddevs.
  """
  rng = np.random.default_rng(seed)
  members = membership_audit.halves(CLIENTS, PAIRS, seed)
  losses = 5.0 + difficulty * rng.standard_normal(CLIENTS)
  noise = rng.standard_normal(members.shape)
  return membership_audit.Trained(losses + noise - gap * members, members)


# Halves.


def test_pairs_are_complementary_and_balanced():
  members = membership_audit.halves(10, 5, seed=1)
  assert members.shape == (10, 10) and members.dtype == bool
  np.testing.assert_array_equal(members[::2], ~members[1::2])
  assert members.sum(axis=1).tolist() == [5] * 10
  assert members.sum(axis=0).tolist() == [5] * 10


def test_halves_are_random_and_a_function_of_the_seed():
  members = membership_audit.halves(10, 5, seed=1)
  np.testing.assert_array_equal(members, membership_audit.halves(10, 5, 1))
  assert len(np.unique(members[::2], axis=0)) > 1
  assert np.any(members != membership_audit.halves(10, 5, 2))


@pytest.mark.parametrize('clients, pairs', [(10, 2), (6, 3), (9, 3)])
def test_too_few_models_or_clients_are_refused(clients, pairs):
  with pytest.raises(
    error_rates.AuditError,
    match='Expected at least 3 pairs of models and an even number of clients, '
    f'8 or more, for membership inference, found {pairs} and {clients}; train',
  ):
    membership_audit.halves(clients, pairs, 0)


# Attacks.


def rows_of(models, promise=None):
  return {
    row['name']: row
    for row in membership_audit.attacks(models, promise, seed=0)
  }


@pytest.mark.parametrize('seed', [0, 1])
def test_without_a_trace_nobody_is_found(seed):
  # AUC of 320 scores each under guessing has stddev 0.0228, but pairs share
  # clients' difficulty (both signs, so the variance is less): 5 stddevs.
  for row in rows_of(trained(0.0, seed)).values():
    assert row['auc'] == pytest.approx(0.5, abs=0.115)
    assert row['epsilon_if_independent'] == 0


def test_with_a_large_trace_everyone_is_found():
  for row in rows_of(trained(20.0)).values():
    assert row['auc'] == pytest.approx(1.0, abs=1e-6)
    assert [rate['tpr'] for rate in row['tpr_at']] == [1.0, 1.0]
    assert row['epsilon_if_independent'] > 3


def test_ratios_see_through_how_different_clients_are():
  found = rows_of(trained(2.0, difficulty=20.0))
  assert found['loss threshold']['auc'] < 0.65
  # At best, N(0, 1) against N(2, 1): 0.921; means of 7 references blur it.
  assert 0.82 < found['likelihood ratio']['auc'] < 0.95


def test_the_partner_of_a_pair_is_no_reference():
  models = trained(3.0)
  before = membership_audit.likelihood_ratios(models)
  changed = models.losses.copy()
  changed[1] += 100.0
  after = membership_audit.likelihood_ratios(
    membership_audit.Trained(changed, models.members)
  )
  np.testing.assert_array_equal(after[0], before[0])
  assert np.all(after[2:] != before[2:])


def test_ratios_swap_their_sign_with_who_is_a_member():
  models = trained(3.0)
  ratios = membership_audit.likelihood_ratios(models)
  swapped = membership_audit.likelihood_ratios(
    membership_audit.Trained(models.losses, ~models.members)
  )
  np.testing.assert_allclose(swapped, -ratios, rtol=1e-12)


def test_losses_that_are_not_finite_are_refused():
  models = trained(1.0)
  models.losses[0, 0] = np.nan
  with pytest.raises(error_rates.AuditError, match='finite'):
    membership_audit.attacks(models, None, 0)


# What is written.


def test_an_attack_without_a_promise_tells_none():
  for row in rows_of(trained(1.0)).values():
    assert row['promise'] is None


def test_the_report_reads_what_is_written():
  rows = membership_audit.attacks(trained(1.0), PROMISE, seed=0)
  loss, ratio = audit_record.parse({'membership': rows}).membership
  assert (loss.name, ratio.name) == ('loss threshold', 'likelihood ratio')
  assert loss.promise == ratio.promise == (2.0, 1e-3)
  assert '14 models of the same kind' in ratio.knowledge
  for attack, row in ((loss, rows[0]), (ratio, rows[1])):
    assert attack.auc == row['auc']
    assert (attack.fpr[0], attack.tpr[0]) == (0, 0)
    assert (attack.fpr[-1], attack.tpr[-1]) == (1, 1)
    assert [point.fpr for point in attack.points] == [0.001, 0.01]


def test_a_smaller_delta_shows_no_less_epsilon():
  with_delta = rows_of(trained(4.0), PROMISE)
  without = rows_of(trained(4.0))
  for name, row in with_delta.items():
    assert (
      0
      < row['epsilon_if_independent']
      <= without[name]['epsilon_if_independent']
    )


def test_the_sentence_tells_rates_and_area():
  row = membership_audit.attack(
    'guess',
    'all',
    np.array([3.0, 4.0, 5.0, 6.0, 1.0, 2.0, 2.5, 2.7]),
    np.arange(8) < 4,
    None,
    0,
  )
  assert membership_audit.sentence(row) == (
    'membership by guess: finds 100.0% at 0.1% false alarms, 100.0% at 1.0% '
    'false alarms; AUC 1.000 (0.5 is guessing)'
  )
