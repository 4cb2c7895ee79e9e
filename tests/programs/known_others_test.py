"""The attack by who knows all clients of a round but one."""

import math

import numpy as np
import pytest
from scipy import special

from tff_pipelines.aggregators import central_dp, clip_norms, server_noise
from tff_pipelines.core import participation
from tff_pipelines.data import batching, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import client_updates, fed_avg, optimizers
from tff_pipelines.models import image_classifiers
from tff_pipelines.programs import known_others, training

CLIENTS, COHORT, ROUNDS = 30, 5, 60
NOISE = 0.5  # Over the clip norm: mu is 2.
CLIP = 0.02  # Below every update's norm.
MODEL = image_classifiers.build_mlp(image_classifiers.Mlp(6, (), 3))
CLIENT = optimizers.OptimizerConfig('sgd', 0.5)
SERVER_RATE = 0.25


@pytest.fixture(scope='module', autouse=True)
def xla():
  with contexts.using('xla') as context:
    yield context


@pytest.fixture(scope='module')
def clients() -> population.ArrayPopulation:
  rng = np.random.default_rng(0)
  size = 4 * CLIENTS
  examples = (
    rng.random([size, 6], dtype=np.float32),
    rng.integers(0, 3, size).astype(np.int32),
  )
  rows = np.split(np.arange(size), CLIENTS)
  return population.ArrayPopulation(
    examples, {f'client_{i}': own for i, own in enumerate(rows)}
  )


@pytest.fixture(scope='module')
def updates_of():
  updates = client_updates.build(MODEL, CLIENT.build())
  return lambda weights, batches: np.stack(
    [known_others.flat(row.update) for row in updates(weights, batches)]
  )


def program(scheme='uniform', cohort: int = COHORT) -> training.TrainingProgram:
  return training.TrainingProgram(
    ROUNDS,
    participation.Participation(CLIENTS, cohort, scheme),
    batching.Batching(2),
    seed=3,
  )


def process(clip: float = CLIP, cohort: int = COHORT, **clipping):
  clipped = (
    clip_norms.AdaptiveClip(initial_clip_norm=clip, **clipping)
    if clipping
    else clip_norms.FixedClip(clip)
  )
  return fed_avg.build(
    MODEL,
    client_optimizer=CLIENT.build(),
    server_optimizer=optimizers.OptimizerConfig('sgd', SERVER_RATE).build(),
    aggregator=central_dp.CentralDpFactory(
      clipped, server_noise.IndependentNoise(NOISE), cohort, test_seed=7
    ),
  )


def assert_normal(scores: np.ndarray, mean: float, stddev: float) -> None:
  """Independent scores; a false alarm has probability 2e-6 in all."""
  n = len(scores)
  z = (scores - mean) / stddev
  assert abs(z.mean()) < -special.ndtri(2.5e-7) / math.sqrt(n)
  low, high = special.chdtri(n - 1, [1 - 2.5e-7, 2.5e-7])
  assert low < z.var(ddof=1) * (n - 1) < high
  # Dvoretzky, Kiefer, Wolfowitz; Massart 1990.
  levels = special.ndtr(np.sort(z))
  distance = np.max(
    np.maximum(np.arange(1, n + 1) / n - levels, levels - np.arange(n) / n)
  )
  assert 2 * math.exp(-2 * n * distance**2) > 1e-6


@pytest.mark.slow
def test_scores_are_normal_around_plus_and_minus_half_mu_squared(
  clients, updates_of
):
  inside, outside = known_others.scores(
    process(), updates_of, clients, program(), ROUNDS, SERVER_RATE
  )
  assert inside.shape == outside.shape == (ROUNDS * COHORT,)
  mu = 1 / NOISE
  for number in (0, COHORT - 1):
    # Scores of one round share its noise: one of each.
    assert_normal(inside.reshape(ROUNDS, COHORT)[:, number], mu**2 / 2, mu)
    assert_normal(outside.reshape(ROUNDS, COHORT)[:, number], -(mu**2) / 2, mu)


@pytest.mark.slow
def test_updates_below_the_clip_norm_enter_as_they_are(clients, updates_of):
  # Where nothing is clipped mu is small, and differs by client: the mean of
  # score_in - score_out is the mean of mu^2.
  clip = 3.0
  inside, outside = known_others.scores(
    process(clip), updates_of, clients, program(), ROUNDS, SERVER_RATE
  )
  assert np.all(np.abs(inside) < 5) and np.all(np.abs(outside) < 5)
  # mu below 0.4, so that the mean of 60 independent ones is within 0.26 of
  # at most 0.08.
  assert abs(inside.mean()) < 0.34 and abs(outside.mean()) < 0.34


@pytest.mark.slow
def test_an_adaptive_clip_norm_is_the_one_in_force(clients, updates_of):
  # Starts where everything is clipped, and rises by at most e^(0.05) a round.
  inside, outside = known_others.scores(
    process(1e-3, target_quantile=0.5, learning_rate=0.1,
            count_noise_stddev=1.0),
    updates_of, clients, program(), 40, SERVER_RATE,
  )  # fmt: skip
  mu = 1 / NOISE
  assert_normal(inside.reshape(-1, COHORT)[:, 0], mu**2 / 2, mu)
  assert_normal(outside.reshape(-1, COHORT)[:, 0], -(mu**2) / 2, mu)


def test_cohorts_by_coins_may_be_empty(clients, updates_of):
  given = program('poisson', 1)
  sizes = [len(given.participation.select(3, r)) for r in range(1, 21)]
  assert 0 in sizes
  inside, outside = known_others.scores(
    process(cohort=1), updates_of, clients, given, 20, SERVER_RATE
  )
  assert len(inside) == len(outside) == sum(sizes)


def test_the_others_are_never_of_the_cohort_and_change():
  cohort = np.array([1, 4, 7])
  drawn = [known_others._others(cohort, 9, 0, r) for r in range(1, 40)]
  assert all(len(others) == len(set(others)) == 3 for others in drawn)
  assert set(np.concatenate(drawn)) == {0, 2, 3, 5, 6, 8}
  np.testing.assert_array_equal(drawn[0], known_others._others(cohort, 9, 0, 1))
  assert sorted(known_others._others(cohort, 5, 0, 1)) == [0, 2, 3]
  assert known_others._others(np.arange(5), 5, 0, 1).shape == (0,)


def test_an_update_that_is_not_finite_counts_as_zero():
  updates = np.array([[3.0, 4.0], [np.nan, 1.0], [np.inf, 1.0], [0.3, 0.4]])
  np.testing.assert_allclose(
    known_others._clipped(updates, 1.0),
    [[0.6, 0.8], [0, 0], [0, 0], [0.3, 0.4]],
  )


def test_flat_puts_tensors_one_after_the_other():
  flat = known_others.flat([np.eye(2, dtype=np.float32), np.float32(7)])
  assert flat.tolist() == [1, 0, 0, 1, 7] and flat.dtype == np.float64
