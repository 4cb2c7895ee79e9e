import math

import numpy as np
import pytest
from scipy import special, stats

from tff_pipelines.privacy import canary_simulation, error_rates


def _with_vectors(weights, noise_stddev, num_dimensions, seed, others_norm):
  """The same from real vectors."""
  rng = np.random.default_rng(seed)
  units = rng.standard_normal((weights.shape[1], num_dimensions))
  units /= np.linalg.norm(units, axis=1, keepdims=True)
  released = weights @ units
  released[:, -1] += others_norm
  released += noise_stddev * rng.standard_normal(released.shape)
  norms = np.linalg.norm(released, axis=1)
  return released @ units.T / norms[:, None]


@pytest.mark.parametrize(
  'num_canaries,num_dimensions,others_norm',
  [(2, 3, 2.0), (2, 12, 0.0), (3, 4, 0.0), (3, 3, 2.0), (5, 2, 2.0)],
)
def test_joint_distribution_is_that_of_real_vectors(
  num_canaries, num_dimensions, others_norm, runs=2000
):
  weights = np.ones((2, num_canaries))
  weights[1, 0] = 0.0
  args = weights, 0.5, num_dimensions
  exact = np.stack(
    [
      canary_simulation.simulate(*args, seed=s, others_norm=others_norm)
      for s in range(runs)
    ]
  )
  oracle = np.stack(
    [_with_vectors(*args, runs + s, others_norm) for s in range(runs)]
  )
  readings = (
    lambda g: g[:, 0, 0],
    lambda g: g[:, 1, 0],
    lambda g: g[:, 1, -1],
    lambda g: g[:, 0, 0] * g[:, 0, 1],
    lambda g: g[:, 0, 0] - g[:, 1, 0],
    lambda g: g[:, 0, 0] * g[:, 1, 1],
    lambda g: np.sum(g**2, axis=(1, 2)),
  )
  for reading in readings:
    # False alarm 1e-7 for each of 35 readings.
    assert stats.ks_2samp(reading(exact), reading(oracle)).pvalue > 1e-7


def test_unobserved_canaries_have_the_exact_null_distribution(d=6):
  weights = np.array([[0.0, 1.0, 3.0]])
  cosines = [
    canary_simulation.simulate(weights, 0.1, d, seed=s, others_norm=1.0)[0, 0]
    for s in range(2000)
  ]
  half = (d - 1) / 2
  uniform = np.sort(special.betainc(half, half, (1 + np.array(cosines)) / 2))
  gap = np.max(np.abs(uniform - np.linspace(0.0, 1.0, len(uniform))))
  # Dvoretzky, Kiefer, Wolfowitz, Massart; false alarm 1e-6.
  assert gap < math.sqrt(math.log(2e6) / (2 * len(uniform))) + 1 / len(uniform)


@pytest.mark.parametrize('noise_stddev', [0.541, 4.22])
def test_canaries_shift_the_mean_and_keep_the_stddev(
  noise_stddev, k=1000, d=10**9
):
  cosines = canary_simulation.simulate(
    np.ones((1, k)), noise_stddev, d, seed=1
  )[0]
  scaled = cosines * math.sqrt(d)
  # The theorem of the paper's section 3; 5 standard errors: 6e-7.
  assert abs(np.mean(scaled) - 1 / noise_stddev) < 5 / math.sqrt(k)
  assert abs(np.std(scaled) - 1.0) < 5 / math.sqrt(2 * k)


def test_without_noise_a_lone_canary_is_the_release():
  found = canary_simulation.simulate(np.ones((1, 1)), 0.0, 1000, seed=0)
  np.testing.assert_allclose(found, 1.0)


def test_other_clients_turn_the_release_away():
  found = canary_simulation.simulate(
    np.ones((1, 1)), 0.0, 10**10, seed=0, others_norm=3.0
  )
  # The two are orthogonal up to 7 times d^-1/2.
  np.testing.assert_allclose(found, 1 / math.sqrt(1 + 9), atol=1e-4)


def test_repeats_with_its_seed():
  args = np.ones((2, 3)), 1.0, 50
  one = canary_simulation.simulate(*args, seed=1)
  np.testing.assert_array_equal(one, canary_simulation.simulate(*args, seed=1))
  assert not np.any(one == canary_simulation.simulate(*args, seed=2))


def test_refusals():
  error = error_rates.AuditError
  for weights in (np.ones(3), np.ones((0, 3)), np.ones((3, 0))):
    with pytest.raises(error, match=r'shape \[rounds, canaries\]'):
      canary_simulation.simulate(weights, 1.0, 10, seed=0)
  ones = np.ones((1, 1))
  with pytest.raises(error, match=r'found -1\.0, 0\.0 and 10'):
    canary_simulation.simulate(ones, -1.0, 10, seed=0)
  with pytest.raises(error, match=r'found 1\.0, -2\.0 and 10'):
    canary_simulation.simulate(ones, 1.0, 10, seed=0, others_norm=-2.0)
  with pytest.raises(error, match=r'found 1\.0, 0\.0 and 1'):
    canary_simulation.simulate(ones, 1.0, 1, seed=0)
  with pytest.raises(error, match='other than zero in every round'):
    canary_simulation.simulate(np.array([[1.0], [0.0]]), 0.0, 10, seed=0)
