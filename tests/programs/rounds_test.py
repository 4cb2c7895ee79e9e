"""Rounds whose secure aggregation fails."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.execution import contexts, masked_sums
from tff_pipelines.programs import rounds


@pytest.fixture(scope='module')
def process():
  return tff.learning.algorithms.build_weighted_fed_avg(
    samples.hand_written_model(),
    tff.learning.optimizers.build_sgdm(0.1),
    model_aggregator=tff.learning.secure_aggregator(),
  )


def _summation(**config):
  return masked_sums.MaskedSum(masked_sums.MaskedSumConfig(**config))


def _run(process, cohort, *, retries, round_num=1, **config):
  with contexts.using('xla', secure_sums=_summation(**config)):
    return rounds.run(process, process.initialize(), cohort, round_num, retries)


def _data(count):
  return samples.batches([3] * count)


def test_the_cost_of_secure_sums_is_a_metric(process):
  outcome = _run(process, lambda attempt: _data(4), retries=0)
  assert outcome.metrics['cohort/clients'] == 4
  assert outcome.metrics['secure_sum/survivors'] == 4
  assert outcome.metrics['secure_sum/failed_attempts'] == 0
  assert (outcome.failed_attempts, outcome.num_contributors) == (0, 4)
  assert outcome.metrics['secure_sum/upload_bytes_per_client'] > 100
  assert outcome.secure_sum_seconds > 0


@pytest.mark.slow
def test_metrics_are_the_same_when_a_round_is_repeated(process):
  outcomes = [
    _run(
      process,
      lambda attempt: _data(12),
      retries=2,
      round_num=5,
      dropout_rates={'mask': 0.2, 'unmask': 0.1},
      seed=3,
    )
    for _ in range(2)
  ]
  assert outcomes[0].metrics == outcomes[1].metrics
  survivors = outcomes[0].metrics['secure_sum/survivors']
  assert outcomes[0].num_contributors == survivors < 12


def test_a_failed_round_is_tried_again_with_a_new_cohort(process):
  asked = []

  def cohort(attempt):
    asked.append(attempt)
    return _data(5 + attempt)

  # Found by trying: with this seed the first two attempts fail.
  outcome = _run(
    process, cohort, retries=2, dropout_rates={'mask': 0.5}, seed=1
  )
  assert asked == [0, 1, 2]
  assert outcome.metrics['secure_sum/failed_attempts'] == 2
  assert outcome.failed_attempts == 2
  assert outcome.metrics['cohort/clients'] == 7
  assert outcome.metrics['secure_sum/survivors'] >= 4


@pytest.mark.slow
def test_a_round_that_always_fails_stops_the_run_and_says_so(process):
  asked = []

  def cohort(attempt):
    asked.append(attempt)
    return _data(4)

  with pytest.raises(
    rounds.RoundFailedError,
    match=r'in one of 3 attempts of round 7, .* found none of 4: all',
  ):
    _run(
      process, cohort, retries=2, round_num=7, dropout_rates={'mask': 1 - 1e-9}
    )
  assert asked == [0, 1, 2]


def test_without_secure_sums_there_is_no_cost():
  process = tff.learning.algorithms.build_weighted_fed_avg(
    samples.hand_written_model(), tff.learning.optimizers.build_sgdm(0.1)
  )
  outcome = _run(process, lambda attempt: _data(2), retries=0)
  assert outcome.secure_sum_seconds == 0
  assert (outcome.failed_attempts, outcome.num_contributors) == (0, 2)
  assert not [name for name in outcome.metrics if 'secure' in name]
  assert np.isfinite(outcome.metrics['cohort/examples'])
