import math

import numpy as np
import pytest
from scipy import special

from tff_pipelines.privacy import (
  error_rates,
  membership_inference,
  membership_scores,
)


def test_lower_losses_score_higher():
  found = membership_scores.loss_scores(np.array([0.5, 2.0]))
  np.testing.assert_array_equal(found, [-0.5, -2.0])


def test_calibration_subtracts_the_difficulty():
  found = membership_scores.calibrated_scores(
    np.array([1.0, 5.0]), np.array([[2.0, 5.0], [4.0, 5.0]])
  )
  np.testing.assert_allclose(found, [2.0, 0.0])


def test_offline_ratios_are_z_scores():
  without = np.array([[0.0, 10.0], [2.0, 10.0], [4.0, 40.0]])
  found = membership_scores.offline_likelihood_ratios(
    np.array([6.0, 20.0]), without
  )
  np.testing.assert_allclose(found, [4.0 / 2.0, 0.0])
  # Variances 4 and 300: mean 152.
  shared = membership_scores.offline_likelihood_ratios(
    np.array([6.0, 20.0]), without, share_stddev=True
  )
  np.testing.assert_allclose(shared, [4.0 / math.sqrt(152), 0.0])


def test_online_ratios_are_those_of_two_normals():
  with_client = np.array([[1.0], [3.0]])  # N(2, 2).
  without = np.array([[-2.0], [2.0]])  # N(0, 8).
  found = membership_scores.online_likelihood_ratios(
    np.array([1.0]), with_client, without
  )
  expected = (
    -(1.0**2) / (2 * 2)
    - math.log(math.sqrt(2))
    + 1 / 16
    + math.log(math.sqrt(8))
  )
  np.testing.assert_allclose(found, [expected])


def test_ratios_beat_calibration_beats_the_global_threshold(
  clients=2000, references=64
):
  # Clients differ in how hard (stddev 3) and how noisy (0.3 to 3) they are.
  rng = np.random.default_rng(0)
  level = rng.normal(0.0, 3.0, clients)
  noise = np.exp(rng.uniform(-1.2, 1.2, clients))
  member = np.arange(clients) % 2 == 0

  def statistics(with_client):
    return level + with_client + noise * rng.normal(size=clients)

  found = statistics(member)
  without = np.stack([statistics(0.0) for _ in range(references)])
  with_client = np.stack([statistics(1.0) for _ in range(references)])
  aucs = [
    membership_inference.auc(scores[member], scores[~member])
    for scores in (
      membership_scores.loss_scores(-found),
      membership_scores.calibrated_scores(-found, -without),
      membership_scores.offline_likelihood_ratios(found, without),
      membership_scores.online_likelihood_ratios(found, with_client, without),
    )
  ]
  # Standard errors of an AUC are at most 1 / sqrt(12 * 1000) = 0.01.
  assert 0.5 < aucs[0] + 0.05 < aucs[1]
  assert aucs[1] < aucs[2]
  assert aucs[2] < aucs[3]


def test_logits_are_symmetric_and_invert_the_sigmoid():
  p = np.array([1e-9, 0.2, 0.5, 0.8])
  np.testing.assert_allclose(special.expit(membership_scores.logit(p)), p)
  np.testing.assert_allclose(
    membership_scores.logit(1 - p[1:]),
    -membership_scores.logit(p[1:]),
    atol=1e-15,
  )


@pytest.mark.parametrize('mu', [0.5, 2.0])
def test_residuals_have_the_two_normals_of_the_gaussian_mechanism(
  mu, clients=4000, d=20, noise_stddev=3.0
):
  rng = np.random.default_rng(1)
  updates = rng.normal(size=(clients, d))
  updates *= mu * noise_stddev / np.linalg.norm(updates, axis=1, keepdims=True)
  others = 100.0 * rng.normal(size=(clients, d))
  noise = noise_stddev * rng.normal(size=(clients, d))
  for took_part in (0.0, 1.0):
    scores = membership_scores.residual_scores(
      others + took_part * updates + noise, others, updates, noise_stddev
    )
    # 5 standard errors: 6e-7.
    expected = (took_part - 0.5) * mu**2
    assert abs(np.mean(scores) - expected) < 5 * mu / math.sqrt(clients)
    assert abs(np.std(scores) / mu - 1) < 5 / math.sqrt(2 * clients)


def test_residuals_are_log_density_ratios():
  released, others = np.array([3.0, 1.0]), np.array([1.0, 1.0])
  updates = np.array([[1.0, 0.0], [0.0, 2.0]])
  found = membership_scores.residual_scores(released, others, updates, 2.0)
  residual = released - others
  for score, update in zip(found, updates, strict=True):
    squares = np.sum(residual**2) - np.sum((residual - update) ** 2)
    assert score == pytest.approx(squares / (2 * 2.0**2))


def test_a_shared_stddev_is_better_with_few_references(clients=4000):
  # All clients have stddev 1: three references say little of a single one.
  rng = np.random.default_rng(2)
  member = np.arange(clients) % 2 == 0
  found = member + rng.normal(size=clients)
  without = rng.normal(size=(3, clients))
  aucs = [
    membership_inference.auc(scores[member], scores[~member])
    for scores in (
      membership_scores.offline_likelihood_ratios(
        found, without, share_stddev=shared
      )
      for shared in (False, True)
    )
  ]
  # Standard errors are below 0.01, on the same clients.
  assert aucs[0] + 0.01 < aucs[1]


def test_rounds_add_up(rounds=4, clients=3000, d=10, noise_stddev=1.0):
  rng = np.random.default_rng(3)
  updates = rng.normal(size=(rounds, clients, d))
  updates *= 0.5 / np.linalg.norm(updates, axis=2, keepdims=True)
  noise = noise_stddev * rng.normal(size=updates.shape)
  scores = sum(
    membership_scores.residual_scores(
      noise[t], np.zeros(d), updates[t], noise_stddev
    )
    for t in range(rounds)
  )
  # mu = 0.5 sqrt(4) = 1: N(-1/2, 1) without; 5 standard errors.
  assert abs(np.mean(scores) + 0.5) < 5 / math.sqrt(clients)
  assert abs(np.std(scores) - 1.0) < 5 / math.sqrt(2 * clients)


def test_refusals():
  error = error_rates.AuditError
  two = np.zeros(2)
  with pytest.raises(error, match=r'at least 1, 2 clients\], found \(3, 3\)'):
    membership_scores.calibrated_scores(two, np.zeros((3, 3)))
  with pytest.raises(error, match=r'at least 2, 2 clients\], found \(1, 2\)'):
    membership_scores.offline_likelihood_ratios(two, np.zeros((1, 2)))
  with pytest.raises(error, match=r'found \(2,\)'):
    membership_scores.online_likelihood_ratios(two, two, np.eye(2))
  with pytest.raises(error, match='found a stddev of 0'):
    membership_scores.offline_likelihood_ratios(two, np.zeros((3, 2)))
  for value in (0.0, 1.0, math.nan):
    with pytest.raises(error, match='strictly between 0 and 1'):
      membership_scores.logit(np.array([0.5, value]))
  with pytest.raises(error, match=r'noise_stddev above 0, found 0\.0'):
    membership_scores.residual_scores(two, two, np.eye(2), 0.0)
  with pytest.raises(error, match=r'shape \[clients, d\], found \(2,\)'):
    membership_scores.residual_scores(two, two, two, 1.0)
  with pytest.raises(error, match=r'shape \(2, 2\), found \(3,\) released'):
    membership_scores.residual_scores(np.zeros(3), 0.0, np.eye(2), 1.0)
